"""Faults: what went wrong with an MCP server, read off errors of the SDK's.

What fails below JSON-RPC becomes a JSON-RPC error of ours (`http.fault`), since the SDK lets no
other through. Above: `line`, `link` and the ways. Below: nothing. Not here: what is done about it.
"""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any, Final, cast

FAULT: Final = -32000
"""JSON-RPC's code of what went wrong below JSON-RPC."""

OURS: Final = f"antiphon-{token_hex(16)}"
"""Under which such an error has what is known of it. No server can know it, and say so itself."""


def leaf(error: BaseException) -> BaseException:
    """The first cause in a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        return leaf(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


def status_of(error: Any) -> int | None:
    """The HTTP status behind an error of the SDK's, where there is one."""
    status = guard_said(error).get("status")
    return status if isinstance(status, int) else None


def guard_said(error: Any) -> Mapping[str, Any]:
    """What `http.fault` said of an error of the SDK's; nothing of what a server sent."""
    data: object = getattr(error, "data", None)
    if getattr(error, "code", None) != FAULT or not isinstance(data, dict):
        return {}
    told: object = cast("dict[str, object]", data).get(OURS)
    return cast("Mapping[str, Any]", told) if isinstance(told, dict) else {}


def words(error: BaseException) -> str:
    """What went wrong with a session, without anything that may be a credential."""
    if guard_said(error):
        return str(getattr(error, "message", "it cannot be reached"))
    if isinstance(error, FileNotFoundError | PermissionError):
        return f"its program could not be started: {error.strerror}"
    if type(error).__module__.startswith("mcp.client.auth"):
        return f"logging in failed: {str(error).split(chr(10), 1)[0][:200]}"
    message: object = getattr(error, "message", None)
    return str(message)[:500] if isinstance(message, str) else type(error).__name__
