"""What all calls share: a slot, the events that open and close an item, and the receipt.

Above: `function.py`, `code_interpreter.py` and every hosted tool to come. Below: `hosted.py`,
whose `Call` Protocol this fulfils. Not here: what a call does when it runs.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar, Literal

from antiphon.errors import ToolDefinitionError
from antiphon.items import (
    ArgumentsDelta,
    ArgumentsDone,
    CallStatus,
    Content,
    Event,
    Item,
    ItemAdded,
    ItemDone,
    Json,
    ToolCall,
    UnknownItem,
    kind_of,
)

from .hosted import Slot


class BaseCall(ABC):
    """A call whose item is made by `item(status)` at any time.

    Attributes:
        steps: What the names of its status events begin with, such as
            `response.mcp_call`, or `acme:units_call` for a tool of one's own; an end that has no
            event there (a code interpreter call cannot say `failed`) is told by the item alone.
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

    @property
    def stem(self) -> str:
        """`steps`, or what a call goes by whose class serves several types."""
        return self.steps

    def open(self) -> Iterable[Event]:
        """The item begins."""
        added = ItemAdded(output_index=self.slot.output_index, item=self.item("in_progress"))
        return (added, self.step("in_progress"))

    def refuse(self, reason: str) -> Iterable[Event]:
        """It will not be executed: the item fails, and the model reads the reason."""
        return self.fail(reason)

    def step(self, name: str, **more: Any) -> CallStatus:
        """The event that the call has come to this step; a tool of one's own may say more in it."""
        kind, slot = f"{self.stem}.{name}", self.slot
        return CallStatus(type=kind, item_id=slot.item_id, output_index=slot.output_index, **more)

    def end(self, status: Literal["completed", "failed"]) -> Iterable[Event]:
        """The last events of the call.

        Raises:
            ToolDefinitionError: The item is of no type that a model can read: it would make the
                same call again, for ever.
        """
        item = self.item(status)
        if isinstance(item, UnknownItem):
            raise ToolDefinitionError(
                f"expected an item that a model can read, got an unknown {item.type!r}: make it a "
                f"ToolCall of that type, as ReceiptCall does"
            )
        done = ItemDone(output_index=self.slot.output_index, item=item)
        return (done,) if kind_of(f"{self.stem}.{status}") is None else (self.step(status), done)


class ArgumentsCall(BaseCall):
    """A call whose item holds its JSON arguments as the model wrote them."""

    def __init__(self, slot: Slot) -> None:
        super().__init__(slot)
        self.arguments = ""

    def write(self, delta: str) -> Iterable[Event]:
        """A fragment has come."""
        slot = self.slot
        return (
            ArgumentsDelta(
                type=f"{self.stem}_arguments.delta",
                item_id=slot.item_id,
                output_index=slot.output_index,
                delta=delta,
            ),
        )

    def ready(self, arguments: str) -> Iterable[Event]:
        """The arguments are whole."""
        self.arguments: str = arguments
        slot = self.slot
        return (
            ArgumentsDone(
                type=f"{self.stem}_arguments.done",
                item_id=slot.item_id,
                output_index=slot.output_index,
                arguments=arguments,
            ),
        )


class ReceiptCall(ArgumentsCall):
    """A call whose receipt holds what the model said and read, and so is that of any tool: an
    `antiphon:tool_call`, or an item of one's own type, `acme:units_call`.

    Attributes:
        name: What the model called.
        item_type: The type of the item, with which those of its events begin.
        output: What the model reads of a call that completed.
        error: What it reads of one that failed.
        more: Fields beside these, which no model reads.
    """

    steps: ClassVar[str] = "antiphon:tool_call"

    def __init__(self, slot: Slot, *, name: str, item_type: str = "antiphon:tool_call") -> None:
        super().__init__(slot)
        self.name = name
        self.item_type = item_type
        self.output: Content | None = None
        self.error: str | None = None
        self.more: Json = {}

    @property
    def stem(self) -> str:
        """The type of the item."""
        return self.item_type

    def item(self, status: str) -> ToolCall:
        """The receipt so far."""
        return ToolCall(
            type=self.item_type,
            id=self.slot.item_id,
            status=status,
            name=self.name,
            arguments=self.arguments,
            output=self.output,
            error=self.error,
            **self.more,
        )

    def fail(self, reason: str) -> Iterable[Event]:
        """End the item failed; the model reads the reason."""
        self.error = reason
        return self.end("failed")
