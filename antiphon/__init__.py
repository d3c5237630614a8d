"""antiphon: agents whose state is a list of Open Responses items.

The front door: the names that most programs need, each imported when it is first used. Every
room has its own door: `antiphon.agents`, `antiphon.tools`, `antiphon.models`,
`antiphon.sandboxes`, `antiphon.provider`, `antiphon.items`, `antiphon.testing`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.agents import Agent as Agent, Result as Result
    from antiphon.models import (
        ChatModel as ChatModel,
        ResponsesModel as ResponsesModel,
        ScriptedModel as ScriptedModel,
        model as model,
    )
    from antiphon.provider import Provider as Provider
    from antiphon.tools import CodeInterpreter as CodeInterpreter, tool as tool

__version__ = "0.1.0"

_ROOMS = {
    "Agent": "agents",
    "Result": "agents",
    "ChatModel": "models",
    "ResponsesModel": "models",
    "ScriptedModel": "models",
    "model": "models",
    "Provider": "provider",
    "CodeInterpreter": "tools",
    "tool": "tools",
}


def __getattr__(name: str) -> Any:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module 'antiphon' has no attribute {name!r}")
    value = getattr(import_module(f"antiphon.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
