"""Telling: the one place where events are numbered and folded, and where a run is ended.

Above: `loop`, which tells every event through here. Below: `items.Fold`, which alone builds
the response. Whatever ends a run, nothing is left open: `close` finishes every item first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from antiphon.items import (
    AgentCall,
    AgentEvent,
    Clock,
    Completed,
    Created,
    Event,
    Failed,
    Fault,
    Fold,
    FunctionCall,
    Incomplete,
    IncompleteDetails,
    InProgress,
    Item,
    ItemAdded,
    ItemDone,
    McpListTools,
    Message,
    Queued,
    Reasoning,
    Response,
    SpentBudget,
    UnknownEvent,
    Usage,
)
from antiphon.tools import Asked

from .closing import closing

RESUMED: Final = "antiphon:response.resumed"
"""The event that another process goes on with a response."""

TURN: Final = "antiphon:response.turn"
"""The event that a turn of a background response has gone to an end, and what it used: so that
another process can go on counting."""

INTERRUPTED: Final = "the process that ran it ended"
"""What is told of what was open when a run broke off."""

DOUBTFUL: Final = f"{INTERRUPTED}; whether it ran is not known"
"""What is told of what a person had approved, and nothing was told of since."""


@dataclass(frozen=True, slots=True)
class Before:
    """What was told of a response before the process that made it ended.

    Attributes:
        fold: The fold of all those events.
        count: How many they were.
        turns: The samplings that came to an end: of which model, and what each used.
    """

    fold: Fold
    count: int
    turns: Sequence[tuple[str, Usage]] = ()

    @property
    def spoken(self) -> int:
        """Tokens that models have written."""
        return sum(usage.output_tokens for _, usage in self.turns)

    @property
    def calls(self) -> int:
        """How many calls the provider ran for it, at any depth."""
        return sum(map(_calls, self.fold.output))

    @property
    def answered(self) -> bool:
        """Whether there is nothing more to do: it has said its last words, or waits for somebody.

        A last message might have been the beginning of a turn with calls behind it; but nobody
        asks a model twice for an answer that was given.
        """
        output = self.fold.output
        if any(isinstance(item, Asked) or _whole_call(item) for item in output):
            return True
        last = output[-1] if output else None
        whole = all(draft.whole is not None for draft in self.fold.drafts.values())
        return whole and isinstance(last, Message) and last.status == "completed"


def turn_told(event: Event) -> tuple[str, Usage] | None:
    """The model and the tokens of a sampling, if an event tells of one (see `TURN`)."""
    if event.type != TURN:
        return None
    said = event.model_extra or {}
    return str(said["model"]), Usage.model_validate(said["usage"])


def _calls(item: Item) -> int:
    """How many provider-run calls an item tells of."""
    inner = sum(map(_calls, item.output)) if isinstance(item, AgentCall) else 0
    mine = not isinstance(item, Message | Reasoning | FunctionCall | McpListTools | Asked)
    return inner + int(mine)


def _whole_call(item: Item) -> bool:
    return isinstance(item, FunctionCall) and item.status != "incomplete"


class Telling:
    """What has been told of one response, from its first event to its last.

    Args:
        response: The response as it stands before the model has spoken.
        clock: Gives seconds since 1970.
        before: What was told of it already, where it goes on in another process.
        fold: Where to fold it, where somebody around it reads it there.
    """

    __slots__ = ("_clock", "_number", "_response", "_resumed", "fold", "usage")

    def __init__(
        self,
        response: Response,
        *,
        clock: Clock,
        before: Before | None = None,
        fold: Fold | None = None,
    ) -> None:
        self.fold: Fold = (fold or Fold()) if before is None else before.fold
        self.usage: Usage = Usage()
        self._response = response
        self._clock = clock
        self._number = 0 if before is None else before.count
        self._resumed = self._number > 0
        for item in self.fold.output:
            if isinstance(item, AgentCall):
                self.usage = self.usage + item.usage
        for _, used in () if before is None else before.turns:
            self.usage = self.usage + used

    def tell(self, event: Event) -> Event:
        """Fold an event and number it; it goes out next. What a sub-agent used counts here, too.

        Raises:
            ValueError: It tells of an item that was never added.
        """
        if not (type(event) is AgentEvent and event.output_index in self.fold.followed):
            self.fold.add(event)  # first: what cannot be folded is not told, and has no number
            if type(event) is ItemDone and event.output_index in self.fold.runs:
                # A run elsewhere, which a model's server tells of, is in that server's own count.
                self.usage = self.usage + getattr(event.item, "usage", None)
        vars(event)["sequence_number"] = self._number  # a pydantic setter costs 3x
        event.__pydantic_fields_set__.add("sequence_number")
        self._number += 1
        return event

    def begin(self) -> Iterator[Event]:
        """The first events; for a response that goes on, what was open is closed."""
        if self._number == 0:
            first = self._response
            if first.background:
                first = first.model_copy(update={"status": "queued"})
            yield self.tell(Created(response=first))
            if first.background:
                yield self.tell(Queued(response=first))
        envelope = self.fold.envelope
        if self._number == 1 or envelope is None or envelope.status == "queued":
            yield self.tell(InProgress(response=self._response))
        if self._resumed:
            yield self.tell(UnknownEvent(type=RESUMED))
        yield from self.close(INTERRUPTED)

    def turned(self, model: str, usage: Usage) -> Iterator[Event]:
        """A turn has gone to its end; told where somebody may have to go on."""
        if self._response.background:
            said = {"model": model, "usage": usage.model_dump()}
            yield self.tell(UnknownEvent.model_validate({"type": TURN, **said}))

    def show(self, item: Item) -> Iterator[Event]:
        """An item that is whole when it is told, next in the output."""
        index = len(self.fold.drafts)
        yield self.tell(ItemAdded(output_index=index, item=item))
        yield self.tell(ItemDone(output_index=index, item=item))

    def complete(self) -> Iterator[Event]:
        """The end: all went well."""
        yield self.tell(Completed(response=self._ended("completed")))

    def cut(self, reason: str) -> Iterator[Event]:
        """The end, too early (max_output_tokens, max_turns, content_filter ...)."""
        yield from self.close(reason)
        details = IncompleteDetails(reason=reason)
        yield self.tell(Incomplete(response=self._ended("incomplete", incomplete_details=details)))

    def spend(self, spent: SpentBudget) -> Iterator[Event]:
        """The end, too early: a budget was used up."""
        yield from self.close(told_of(spent))
        details = IncompleteDetails(reason=f"budget_{spent.resource}", budget=spent)
        yield self.tell(Incomplete(response=self._ended("incomplete", incomplete_details=details)))

    def cancel(self) -> Iterator[Event]:
        """The end: somebody asked for it."""
        yield from self.close("cancelled")
        details = IncompleteDetails(reason="cancelled")
        yield self.tell(Incomplete(response=self._ended("cancelled", incomplete_details=details)))

    def fail(self, code: str, message: str) -> Iterator[Event]:
        """The end: something broke."""
        yield from self.close(message)
        fault = Fault(code=code, message=message)
        yield self.tell(Failed(response=self._ended("failed", error=fault)))

    def close(self, reason: str, *, first: int = 0) -> Iterator[Event]:
        """Finish every item from `first` on that is still open, as incomplete."""
        for index in range(first, len(self.fold.drafts)):
            draft = self.fold.drafts[index]
            if draft.whole is None:
                for event in closing(draft, index, reason):
                    yield self.tell(event)

    def _ended(self, status: str, **fields: object) -> Response:
        return self.fold.response.model_copy(
            update={
                "status": status,
                "completed_at": int(self._clock()) if status == "completed" else None,
                "usage": self.usage,
                **fields,
            }
        )


def told_of(spent: SpentBudget) -> str:
    """A budget that was used up, in words for models and people."""
    what = spent.resource.replace("_", " ")
    return f"the budget of {spent.owner} is used up: {spent.allowed:g} {what}"
