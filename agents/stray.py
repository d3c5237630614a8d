"""A call that leads nowhere: to a name that is not on the menu, or that may not be called now.

It is a receipt like any other (`antiphon:tool_call`, failed), so that the model reads why and
goes on, and the client sees what happened.
"""

from collections.abc import AsyncIterator

from antiphon.items import Event
from antiphon.tools import ReceiptCall, Slot


class Stray(ReceiptCall):
    """One such call.

    Args:
        name: What the model called.
        slot: Its place in the output.
    """

    def __init__(self, name: str, slot: Slot) -> None:
        super().__init__(slot, name=name)

    async def run(self) -> AsyncIterator[Event]:
        """There is nothing to run."""
        for event in self.fail(f"there is no tool named {self.name!r}"):
            yield event
