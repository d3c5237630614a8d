"""What all calls share: a slot, the events that open and close an item, and the receipt.

Above: `function.py`, `code_interpreter.py` and every hosted tool to come. Below: `hosted.py`,
whose `Call` Protocol this fulfils. Not here: what a call does when it runs.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar, Literal, TypeAlias

from antiphon.items import (
    KINDS,
    ArgumentsDelta,
    ArgumentsDone,
    CallStatus,
    Event,
    Item,
    ItemAdded,
    ItemDone,
)

from .hosted import Slot


class BaseCall(ABC):
    """A call whose item is made by `item(status)` at any time.

    Attributes:
        steps: What the names of its status events begin with, such as
            `response.mcp_call`; an end that has no event there (a code interpreter call
            cannot say `failed`) is told by the item alone.
    """

    steps: ClassVar[str]

    def __init__(self, slot: Slot) -> None:
        self.slot = slot

    @abstractmethod
    def item(self, status: str) -> Item:
        """The item as it stands, with this status."""

    @abstractmethod
    def fail(self, reason: str) -> Iterable[Event]:
        """Note why, and end the item failed."""

    @abstractmethod
    def run(self) -> AsyncIterator[Event]:
        """Execute; events as it happens."""

    def open(self) -> Iterable[Event]:
        """The item begins."""
        added = ItemAdded(output_index=self.slot.output_index, item=self.item("in_progress"))
        return (added, self.step("in_progress"))

    def refuse(self, reason: str) -> Iterable[Event]:
        """It will not be executed: the item fails, and the model reads the reason."""
        return self.fail(reason)

    def step(self, name: str) -> CallStatus:
        """The event that the call has come to this step."""
        kind: Any = f"{self.steps}.{name}"
        return CallStatus(type=kind, item_id=self.slot.item_id, output_index=self.slot.output_index)

    def end(self, status: Literal["completed", "failed"]) -> Iterable[Event]:
        """The last events of the call."""
        done = ItemDone(output_index=self.slot.output_index, item=self.item(status))
        return (self.step(status), done) if f"{self.steps}.{status}" in KINDS else (done,)


DeltaName: TypeAlias = Literal[
    "response.mcp_call_arguments.delta", "antiphon:tool_call_arguments.delta"
]
DoneName: TypeAlias = Literal[
    "response.mcp_call_arguments.done", "antiphon:tool_call_arguments.done"
]


class ArgumentsCall(BaseCall):
    """A call whose item holds its JSON arguments as the model wrote them."""

    delta: ClassVar[DeltaName] = "antiphon:tool_call_arguments.delta"
    done: ClassVar[DoneName] = "antiphon:tool_call_arguments.done"

    def __init__(self, slot: Slot) -> None:
        super().__init__(slot)
        self.arguments = ""

    def write(self, delta: str) -> Iterable[Event]:
        """A fragment has come."""
        slot = self.slot
        return (
            ArgumentsDelta(
                type=self.delta, item_id=slot.item_id, output_index=slot.output_index, delta=delta
            ),
        )

    def ready(self, arguments: str) -> Iterable[Event]:
        """The arguments are whole."""
        self.arguments: str = arguments
        slot = self.slot
        return (
            ArgumentsDone(
                type=self.done,
                item_id=slot.item_id,
                output_index=slot.output_index,
                arguments=arguments,
            ),
        )
