"""The chunks of a Chat Completions answer, told by the writer.

Above: `chat`. Below: `writer`. Here are the quirks of servers: tool calls without an index, or
with one index for all, or whole in one chunk, or with their arguments as an object; usage on a
chunk of its own or beside the last words; errors in the middle of a stream.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from pydantic_core import from_json, to_json

from antiphon.errors import ModelError
from antiphon.items import Event, FunctionCall, Json, LogProb, TopLogProb

from .envelope import count
from .model import ModelRequest
from .refused import fault
from .speech import Usage
from .writer import Writer

_STOPS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Heard:
    """A call so far: opened in the writer as soon as its name is known."""

    __slots__ = ("fragments", "id", "key", "name")

    def __init__(self, key: int, call_id: str | None) -> None:
        self.key: int = key
        self.id: str | None = call_id
        self.name: str = ""
        self.fragments: list[str] = []

    @property
    def arguments(self) -> str:
        """All that has come of them."""
        return "".join(self.fragments)


class Chunks:
    """Hears one answer.

    Args:
        request: What was asked; its call ids are not given twice.
        model: The model's name.
        host: Whose chunks they are, for errors.
        clean: Blots secrets out of a message.

    Attributes:
        finished: Whether the model has said why it ended.
    """

    def __init__(
        self, request: ModelRequest, model: str, host: str, clean: Callable[[str], str]
    ) -> None:
        self._request = request
        self._writer = Writer(request, model=model)
        self._host = host
        self._clean = clean
        self._calls: list[Heard] = []
        self._by_index: dict[int, Heard] = {}
        self._ids: set[str] | None = None
        self._reason: str | None = None
        self.finished = False

    def take(self, data: bytes) -> list[Event]:
        """The events of one chunk.

        Raises:
            ModelError: It is no chunk (`bad_event`), or tells of an error.
        """
        chunk = self._object(data)
        if chunk.get("error") or chunk.get("object") == "error":
            code, message = fault(chunk, self._clean)
            raise ModelError(
                f"{self._host}: {message or 'an error without words'}",
                code=code or "server_error",
            )
        if usage := chunk.get("usage"):
            self._count(usage)
        choices: Any = chunk.get("choices")
        if not choices:
            return []
        first: Any = cast("list[Any]", choices)[0] if isinstance(choices, list) else None
        if not isinstance(first, dict):
            raise self._bad("a list of choices")
        try:
            return self._choice(cast("Json", first))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._bad("a chunk of the documented shape") from error

    def answer(self, data: bytes) -> list[Event]:
        """The events of an answer that came whole, from a server that does not stream.

        Raises:
            ModelError: It is no answer, or an error.
        """
        events = self.take(data)
        if not self.finished and not events:
            raise self._bad("a stream of chunks or a chat.completion object")
        return events + self.end()

    def end(self) -> list[Event]:
        """The last events.

        Raises:
            ModelError: A call never got a name (`bad_event`).
        """
        if any(not call.name for call in self._calls):
            raise self._bad("a name in every tool call")
        stop = _STOPS.get(self._reason or "")
        return self._writer.complete() if stop is None else self._writer.stop(stop)

    def _choice(self, choice: Json) -> list[Event]:
        delta: Any = choice.get("delta")
        said = cast("Json", delta if delta is not None else choice.get("message") or {})
        events: list[Event] = []
        thought = said.get("reasoning_content") or said.get("reasoning")
        if thought and isinstance(thought, str):
            events += self._writer.reasoning(thought)
        if content := said.get("content"):
            logprobs: Any = choice.get("logprobs")
            tokens = cast("Json", logprobs).get("content") if logprobs else None
            events += self._writer.text(_text(content), _logprobs(tokens) if tokens else ())
        if refusal := said.get("refusal"):
            events += self._writer.refusal(refusal)
        if calls := said.get("tool_calls"):
            for call in cast("list[Json]", calls):
                events += self._call(call)
        if reason := choice.get("finish_reason"):
            self._reason = reason
            self.finished: bool = True
        return events

    def _call(self, call: Json) -> list[Event]:
        function: Json = call.get("function") or {}
        name: str = function.get("name") or ""
        arguments: Any = function.get("arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = to_json(arguments).decode()
        heard = self._heard(call, name, arguments)
        if arguments:
            heard.fragments.append(arguments)
        if heard.name:
            return self._writer.arguments(heard.key, arguments)
        if not name:
            return []
        heard.name = name
        events = self._writer.call(heard.key, name, self._fresh(heard.id))
        return events + self._writer.arguments(heard.key, heard.arguments)

    def _heard(self, call: Json, name: str, arguments: str) -> Heard:
        """Which call a fragment belongs to."""
        index: Any = call.get("index")
        call_id: str | None = call.get("id") or None
        found: Heard | None = None
        if isinstance(index, int):
            found = self._by_index.get(index)
        elif call_id is not None:
            found = next((one for one in self._calls if one.id == call_id), None)
        elif self._calls and not name:
            found = self._calls[-1]
        if found is None or _another(found, call_id, name, arguments):
            found = Heard(len(self._calls), call_id)
            self._calls.append(found)
            if isinstance(index, int):
                self._by_index[index] = found
        return found

    def _fresh(self, call_id: str | None) -> str | None:
        """The server's id, unless the context has it already: some count from 0 every turn."""
        if call_id is None:
            return None
        if self._ids is None:
            items = self._request.items
            self._ids = {item.call_id for item in items if isinstance(item, FunctionCall)}
        if call_id in self._ids:
            return None
        self._ids.add(call_id)
        return call_id

    def _count(self, usage: Any) -> None:
        told = _fields(usage)
        self._writer.usage = Usage(
            input_tokens=count(told.get("prompt_tokens")),
            output_tokens=count(told.get("completion_tokens")),
            cached_tokens=count(_fields(told.get("prompt_tokens_details")).get("cached_tokens")),
            reasoning_tokens=count(
                _fields(told.get("completion_tokens_details")).get("reasoning_tokens")
            ),
        )

    def _object(self, data: bytes) -> Json:
        try:
            value: Any = from_json(data)
        except ValueError as error:
            raise self._bad("JSON") from error
        if not isinstance(value, dict):
            raise self._bad("a JSON object")
        return cast("Json", value)

    def _bad(self, wanted: str) -> ModelError:
        return ModelError(
            f"{self._host}: expected {wanted}; got something else: "
            "is it a Chat Completions server, and is base_url right?",
            code="bad_event",
        )


def _another(heard: Heard, call_id: str | None, name: str, arguments: str) -> bool:
    """Whether a fragment with this call's index begins another call: some servers send 0 always."""
    if not name or not heard.name:
        return False
    if call_id is not None and heard.id is not None:
        return call_id != heard.id
    return bool(arguments) and _whole(heard)


def _whole(heard: Heard) -> bool:
    """Whether all arguments of a call have come; their end is looked at first, which is cheap."""
    if not (heard.fragments and heard.fragments[-1].rstrip().endswith("}")):
        return False
    try:
        from_json(heard.arguments)
    except ValueError:
        return False
    return True


def _text(content: Any) -> str:
    """Text; some servers send it as parts."""
    if isinstance(content, str):
        return content
    parts = cast("Iterable[Any]", content if isinstance(content, list) else ())
    return "".join(_fields(part).get("text") or "" for part in parts)


def _logprobs(tokens: list[Json]) -> list[LogProb]:
    return [
        LogProb(
            token=token["token"],
            logprob=float(token["logprob"]),
            bytes=token.get("bytes") or [],
            top_logprobs=[
                TopLogProb(
                    token=top["token"],
                    logprob=float(top["logprob"]),
                    bytes=top.get("bytes") or [],
                )
                for top in token.get("top_logprobs") or ()
            ],
        )
        for token in tokens
    ]


def _fields(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
