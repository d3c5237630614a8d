"""One content part while it is being written: text, refusal, raw reasoning or a summary.

Above: `writer`, which decides when a passage opens and closes. Not here: items.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from antiphon.items import (
    Event,
    LogProb,
    OutputText,
    Part,
    PartAdded,
    PartDone,
    ReasoningDelta,
    ReasoningDone,
    ReasoningText,
    Refusal,
    RefusalDelta,
    RefusalDone,
    SummaryDelta,
    SummaryDone,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryText,
    TextDelta,
    TextDone,
)


class Passage(ABC):
    """What all passages do. A subclass says with which events, and to which item it belongs.

    Args:
        item_id: The item that this is a part of.
        output_index: That item's place.
        index: The part's place in the item.
    """

    __slots__ = ("fragments", "index", "item_id", "output_index")
    holder: ClassVar[Literal["message", "reasoning"]]

    def __init__(self, item_id: str, output_index: int, index: int) -> None:
        self.item_id: str = item_id
        self.output_index: int = output_index
        self.index: int = index
        self.fragments: list[str] = []

    @property
    def text(self) -> str:
        """All that was written so far."""
        return "".join(self.fragments)

    @abstractmethod
    def part(self) -> Part:
        """The part as it stands."""

    @abstractmethod
    def write(self, fragment: str) -> Event:
        """A fragment has come."""

    @abstractmethod
    def done(self) -> Event:
        """The event with the whole text."""

    def added(self) -> Event:
        """The event that opens this part."""
        return PartAdded(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            part=self.part(),
        )

    def closed(self, part: Part) -> Event:
        """The event that closes this part."""
        return PartDone(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            part=part,
        )


class TextPassage(Passage):
    """Text of a message, with log probabilities where the model gives them."""

    __slots__ = ("logprobs",)
    holder: ClassVar[Literal["message", "reasoning"]] = "message"

    def __init__(self, item_id: str, output_index: int, index: int) -> None:
        super().__init__(item_id, output_index, index)
        self.logprobs: list[LogProb] = []

    def part(self) -> Part:
        return OutputText(text=self.text, logprobs=self.logprobs or None)

    def write(self, fragment: str, logprobs: Sequence[LogProb] = ()) -> Event:
        self.fragments.append(fragment)
        self.logprobs.extend(logprobs)
        if logprobs:
            return TextDelta(
                item_id=self.item_id,
                output_index=self.output_index,
                content_index=self.index,
                delta=fragment,
                logprobs=list(logprobs),
            )
        return TextDelta(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            delta=fragment,
        )

    def done(self) -> Event:
        return TextDone(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            text=self.text,
            logprobs=self.logprobs,
        )


class RefusalPassage(Passage):
    """Words of refusal in a message."""

    __slots__ = ()
    holder: ClassVar[Literal["message", "reasoning"]] = "message"

    def part(self) -> Part:
        return Refusal(refusal=self.text)

    def write(self, fragment: str) -> Event:
        self.fragments.append(fragment)
        return RefusalDelta(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            delta=fragment,
        )

    def done(self) -> Event:
        return RefusalDone(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            refusal=self.text,
        )


class ReasoningPassage(Passage):
    """Raw reasoning."""

    __slots__ = ()
    holder: ClassVar[Literal["message", "reasoning"]] = "reasoning"

    def part(self) -> Part:
        return ReasoningText(text=self.text)

    def write(self, fragment: str) -> Event:
        self.fragments.append(fragment)
        return ReasoningDelta(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            delta=fragment,
        )

    def done(self) -> Event:
        return ReasoningDone(
            item_id=self.item_id,
            output_index=self.output_index,
            content_index=self.index,
            text=self.text,
        )


class SummaryPassage(Passage):
    """One paragraph of a reasoning summary."""

    __slots__ = ()
    holder: ClassVar[Literal["message", "reasoning"]] = "reasoning"

    def part(self) -> Part:
        return SummaryText(text=self.text)

    def added(self) -> Event:
        return SummaryPartAdded(
            item_id=self.item_id,
            output_index=self.output_index,
            summary_index=self.index,
            part=self.part(),
        )

    def write(self, fragment: str) -> Event:
        self.fragments.append(fragment)
        return SummaryDelta(
            item_id=self.item_id,
            output_index=self.output_index,
            summary_index=self.index,
            delta=fragment,
        )

    def done(self) -> Event:
        return SummaryDone(
            item_id=self.item_id,
            output_index=self.output_index,
            summary_index=self.index,
            text=self.text,
        )

    def closed(self, part: Part) -> Event:
        return SummaryPartDone(
            item_id=self.item_id,
            output_index=self.output_index,
            summary_index=self.index,
            part=part,
        )
