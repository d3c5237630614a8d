"""Feed: drive a generator of events so that all that is ready goes out in one write.

A burst of upstream deltas arrives in one network chunk; each becomes an event without anybody
waiting. Writing them one by one would cost a system call each. So the generator is stepped by
hand: as long as a step gives an event at once it is taken; when a step has to wait, what was
taken is flushed first, and only then the waiting begins. Nothing is ever delayed.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

BREATH = 256
"""Events after which other tasks get a turn, even if the generator never waits."""


class Rest(Generic[T]):
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
                self.interrupted: bool = True
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
        return (yield from Rest[T](self._step, waiting).__await__())


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
            Whatever the source waits for may cut it off (a time limit of its own), so it must
            lose nothing then; it is called again.
    """
    before = _times_cancelled()
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
        except asyncio.CancelledError as error:
            try:
                meant = await _meant_for_it(_Told[T](step, error), take, before)
            except StopAsyncIteration:
                break
            if meant:
                await _last_words(anext(source), source, take)
                raise
            continue
        except BaseException as error:
            await _last_words(_Told[T](step, error), source, take)
            raise
        rest = Rest[T](step, waiting)
        try:
            take(await rest)
        except StopAsyncIteration:
            break
        interrupted = rest.interrupted
    await flush()


async def _meant_for_it(told: Awaitable[T], take: Callable[[T], None], before: int) -> bool:
    """Whether a cancellation that came while something was flushed was meant for all of this. It
    may be the source's own: a time limit of what it waits for. Then it goes on with its next word.

    Raises:
        StopAsyncIteration: That was the source's end.
    """
    try:
        take(await told)
    except asyncio.CancelledError:
        raise
    except BaseException:
        if _cancelled(before):
            return True
        raise
    return _cancelled(before)


def _times_cancelled() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _cancelled(before: int) -> bool:
    return _times_cancelled() > before or anyio.current_effective_deadline() == -math.inf


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
