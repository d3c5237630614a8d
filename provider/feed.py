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
    """The rest of a step that has begun to wait: awaiting it goes on exactly there."""

    __slots__ = ("_step", "_waiting")

    def __init__(self, step: Any, waiting: Any) -> None:
        self._step = step
        self._waiting = waiting

    def __await__(self) -> Generator[Any, Any, T]:
        waiting = self._waiting
        while True:
            try:
                sent = yield waiting
            except BaseException as error:
                try:
                    waiting = self._step.throw(error)
                except StopIteration as done:
                    return done.value
            else:
                try:
                    waiting = self._step.send(sent)
                except StopIteration as done:
                    return done.value


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
    while True:
        step = source.__anext__()
        try:
            waiting = step.send(None)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
        except StopIteration as ready:
            take(ready.value)
            taken += 1
            if taken % BREATH == 0:
                await flush()
                await anyio.lowlevel.checkpoint()
            continue
        except StopAsyncIteration:
            break
        try:
            await flush()
        except BaseException as error:
            _last_words(step, source, error, take)
            raise
        try:
            take(await _Rest[T](step, waiting))
        except StopAsyncIteration:
            break
    await flush()


def _last_words(step: Any, source: Any, error: BaseException, take: Callable[[Any], None]) -> None:
    """Tell a waiting source why it ends, and take what it still has to say without waiting."""
    try:
        step.throw(error)
    except StopIteration as said:
        take(said.value)
    except BaseException:
        return
    while True:
        try:
            source.__anext__().send(None)
        except StopIteration as said:
            take(said.value)
        except BaseException:
            return
        else:
            return
