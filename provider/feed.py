"""Feed: drive a generator of events so that all that is ready goes out in one write.

A burst of upstream deltas arrives in one network chunk; each becomes an event without anybody
waiting. Writing them one by one would cost a system call each. So the generator is stepped by
hand: as long as a step gives an event at once it is taken; when a step has to wait, what was
taken is flushed first, and only then the waiting begins. Nothing is ever delayed.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

import anyio.lowlevel

T = TypeVar("T")

BREATH = 256
"""Events after which other tasks get a turn, even if the generator never waits."""


class _Rest(Generic[T]):
    """The rest of a step that has begun to wait: awaiting it goes on exactly there.

    Attributes:
        interrupted: Whether an exception (a cancellation, mostly) came in while it waited.
    """

    __slots__ = ("_step", "_waiting", "interrupted")

    def __init__(self, step: Any, waiting: Any) -> None:
        self._step = step
        self._waiting = waiting
        self.interrupted = False

    def __await__(self) -> Generator[Any, Any, T]:
        waiting = self._waiting
        while True:
            try:
                sent = yield waiting
            except BaseException as error:
                self.interrupted = True
                try:
                    waiting = self._step.throw(error)
                except StopIteration as done:
                    return done.value
            else:
                try:
                    waiting = self._step.send(sent)
                except StopIteration as done:
                    return done.value


class _Told(Generic[T]):
    """A step that has begun to wait, told why it ends: awaiting it gives what it says to that."""

    __slots__ = ("_error", "_step")

    def __init__(self, step: Any, error: BaseException) -> None:
        self._step = step
        self._error = error

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            waiting = self._step.throw(self._error)
        except StopIteration as said:
            return said.value
        return (yield from _Rest[T](self._step, waiting).__await__())


async def feed(
    source: AsyncGenerator[T, None],
    take: Callable[[T], None],
    flush: Callable[[], Awaitable[None]],
) -> None:
    """Drive `source` to its end.

    Args:
        source: Where values come from.
        take: Called at once with each value; never waits. It is called even while a
            cancellation passes through, so that a source's last words are heard.
        flush: Called when the source has to wait, and at the end: what was taken may go out.
    """
    taken = 0
    interrupted = False  # perhaps these are the last words: nothing may come between them
    while True:
        step = source.__anext__()
        try:
            waiting = step.send(None)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
        except StopIteration as ready:
            take(ready.value)
            taken += 1
            if taken % BREATH == 0 and not interrupted:
                try:
                    await flush()
                    await anyio.lowlevel.checkpoint()
                except BaseException as error:
                    await _last_words(source.athrow(error), source, take)
                    raise
            continue
        except StopAsyncIteration:
            break
        try:
            await flush()
        except BaseException as error:
            await _last_words(_Told[T](step, error), source, take)
            raise
        rest = _Rest[T](step, waiting)
        try:
            take(await rest)
        except StopAsyncIteration:
            break
        interrupted = rest.interrupted
    await flush()


async def _last_words(
    told: Awaitable[T], source: AsyncGenerator[T, None], take: Callable[[T], None]
) -> None:
    """Take what a source still has to say once it is told why it ends."""
    try:
        take(await told)
        async for value in source:
            take(value)
    except BaseException:
        return  # its last word is the error that it was told, and the caller has that
