"""`Database`: transactions, whatever they run on. A seam; `sqlite` and `postgres` are its sides.

A transaction is one function that runs whole in a worker thread: so it is never cut in the middle
by a cancellation, with locks held, and goes to a thread and back once, not for each statement.

Above: `sql`. Not here: what is kept.
"""

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from threading import Lock
from typing import Protocol, TypeVar

import anyio
from anyio import to_thread
from sqlalchemy import Connection, Engine

from antiphon.errors import ConfigurationError

_T = TypeVar("_T")


class Database(Protocol):
    """Runs transactions; opened and brought up to date at its first use."""

    @property
    def engine(self) -> Engine:
        """What its connections come from."""
        ...

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """What some queries find, all at one moment. `work` runs in another thread."""
        ...

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Change something, whole or, where `work` raises, not at all. Once this returns, it is
        on the disk. `work` runs in another thread, and maybe more than once: the last time counts.
        """
        ...

    async def scrub(self, *, shrink: bool) -> bool:
        """Remove what was deleted from where it may still be, as far as that is in our hands.

        Args:
            shrink: Whether to give back room.

        Returns:
            False where something is in the way: try again later.
        """
        ...

    async def open(self) -> None:
        """Open it, and bring its tables up to date.

        Raises:
            ConfigurationError: It cannot be opened, is a newer antiphon's, or this was closed.
        """
        ...

    async def aclose(self) -> None:
        """Wait for what is being done, and close. Closing twice is no error."""
        ...


class Threads:
    """The threads of a database: it is opened before the first works, and closed after the last.

    Args:
        engine: What connections come from.
        prepare: Opens the database; runs in a thread.
        most: How many work at a time.

    Attributes:
        limiter: Holds who works now.
    """

    def __init__(self, engine: Engine, prepare: Callable[[], None], *, most: int) -> None:
        self._engine = engine
        self._prepare = prepare
        self.limiter: anyio.CapacityLimiter = anyio.CapacityLimiter(most)
        self._opening = anyio.Lock()
        self._open = False
        self._closed = False
        self._busy = 0
        self._idle = anyio.Event()

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do something in a thread. Once it has begun, nobody leaves before it has ended.

        Raises:
            ConfigurationError: The database cannot be opened, or this was closed.
        """
        turn, left = Lock(), False

        def whole() -> _T:
            with turn:
                if left:
                    raise CancelledError
                return work()

        async with self._session():
            try:
                return await to_thread.run_sync(whole, limiter=self.limiter)
            except CancelledError:  # by `Task.cancel`, which no shield keeps from a thread's future
                left = True
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(turn.acquire)
                raise

    async def open(self) -> None:
        """Open the database, if it is not open.

        Raises:
            ConfigurationError: It cannot be, or this was closed.
        """
        if self._open and not self._closed:
            return
        async with self._opening:
            if self._closed:
                raise ConfigurationError("store: it is closed: make another one")
            if not self._open:
                await to_thread.run_sync(self._prepare, limiter=self.limiter)
                self._open = True

    async def aclose(self) -> None:
        """Wait for what is being done, and close every connection."""
        async with self._opening:
            self._closed = True
            if self._busy:
                await self._idle.wait()
            await to_thread.run_sync(self._engine.dispose, limiter=self.limiter)

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[None]:
        await self.open()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if self._closed and not self._busy:
                self._idle.set()
