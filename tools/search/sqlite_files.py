"""Rows of files in stores, and of batches.

Above: `sqlite`. Below: a connection. Everything blocks.
"""

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any, Final

from .engine import Passage
from .filters import kind_of
from .reader.chunks import Chunk
from .sqlite_base import ORDINAL_BITS
from .sqlite_stores import counts, cursors, page_of
from .store import (
    Attachment,
    Attributes,
    Batch,
    Chunking,
    Fault,
    FileStatus,
    Page,
    Paging,
    StoreFile,
)
from .words import indexed

_COLUMNS: Final = (
    "seq, file_id, filename, attributes, most, overlap, source, created_at, status, usage_bytes,"
    " fault_code, fault_message"
)


def attach(
    rows: Connection, store: int, files: Sequence[Attachment], *, at: int, batch_id: str | None
) -> None:
    """Put files into the queue; those that are there already come in anew."""
    if batch_id is not None:
        rows.execute(
            "INSERT INTO batches (id, store, created_at) VALUES (?, ?, ?)", (batch_id, store, at)
        )
    for each in files:
        old = seq_of(rows, store, each.file_id)
        if old is not None:
            remove(rows, store, old)
        made = rows.execute(
            "INSERT INTO files (store, file_id, filename, attributes, most, overlap, source,"
            " batch, created_at, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'in_progress')",
            (
                store,
                each.file_id,
                each.filename,
                json.dumps(dict(each.attributes)),
                each.chunking.most,
                each.chunking.overlap,
                each.source,
                batch_id,
                at,
            ),
        )
        _describe(rows, store, made.lastrowid or 0, each.attributes)
    rows.execute(
        "UPDATE stores SET last_active_at = max(last_active_at, ?) WHERE seq = ?", (at, store)
    )


def _describe(rows: Connection, store: int, file: int, attributes: Attributes) -> None:
    rows.execute("DELETE FROM attributes WHERE file = ?", (file,))
    rows.executemany(
        "INSERT INTO attributes (store, key, kind, value, file) VALUES (?, ?, ?, ?, ?)",
        [(store, key, kind_of(value), value, file) for key, value in attributes.items()],
    )


def describe(rows: Connection, store: int, file: int, attributes: Attributes) -> None:
    """Other attributes."""
    told = json.dumps(dict(attributes))
    rows.execute("UPDATE files SET attributes = ? WHERE seq = ?", (told, file))
    _describe(rows, store, file, attributes)


def seq_of(rows: Connection, store: int, file_id: str) -> int | None:
    """The number of a file in a store."""
    found = rows.execute(
        "SELECT seq FROM files WHERE store = ? AND file_id = ?", (store, file_id)
    ).fetchone()
    return None if found is None else int(found[0])


def completed(rows: Connection, store: int) -> set[int]:
    """The numbers of the files that have been read."""
    found = rows.execute("SELECT seq FROM files WHERE store = ? AND status = 'completed'", (store,))
    return {file for (file,) in found}


def everywhere(rows: Connection, file_id: str, principal: str) -> list[tuple[int, int]]:
    """The numbers of a file and of the stores that it is in, of all stores of a principal."""
    return rows.execute(
        "SELECT f.store, f.seq FROM stores s JOIN files f ON f.store = s.seq AND f.file_id = ?"
        " WHERE s.principal = ? AND NOT s.ended",
        (file_id, principal),
    ).fetchall()


def remove(rows: Connection, store: int, file: int) -> None:
    """Take a file out, with its passages, words and vectors."""
    first, behind = file << ORDINAL_BITS, (file + 1) << ORDINAL_BITS
    told = rows.execute(
        "SELECT key, heading, text FROM chunks WHERE key >= ? AND key < ?", (first, behind)
    ).fetchall()
    rows.executemany(
        f"INSERT INTO words_{store} (words_{store}, rowid, text) VALUES ('delete', ?, ?)",
        [(key, indexed(f"{heading}\n{text}")) for key, heading, text in told],
    )
    rows.execute("DELETE FROM chunks WHERE key >= ? AND key < ?", (first, behind))
    rows.execute("DELETE FROM vectors WHERE file = ?", (file,))
    if told:
        rows.execute("UPDATE stores SET removals = removals + 1 WHERE seq = ?", (store,))
    rows.execute("DELETE FROM attributes WHERE file = ?", (file,))
    rows.execute("DELETE FROM files WHERE seq = ?", (file,))


def load(rows: Connection, store: int, store_id: str, file_id: str) -> StoreFile | None:
    """One file."""
    found = rows.execute(
        f"SELECT {_COLUMNS} FROM files WHERE store = ? AND file_id = ?", (store, file_id)
    ).fetchone()
    return None if found is None else _read(store_id, found)


def page(
    rows: Connection,
    store: int,
    store_id: str,
    paging: Paging,
    *,
    status: FileStatus | None,
    batch_id: str | None,
) -> Page[StoreFile] | None:
    """A page of files."""
    bounds = cursors(
        paging, lambda cursor: seq_of(rows, store, cursor), down=paging.order == "desc"
    )
    if bounds is None:
        return None
    where, numbers, backwards = bounds
    arguments: list[object] = [store, *numbers]
    for column, value in (("status", status), ("batch", batch_id)):
        if value is not None:
            where += f" AND {column} = ?"
            arguments.append(value)
    down = (paging.order == "desc") != backwards
    found = rows.execute(
        f"SELECT {_COLUMNS} FROM files WHERE store = ? {where}"
        f" ORDER BY seq {'DESC' if down else 'ASC'} LIMIT ?",
        (*arguments, paging.limit + 1),
    ).fetchall()
    return page_of([_read(store_id, each) for each in found], paging, backwards=backwards)


def batch(rows: Connection, store: int, store_id: str, batch_id: str) -> Batch | None:
    """A batch."""
    found = rows.execute(
        "SELECT created_at, cancelled FROM batches WHERE id = ? AND store = ?", (batch_id, store)
    ).fetchone()
    if found is None:
        return None
    return Batch(batch_id, store_id, found[0], bool(found[1]), counts(rows, "batch", batch_id)[0])


def cancel(rows: Connection, store: int, batch_id: str) -> None:
    """Cancel what of a batch is in the queue."""
    stopped = rows.execute(
        "UPDATE files SET status = 'cancelled', token = NULL"
        " WHERE batch = ? AND store = ? AND status = 'in_progress'",
        (batch_id, store),
    ).rowcount
    if stopped:
        rows.execute("UPDATE batches SET cancelled = 1 WHERE id = ?", (batch_id,))


def passages(rows: Connection, keys: Sequence[int]) -> dict[int, Passage]:
    """Chunks by their keys."""
    found: dict[int, Passage] = {}
    for at in range(0, len(keys), 500):
        some = keys[at : at + 500]
        told = rows.execute(
            f"{_PASSAGES} WHERE c.key IN ({', '.join('?' * len(some))})", tuple(some)
        )
        found.update((row[0], _passage(row)) for row in told)
    return found


def content(rows: Connection, file: int) -> list[Passage]:
    """All chunks of a file, in order."""
    told = rows.execute(
        f"{_PASSAGES} WHERE c.key >= ? AND c.key < ? ORDER BY c.key",
        (file << ORDINAL_BITS, (file + 1) << ORDINAL_BITS),
    )
    return [_passage(row) for row in told]


_PASSAGES: Final = (
    "SELECT c.key, s.id, f.file_id, f.filename, f.attributes, c.text, c.heading, c.first, c.last,"
    " c.page_first, c.page_last, c.line_first, c.line_last"
    f" FROM chunks c JOIN files f ON f.seq = c.key >> {ORDINAL_BITS}"
    " JOIN stores s ON s.seq = f.store"
)


def _passage(row: tuple[Any, ...]) -> Passage:
    key, store_id, file_id, filename, attributes, text, heading, first, last, *places = row
    pages = (places[0], places[1]) if places[0] is not None else None
    lines = (places[2], places[3]) if places[2] is not None else None
    chunk = Chunk(text, heading, first, last, pages, lines)
    return Passage(key, store_id, file_id, filename, json.loads(attributes), chunk)


def attachment_of(row: tuple[Any, ...]) -> Attachment:
    """What was asked for: file_id, filename, attributes, most, overlap, source."""
    file_id, filename, attributes, most, overlap, source = row
    return Attachment(file_id, filename, json.loads(attributes), Chunking(most, overlap), source)


def _read(store_id: str, row: tuple[Any, ...]) -> StoreFile:
    created, status, size, code, message = row[7:]
    return StoreFile(
        store_id=store_id,
        attachment=attachment_of(row[1:7]),
        created_at=created,
        status=status,
        usage_bytes=size,
        fault=None if code is None else Fault(code, message),
    )
