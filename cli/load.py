"""`module:name`: import a user's module, with the user's folder last on the path.

Above: `serve`, `target`. Not here: what the module is to hold.

Last, because a folder's own `agents.py` or `tools/` would otherwise stand before the packages
of that name that its modules import, such as openai-agents' `agents`.
"""

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

from antiphon.errors import ConfigurationError

Application: TypeAlias = Callable[..., Any]
"""An ASGI application: called with scope, receive and send."""


def load(spec: str) -> Application:
    """The application that `module:name` names; the name is `app` if left out.

    Raises:
        ConfigurationError: There is no such module, or no application of that name in it.
    """
    module, path, found = look_up(spec, "app")
    if not callable(found):
        raise ConfigurationError(
            f"expected an ASGI application named {path!r} in {where(module)}; "
            f"got {'nothing' if found is None else type(found).__name__}: "
            "write app = Provider(...), and name it module:app"
        )
    return found


def look_up(spec: str, default: str) -> tuple[ModuleType, str, Any]:
    """The module that `module:name` names, the name, and what it stands for (None: nothing).

    Args:
        spec: `module`, or `module:name`, or `module:name.attribute`.
        default: The name if it is left out.

    Raises:
        ConfigurationError: There is no such module.
    """
    name, _, path = spec.partition(":")
    path = path or default
    if not name or name.endswith(".py") or os.sep in name:
        known = name.removesuffix(".py").rpartition(os.sep)[2] or "app"
        raise ConfigurationError(
            f"expected module:{default}, such as {known}:{path} for {known}.py; got {spec!r}"
        )
    _folder_last(os.getcwd())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"{name} imports {error.name}, which is not installed: install it"
            ) from error
        raise ConfigurationError(
            f"there is no module {name!r} in {os.getcwd()}, and none is installed: "
            "go to the folder that holds it"
        ) from error
    found: Any = module
    for step in path.split("."):
        found = getattr(found, step, None)
    return module, path, found


def held(module: ModuleType, *kinds: type, instead: str) -> str:
    """What to do where a module has no such thing: name one that it has, or write one.

    Args:
        module: The module.
        kinds: What is wanted.
        instead: What to do where it has none of these.
    """
    there = [name for name, value in vars(module).items() if isinstance(value, kinds)]
    return f"it holds {', '.join(there)}: say {module.__name__}:{there[0]}" if there else instead


def where(module: ModuleType) -> str:
    """Where a module is, for errors."""
    return getattr(module, "__file__", None) or module.__name__


def _folder_last(folder: str) -> None:
    """Move a folder to the end of the path, however it came to be on it."""
    real = os.path.realpath(folder)
    sys.path[:] = [each for each in sys.path if os.path.realpath(each or ".") != real]
    sys.path.append(folder)
    importlib.invalidate_caches()
