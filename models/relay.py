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
    BaseEvent,
    Event,
    Ids,
    ItemAdded,
    ItemDone,
    ItemEvent,
    Json,
    parse_event,
)

from .envelope import ENDINGS, ending
from .refused import fault
from .whole import tell_whole

_ENDS: Final = {f"response.{status}": status for status in ENDINGS}
_MEANINGLESS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_CANONICAL: Final = {
    "response.reasoning_text.delta": "response.reasoning.delta",
    "response.reasoning_text.done": "response.reasoning.done",
    "response.reasoning_part.added": "response.content_part.added",
    "response.reasoning_part.done": "response.content_part.done",
}
"""Names that servers give to events of the standard, and the standard's own."""


class Relay:
    """One sampling's events on their way through.

    Args:
        ids: Names items that have no id.
        host: Whose events they are, for errors.
        clean: Blots secrets out of a message.

    Attributes:
        ended: Whether the terminal event has come.
    """

    __slots__ = ("_clean", "_done", "_host", "_ids", "_places", "ended")

    def __init__(self, ids: Ids, host: str, clean: Callable[[str], str]) -> None:
        self._ids = ids
        self._host = host
        self._clean = clean
        self._places: dict[str, int] = {}  # of each item id
        self._done: set[int] = set()
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
            self._places[getattr(event.item, "id", None) or ""] = event.output_index
        elif isinstance(event, ItemDone):
            self._done.add(event.output_index)
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
        raise ModelError(
            f"{self._host}: expected a stream of events or a finished response; got JSON of "
            f"status {status!r}: is it a Responses server, and is base_url right?",
            code="bad_answer",
        )

    def _end(self, response: Any, status: str) -> Sequence[Event]:
        self.ended: bool = True
        fields = cast("Json", response) if isinstance(response, dict) else {}
        events: list[Event] = []
        output: Any = fields.get("output")
        if isinstance(output, list):
            for index, item in enumerate(cast("list[Any]", output)):
                if index not in self._done:
                    events += self._missed(item, index)
        if isinstance(fields.get("error"), dict):
            code, message = fault(fields["error"])
            fields = {**fields, "error": {"code": code, "message": self._clean(message)}}
        events.append(ending(fields, status))
        return events

    def _missed(self, fields: Any, index: int) -> list[Event]:
        """An item that was never told to its end."""
        try:
            item = ITEM.validate_python(fields)
        except ValidationError as error:
            raise self._malformed("item", error) from error
        if index in self._places.values():
            return [ItemDone(output_index=index, item=item)]
        return tell_whole(item, index, self._ids)

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
        next_one = len(self._places)
        if issubclass(event, ItemEvent) and event is ItemAdded:
            return next_one
        return self._places.get(named or "", max(next_one - 1, 0))

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
        code, message = fault(fields)
        return ModelError(
            f"{self._host}: {self._clean(message) or 'an error without words'}",
            code=code or "server_error",
        )

    def _malformed(self, what: str, error: ValidationError) -> ModelError:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        return ModelError(
            f"{self._host} sent a malformed {what}: {path}: {first['msg']}", code="bad_event"
        )
