"""Rows of vector stores.

Above: `sqlite`. Below: a connection. Everything blocks.
"""

import json
from collections.abc import Callable
from sqlite3 import Connection
from typing import Any, Final

from .sqlite_base import words_of
from .store import Counts, Page, Paging, StoreChange, VectorStore

_COLUMNS: Final = (
    "seq, id, principal, name, description, metadata, created_at, last_active_at, expires_days,"
    " model, ended"
)


def create(rows: Connection, store: VectorStore) -> None:
    """A new store, with an index of words of its own: what others keep does not weigh in it."""
    made = rows.execute(
        "INSERT INTO stores (id, principal, name, description, metadata, created_at,"
        " last_active_at, expires_days, model) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            store.id,
            store.principal,
            store.name,
            store.description,
            json.dumps(dict(store.metadata)),
            store.created_at,
            store.last_active_at,
            store.expires_days,
            store.model,
        ),
    )
    for statement in words_of(made.lastrowid or 0):
        rows.execute(statement)


def seq_of(rows: Connection, store_id: str, principal: str) -> int | None:
    """The number of a store of this principal."""
    found = rows.execute(
        "SELECT seq FROM stores WHERE id = ? AND principal = ?", (store_id, principal)
    ).fetchone()
    return None if found is None else int(found[0])


def open_of(rows: Connection, store_id: str, principal: str) -> int | None:
    """The number of a store of this principal that has not given back what was in it."""
    found = rows.execute(
        "SELECT seq FROM stores WHERE id = ? AND principal = ? AND NOT ended", (store_id, principal)
    ).fetchone()
    return None if found is None else int(found[0])


def load(rows: Connection, store_id: str, principal: str) -> VectorStore | None:
    """One store."""
    found = rows.execute(
        f"SELECT {_COLUMNS} FROM stores WHERE id = ? AND principal = ?", (store_id, principal)
    ).fetchone()
    return None if found is None else _read(rows, found)


def page(rows: Connection, paging: Paging, principal: str) -> Page[VectorStore] | None:
    """A page of stores."""
    bounds = cursors(
        paging, lambda cursor: seq_of(rows, cursor, principal), down=paging.order == "desc"
    )
    if bounds is None:
        return None
    where, arguments, backwards = bounds
    down = (paging.order == "desc") != backwards
    found = rows.execute(
        f"SELECT {_COLUMNS} FROM stores WHERE principal = ? {where}"
        f" ORDER BY seq {'DESC' if down else 'ASC'} LIMIT ?",
        (principal, *arguments, paging.limit + 1),
    ).fetchall()
    return page_of([_read(rows, each) for each in found], paging, backwards=backwards)


def cursors(
    paging: Paging, seq: Callable[[str], int | None], *, down: bool
) -> tuple[str, list[int], bool] | None:
    """The condition that a paging is on `seq`, and whether it is read from its end.

    None where a cursor is not there.
    """
    where, arguments = "", list[int]()
    for cursor, larger in ((paging.after, not down), (paging.before, down)):
        if cursor is None:
            continue
        at = seq(cursor)
        if at is None:
            return None
        where += f" AND seq {'>' if larger else '<'} ?"
        arguments.append(at)
    return where, arguments, paging.before is not None and paging.after is None


def page_of(listed: list[Any], paging: Paging, *, backwards: bool) -> Page[Any]:
    """A page of what was read with one row more than asked for."""
    kept = listed[: paging.limit]
    return Page(kept[::-1] if backwards else kept, len(listed) > paging.limit)


def change(rows: Connection, store_id: str, change: StoreChange, principal: str) -> None:
    """Change what is to be changed."""
    new: dict[str, Any] = {}
    if change.name is not None:
        new["name"] = change.name
    if change.metadata is not None:
        new["metadata"] = json.dumps(dict(change.metadata))
    if change.expires_days is not None:
        new["expires_days"] = change.expires_days or None
    if new:
        rows.execute(
            f"UPDATE stores SET {', '.join(f'{name} = ?' for name in new)}"
            " WHERE id = ? AND principal = ?",
            (*new.values(), store_id, principal),
        )


def touch(rows: Connection, store_ids: list[str], at: int) -> None:
    """They were active."""
    rows.executemany(
        "UPDATE stores SET last_active_at = max(last_active_at, ?) WHERE id = ?",
        [(at, each) for each in store_ids],
    )


def remove(rows: Connection, seq: int) -> None:
    """Remove a store; what is in it, nobody reaches any more, and it is removed bit by bit."""
    rows.execute("DELETE FROM stores WHERE seq = ?", (seq,))
    rows.execute("INSERT OR IGNORE INTO gone (store) VALUES (?)", (seq,))


def counts(rows: Connection, column: str, value: object) -> tuple[Counts, int]:
    """How many files are in which state, and their bytes."""
    found = rows.execute(
        f"SELECT status, count(*), sum(usage_bytes) FROM files WHERE {column} = ? GROUP BY status",
        (value,),
    ).fetchall()
    numbers = {status: number for status, number, _ in found}
    return Counts(**numbers), sum(size for _, _, size in found)


def _read(rows: Connection, row: tuple[Any, ...]) -> VectorStore:
    seq, key, principal, name, description, metadata, created, active, days, model, ended = row
    counted, size = (Counts(), 0) if ended else counts(rows, "store", seq)
    return VectorStore(
        id=key,
        principal=principal,
        name=name,
        description=description,
        metadata=json.loads(metadata),
        created_at=created,
        last_active_at=active,
        expires_days=days,
        model=model,
        ended=bool(ended),
        counts=counted,
        usage_bytes=size,
    )
