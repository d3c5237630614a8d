"""What a Provider is constructed with, checked: what is given wrongly is said at once.

Above: `app`. Not here: what the options mean.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import TypeAdapter, ValidationError

from antiphon.agents import Agent, Workflow
from antiphon.errors import ConfigurationError
from antiphon.items import ToolDefinition
from antiphon.models import Model
from antiphon.tools import HostedTool, Offer

from .catalogue import Served
from .files import DiskFiles, FileStore
from .rate import Rate
from .view import Dialect

_DEFINITIONS: TypeAdapter[list[ToolDefinition]] = TypeAdapter(list[ToolDefinition])


def files_of(given: FileStore | None) -> FileStore:
    """Where uploads are kept; a temporary folder where nobody said.

    Raises:
        ConfigurationError: It is not.
    """
    if given is not None and not hasattr(given, "upload"):
        raise ConfigurationError(
            f"files: expected a FileStore, got {given!r}: DiskFiles(folder) keeps them in a folder"
        )
    return given or DiskFiles()


def rate_of(given: Rate | None) -> Rate:
    """How often each principal may ask.

    Raises:
        ConfigurationError: It is not.
    """
    if given is not None and not isinstance(given, Rate):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"rate: expected Rate(at_once=..., per_minute=...), got {given!r}")
    return given or Rate()


def check_whole(**limits: object) -> None:
    """Whether each of these is a whole number from 1.

    Raises:
        ConfigurationError: It is not.
    """
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name}: expected a whole number from 1, got {value!r}")


def check_seconds(**seconds: object) -> None:
    """Whether each of these is a time above 0.

    Raises:
        ConfigurationError: It is not.
    """
    for name, value in seconds.items():
        wrong = isinstance(value, bool) or not isinstance(value, int | float)
        if wrong or not 0 < cast("float", value) < math.inf:
            raise ConfigurationError(f"{name}: expected seconds above 0, got {value!r}")


def dialect_of(dialect: Dialect | None) -> Dialect | None:
    """Whose reasoning event names all clients get, if one.

    Raises:
        ConfigurationError: It is not.
    """
    if dialect is not None and dialect not in get_args(Dialect):
        raise ConfigurationError(
            f"dialect: expected one of {', '.join(get_args(Dialect))}, got {dialect!r}"
        )
    return dialect


def served_of(
    models: Sequence[Model], agents: Sequence[Agent[Any]], workflows: Sequence[Workflow[Any]]
) -> Sequence[Served]:
    """Models, agents and workflows, each of its kind.

    Raises:
        ConfigurationError: It is not.
    """
    return [
        *_checked(models, Model, "models"),
        *_checked(agents, Agent, "agents"),
        *_checked(workflows, Workflow, "workflows"),
    ]


def _checked(given: Sequence[Any], kind: type[Any], what: str) -> Sequence[Any]:
    for one in given:
        if not isinstance(one, kind):
            raise ConfigurationError(
                f"{what}: expected {kind.__name__} objects, got {type(one).__name__}"
            )
    return given


def tools_of(given: Sequence[Any]) -> Sequence[Offer | HostedTool]:
    """Tools, each with a name of its own.

    Raises:
        ConfigurationError: It is not.
    """
    names: set[str] = set()
    for one in given:
        if not isinstance(one, Offer | HostedTool):
            raise ConfigurationError(
                f"tools: expected @tool functions or hosted tools, got {type(one).__name__}: "
                "decorate the function with @tool"
            )
        name = one.function.name if isinstance(one, Offer) else one.type
        if name in names:
            raise ConfigurationError(f"tools: two tools are named {name!r}: rename one")
        names.add(name)
    return given


def definitions_of(given: Sequence[Mapping[str, Any]]) -> list[ToolDefinition]:
    """Tool definitions, read.

    Raises:
        ConfigurationError: They are none.
    """
    try:
        return _DEFINITIONS.validate_python([dict(one) for one in given])
    except (ValidationError, TypeError, ValueError) as error:
        raise ConfigurationError(f"default_tools: expected tool definitions: {error}") from error
