"""Giving back the room of stores that were removed or have expired: bit by bit.

Every bit is a transaction of some milliseconds, so that nobody who writes has to wait for long.
Above: `sqlite`. Below: a connection. Everything blocks.
"""

from sqlite3 import Connection, OperationalError
from typing import Final

from .sqlite_base import EXPIRES, ORDINAL_BITS

_FILE: Final = 20
"""Passages that are removed in the time that a file's other rows take."""
_BLOCKS: Final = 4
"""Passages that are removed in the time that a block of the index of words takes."""

_HEAD: Final = 10
"""Of an index of words, the last row without which FTS5 does not open it, and so cannot drop it."""


def waits(rows: Connection, now: float) -> bool:
    """Whether there is anything to give back."""
    found = rows.execute(
        "SELECT EXISTS (SELECT 1 FROM gone)"
        f" OR EXISTS (SELECT 1 FROM stores WHERE ended = 0 AND {EXPIRES} <= ?)",
        (now,),
    ).fetchone()
    return bool(found[0])


def end(rows: Connection, now: float) -> list[int]:
    """The numbers of stores that have expired: from now on they are empty, and stay expired."""
    found = rows.execute(
        f"SELECT seq FROM stores WHERE ended = 0 AND {EXPIRES} <= ? LIMIT 100", (now,)
    ).fetchall()
    rows.executemany("UPDATE stores SET ended = 1 WHERE seq = ?", found)
    rows.executemany("INSERT OR IGNORE INTO gone (store) VALUES (?)", found)
    return [seq for (seq,) in found]


def step(rows: Connection, most: int) -> bool:
    """Remove about so many passages, or what takes as long; whether there was anything."""
    found = rows.execute("SELECT store FROM gone ORDER BY store LIMIT 1").fetchone()
    if found is None:
        return False
    (store,) = found
    left = most
    while left > 0:
        file = rows.execute("SELECT seq FROM files WHERE store = ? LIMIT 1", (store,)).fetchone()
        if file is None:
            _words(rows, store, left)
            break
        left -= _file(rows, file[0], left)
    return True


def _file(rows: Connection, file: int, most: int) -> int:
    """Remove a file, or so many of its passages; how much that was."""
    first, behind = file << ORDINAL_BITS, (file + 1) << ORDINAL_BITS
    more = rows.execute(
        "SELECT key FROM chunks WHERE key >= ? AND key < ? ORDER BY key LIMIT 1 OFFSET ?",
        (first, behind, most),
    ).fetchone()
    told = (first, behind if more is None else more[0])
    number = rows.execute("DELETE FROM chunks WHERE key >= ? AND key < ?", told).rowcount
    if more is None:
        rows.execute("DELETE FROM vectors WHERE file = ?", (file,))
        rows.execute("DELETE FROM attributes WHERE file = ?", (file,))
        rows.execute("DELETE FROM files WHERE seq = ?", (file,))
        number += _FILE
    return number


def _words(rows: Connection, store: int, most: int) -> None:
    """Remove a piece of a store's index of words, and at last what is left of the store."""
    for part in ("data", "docsize"):
        table = f"words_{store}_{part}"
        if not rows.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            continue
        try:
            removed = rows.execute(
                f"DELETE FROM {table} WHERE rowid IN"
                f" (SELECT rowid FROM {table} WHERE rowid > ? LIMIT ?)",
                (
                    _HEAD if part == "data" else -1,
                    max(1, most // _BLOCKS) if part == "data" else most,
                ),
            ).rowcount
        except OperationalError:
            break  # an SQLite that protects these tables: all of them at once, then
        if removed:
            return
    rows.execute(f"DROP TABLE IF EXISTS terms_{store}")
    rows.execute(f"DROP TABLE IF EXISTS words_{store}")
    rows.execute("DELETE FROM batches WHERE store = ?", (store,))
    rows.execute("DELETE FROM gone WHERE store = ?", (store,))
