"""The database of vector stores: its tables, one writer at a time, as many readers as there are.

Everything blocks: call it in worker threads. Above: `sqlite_*`. Below: the standard library.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from antiphon.errors import ConfigurationError

_VERSION: Final = 3
_PATIENCE: Final = 60.0  # seconds that another process may hold the write lock
_FREE: Final = 20  # the share of its pages that a file may have free
_PAGES: Final = 4_000
"""Pages of the log after which what was written goes to its place: a page that was written often
goes there once, and the disk is waited for less often.
"""
_SEGMENTS: Final = 16
"""Pieces of an index of words that are merged at once, the most that FTS5 takes: the more, the less
often a word is written again.
"""
ORDINAL_BITS: Final = 20
"""Of a chunk's key: these are its place in its file, those above the file's."""
MOST_CHUNKS: Final = 1 << ORDINAL_BITS
TOKENS: Final = "porter unicode61 remove_diacritics 2"
"""What FTS5 makes of texts."""
EXPIRES: Final = "last_active_at + expires_days * 86400"
"""When a store expires; NULL for never."""

_GIVING_BACK: Final = (
    "CREATE TABLE gone (store INTEGER PRIMARY KEY)",  # what is in them is removed bit by bit
    f"CREATE INDEX stores_expiring ON stores ({EXPIRES}) WHERE ended = 0",
)
_SCHEMA: Final = (
    """CREATE TABLE stores (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        principal TEXT NOT NULL,
        name TEXT NOT NULL,
        description TEXT,
        metadata TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        last_active_at INTEGER NOT NULL,
        expires_days INTEGER,
        model TEXT,
        dimensions INTEGER,
        removals INTEGER NOT NULL DEFAULT 0,
        ended INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX stores_owned ON stores (principal, seq)",
    """CREATE TABLE files (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        store INTEGER NOT NULL REFERENCES stores (seq),
        file_id TEXT NOT NULL,
        filename TEXT NOT NULL,
        attributes TEXT NOT NULL,
        most INTEGER NOT NULL,
        overlap INTEGER NOT NULL,
        batch TEXT,
        created_at INTEGER NOT NULL,
        status TEXT NOT NULL,
        usage_bytes INTEGER NOT NULL DEFAULT 0,
        fault_code TEXT,
        fault_message TEXT,
        token TEXT,
        claimed_until REAL NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        source TEXT NOT NULL DEFAULT '',
        UNIQUE (store, file_id)
    )""",
    "CREATE INDEX files_counted ON files (store, status, usage_bytes)",
    "CREATE INDEX files_batched ON files (batch, status) WHERE batch IS NOT NULL",
    "CREATE INDEX files_queued ON files (seq, claimed_until) WHERE status = 'in_progress'",
    """CREATE TABLE batches (
        id TEXT PRIMARY KEY,
        store INTEGER NOT NULL REFERENCES stores (seq),
        created_at INTEGER NOT NULL,
        cancelled INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    """CREATE TABLE attributes (
        store INTEGER NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        value NOT NULL,
        file INTEGER NOT NULL,
        PRIMARY KEY (store, key, kind, value, file)
    ) WITHOUT ROWID""",
    "CREATE INDEX attributes_of ON attributes (file)",
    """CREATE TABLE chunks (
        key INTEGER PRIMARY KEY,
        text TEXT NOT NULL,
        heading TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        page_first INTEGER, page_last INTEGER,
        line_first INTEGER, line_last INTEGER
    )""",
    """CREATE TABLE vectors (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        store INTEGER NOT NULL,
        file INTEGER NOT NULL UNIQUE,
        chunks BLOB NOT NULL,
        rows BLOB NOT NULL
    )""",
    "CREATE INDEX vectors_of ON vectors (store, seq)",
    """CREATE TABLE remembered (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        key BLOB NOT NULL UNIQUE,
        vector BLOB NOT NULL
    )""",
    *_GIVING_BACK,
)


_SINCE_2: Final = ("ALTER TABLE files ADD COLUMN source TEXT NOT NULL DEFAULT ''",)
_SINCE_1: Final = (
    "ALTER TABLE stores ADD COLUMN ended INTEGER NOT NULL DEFAULT 0",
    *_GIVING_BACK,
    *_SINCE_2,
)


def words_of(store: int) -> tuple[str, ...]:
    """What makes a store's vocabulary, and before it its index of words."""
    name = f"words_{store}"
    return (
        f"CREATE VIRTUAL TABLE {name} USING fts5(text, content='', tokenize='{TOKENS}')",
        f"INSERT INTO {name} ({name}, rank) VALUES ('automerge', {_SEGMENTS})",
        f"CREATE VIRTUAL TABLE terms_{store} USING fts5vocab({name}, instance)",
    )


class Base:
    """Connections to one database.

    Args:
        path: The file; it is made where there is none, readable by its owner only.

    Raises:
        ConfigurationError: It cannot be opened, was written by a later version, or this Python's
            SQLite has no FTS5.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"{path}: expected a file that can be written: {error.strerror}"
            ) from error
        os.close(made)  # SQLite gives the files beside it the same mode
        self._turn = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._writer = self._connect()
        weakref.finalize(self, _close, self._writer, self._idle)
        try:
            self._prepare()
        except BaseException:
            self._writer.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA cache_size = -65536")  # KiB
        connection.execute("PRAGMA mmap_size = 1073741824")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES}")
        return connection

    def _prepare(self) -> None:
        (fts,) = self._writer.execute(
            "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'"
        ).fetchone()
        if not fts:
            raise ConfigurationError("file search needs an SQLite with FTS5: use another Python")
        self._writer.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file only
        self._writer.execute("PRAGMA journal_mode = WAL")
        with self.write() as rows:
            (version,) = rows.execute("PRAGMA user_version").fetchone()
            for statement in {0: _SCHEMA, 1: _SINCE_1, 2: _SINCE_2}.get(version, ()):
                rows.execute(statement)
            if version == 1:
                for (store,) in rows.execute("SELECT seq FROM stores").fetchall():
                    rows.execute(words_of(store)[-1])
            if version < _VERSION:
                rows.execute(f"PRAGMA user_version = {_VERSION}")
        if version > _VERSION:
            raise ConfigurationError(
                f"{self.path}: expected an index of version {_VERSION}, got {version}: "
                "serve it with the antiphon that wrote it, or name another file"
            )

    @contextmanager
    def write(self, *, durable: bool = False) -> Generator[sqlite3.Connection]:
        """One transaction: all or nothing, and alone.

        Args:
            durable: Whether it outlives a loss of power, which waits for the disk.
        """
        with self._turn:
            rows = self._writer
            rows.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            rows.execute("BEGIN IMMEDIATE")
            try:
                yield rows
                rows.execute("COMMIT")
            except BaseException:
                if rows.in_transaction:
                    rows.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """One state of the database, whatever is written meanwhile."""
        rows = self._idle.pop() if self._idle else self._connect()
        rows.execute("BEGIN")
        try:
            yield rows
        finally:
            rows.execute("ROLLBACK")
            if self._closed:
                rows.close()
            else:
                self._idle.append(rows)

    def shrink(self, pages: int) -> bool:
        """Make the file shorter by so many free pages; False where there are few, or it cannot."""
        with self._turn:
            (free,) = self._writer.execute("PRAGMA freelist_count").fetchone()
            (number,) = self._writer.execute("PRAGMA page_count").fetchone()
            if free * _FREE <= number:
                return False  # soon used again
            self._writer.executescript(f"PRAGMA incremental_vacuum({pages})")  # execute: one page
            (left,) = self._writer.execute("PRAGMA freelist_count").fetchone()
        return left < free

    def close(self) -> None:
        """Close every connection that is not in use; those in use are closed after it."""
        self._closed = True
        with self._turn:
            _close(self._writer, self._idle)


def _close(writer: sqlite3.Connection, idle: list[sqlite3.Connection]) -> None:
    writer.close()
    while idle:
        idle.pop().close()
