"""The events of a foreign Responses server, made canonical one by one.

Above: `responses`, which passes plain deltas by itself. Below: `envelope`, `whole`. Not here:
HTTP.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import from_json

from antiphon.errors import ModelError
from antiphon.items import (
    ITEM,
    KINDS,
    ArgumentsDone,
    BaseEvent,
    Event,
    FunctionCall,
    Ids,
    Item,
    ItemAdded,
    ItemDone,
    Json,
    Part,
    PartAdded,
    PartDone,
    PartEvent,
    ReasoningDone,
    RefusalDone,
    SummaryDone,
    SummaryEvent,
    SummaryPartAdded,
    SummaryPartDone,
    TextDone,
    Within,
    parse_event,
)

from .envelope import ENDINGS, ending
from .refused import fault
from .whole import tell_end, tell_whole

_ENDS: Final = {f"response.{status}": status for status in ENDINGS}
_MEANINGLESS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_CANONICAL: Final = {
    "response.reasoning_text.delta": "response.reasoning.delta",
    "response.reasoning_text.done": "response.reasoning.done",
    "response.reasoning_part.added": "response.content_part.added",
    "response.reasoning_part.done": "response.content_part.done",
}
"""Names that servers give to events of the standard, and the standard's own."""
_SAID: Final = frozenset({TextDone, RefusalDone, ReasoningDone, SummaryDone})
_PARTS: Final = frozenset({PartAdded, PartDone, SummaryPartAdded, SummaryPartDone})
_HEARD: Final = _SAID | _PARTS | {ArgumentsDone}


class Told:
    """An item that the server has begun to tell."""

    __slots__ = ("call_id", "done", "id", "index", "kind", "parts", "type", "written")

    def __init__(self, item: Item, index: int) -> None:
        self.index: int = index
        self.id: str | None = item.id or None
        self.call_id: str | None = getattr(item, "call_id", None) or None
        self.kind: type[Item] = type(item)
        self.type: str | None = item.type
        self.done: bool = False
        self.written: bool = False  # its arguments are said to be whole
        self.parts: dict[tuple[str, int], bool] = {}  # that are open: whether all was said of each

    def hear(self, event: Event) -> None:
        """One of `_HEARD`, inside this item."""
        if isinstance(event, ArgumentsDone):
            self.written = True
        elif isinstance(event, PartEvent):
            self._hear("content", event.content_index, event)
        elif isinstance(event, SummaryEvent):
            self._hear("summary", event.summary_index, event)

    def _hear(self, where: str, place: int, event: Event) -> None:
        if isinstance(event, PartAdded | SummaryPartAdded):
            self.parts[where, place] = False
        elif isinstance(event, PartDone | SummaryPartDone):
            self.parts.pop((where, place), None)
        elif (where, place) in self.parts:
            self.parts[where, place] = True

    def end(self, item: Item) -> list[Event]:
        """What some servers leave out at an item's end: the ends of what is open in it."""
        events: list[Event] = []
        item_id = self.id or ""
        for (where, place), said in self.parts.items():
            parts: Sequence[Part] = getattr(item, where, None) or ()
            if place < len(parts) and not isinstance(parts, str):
                events += tell_end(parts[place], item_id, self.index, place, said=said)
        if isinstance(item, FunctionCall) and not self.written:
            events.append(
                ArgumentsDone(
                    item_id=item_id,
                    output_index=self.index,
                    arguments=item.arguments,
                    name=item.name,
                )
            )
        return events

    def is_named(self, item: Item) -> bool:
        """Whether this is that item by what both are called."""
        if self.kind is not type(item):
            return False  # some servers give everything in a response one id
        call_id: str | None = getattr(item, "call_id", None)
        return self.is_called(item) or (self.call_id is not None and self.call_id == call_id)

    def is_called(self, item: Item) -> bool:
        """Whether both have one id."""
        return self.id is not None and self.id == item.id

    def may_be(self, item: Item) -> bool:
        """Whether this can be that item: some servers give an item a new id in each event."""
        call_id: str | None = getattr(item, "call_id", None)
        return self.kind is type(item) and self.call_id == (call_id or None)


class Relay:
    """One sampling's events on their way through.

    Args:
        ids: Names items that have no id.
        host: Whose events they are, for errors.
        clean: Blots secrets out of a message.

    Attributes:
        ended: Whether the terminal event has come.
    """

    __slots__ = ("_clean", "_host", "_ids", "_names", "_next", "_told", "ended")

    def __init__(self, ids: Ids, host: str, clean: Callable[[str], str]) -> None:
        self._ids = ids
        self._host = host
        self._clean = clean
        self._told: list[Told] = []
        self._names: set[tuple[str | None, str | int]] = set()  # of those that have one
        self._next = 0  # the place after all that are taken
        self.ended = False

    def take(self, kind: str | None, data: bytes) -> Sequence[Event]:
        """The canonical events of one event.

        Raises:
            ModelError: It is malformed (`bad_event`), or tells of an error.
        """
        if data == b"[DONE]":
            return ()
        if kind not in KINDS and kind not in _CANONICAL:
            kind = self._type(data)
        if kind in _MEANINGLESS:
            return ()
        if kind in _ENDS:
            return self._end(self._object(data).get("response"), _ENDS[kind])
        if kind == "error":
            raise self._error(self._object(data))
        event = self._parse(kind, data)
        if isinstance(event, ItemAdded):
            return self._added(event)
        if isinstance(event, ItemDone):
            return (*self._finished(event), event)
        if type(event) in _HEARD:
            told = self._at(cast("Within", event).output_index)
            if told is not None:
                told.hear(event)
        return (event,)

    def answer(self, data: bytes) -> Sequence[Event]:
        """The events of an answer that came whole, from a server that does not stream.

        Raises:
            ModelError: It is no response (`bad_answer`), or an error.
        """
        response = self._object(data)
        status = response.get("status")
        if status in ENDINGS:
            return self._end(response, status)
        if response.get("error"):
            raise self._error(response)
        shown = self._clean(repr(status))[:100]
        raise ModelError(
            f"{self._host}: expected a stream of events or a finished response; got JSON of "
            f"status {shown}: is it a Responses server, and is base_url right?",
            code="bad_answer",
        )

    def _end(self, response: Any, status: str) -> Sequence[Event]:
        self.ended: bool = True
        fields = cast("Json", response) if isinstance(response, dict) else {}
        events: list[Event] = []
        output: Any = fields.get("output")
        if isinstance(output, list) and not self._all_told(cast("list[Any]", output)):
            items = [self._item(item) for item in cast("list[Any]", output)]
            for item, told in zip(items, self._matched(items), strict=True):
                events += self._missed(item, told)
        events.append(ending(fields, status, self._clean))
        return events

    def _added(self, event: ItemAdded) -> Sequence[Event]:
        """An item begins. One that was told before is not told again, whether open or done."""
        told = Told(event.item, event.output_index)
        name = (told.id, told.call_id) if told.call_id else (told.id, told.index)
        if name in self._names:
            return ()
        if told.id or told.call_id:
            self._names.add(name)
        self._began(told)
        return (event,)

    def _began(self, told: Told) -> None:
        self._told.append(told)
        self._next = max(self._next, told.index + 1)

    def _finished(self, event: ItemDone) -> list[Event]:
        told = self._at(event.output_index)
        if told is None or told.done:
            return []
        told.done = True
        told.id = told.id or event.item.id
        return told.end(event.item)

    def _at(self, index: int) -> Told | None:
        return next((told for told in reversed(self._told) if told.index == index), None)

    def _all_told(self, output: Sequence[Any]) -> bool:
        """Whether every item was told to its end, each under an id of its own, as by most servers:
        then there is nothing to look for.
        """
        told = [(one.type, one.id) for one in self._told if one.done]
        fields = [cast("Json", item) for item in output if isinstance(item, dict)]
        listed = [(item.get("type"), item.get("id")) for item in fields]
        ids = {one.id for one in self._told}
        return told == listed and len(ids) == len(output) and None not in ids

    def _matched(self, items: Sequence[Item]) -> list[Told | None]:
        """Which of the told items each item of the terminal response is.

        By its id or call id; else by its place, else by its class in order.
        """
        found: list[Told | None] = [None] * len(items)
        left = list(self._told)
        ways: tuple[Callable[[Told, int, Item], bool], ...] = (
            lambda told, _, item: told.is_named(item),
            lambda told, index, item: (
                told.index == index and (told.may_be(item) or told.is_called(item))
            ),
            lambda told, _, item: told.may_be(item),
        )
        for way in ways:
            for index, item in enumerate(items):
                if found[index] is None:
                    told = next((one for one in left if way(one, index, item)), None)
                    if told is not None:
                        left.remove(told)
                        found[index] = told
        return found

    def _missed(self, item: Item, told: Told | None) -> list[Event]:
        """What was never told of an item of the terminal response."""
        if told is None:
            told = Told(item, self._next)
            self._began(told)
            return tell_whole(item, told.index, self._ids)
        if told.done:
            return []
        return [*told.end(item), ItemDone(output_index=told.index, item=item)]

    def _item(self, fields: Any) -> Item:
        try:
            return ITEM.validate_python(fields)
        except ValidationError as error:
            raise self._malformed("item", error) from error

    def _parse(self, kind: str, data: bytes) -> Event:
        if kind in _CANONICAL:
            return self._mended(_CANONICAL[kind], self._object(data))
        try:
            return parse_event(data, kind)
        except ValidationError:
            return self._mended(kind, self._object(data))

    def mended(self, kind: str, data: bytes) -> Event:
        """An event that the schema refuses, as some servers send it.

        Null counts as left out; a missing index is the first, or that of the item named.

        Raises:
            ModelError: It is malformed all the same.
        """
        return self._mended(kind, self._object(data))

    def _mended(self, kind: str, fields: Json) -> Event:
        fields = {name: value for name, value in fields.items() if value is not None}
        fields["type"] = kind
        event = KINDS.get(kind, BaseEvent)
        for name in ("content_index", "summary_index"):
            if name in event.model_fields:
                fields.setdefault(name, 0)
        if "output_index" in event.model_fields and "output_index" not in fields:
            fields["output_index"] = self._place(event, fields)
        try:
            return event.model_validate(fields)
        except ValidationError as error:
            raise self._malformed(kind, error) from error

    def _place(self, event: type[BaseEvent], fields: Json) -> int:
        item: Any = fields.get("item")
        named = cast("Json", item).get("id") if isinstance(item, dict) else fields.get("item_id")
        if event is ItemAdded:
            return self._next
        last = self._told[-1].index if self._told else 0
        return next((told.index for told in self._told if named and told.id == named), last)

    def _type(self, data: bytes) -> str:
        kind = self._object(data).get("type")
        if not isinstance(kind, str) or not kind:
            if self._object(data).get("error"):
                return "error"
            raise ModelError(
                f"{self._host}: expected events with a `type`; got one without: "
                "is it a Responses server?",
                code="bad_event",
            )
        return kind

    def _object(self, data: bytes) -> Json:
        try:
            value: Any = from_json(data)
        except ValueError as error:
            raise ModelError(
                f"{self._host}: expected JSON; got something else", code="bad_event"
            ) from error
        if not isinstance(value, dict):
            raise ModelError(f"{self._host}: expected a JSON object; got none", code="bad_event")
        return cast("Json", value)

    def _error(self, fields: Json) -> ModelError:
        code, message = fault(fields, self._clean)
        return ModelError(
            f"{self._host}: {message or 'an error without words'}",
            code=code or "server_error",
        )

    def _malformed(self, what: str, error: ValidationError) -> ModelError:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = self._clean(".".join(str(step) for step in first["loc"]))[:200]
        return ModelError(
            f"{self._host} sent a malformed {what}: {path}: {first['msg']}", code="bad_event"
        )
