"""A call that leads nowhere: to a name that is not on the menu, or that may not be called now.

It is a receipt like any other (`antiphon:tool_call`, failed), so that the model reads why and
goes on, and the client sees what happened.
"""

from collections.abc import AsyncIterator, Iterable
from typing import ClassVar

from antiphon.items import Event, Item, ToolCall
from antiphon.tools import ArgumentsCall, Slot


class Stray(ArgumentsCall):
    """One such call.

    Args:
        name: What the model called.
        slot: Its place in the output.
    """

    steps: ClassVar[str] = "antiphon:tool_call"

    def __init__(self, name: str, slot: Slot) -> None:
        super().__init__(slot)
        self._name = name
        self._error: str | None = None

    def item(self, status: str) -> Item:
        """The receipt."""
        return ToolCall(
            id=self.slot.item_id,
            status=status,
            name=self._name,
            arguments=self.arguments,
            error=self._error,
        )

    def fail(self, reason: str) -> Iterable[Event]:
        """It fails, with the reason."""
        self._error = reason
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """There is nothing to run."""
        for event in self.fail(f"there is no tool named {self._name!r}"):
            yield event
