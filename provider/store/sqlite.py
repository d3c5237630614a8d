"""`SqliteDatabase`: transactions on one SQLite file. What is SQLite's alone stands here.

To go to a thread and back for each statement, as SQLite's asynchronous drivers do, takes twice the
CPU of one thread for a whole transaction.

Readers never wait for writers (WAL). Writers of one process stand in a line, which is fair and can
be left; whoever is its head writes for all that wait, since the disk is waited for once in a
commit, however much is in it. Those of several processes wait for each other inside SQLite.

Below: `database`, SQLAlchemy. Above: `sql`. Not here: what is kept.
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import anyio
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from antiphon.errors import ConfigurationError

from .database import Threads

_T = TypeVar("_T")

PATIENCE: Final = 30.0
"""Seconds to wait for another process's transaction."""

_READER_SECONDS: Final = 0.5
"""Seconds to wait for who reads what was deleted meanwhile; writers wait, too."""

_READERS: Final = 4
_BATCH: Final = 64
"""Works in one transaction."""
_PAGES: Final = 1000
"""Pages (of 4 KiB) that are given back to the file system at a time."""

# What was deleted is overwritten with zeros; a commit is on the disk when it is acknowledged.
_SETTINGS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
)


@dataclass(slots=True, eq=False)
class _Wish:
    """Something to be written, and what became of it."""

    work: Callable[[Connection], object]
    result: object = None
    error: BaseException | None = None
    done: bool = False


class SqliteDatabase:
    """One file, opened and brought up to date at its first use.

    Args:
        url: `sqlite+aiosqlite:///` (or `sqlite:///`) and a path; nothing else.
        migrate: Brings the tables up to date, in a transaction that no other process shares.

    Raises:
        ConfigurationError: The URL is another.
    """

    def __init__(self, url: str, *, migrate: Callable[[Connection], None]) -> None:
        self._path = _path(url)
        self._migrate = migrate
        self._engine = _engine(self._path)
        self._writes = self._engine.execution_options(antiphon_writes=True)
        self._threads = Threads(self._engine, self._prepare, most=_READERS + 1)
        self._readers = anyio.Semaphore(_READERS)
        self._writer = anyio.Lock()
        self._line: list[_Wish] = []

    @property
    def engine(self) -> Engine:
        """What its connections come from."""
        return self._engine

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """What some queries find, all at one moment. `work` runs in another thread."""

        def run() -> _T:
            with self._engine.connect() as connection:
                return work(connection)

        async with self._readers:
            return await self._threads.run(run)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Change something, whole or, where `work` raises, not at all. `work` runs in another
        thread, maybe in one transaction with others' works. Once this returns, it is on the disk.
        """
        wish = _Wish(work)
        self._line.append(wish)
        try:
            async with self._writer:
                if not wish.done:
                    await self._write_line()
        finally:
            if wish in self._line:  # it was not to be, or nobody waits for it any more
                self._line.remove(wish)
        if wish.error is not None:
            raise wish.error
        return cast("_T", wish.result)

    async def _write_line(self) -> None:
        """Write for those who wait; where nothing is begun, they stay in the line."""
        await self.open()
        batch, self._line = self._line[:_BATCH], self._line[_BATCH:]
        try:
            await self._threads.run(lambda: self._write_all(batch))
        finally:
            self._line[:0] = [wish for wish in batch if not wish.done]

    def _write_all(self, batch: Sequence["_Wish"]) -> None:
        """Fulfil wishes in one transaction. One that fails takes back only what it did."""
        try:
            with self._writes.begin() as connection:
                for wish in batch:
                    try:
                        with connection.begin_nested() if len(batch) > 1 else nullcontext():
                            wish.result = wish.work(connection)
                    except Exception as error:
                        wish.error = error
                        if len(batch) == 1:
                            connection.rollback()
        except BaseException as error:
            for wish in batch:
                wish.error = wish.error or error
        finally:
            for wish in batch:
                wish.done = True

    async def scrub(self, *, shrink: bool) -> bool:
        """Remove what was deleted from the log, too, and give back some of the file's free pages.

        Args:
            shrink: Whether to give back pages.

        Returns:
            False where another process, or a reader here, is in the way: try again later.
        """

        def run() -> bool:
            with suppress(sqlite3.OperationalError), _outside(self._engine) as driver:
                if shrink:  # a script, since that is run to its end, page by page
                    driver.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
                driver.execute(f"PRAGMA busy_timeout = {_READER_SECONDS * 1000:.0f}")
                try:
                    busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                    return not busy
                finally:
                    driver.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")
            return False

        async with self._writer:
            return await self._threads.run(run)

    async def open(self) -> None:
        """Make or open the file and bring its tables up to date.

        Raises:
            ConfigurationError: It cannot be opened, is no database, or a newer antiphon's; or
                this was closed.
        """
        await self._threads.open()

    async def aclose(self) -> None:
        """Wait for what is being done, and close the file. Closing twice is no error."""
        await self._threads.aclose()

    def _prepare(self) -> None:
        """Make the file, for this user alone, and set what is kept in it. Of several processes
        that begin at once, one is refused without having waited: it tries again.
        """
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            for attempt in Retrying(
                retry=retry_if_exception(lambda error: "locked" in str(error)),
                wait=wait_random(0.005, 0.05),
                stop=stop_after_delay(PATIENCE),
                reraise=True,
            ):
                with attempt, _outside(self._engine) as driver:
                    driver.execute("PRAGMA auto_vacuum = INCREMENTAL")
                    driver.execute("PRAGMA journal_mode = WAL")
            with self._writes.begin() as connection:
                self._migrate(connection)
        except BaseException as error:
            self._engine.dispose()
            if isinstance(error, DBAPIError | sqlite3.Error | OSError):
                raise _unusable(self._path, error) from error
            raise


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        # Threads take turns with a connection; the pool sees to that.
        connect_args={"timeout": PATIENCE, "isolation_level": None, "check_same_thread": False},
        pool_size=_READERS + 1,
        max_overflow=0,
        hide_parameters=True,  # its errors are logged, and what is kept is nobody else's to read
        pool_reset_on_return=None,  # every transaction is ended here already
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: Any, _: object) -> None:
    for setting in _SETTINGS:
        connection.execute(setting)


def _begin(connection: Connection) -> None:
    """A writer takes the lock at once: one that took it later could be too late to go on."""
    writes = connection.get_execution_options().get("antiphon_writes")
    driver: Any = connection.connection.dbapi_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _outside(engine: Engine) -> Generator[Any]:
    """A driver's connection, for what must not be inside a transaction."""
    raw = engine.raw_connection()
    try:
        yield raw.dbapi_connection
    finally:
        raw.close()


def _path(url: str) -> Path:
    """Where the file is that a URL names."""
    expected = "expected a URL such as sqlite+aiosqlite:///antiphon.db, postgresql://host/name or memory://"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(f"store: {expected}, got no URL") from error
    if parsed.drivername not in ("sqlite", "sqlite+aiosqlite"):
        raise ConfigurationError(f"store: {expected}, got one of {parsed.drivername}")
    name = parsed.database or ""
    if parsed.host or parsed.query or not name or name.startswith((":", "file:")):
        raise ConfigurationError(
            f"store: {expected}, got {url!r}: a path and nothing else; three slashes go before "
            "a relative one and four before one from the root"
        )
    return Path(name).absolute()


def _unusable(path: Path, error: Exception) -> ConfigurationError:
    why = error.orig if isinstance(error, DBAPIError) else error
    return ConfigurationError(
        f"store: expected a SQLite database at {path}, or a folder to make it in, got: {why}"
    )
