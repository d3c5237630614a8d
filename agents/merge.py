"""Merge: what several tasks tell, in one order, for one reader.

Above: `dispatch` (calls side by side), `flow` (a workflow's children), `budget` (a run and its
clock). A memory stream costs both sides a turn of the event loop for every entry; here a writer
with room and a reader with something to take never wait: a burst goes through in one piece.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

Work: TypeAlias = Callable[[], Awaitable[None]]
"""What a task does that writes into a `Merge`."""

AHEAD: Final = 16
"""Entries that one writer may have waiting to be taken; with more of them it waits itself."""


class Merge(Generic[T]):
    """A queue of entries. Writers `put`, or `pump` a stream; `told_by` starts them, and reads."""

    __slots__ = ("_ahead", "_come", "_taken", "_waiting", "_writers")

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._writers = 0
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

    async def told_by(self, works: Sequence[Work]) -> AsyncGenerator[T, None]:
        """What these works write, each in a task of its own. All have ended when this has.

        The first that fails stops the others, and its error comes out here.

        There is no task group: it would be open across yields. It would take hold of the scopes
        that a reader has around each step, and only the task that began it could end it; who
        breaks off is ended by another.
        """
        self._writers = len(works)
        scopes = [anyio.CancelScope() for _ in works]
        failed: list[BaseException] = []

        async def do(work: Work, scope: anyio.CancelScope) -> None:
            try:
                if not scope.cancel_called:  # else it is not even begun
                    with scope:
                        await work()
            except (Exception, asyncio.CancelledError) as error:  # that of a scope ends there
                failed.append(error)
                _cancel(scopes)
            finally:
                self._close()

        tasks = [asyncio.create_task(do(*each)) for each in zip(works, scopes, strict=True)]
        try:
            while await self._ready():
                for entry in self._rest():
                    yield entry
            if failed:
                raise failed[0]
        except anyio.get_cancelled_exc_class():
            await self._end(tasks, scopes)
            for entry in self._rest():  # their last words
                yield entry
            raise
        finally:
            late = await self._end(tasks, scopes)
            if late is not None:
                raise late

    async def _end(
        self, tasks: Sequence["asyncio.Task[None]"], scopes: Sequence[anyio.CancelScope]
    ) -> asyncio.CancelledError | None:
        """Stop the writers, and wait until all have ended; none waits for a reader any more.

        A task may be cancelled again meanwhile, which no scope keeps off: that is given back.
        """
        self._ahead = math.inf
        self._taken.set()
        late: asyncio.CancelledError | None = None
        while left := [task for task in tasks if not task.done()]:
            # Not by the tasks' own `cancel`, which would reach into what is shielded.
            _cancel(scopes)
            try:
                with anyio.CancelScope(shield=True):
                    await asyncio.wait(left)
            except asyncio.CancelledError as error:
                late = error
        return late

    def _close(self) -> None:
        """A writer has nothing more."""
        self._writers -= 1
        if not self._writers and self._come is not None:
            self._come.set()

    async def _ready(self) -> bool:
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

    def _rest(self) -> Iterator[T]:
        """What was put and not taken yet."""
        while self._waiting:
            yield self._waiting.popleft()


def _cancel(scopes: Sequence[anyio.CancelScope]) -> None:
    for scope in scopes:
        scope.cancel()


def _postpone(error: BaseException) -> None:
    """Let a cancellation come again at this task's next wait: a cancelled scope's does, but that
    of a task comes once.
    """
    task = asyncio.current_task()
    if task is not None and anyio.current_effective_deadline() != -math.inf:
        task.uncancel()  # it stays one
        task.cancel(*error.args)
