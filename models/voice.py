"""From pieces to events: what an engine or a script yields, told by the writer.

Above: `engine` and `scripted`. Below: `speech` (the pieces), `writer` (the events). Not here:
where pieces come from.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import anyio
from pydantic_core import to_json

from antiphon.errors import AntiphonError, ModelError
from antiphon.items import Event

from .speech import Failure, FunctionCall, Reasoning, Refusal, Speech, Stop, Text, Usage
from .writer import Writer

_KINDS = "Text, Reasoning, Refusal, FunctionCall, Usage, Stop or Failure"
_END: Any = object()


async def tell(
    pieces: AsyncGenerator[Speech, None], writer: Writer, name: str
) -> AsyncIterator[Event]:
    """All events of one sampling; `pieces` is closed when it ends, however it ends.

    Args:
        pieces: What is said, in order.
        writer: A fresh one.
        name: Whose words they are, for errors.

    Raises:
        ModelError: Something that is no piece was yielded (`bad_engine`), or the engine raised
            (`server_error`, with only the type of what it raised; the cause is chained).
    """
    voice = Voice(writer, name)
    async with aclosing(pieces):
        while (piece := await _next(pieces, name)) is not _END:
            for event in voice.say(piece):
                yield event
            if voice.failed:
                return
            if isinstance(piece, FunctionCall) and isinstance(piece.arguments, AsyncIterable):
                async with _closing(aiter(piece.arguments)) as fragments:
                    while (fragment := await _next(fragments, name)) is not _END:
                        for event in voice.write(fragment):
                            yield event
        for event in voice.end():
            yield event


@asynccontextmanager
async def _closing(fragments: AsyncIterator[str]) -> AsyncGenerator[AsyncIterator[str]]:
    """Fragments that are closed at once when nobody wants more, if they can be."""
    try:
        yield fragments
    finally:
        if isinstance(fragments, AsyncGenerator):
            await fragments.aclose()


async def _next(pieces: AsyncIterator[Any], name: str) -> Any:
    """The next piece, or `_END`; user code's own exceptions become ModelErrors."""
    try:
        return await anext(pieces)
    except StopAsyncIteration:
        return _END
    except AntiphonError:
        raise
    except (Exception, asyncio.CancelledError, SystemExit) as error:
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            raise
        raise ModelError(f"the engine {name!r} raised {type(error).__name__}") from error


def _is_cancelled() -> bool:
    """Whether somebody wants this task to end. Else a CancelledError is an engine's own: that of
    a task or a future that it waited for.
    """
    if anyio.current_effective_deadline() == -math.inf:
        return True
    try:
        task = asyncio.current_task()
    except RuntimeError:  # trio, whose own exception is another
        return False
    return task is not None and task.cancelling() > 0


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: what is left of a torn surrogate pair becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _clean_all(value: Any) -> Any:
    """The same for every text in a JSON value."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {_clean_all(name): _clean_all(inner) for name, inner in items}
    if isinstance(value, list | tuple):
        return [_clean_all(inner) for inner in cast("Sequence[Any]", value)]
    return value


class Voice:
    """Hands pieces to the writer one by one, and knows what may follow what.

    A call whose arguments came as text stays open until the next piece: a `Stop` that follows
    at once may mean that it was cut.
    """

    __slots__ = ("_name", "_open", "_stop", "_writer", "failed")

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer = writer
        self._name = name
        self._open = False
        self._stop: Stop | None = None
        self.failed = False

    def say(self, piece: Speech) -> list[Event]:
        """The events of one piece; those of streamed arguments come by `write`."""
        writer = self._writer
        if isinstance(piece, Usage):
            writer.usage = piece
            return []
        if self._stop is not None:
            raise self._wrong("nothing but Usage after Stop", piece, "yield Stop last")
        if isinstance(piece, Stop):
            self._stop = piece
            return []
        if isinstance(piece, Failure):
            self.failed: bool = True
            return writer.fail(self._string(piece.code, piece), self._string(piece.message, piece))
        events = self._end_call()
        if isinstance(piece, Text):
            events += writer.text(self._string(piece.text, piece))
        elif isinstance(piece, Reasoning):
            events += writer.reasoning(self._string(piece.text, piece), summary=piece.summary)
        elif isinstance(piece, Refusal):
            events += writer.refusal(self._string(piece.text, piece))
        else:
            events += self._call(piece)
        return events

    def write(self, fragment: str) -> list[Event]:
        """A fragment of the arguments of the call that was said last."""
        return self._writer.arguments("call", self._string(fragment, fragment))

    def end(self) -> list[Event]:
        """The engine has nothing more to say."""
        if self._stop is not None:
            return self._writer.stop(self._stop.reason)
        return self._writer.complete()

    def _end_call(self) -> list[Event]:
        if not self._open:
            return []
        self._open = False
        return self._writer.end_call("call")

    def _call(self, piece: Any) -> list[Event]:
        if not isinstance(piece, FunctionCall):
            hint = "wrap it: yield Text(...)" if isinstance(piece, str) else "yield one of these"
            raise self._wrong(_KINDS, piece, hint)
        name = self._string(piece.name, piece)
        if not name:
            raise self._wrong("a FunctionCall with a name", piece, "name one of request.tools")
        call_id = None if piece.call_id is None else self._string(piece.call_id, piece)
        events = self._writer.call("call", name, call_id)
        self._open = True
        arguments: Any = piece.arguments
        if isinstance(arguments, str):
            events += self._writer.arguments("call", _clean(arguments))
        elif isinstance(arguments, Mapping):
            events += self._writer.arguments("call", self._json(piece.arguments))
            events += self._end_call()
        elif not isinstance(arguments, AsyncIterable):
            wanted = "arguments that are a dict, JSON text, or an async iterable of fragments"
            raise self._wrong(wanted, arguments, "build one of these")
        return events

    def _json(self, arguments: object) -> str:
        try:
            return to_json(arguments).decode()
        except ValueError:
            pass  # perhaps only for a torn surrogate pair
        try:
            return to_json(_clean_all(arguments)).decode()
        except ValueError as error:
            problem = "arguments that are JSON values throughout"
            raise self._wrong(problem, arguments, "convert what JSON cannot hold") from error

    def _string(self, value: Any, piece: Any) -> str:
        if not isinstance(value, str):
            raise self._wrong("text", value, f"give {type(piece).__name__} a str")
        return _clean(value)

    def _wrong(self, wanted: str, got: Any, cure: str) -> ModelError:
        kind = type(got).__name__
        return ModelError(
            f"the engine {self._name!r}: expected {wanted}; got {kind}: {cure}", code="bad_engine"
        )
