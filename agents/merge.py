"""Merge: what several tasks tell, in one order, for one reader.

Above: `dispatch` (calls side by side), `flow` (a workflow's children), `budget` (a run and its
clock). A memory stream costs both sides a turn of the event loop for every entry; here a writer
with room and a reader with something to take never wait: a burst goes through in one piece.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterable, Iterator
from typing import Final, Generic, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

AHEAD: Final = 16
"""Entries that one writer may have waiting to be taken; with more of them it waits itself."""


class Merge(Generic[T]):
    """A queue of entries. Writers `put`, or `pump` a stream, and each calls `close` once; the
    reader takes what there is (`rest`) as long as there will be something (`ready`). Before a
    reader waits for its writers to end it must `hurry` them, or both may wait for each other.

    Args:
        writers: How many there are.
    """

    __slots__ = ("_ahead", "_come", "_taken", "_waiting", "_writers")

    def __init__(self, writers: int = 1) -> None:
        self._waiting: deque[T] = deque()
        self._writers = writers
        self._ahead: float = AHEAD
        self._come: anyio.Event | None = None
        self._taken = anyio.Event()

    def put(self, entry: T) -> None:
        """One more. It never waits, so no cancellation can come between.

        Raises:
            anyio.ClosedResourceError: All writers have closed.
        """
        if not self._writers:
            raise anyio.ClosedResourceError
        self._waiting.append(entry)
        if self._come is not None:
            self._come.set()
            self._come = None

    async def pump(self, entries: AsyncIterable[T]) -> None:
        """Put all of them, no faster than they are taken.

        A cancellation is not taken here but by `entries`, at their next wait: they may have last
        words, which closing them would cut off.
        """
        ahead = 0
        async for entry in entries:
            self.put(entry)
            ahead += 1
            if ahead >= self._ahead and self._waiting:
                try:
                    await self._taken.wait()
                except anyio.get_cancelled_exc_class() as error:
                    _postpone(error)
                ahead = 0

    def hurry(self) -> None:
        """Nothing is taken for now: writers no longer wait for that."""
        self._ahead = math.inf
        self._taken.set()

    def close(self) -> None:
        """A writer has nothing more."""
        self._writers -= 1
        if not self._writers and self._come is not None:
            self._come.set()

    async def ready(self) -> bool:
        """Wait until there is something to take; False when nothing more will come."""
        if not self._waiting:
            self._taken.set()
            self._taken = anyio.Event()
            if self._writers:
                self._come = anyio.Event()
                await self._come.wait()
            if not self._waiting:
                await anyio.lowlevel.checkpoint_if_cancelled()  # else a cancelled run ends well
        return bool(self._waiting)

    def rest(self) -> Iterator[T]:
        """What was put and not taken yet."""
        while self._waiting:
            yield self._waiting.popleft()


def _postpone(error: BaseException) -> None:
    """Let a cancellation come again at this task's next wait: a cancelled scope's does, but that
    of a task comes once.
    """
    task = asyncio.current_task()
    if task is not None and anyio.current_effective_deadline() != -math.inf:
        task.uncancel()  # it stays one
        task.cancel(*error.args)
