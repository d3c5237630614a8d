"""Citing: markers and names in the model's words become citations, while the words stream.

A stage between `sampling` and whoever tells its events. It holds back only what may yet become a
marker (a few characters after a bracket), so no client sees half of one; what stands in a
marker's place counts in the indexes of its annotation, and annotations of the model's own server
move with the text. Names of files are looked for in what is shown, and change nothing of it.

Above: `turns`. Below: `tools.Citations`, which knows the markers and the names.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any

from antiphon.items import (
    Annotation,
    AnnotationAdded,
    Event,
    ItemDone,
    LogProb,
    Message,
    OutputText,
    Part,
    PartDone,
    PartEvent,
    TextDelta,
    TextDone,
)
from antiphon.tools import (
    BEGUN,
    LONGEST,
    MARKER,
    Citations,
    Names,
    Namings,
    numbers_of,
)


async def cited(
    events: AsyncGenerator[Event, None], citations: Citations
) -> AsyncGenerator[Event, None]:
    """The same events, with citations for markers.

    Args:
        events: One turn of the model, under the response's own ids and indexes.
        citations: The markers and names of this run.
    """
    stage = _Stage(citations)
    async with aclosing(events):
        async for event in events:
            how = _HOW.get(type(event))
            if how is None:
                yield event
                continue
            for told in how(stage, event):
                yield told


def cited_whole(events: Iterable[Event], citations: Citations) -> Iterator[Event]:
    """The same for a message that nobody streams, as a workflow's answer is."""
    stage = _Stage(citations)
    for event in events:
        how = _HOW.get(type(event))
        if how is None:
            yield event
        else:
            yield from how(stage, event)


class _Passage:
    """One text with its markers, as far as it has come.

    Attributes:
        size: How many characters are shown.
        annotations: Its citations, in the order in which they are told.
        told: How many of them were told.
        own: The annotations that the model's server gave, as it gave them.
        logprobs: Of words that are held back.
    """

    __slots__ = (
        "_citations", "_ends", "_given", "_grown", "_held", "_namings", "_read", "_shown",
        "annotations", "logprobs", "own", "size", "told",
    )  # fmt: skip

    def __init__(self, citations: Citations, names: Names | None) -> None:
        self._citations = citations
        self._namings = None if names is None else Namings(names)
        self._held = ""
        self._given: list[str] = []
        self._shown: list[str] = []
        self._read = 0
        self._ends: list[int] = []  # where each marker ended
        self._grown: list[int] = [0]  # and how much longer the text was made by all up to it
        self.size: int = 0
        self.annotations: list[Annotation] = []
        self.told: int = 0
        self.own: list[Annotation] = []
        self.logprobs: list[LogProb] = []

    @property
    def given(self) -> str:
        """What the model wrote."""
        return "".join(self._given)

    @property
    def text(self) -> str:
        """What is shown of it."""
        return "".join(self._shown)

    def more(self, delta: str) -> str:
        """What can be shown now that this has come."""
        self._given.append(delta)
        if not self._citations.marking:
            self._shown.append(delta)
            self.size += len(delta)
            self._named(delta)
            return delta
        text = self._held + delta
        begun = text.rfind("[", max(0, len(text) - LONGEST))
        keep = begun if begun >= 0 and BEGUN.match(text, begun) else len(text)
        self._held = text[keep:]
        return self._show(text[:keep])

    def rest(self) -> str:
        """The end has come: what was held back is shown, unless it is half a marker."""
        text, self._held = self._held, ""
        rest = "" if text.startswith("[cite") else self._show(text)
        self._named("", final=True)
        return rest

    def whole(self, text: str) -> str:
        """All of it is known: what is still to be shown. Another text than came is not taken."""
        given = self.given
        return (self.more(text[len(given) :]) if text.startswith(given) else "") + self.rest()

    def _named(self, shown: str, *, final: bool = False) -> None:
        """Read for names what is shown now, each piece between two markers by itself.

        So the order of the citations does not depend on how the text was cut.
        """
        if self._namings is not None:
            for start, end, annotate in self._namings.feed(shown, final=final):
                self.annotations.append(annotate(start, end))

    def _show(self, text: str) -> str:
        out: list[str] = []
        at = 0
        for found in MARKER.finditer(text):
            self._put(text[at : found.start()], out)
            at = found.end()
            before = self.size
            for number in numbers_of(found[0]):
                citation = self._citations.find(number)
                if citation is None:
                    continue
                if self.size > before and citation.text:
                    self._put(" ", out)
                end = self.size + len(citation.text)
                self.annotations.append(citation.annotate(self.size, end))
                self._put(citation.text, out)
            self._ends.append(self._read + at)
            self._grown.append(self._grown[-1] + self.size - before - len(found[0]))
        self._put(text[at:], out)
        self._read += len(text)
        return "".join(out)

    def _put(self, text: str, out: list[str]) -> None:
        out.append(text)
        self._shown.append(text)
        self.size += len(text)
        self._named(text)

    def moved(self, annotation: Annotation) -> Annotation:
        """An annotation of the model's server, with its indexes in the shown text."""
        if not self._ends or annotation.type == "file_path":
            return annotation
        update: dict[str, int] = {}
        for field in ("start_index", "end_index", "index"):
            value: object = getattr(annotation, field, None)
            if isinstance(value, int):
                update[field] = value + self._grown[bisect_right(self._ends, value)]
        return annotation.model_copy(update=update)

    def part(self, part: OutputText) -> OutputText:
        """The part as it is shown; citations that were never announced stand behind the others."""
        known = {one.to_json() for one in self.own}  # there may be thousands
        late = [self.moved(one) for one in part.annotations if one.to_json() not in known]
        annotations = [*self.annotations, *late]
        return part.model_copy(update={"text": self.text, "annotations": annotations})


class _Stage:
    """The passages that are open in one turn, by their places."""

    def __init__(self, citations: Citations) -> None:
        self._citations = citations
        self._names = Names(citations.names) if citations.names else None
        self._passages: dict[tuple[int, int], _Passage] = {}

    def delta(self, event: TextDelta) -> Iterator[Event]:
        """More words: those that can be shown, then their citations."""
        passage = self._at(event)
        event.delta = passage.more(event.delta)
        passage.logprobs += event.logprobs
        if event.delta:
            event.logprobs, passage.logprobs = passage.logprobs, []
            yield event
        yield from self._news(passage, event)

    def done(self, event: TextDone) -> Iterator[Event]:
        """The words are whole."""
        passage = self._at(event)
        yield from self._rest(passage, event, event.text)
        event.text = passage.text
        yield event

    def annotated(self, event: AnnotationAdded) -> Iterator[Event]:
        """A citation that the model's own server gives."""
        passage = self._at(event)
        passage.own.append(event.annotation)
        passage.annotations.append(passage.moved(event.annotation))
        yield from self._news(passage, event)

    def closed(self, event: PartDone) -> Iterator[Event]:
        """A part is finished."""
        if isinstance(event.part, OutputText):
            passage = self._at(event)
            yield from self._rest(passage, event, event.part.text)
            event.part = passage.part(event.part)
        yield event

    def finished(self, event: ItemDone) -> Iterator[Event]:
        """A message is finished; parts that were never told are read now."""
        item = event.item
        if isinstance(item, Message) and not isinstance(item.content, str):
            content = [
                self._settled(part, event.output_index, position)
                for position, part in enumerate(item.content)
            ]
            event.item = item.model_copy(update={"content": content})
        yield event

    def _settled(self, part: Part, index: int, position: int) -> Part:
        if not isinstance(part, OutputText):
            return part
        passage = self._passages.pop((index, position), None)
        if passage is None:
            passage = _Passage(self._citations, self._names)
        passage.whole(part.text)
        return passage.part(part)

    def _at(self, event: PartEvent) -> _Passage:
        place = (event.output_index, event.content_index)
        passage = self._passages.get(place)
        if passage is None:
            passage = self._passages[place] = _Passage(self._citations, self._names)
        return passage

    def _rest(self, passage: _Passage, event: PartEvent, text: str) -> Iterator[Event]:
        """What of a whole text was not shown yet."""
        rest = passage.whole(text)
        if rest:
            logprobs, passage.logprobs = passage.logprobs, []
            yield TextDelta(**_place(event), delta=rest, logprobs=logprobs)
        yield from self._news(passage, event)

    def _news(self, passage: _Passage, event: PartEvent) -> Iterator[Event]:
        """The citations that were not told yet."""
        for index in range(passage.told, len(passage.annotations)):
            annotation = passage.annotations[index]
            yield AnnotationAdded(**_place(event), annotation_index=index, annotation=annotation)
        passage.told = len(passage.annotations)


def _place(event: PartEvent) -> dict[str, Any]:
    return {
        "item_id": event.item_id,
        "output_index": event.output_index,
        "content_index": event.content_index,
    }


_HOW: dict[type[Any], Callable[[_Stage, Any], Iterator[Event]]] = {
    TextDelta: _Stage.delta,
    TextDone: _Stage.done,
    AnnotationAdded: _Stage.annotated,
    PartDone: _Stage.closed,
    ItemDone: _Stage.finished,
}
