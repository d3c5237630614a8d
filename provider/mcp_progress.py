"""Progress: what a run is doing, in a few words, for a host that wants to know.

Made of the run's events; each is told with a number that only rises. Steps that come faster than
`EVERY` are left out, so that neither side is flooded. Above: `mcp_call`. Below: `items`.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio

from antiphon.items import (
    AgentCall,
    AgentEvent,
    ApprovalRequest,
    CallStatus,
    Event,
    Item,
    ItemAdded,
    McpApprovalRequest,
    McpCall,
    McpListTools,
    Message,
    Reasoning,
    ToolCall,
    ToolProgress,
)

EVERY: Final = 0.1
"""Seconds between two notifications, at least."""

LONGEST: Final = 200
"""Characters of one notification's words."""

Report: TypeAlias = Callable[[float, str], Awaitable[None]]
"""Sends one notification: how far, and what is happening."""

_ENDS: Final = frozenset({"completed", "failed", "in_progress"})


class Progress:
    """Tells of one call.

    Args:
        report: Sends a notification.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._steps = 0
        self._next = 0.0
        self._names: dict[str, str] = {}

    async def tell(self, event: Event) -> None:
        """Hear one event of the run, and tell of it if it is a step."""
        words = self._words(event)
        if words is None:
            return
        self._steps += 1
        now = anyio.current_time()
        if now >= self._next:
            self._next = now + EVERY
            await self._report(float(self._steps), shown(words, LONGEST))

    def _words(self, event: Event) -> str | None:
        """What an event says is happening; None where it says nothing new."""
        if isinstance(event, AgentEvent):
            inner = self._words(event.event)
            return inner and f"{self._names.get(event.item_id, 'agent')}: {inner}"
        if isinstance(event, ItemAdded):
            return self._begun(event.item)
        if isinstance(event, ToolProgress):
            far = "" if event.fraction is None else f" ({event.fraction:.0%})"
            return f"{self._names.get(event.item_id, 'tool')}: {event.message}{far}"
        if isinstance(event, CallStatus):
            kind, _, step = event.type.rpartition(".")
            name = self._names.get(event.item_id, kind.rpartition(".")[2])
            return None if step in _ENDS else f"{name}: {step.replace('_', ' ')}"
        return None

    def _begun(self, item: Item) -> str | None:
        if isinstance(item, Message):
            return "writing the answer"
        if isinstance(item, Reasoning):
            return "thinking"
        if isinstance(item, ApprovalRequest | McpApprovalRequest):
            return f"{item.name}: waits for approval"
        if isinstance(item, McpListTools):
            return f"{item.server_label}: listing tools"
        name = _name_of(item)
        if name is None:
            return None
        self._names[item.id or ""] = name
        return f"{name}: called"


def _name_of(item: Item) -> str | None:
    if isinstance(item, ToolCall | McpCall):
        return item.name
    if isinstance(item, AgentCall):
        return item.agent
    kind = item.type or ""
    return kind.removesuffix("_call") if kind.endswith("_call") else None


def shown(text: str, most: int) -> str:
    """Anybody's words for a person: what cannot be seen is spelled out, and it has an end.

    Args:
        text: The words; lines stay lines.
        most: Characters that are shown.
    """
    plain = "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text[:most])
    return plain if len(text) <= most else f"{plain} [and {len(text) - most:,} more characters]"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
