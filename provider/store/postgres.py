"""`PostgresDatabase`: transactions on PostgreSQL. What is PostgreSQL's alone stands here.

Transactions are serializable: what each does is as if it were alone, as it is in SQLite, and the
functions above need no locks of their own to be right. Who is told that another was faster begins
anew; rows that are locked (`FOR UPDATE`) make that rare.

Below: `database`, SQLAlchemy, psycopg. Above: `sql`. Not here: what is kept.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from tenacity import RetryCallState, Retrying, stop_after_delay, wait_random_exponential

from antiphon.errors import ConfigurationError

from .database import Threads

_T = TypeVar("_T")

PATIENCE: Final = 30.0
"""Seconds to wait for others' transactions."""

_CONNECTIONS: Final = 8
_CONNECT_SECONDS: Final = 10

_OVERTAKEN: Final = frozenset({"40001", "40P01"})
"""What PostgreSQL says where another transaction was faster: begin anew."""
_TAKEN: Final = "23505"
"""A key is there already: another may have been faster, or it was there before."""
_LOOKS: Final = 3

_MIGRATION: Final = 0x616E7469
"""The lock that whoever migrates holds; any number that nobody else uses."""


class PostgresDatabase:
    """One database, opened and brought up to date at its first use.

    Args:
        url: `postgresql://user:password@host/name`; what `?options=` and others say is
            psycopg's.
        migrate: Brings the tables up to date, in a transaction that no other process shares.

    Raises:
        ConfigurationError: The URL is another, or psycopg is not there.
    """

    def __init__(self, url: str, *, migrate: Callable[[Connection], None]) -> None:
        self._url = _parsed(url)
        self._migrate = migrate
        self._engine = _engine(self._url)
        self._reads = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._threads = Threads(self._engine, self._prepare, most=_CONNECTIONS)

    @property
    def engine(self) -> Engine:
        """What its connections come from."""
        return self._engine

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """What some queries find, all at one moment. `work` runs in another thread."""

        def run() -> _T:
            with self._reads.begin() as connection:
                return work(connection)

        return await self._threads.run(run)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Change something, whole or, where `work` raises, not at all. `work` runs in another
        thread, again where another transaction was faster. Once this returns, it is on the disk.
        """

        def once() -> _T:
            with self._engine.begin() as connection:
                return work(connection)

        again = Retrying(
            retry=_overtaken,
            wait=wait_random_exponential(0.005, max=0.5),
            stop=stop_after_delay(PATIENCE),
            reraise=True,
        )
        return await self._threads.run(lambda: again(once))

    async def scrub(self, *, shrink: bool) -> bool:
        """Nothing: PostgreSQL's own vacuum removes what was deleted, when nobody reads it."""
        return True

    async def open(self) -> None:
        """Bring the database's tables up to date.

        Raises:
            ConfigurationError: It cannot be reached, or is a newer antiphon's; or this was closed.
        """
        await self._threads.open()

    async def aclose(self) -> None:
        """Wait for what is being done, and close. Closing twice is no error."""
        await self._threads.aclose()

    def _prepare(self) -> None:
        """One process at a time looks at the tables; others see what it did, so their view of
        the database must begin after they have the lock.
        """
        alone = self._engine.execution_options(isolation_level="READ COMMITTED")
        try:
            with alone.begin() as connection:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION})"))
                self._migrate(connection)
        except DBAPIError as error:
            self._engine.dispose()
            raise _unusable(self._url, error) from error


def _overtaken(state: RetryCallState) -> bool:
    error = None if state.outcome is None else state.outcome.exception()
    code: object = getattr(getattr(error, "orig", None), "sqlstate", None)
    return code in _OVERTAKEN or (code == _TAKEN and state.attempt_number < _LOOKS)


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            isolation_level="SERIALIZABLE",
            pool_size=_CONNECTIONS,
            max_overflow=0,
            hide_parameters=True,  # its errors are logged
            pool_pre_ping=True,  # a server that was restarted is no error of ours
            connect_args={"connect_timeout": _CONNECT_SECONDS},
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"store: PostgreSQL needs {error.name}: pip install 'antiphon[postgres]'"
        ) from error
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: Any, _: object) -> None:
    """Nobody waits for ever, and a process that hangs holds no lock for ever."""
    connection.autocommit = True
    connection.execute(f"SET lock_timeout = '{PATIENCE:.0f}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout = '{2 * PATIENCE:.0f}s'")
    connection.autocommit = False


def _parsed(url: str) -> URL:
    expected = "expected a URL such as postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(f"store: {expected}, got no URL") from error
    if parsed.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ConfigurationError(f"store: {expected}, got one of {parsed.drivername}")
    if not parsed.database:
        raise ConfigurationError(f"store: {expected}, got one without a database's name")
    return parsed.set(drivername="postgresql+psycopg")


def _unusable(url: URL, error: DBAPIError) -> ConfigurationError:
    place = url.set(query={})  # which may hold a password, too
    return ConfigurationError(
        f"store: expected a PostgreSQL database at {place!r}, where tables may be made; got: "
        f"{str(error.orig).strip()}"
    )
