"""The one builder of a sampling's events: what was said goes in, canonical events come out.

Above: `voice` (engines and scripts) and `chat`, which know *what* was said. Below: `passage`.
Here is known *how* it is told: items are added in the order of `output_index`; consecutive
fragments of one kind join one item; a change of kind closes it; a closed item never changes;
several calls may be open at once, their fragments in any order. Not here: ids' meaning or
sequence numbers, which belong to the loop and to the view.
"""

from collections.abc import Hashable, Sequence
from typing import Literal

from pydantic_core import from_json

from antiphon.items import (
    ArgumentsDelta,
    ArgumentsDone,
    Completed,
    Event,
    Failed,
    Fault,
    FunctionCall,
    Incomplete,
    IncompleteDetails,
    InputTokensDetails,
    Item,
    ItemAdded,
    ItemDone,
    LogProb,
    Message,
    OutputTokensDetails,
    Part,
    Reasoning,
    Response,
    Usage,
)

from . import speech
from .model import ModelRequest
from .passage import (
    Passage,
    ReasoningPassage,
    RefusalPassage,
    SummaryPassage,
    TextPassage,
)


class Utterance:
    """A message or a reasoning item in the making."""

    __slots__ = ("content", "id", "index", "kind", "passage", "summary")

    def __init__(self, kind: Literal["message", "reasoning"], item_id: str, index: int) -> None:
        self.kind = kind
        self.id: str = item_id
        self.index: int = index
        self.content: list[Part] = []
        self.summary: list[Part] = []
        self.passage: Passage | None = None

    def begin(self, kind: type[Passage]) -> list[Event]:
        """Open a part of this kind, closing the one before it."""
        events = self.end_passage()
        before = self.summary if kind is SummaryPassage else self.content
        self.passage = kind(self.id, self.index, len(before))
        events.append(self.passage.added())
        return events

    def end_passage(self) -> list[Event]:
        """Close the open part, if one is."""
        passage = self.passage
        if passage is None:
            return []
        self.passage = None
        part = passage.part()
        (self.summary if isinstance(passage, SummaryPassage) else self.content).append(part)
        return [passage.done(), passage.closed(part)]

    def item(self, status: str) -> Item:
        """The item as it stands."""
        if self.kind == "message":
            return Message(id=self.id, status=status, role="assistant", content=self.content)
        return Reasoning(
            id=self.id, status=status, summary=self.summary, content=self.content or None
        )

    def end(self, status: str) -> list[Event]:
        """Close everything."""
        events = self.end_passage()
        events.append(ItemDone(output_index=self.index, item=self.item(status)))
        return events


class Writing:
    """A function call in the making."""

    __slots__ = ("call_id", "fragments", "id", "index", "name")

    def __init__(self, name: str, call_id: str, item_id: str, index: int) -> None:
        self.name: str = name
        self.call_id: str = call_id
        self.id: str = item_id
        self.index: int = index
        self.fragments: list[str] = []

    def item(self, status: str, arguments: str) -> FunctionCall:
        """The item as it stands."""
        return FunctionCall(
            id=self.id,
            call_id=self.call_id,
            name=self.name,
            arguments=arguments,
            status=status,
        )

    def end(self, status: str) -> list[Event]:
        """Close it. One whose arguments are whole was not cut, whatever befell the rest."""
        arguments = "".join(self.fragments)
        if status != "completed" and _is_whole(arguments):
            status = "completed"
        return [
            ArgumentsDone(
                item_id=self.id, output_index=self.index, arguments=arguments, name=self.name
            ),
            ItemDone(output_index=self.index, item=self.item(status, arguments)),
        ]


def _is_whole(arguments: str) -> bool:
    try:
        return isinstance(from_json(arguments), dict)
    except ValueError:
        return False


class Writer:
    """Tells one sampling. Each method returns the events that tell of what it was given.

    Args:
        request: What was asked; its `ids` name the items.
        model: The model's name, for the terminal response.

    Usage: any of `text`, `reasoning`, `refusal`, `call` + `arguments` (+ `end_call`), in any
    order; then exactly one of `complete`, `stop` or `fail`. `usage` may be set at any time.
    """

    __slots__ = ("_calls", "_count", "_ids", "_model", "_utterance", "usage")

    def __init__(self, request: ModelRequest, *, model: str) -> None:
        self._ids = request.ids
        self._model = model
        self._count = 0
        self._utterance: Utterance | None = None
        self._calls: dict[Hashable, Writing] = {}
        self.usage: speech.Usage | None = None

    def text(self, fragment: str, logprobs: Sequence[LogProb] = ()) -> list[Event]:
        """More of the answer. Empty fragments say nothing and give no event."""
        if not fragment and not logprobs:
            return []
        events = self._passage(TextPassage)
        if logprobs:
            passage = self._utterance and self._utterance.passage
            assert isinstance(passage, TextPassage)
            events.append(passage.write(fragment, logprobs))
            return events
        return self._say(events, fragment)

    def refusal(self, fragment: str) -> list[Event]:
        """More words of refusal."""
        return self._say(self._passage(RefusalPassage), fragment) if fragment else []

    def reasoning(self, fragment: str, *, summary: bool = False) -> list[Event]:
        """More of the thought, or of its summary."""
        kind = SummaryPassage if summary else ReasoningPassage
        return self._say(self._passage(kind), fragment) if fragment else []

    def _say(self, events: list[Event], fragment: str) -> list[Event]:
        passage = self._utterance and self._utterance.passage
        assert passage is not None
        events.append(passage.write(fragment))
        return events

    def _passage(self, kind: type[Passage]) -> list[Event]:
        """Have a passage of this kind open; the events that it took."""
        utterance = self._utterance
        if utterance is not None and utterance.kind == kind.holder:
            if type(utterance.passage) is kind:
                return []
            return utterance.begin(kind)
        events = self._end_utterance("completed")
        utterance = Utterance(kind.holder, self._ids.item(kind.holder), self._place())
        self._utterance = utterance
        events.append(ItemAdded(output_index=utterance.index, item=utterance.item("in_progress")))
        events.extend(utterance.begin(kind))
        return events

    def call(self, key: Hashable, name: str, call_id: str | None = None) -> list[Event]:
        """A call opens.

        Args:
            key: How the caller will speak of it to `arguments` and `end_call`.
            name: The function.
            call_id: The id that its output will bear; None makes one.
        """
        events = self._end_utterance("completed")
        writing = Writing(
            name,
            call_id or self._ids("call"),
            self._ids.item("function_call"),
            self._place(),
        )
        self._calls[key] = writing
        events.append(ItemAdded(output_index=writing.index, item=writing.item("in_progress", "")))
        return events

    def arguments(self, key: Hashable, fragment: str) -> list[Event]:
        """More of the arguments of an open call."""
        if not fragment:
            return []
        writing = self._calls[key]
        writing.fragments.append(fragment)
        return [ArgumentsDelta(item_id=writing.id, output_index=writing.index, delta=fragment)]

    def end_call(self, key: Hashable) -> list[Event]:
        """A call is whole. Those never ended here end with the sampling."""
        return self._calls.pop(key).end("completed")

    def complete(self) -> list[Event]:
        """The model has said all it wanted."""
        events = self._end_all("completed")
        events.append(Completed(response=self._response("completed")))
        return events

    def stop(self, reason: str) -> list[Event]:
        """The model was stopped: `max_output_tokens` or `content_filter`."""
        events = self._end_all("incomplete")
        response = self._response("incomplete", incomplete=IncompleteDetails(reason=reason))
        events.append(Incomplete(response=response))
        return events

    def fail(self, code: str, message: str) -> list[Event]:
        """The model failed."""
        events = self._end_all("incomplete")
        response = self._response("failed", error=Fault(code=code, message=message))
        events.append(Failed(response=response))
        return events

    def _place(self) -> int:
        self._count += 1
        return self._count - 1

    def _end_utterance(self, status: str) -> list[Event]:
        utterance, self._utterance = self._utterance, None
        return [] if utterance is None else utterance.end(status)

    def _end_all(self, status: str) -> list[Event]:
        if not self._calls:
            return self._end_utterance(status)
        still: list[Utterance | Writing] = list(self._calls.values())
        if self._utterance is not None:
            still.append(self._utterance)  # text after calls: the last place
        self._calls.clear()
        self._utterance = None
        return [event for one in still for event in one.end(status)]

    def _response(
        self,
        status: str,
        *,
        incomplete: IncompleteDetails | None = None,
        error: Fault | None = None,
    ) -> Response:
        return _BLANK.model_copy(
            update={
                "id": self._ids("resp"),
                "model": self._model,
                "status": status,
                "incomplete_details": incomplete,
                "error": error,
                "usage": _counted(self.usage),
                "output": [],
                "tools": [],
                "metadata": {},
            }
        )


_BLANK = Response(id="")
"""Copied, since validating thirty fields anew costs more than all the rest of a short answer."""


def _counted(usage: speech.Usage | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=usage.cached_tokens),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=usage.reasoning_tokens),
    )
