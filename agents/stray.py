"""A call that leads nowhere: to a name that is not on the menu, or that may not be called now.

It is a receipt like any other (`antiphon:tool_call`, failed), so that the model reads why and
goes on, and the client sees what happened.
"""

from collections.abc import AsyncIterator, Iterator

from antiphon.items import (
    ArgumentsDelta,
    ArgumentsDone,
    CallStatus,
    Event,
    ItemAdded,
    ItemDone,
    ToolCall,
)
from antiphon.tools import Slot


class Stray:
    """One such call (see `tools.Call` for the steps)."""

    def __init__(self, name: str, slot: Slot) -> None:
        self._name = name
        self._slot = slot
        self._arguments = ""

    def open(self) -> Iterator[Event]:
        """The model has named it."""
        yield ItemAdded(output_index=self._slot.output_index, item=self._item("in_progress"))
        yield self._status("antiphon:tool_call.in_progress")

    def write(self, delta: str) -> Iterator[Event]:
        """A fragment of the arguments."""
        yield ArgumentsDelta(
            type="antiphon:tool_call_arguments.delta",
            item_id=self._slot.item_id,
            output_index=self._slot.output_index,
            delta=delta,
        )

    def ready(self, arguments: str) -> Iterator[Event]:
        """The arguments are whole."""
        self._arguments = arguments
        yield ArgumentsDone(
            type="antiphon:tool_call_arguments.done",
            item_id=self._slot.item_id,
            output_index=self._slot.output_index,
            arguments=arguments,
        )

    async def run(self) -> AsyncIterator[Event]:
        """It cannot be run; the same as refusing."""
        for event in self.refuse(f"there is no tool named {self._name!r}"):
            yield event

    def refuse(self, reason: str) -> Iterator[Event]:
        """It fails, with the reason."""
        yield self._status("antiphon:tool_call.failed")
        item = self._item("failed", error=reason)
        yield ItemDone(output_index=self._slot.output_index, item=item)

    def _status(self, kind: str) -> CallStatus:
        return CallStatus.model_validate(
            {"type": kind, "item_id": self._slot.item_id, "output_index": self._slot.output_index}
        )

    def _item(self, status: str, *, error: str | None = None) -> ToolCall:
        return ToolCall(
            id=self._slot.item_id,
            status=status,
            name=self._name,
            arguments=self._arguments,
            error=error,
        )
