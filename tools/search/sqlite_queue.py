"""The queue of files to be read, which is the files' own rows: it is as durable as they are.

A claim is a token and a time; whoever lost it finishes nothing.
Above: `sqlite`. Below: a connection. Everything blocks.
"""

from array import array
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Final, TypeAlias

from .engine import Job, Vectors
from .reader.chunks import Chunk
from .sqlite_base import MOST_CHUNKS, ORDINAL_BITS
from .sqlite_files import attachment_of
from .store import Fault
from .words import indexed

Wanted: TypeAlias = tuple[str, Sequence[object]]
"""Which files may be claimed: what stands behind FROM, and its values."""

_SOURCE: Final = "substr(f.source, 1, instr(f.source || ':', ':') - 1)"


def wanted(
    now: float, until: float, sources: Sequence[str] | None, models: Sequence[str] | None
) -> Wanted:
    """Those that wait, of these sources and embedding models (see `Engine.claim`)."""
    told = (
        "files f CROSS JOIN stores s ON s.seq = f.store AND NOT s.ended"
        " WHERE f.status = 'in_progress' AND f.claimed_until <= ?"
    )
    values: list[object] = [now]
    if sources is not None:
        told += f" AND {_SOURCE} IN ({_marks(sources)})"
        values += sources
    if models is not None:
        told += (
            f" AND (s.model IS NULL OR s.model IN ({_marks(models)})"
            " OR (f.created_at <= ? AND s.model NOT IN (SELECT t.model FROM files o"  # once for all
            " CROSS JOIN stores t ON t.seq = o.store AND t.model IS NOT NULL"
            " WHERE o.status = 'in_progress' AND o.claimed_until > ?)))"
        )
        values += [*models, now - (until - now), now]
    return told, values


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def waiting(rows: Connection, wanted: Wanted) -> bool:
    """Whether there is anything to claim."""
    told, values = wanted
    return rows.execute(f"SELECT 1 FROM {told} LIMIT 1", tuple(values)).fetchone() is not None


def claim(rows: Connection, token: str, wanted: Wanted, *, until: float) -> Job | None:
    """The oldest that waits."""
    told, values = wanted
    found = rows.execute(
        "SELECT f.seq, s.principal, s.id, s.model, f.attempts, f.file_id, f.filename, f.attributes,"
        f" f.most, f.overlap, f.source FROM {told} ORDER BY f.seq LIMIT 1",
        tuple(values),
    ).fetchone()
    if found is None:
        return None
    seq, principal, store_id, model, attempts = found[:5]
    rows.execute(
        "UPDATE files SET token = ?, claimed_until = ?, attempts = attempts + 1 WHERE seq = ?",
        (token, until, seq),
    )
    return Job(seq, token, principal, store_id, model, attachment_of(found[5:]), attempts + 1)


def renew(rows: Connection, job: Job, *, until: float) -> bool:
    """Hold on to a claim."""
    changed = rows.execute(
        "UPDATE files SET claimed_until = ? WHERE seq = ? AND token = ? AND status = 'in_progress'"
        " AND store IN (SELECT seq FROM stores WHERE NOT ended)",
        (until, job.key, job.token),
    )
    return changed.rowcount == 1


def release(rows: Connection, job: Job) -> None:
    """Give a claim back."""
    rows.execute(
        "UPDATE files SET token = NULL, claimed_until = 0, attempts = attempts - 1"
        " WHERE seq = ? AND token = ? AND status = 'in_progress'",
        (job.key, job.token),
    )


def finish(rows: Connection, job: Job, chunks: Sequence[Chunk], vectors: Vectors | None) -> bool:
    """The file is completed with its chunks."""
    store = _mine(rows, job)
    if store is None:
        return False
    if len(chunks) > MOST_CHUNKS:
        return fail(rows, job, Fault("invalid_file", f"expected at most {MOST_CHUNKS:,} passages"))
    size = 0
    if vectors is not None:
        fault = _dimensions(rows, store, vectors)
        if fault is not None:
            return fail(rows, job, fault)
        size = _keep(rows, store, job.key, vectors)
    first = job.key << ORDINAL_BITS
    rows.executemany(
        "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (first + at, c.text, c.heading, c.start, c.end)
            + (c.pages or (None, None))
            + (c.lines or (None, None))
            for at, c in enumerate(chunks)
        ],
    )
    rows.executemany(
        f"INSERT INTO words_{store} (rowid, text) VALUES (?, ?)",
        [(first + at, indexed(f"{c.heading}\n{c.text}")) for at, c in enumerate(chunks)],
    )
    size += sum(len(c.text.encode()) for c in chunks)
    rows.execute(
        "UPDATE files SET status = 'completed', usage_bytes = ?, token = NULL, source = ''"
        " WHERE seq = ?",
        (size, job.key),
    )
    return True


def fail(rows: Connection, job: Job, fault: Fault) -> bool:
    """The file failed."""
    changed = rows.execute(
        "UPDATE files SET status = 'failed', fault_code = ?, fault_message = ?, token = NULL"
        " WHERE seq = ? AND token = ? AND status = 'in_progress'"
        " AND store IN (SELECT seq FROM stores WHERE NOT ended)",
        (fault.code, fault.message, job.key, job.token),
    )
    return changed.rowcount == 1


def _mine(rows: Connection, job: Job) -> int | None:
    found = rows.execute(
        "SELECT f.store FROM files f JOIN stores s ON s.seq = f.store AND NOT s.ended"
        " WHERE f.seq = ? AND f.token = ? AND f.status = 'in_progress'",
        (job.key, job.token),
    ).fetchone()
    return None if found is None else int(found[0])


def _dimensions(rows: Connection, store: int, vectors: Vectors) -> Fault | None:
    """All vectors of a store have as many numbers as its first."""
    given = int(vectors.rows.shape[1])
    rows.execute(
        "UPDATE stores SET dimensions = ? WHERE seq = ? AND dimensions IS NULL", (given, store)
    )
    (known,) = rows.execute("SELECT dimensions FROM stores WHERE seq = ?", (store,)).fetchone()
    if known == given:
        return None
    return Fault(
        "server_error",
        f"expected vectors of {known} numbers, as this store has, got {given}: the embedding model"
        " has changed; make a new vector store",
    )


def _keep(rows: Connection, store: int, file: int, vectors: Vectors) -> int:
    told = vectors.rows.astype("<f4", copy=False).tobytes()
    places = array("q", vectors.chunks).tobytes()
    rows.execute(
        "INSERT INTO vectors (store, file, chunks, rows) VALUES (?, ?, ?, ?)",
        (store, file, places, told),
    )
    return len(told)
