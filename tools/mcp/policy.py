"""Which tools of an MCP server may be called, and which calls wait for a person.

Source: `allowed_tools` and `require_approval` of OpenAI's `mcp` tool. `read_only` is what the
server says of itself (`annotations.readOnlyHint`), no more. Above: `source`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from antiphon.errors import RequestError
from antiphon.items import McpTool

Names: TypeAlias = list[str] | Mapping[str, Any]
"""Names of tools, or `{"tool_names": [...], "read_only": true}`."""

Approval: TypeAlias = str | Mapping[str, Any]
"""`always`, `never`, or `{"always": filter, "never": filter}`."""


def read_only(tool: McpTool) -> bool:
    """Whether the server says that a tool changes nothing."""
    hints: object = tool.annotations
    return isinstance(hints, dict) and cast("dict[str, Any]", hints).get("readOnlyHint") is True


@dataclass(frozen=True, slots=True)
class Filter:
    """Some of a server's tools. One that says nothing takes none.

    Attributes:
        names: These; None where names do not matter.
        read_only: Those that do (not) say that they change nothing; None for both.
    """

    names: frozenset[str] | None = None
    read_only: bool | None = None

    def takes(self, tool: McpTool) -> bool:
        """Whether a tool is one of them."""
        if self.names is None and self.read_only is None:
            return False
        if self.names is not None and tool.name not in self.names:
            return False
        return self.read_only is None or self.read_only is read_only(tool)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be called, and what waits.

    Attributes:
        allowed: None for all tools.
        always: Tools whose calls wait; what is in both waits.
        never: Tools whose calls do not.
        waits: Whether the calls of all other tools wait.
    """

    allowed: Filter | None = None
    always: Filter = Filter()
    never: Filter = Filter()
    waits: bool = True

    def allows(self, tool: McpTool) -> bool:
        """Whether a tool may be called at all."""
        return self.allowed is None or self.allowed.takes(tool)

    @property
    def believes(self) -> bool:
        """Whether it goes by what the server says of its tools, and not by their names alone."""
        filters = (self.allowed or Filter(), self.always, self.never)
        return any(each.read_only is not None for each in filters)

    def asks(self, tool: McpTool) -> bool:
        """Whether its calls wait for a person."""
        if self.always.takes(tool):
            return True
        return self.waits and not self.never.takes(tool)


def policy_of(allowed_tools: object, require_approval: object) -> Policy:
    """What a definition says; without a word on approval, all calls wait.

    Raises:
        RequestError: 400; `param` is relative to the definition.
    """
    allowed: Filter | None = None
    if isinstance(allowed_tools, list):
        allowed = Filter(_names(cast("list[object]", allowed_tools), "allowed_tools"))
    elif allowed_tools is not None:
        allowed = _filter(allowed_tools, "allowed_tools")
        if allowed == Filter():
            allowed = None
    if require_approval is None or require_approval in ("always", "never"):
        return Policy(allowed, waits=require_approval != "never")
    if not isinstance(require_approval, Mapping):
        raise _wrong("require_approval", '"always", "never" or an object of filters')
    given = cast("Mapping[str, object]", require_approval)
    if unknown := sorted(str(key) for key in given if key not in ("always", "never")):
        raise _wrong(f"require_approval.{unknown[0][:40]}", "no other fields than always and never")
    found = {
        name: _filter(each, f"require_approval.{name}")
        for name, each in given.items()
        if each is not None
    }
    return Policy(allowed, found.get("always", Filter()), found.get("never", Filter()))


def _filter(given: object, param: str) -> Filter:
    if not isinstance(given, Mapping):
        raise _wrong(param, "an object with tool_names or read_only")
    fields = cast("Mapping[str, object]", given)
    if unknown := sorted(str(key) for key in fields if key not in ("tool_names", "read_only")):
        raise _wrong(f"{param}.{unknown[0][:40]}", "no other fields than tool_names and read_only")
    hint = fields.get("read_only")
    if hint is not None and not isinstance(hint, bool):
        raise _wrong(f"{param}.read_only", "true or false")
    names = fields.get("tool_names")
    if names is not None and not isinstance(names, list):
        raise _wrong(f"{param}.tool_names", "a list of names")
    known = None if names is None else _names(cast("list[object]", names), f"{param}.tool_names")
    return Filter(known, hint)


def _names(given: list[object], param: str) -> frozenset[str]:
    names = [name for name in given if isinstance(name, str)]
    if len(names) < len(given):
        raise _wrong(param, "a list of names")
    return frozenset(names)


def _wrong(param: str, expected: str) -> RequestError:
    return RequestError(f"{param}: expected {expected}", param=param, code="invalid_value")
