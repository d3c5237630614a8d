"""What the tests of SqlStore share: stores in a folder of their own, and a look into the file."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from sqlalchemy import Engine, event

from antiphon.provider import SqlStore


class Time:
    """A clock that a test moves."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def url_of(path: Path) -> str:
    """The URL of a database in this folder."""
    return f"sqlite+aiosqlite:///{path / 'a.db'}"


def rows(path: Path, query: str) -> list[Any]:
    """What the file in this folder says."""
    with closing(sqlite3.connect(path / "a.db")) as database:
        return database.execute(query).fetchall()


def counts(path: Path) -> dict[str, int]:
    """How many rows each table has, those that are empty left out."""
    tables = [name for (name,) in rows(path, "select name from sqlite_master where type='table'")]
    found = {
        name.removeprefix("antiphon_"): rows(path, f"select count(*) from {name}")[0][0]
        for name in tables
        if name.startswith("antiphon_") and name != "antiphon_schema"
    }
    return {name: count for name, count in found.items() if count}


def files_of(path: Path) -> dict[str, int]:
    """The database's files, and who may do what with them."""
    return {each.name: each.stat().st_mode & 0o777 for each in sorted(path.iterdir())}


def written(path: Path, secret: str) -> list[str]:
    """Names of the database's files that still hold some bytes."""
    return [
        each.name for each in sorted(path.glob("a.db*")) if secret.encode() in each.read_bytes()
    ]


def engine_of(store: SqlStore) -> Engine:
    """What a store's transactions run on."""
    return store._database.engine  # pyright: ignore[reportPrivateUsage]


def threads_of(store: SqlStore) -> CapacityLimiter:
    """Who works on a store's transactions now."""
    database: Any = store._database  # pyright: ignore[reportPrivateUsage]
    return database._threads.limiter


@contextmanager
def statements(store: SqlStore) -> Generator[list[str]]:
    """The SQL that a store executes meanwhile."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(engine_of(store), "before_cursor_execute", note)
    yield seen
    event.remove(engine_of(store), "before_cursor_execute", note)
