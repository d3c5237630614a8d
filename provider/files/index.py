"""The index of a folder of files: who owns which, and how much room everybody has taken.

SQLite from the standard library, in the folder itself, so that content and index move, are backed
up and are restored as one, whatever keeps the responses. Its write lock is also what makes several
processes change the folder one at a time. Above: `disk`. Not here: content.

Everything blocks: call it in worker threads.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

from antiphon.errors import ConfigurationError

from .store import FilePage, Order, StoredFile

_VERSION: Final = 1
_PATIENCE: Final = 30.0  # seconds that another process may hold the write lock
_COLUMNS: Final = "id, principal, filename, purpose, bytes, sha256, created_at, expires_at"
_SCHEMA: Final = (
    """CREATE TABLE files (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        principal TEXT NOT NULL,
        filename TEXT NOT NULL,
        purpose TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER
    )""",
    "CREATE INDEX owned ON files (principal, created_at, seq, bytes)",
    "CREATE INDEX expiring ON files (expires_at) WHERE expires_at IS NOT NULL",
    """CREATE TABLE uploads (
        id TEXT PRIMARY KEY,
        principal TEXT NOT NULL,
        bytes INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX uploading ON uploads (principal, bytes)",
)


class FileIndex:
    """Rows of files, and of uploads with the bytes that they have reserved.

    Args:
        path: The database; it is made where there is none, readable by its owner only.

    Raises:
        ConfigurationError: It was written by a later version.
    """

    def __init__(self, path: Path) -> None:
        made = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        os.close(made)  # SQLite gives the files beside it the same mode
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        self.close: weakref.finalize[[], FileIndex] = weakref.finalize(self, self._connection.close)
        with self.change():
            (version,) = self._row("PRAGMA user_version") or (0,)
            if version == 0:
                for statement in _SCHEMA:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        if version not in (0, _VERSION):
            self.close()
            raise ConfigurationError(
                f"{path}: expected an index of version {_VERSION}, got {version}: "
                "serve it with the antiphon that wrote it, or name another folder"
            )
        self._connection.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def change(self, *, durable: bool = False) -> Generator[None]:
        """All or nothing, and alone: no other thread or process changes the folder meanwhile.

        Args:
            durable: Whether the change outlives a loss of power, which waits for the disk.
        """
        with self._lock:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # --- files ---------------------------------------------------------------

    def add(self, file: StoredFile) -> None:
        """A file that is whole; its upload is over."""
        self._connection.execute("DELETE FROM uploads WHERE id = ?", (file.id,))
        self._connection.execute(
            f"INSERT INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(file)
        )

    def load(self, file_id: str, principal: str, now: float) -> StoredFile | None:
        """The file; None where it is absent, expired or another's."""
        found = self._row(
            f"SELECT {_COLUMNS} FROM files WHERE id = ? AND principal = ?"
            " AND (expires_at IS NULL OR expires_at > ?)",
            file_id,
            principal,
            now,
        )
        return StoredFile(*found) if found else None

    def page(
        self,
        principal: str,
        now: float,
        *,
        after: str | None,
        limit: int,
        order: Order,
        purpose: str | None,
    ) -> FilePage | None:
        """See `FileStore.page`."""
        where = ["principal = ?", "(expires_at IS NULL OR expires_at > ?)"]
        values: list[Any] = [principal, now]
        if purpose is not None:
            where.append("purpose = ?")
            values.append(purpose)
        with self._lock:
            if after is not None:
                if self.load(after, principal, now) is None:
                    return None
                beyond = "<" if order == "desc" else ">"
                where.append(
                    f"(created_at, seq) {beyond} (SELECT created_at, seq FROM files WHERE id = ?)"
                )
                values.append(after)
            found = self._connection.execute(
                f"SELECT {_COLUMNS} FROM files WHERE {' AND '.join(where)}"
                f" ORDER BY created_at {order}, seq {order} LIMIT ?",
                (*values, limit + 1),
            ).fetchall()
        return FilePage([StoredFile(*row) for row in found[:limit]], len(found) > limit)

    def remove(self, file_id: str) -> None:
        """Forget a file."""
        self._connection.execute("DELETE FROM files WHERE id = ?", (file_id,))

    def expired(self, now: float) -> list[str]:
        """The ids of files that are to be gone by now."""
        with self._lock:
            found = self._connection.execute("SELECT id FROM files WHERE expires_at <= ?", (now,))
            return [file_id for (file_id,) in found]

    def ids(self) -> set[str]:
        """The ids of all files of everybody."""
        with self._lock:
            return {file_id for (file_id,) in self._connection.execute("SELECT id FROM files")}

    # --- room ----------------------------------------------------------------

    def taken(self, principal: str) -> tuple[int, int]:
        """How many files a principal has, uploads included, and their bytes."""
        found = self._row(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM"
            " (SELECT bytes FROM files WHERE principal = :who"
            " UNION ALL SELECT bytes FROM uploads WHERE principal = :who)",
            who=principal,
        )
        assert found is not None  # an aggregate always gives a row
        return found[0], found[1]

    def begin(self, upload_id: str, principal: str) -> None:
        """An upload that has taken nothing yet."""
        self._connection.execute("INSERT INTO uploads VALUES (?, ?, 0)", (upload_id, principal))

    def reserve(self, upload_id: str, more: int) -> None:
        """An upload takes more bytes."""
        self._connection.execute(
            "UPDATE uploads SET bytes = bytes + ? WHERE id = ?", (more, upload_id)
        )

    def drop(self, upload_ids: Iterable[str]) -> None:
        """Uploads that came to nothing; their bytes are free."""
        rows = [(upload_id,) for upload_id in upload_ids]
        self._connection.executemany("DELETE FROM uploads WHERE id = ?", rows)

    def uploads(self) -> set[str]:
        """The ids of all uploads of everybody."""
        with self._lock:
            return {file_id for (file_id,) in self._connection.execute("SELECT id FROM uploads")}

    def _row(self, query: str, *values: Any, **named: Any) -> tuple[Any, ...] | None:
        with self._lock:
            return self._connection.execute(query, named or values).fetchone()
