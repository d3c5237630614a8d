"""`SqliteEngine`: vector stores in one SQLite file, with full text by FTS5 and vectors by numpy.

Above: `library`. Below: `sqlite_*` (tables), `vectors` (memory). Every method runs in a thread;
readers do not wait for the writer (WAL), and several processes may share the file.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Concatenate, Final, ParamSpec, TypeVar

from anyio import to_thread

from . import sqlite_files, sqlite_purge, sqlite_queue, sqlite_stores
from .engine import Candidate, Candidates, Job, Passage, Query, Vectors
from .reader.chunks import Chunk
from .sqlite_base import Base
from .sqlite_find import WordSearch, files
from .sqlite_writer import Writer
from .store import (
    Attachment,
    Attributes,
    Batch,
    Fault,
    FileStatus,
    Page,
    Paging,
    StoreChange,
    StoreFile,
    VectorStore,
)
from .vectors import Memory, StoreVectors

P = ParamSpec("P")
R = TypeVar("R")

_BIT: Final = 500
"""Passages of what is gone that are removed at once, and pages of the file that are given back."""
_REMEMBERED: Final = 1_000_000
"""Vectors of texts that are remembered, so that the same text costs no second call."""


class SqliteEngine:
    """Vector stores in a file.

    Args:
        path: The database; made where there is none.
        memory: Bytes of vectors that may be in memory; the last store searched is always there.
        large: Passages of a store from which on numpy scores its words, where it is installed;
            below, FTS5 is as fast.

    Raises:
        ConfigurationError: It cannot be opened, or was written by a later version.
    """

    def __init__(self, path: Path, *, memory: int = 2 * 1024**3, large: int = 5_000) -> None:
        self._base = Base(path)
        self._writer = Writer(self._base)
        self._memory = Memory(memory)
        self._words = WordSearch(large)
        self._more = False  # the last claim found something: there may be more to be had
        self._closed = False

    async def _read(
        self, how: Callable[Concatenate[Connection, P], R], *args: P.args, **named: P.kwargs
    ) -> R:
        def run() -> R:
            with self._base.read() as rows:
                return how(rows, *args, **named)

        return await to_thread.run_sync(run)

    async def _write(
        self,
        durable: bool,
        how: Callable[Concatenate[Connection, P], R],
        *args: P.args,
        **named: P.kwargs,
    ) -> R:
        return await self._writer.write(lambda rows: how(rows, *args, **named), durable=durable)

    # --- stores ---

    async def create(self, store: VectorStore) -> None:
        """Keep a new store."""
        await self._write(True, sqlite_stores.create, store)

    async def store(self, store_id: str, *, principal: str) -> VectorStore | None:
        """The store with its counts."""
        return await self._read(sqlite_stores.load, store_id, principal)

    async def stores(self, paging: Paging, *, principal: str) -> Page[VectorStore] | None:
        """Stores by creation."""
        return await self._read(sqlite_stores.page, paging, principal)

    async def change(
        self, store_id: str, change: StoreChange, *, principal: str
    ) -> VectorStore | None:
        """Change it."""
        await self._write(True, sqlite_stores.change, store_id, change, principal)
        return await self.store(store_id, principal=principal)

    async def touch(self, store_ids: Sequence[str], at: int) -> None:
        """They were active."""
        await self._write(False, sqlite_stores.touch, list(store_ids), at)

    async def remove(self, store_id: str, *, principal: str) -> bool:
        """Remove it."""

        def remove(rows: Connection) -> int | None:
            seq = sqlite_stores.seq_of(rows, store_id, principal)
            if seq is not None:
                sqlite_stores.remove(rows, seq)
            return seq

        seq = await self._write(True, remove)
        if seq is None:
            return False
        self._forget(seq)
        return True

    # --- files ---

    async def attach(
        self,
        store_id: str,
        files: Sequence[Attachment],
        *,
        principal: str,
        at: int,
        batch_id: str | None = None,
    ) -> list[StoreFile] | None:
        """Put files into the queue."""

        def attach(rows: Connection) -> list[StoreFile] | None:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            if seq is None:
                return None
            sqlite_files.attach(rows, seq, files, at=at, batch_id=batch_id)
            made = (sqlite_files.load(rows, seq, store_id, each.file_id) for each in files)
            return [each for each in made if each is not None]

        return await self._write(True, attach)

    async def file(self, store_id: str, file_id: str, *, principal: str) -> StoreFile | None:
        """One file."""

        def load(rows: Connection) -> StoreFile | None:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            return None if seq is None else sqlite_files.load(rows, seq, store_id, file_id)

        return await self._read(load)

    async def files(
        self,
        store_id: str,
        paging: Paging,
        *,
        principal: str,
        status: FileStatus | None = None,
        batch_id: str | None = None,
    ) -> Page[StoreFile] | None:
        """Files in the order in which they came."""

        def page(rows: Connection) -> Page[StoreFile] | None:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            if seq is None:
                known = sqlite_stores.load(rows, store_id, principal)
                return None if known is None else Page([], False)
            return sqlite_files.page(rows, seq, store_id, paging, status=status, batch_id=batch_id)

        return await self._read(page)

    async def describe(
        self, store_id: str, file_id: str, attributes: Attributes, *, principal: str
    ) -> StoreFile | None:
        """Other attributes."""

        def describe(rows: Connection) -> StoreFile | None:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            file = None if seq is None else sqlite_files.seq_of(rows, seq, file_id)
            if seq is None or file is None:
                return None
            sqlite_files.describe(rows, seq, file, attributes)
            return sqlite_files.load(rows, seq, store_id, file_id)

        return await self._write(True, describe)

    async def content(self, store_id: str, file_id: str, *, principal: str) -> list[Passage] | None:
        """All its chunks."""

        def content(rows: Connection) -> list[Passage] | None:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            file = None if seq is None else sqlite_files.seq_of(rows, seq, file_id)
            return None if file is None else sqlite_files.content(rows, file)

        return await self._read(content)

    async def detach(self, store_id: str, file_id: str, *, principal: str) -> bool:
        """Take a file out."""

        def detach(rows: Connection) -> bool:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            file = None if seq is None else sqlite_files.seq_of(rows, seq, file_id)
            if seq is None or file is None:
                return False
            sqlite_files.remove(rows, seq, file)
            return True

        return await self._write(True, detach)

    async def forget(self, file_id: str, *, principal: str) -> int:
        """Take a file out of every store."""

        def forget(rows: Connection) -> int:
            found = sqlite_files.everywhere(rows, file_id, principal)
            for store, file in found:
                sqlite_files.remove(rows, store, file)
            return len(found)

        return await self._write(True, forget)

    async def batch(self, store_id: str, batch_id: str, *, principal: str) -> Batch | None:
        """A batch."""

        def batch(rows: Connection) -> Batch | None:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            return None if seq is None else sqlite_files.batch(rows, seq, store_id, batch_id)

        return await self._read(batch)

    async def cancel(self, store_id: str, batch_id: str, *, principal: str) -> Batch | None:
        """Cancel what is still in the queue."""

        def cancel(rows: Connection) -> Batch | None:
            seq = sqlite_stores.open_of(rows, store_id, principal)
            if seq is None:
                return None
            sqlite_files.cancel(rows, seq, batch_id)
            return sqlite_files.batch(rows, seq, store_id, batch_id)

        return await self._write(True, cancel)

    # --- the queue ---

    async def claim(
        self,
        token: str,
        *,
        now: float,
        until: float,
        sources: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
    ) -> Job | None:
        """The oldest that waits."""
        wanted = sqlite_queue.wanted(now, until, sources, models)
        if not self._more and not await self._read(sqlite_queue.waiting, wanted):
            return None  # nobody waits for the write lock in vain
        job = await self._write(False, sqlite_queue.claim, token, wanted, until=until)
        self._more = job is not None
        return job

    async def renew(self, job: Job, *, until: float) -> bool:
        """Hold on to a claim."""
        return await self._write(False, sqlite_queue.renew, job, until=until)

    async def release(self, job: Job) -> None:
        """Give a claim back."""
        await self._write(False, sqlite_queue.release, job)

    async def finish(self, job: Job, chunks: Sequence[Chunk], vectors: Vectors | None) -> bool:
        """The file is completed."""
        return await self._write(False, sqlite_queue.finish, job, chunks, vectors)

    async def fail(self, job: Job, fault: Fault) -> bool:
        """The file failed."""
        return await self._write(False, sqlite_queue.fail, job, fault)

    # --- searching ---

    async def candidates(self, store_id: str, query: Query) -> Candidates:
        """The best by words and by vectors."""
        return await self._read(self._candidates, store_id, query)

    def _candidates(self, rows: Connection, store_id: str, query: Query) -> Candidates:
        found = rows.execute(
            "SELECT seq, removals FROM stores WHERE id = ? AND NOT ended", (store_id,)
        ).fetchone()
        if found is None:
            return Candidates()
        seq, removals = found
        passing: list[int] | None = None
        if query.filters is not None:
            statement, arguments = files(seq, query.filters)
            passing = [file for (file,) in rows.execute(statement, arguments)]
        words, weight = self._words.best(rows, seq, query, passing)
        by_key = {key: Candidate(key, words=score) for key, score in words}
        if query.vector is None:
            return Candidates(list(by_key.values()), weight)
        held = self._held(rows, seq, removals)
        near = held.nearest(query.vector, query.limit, passing)
        scores = dict(words)
        cosines = held.cosines(query.vector, by_key)
        for key, score in scores.items():
            by_key[key] = Candidate(key, words=score, cosine=cosines.get(key))
        for key, cosine in near:
            by_key[key] = Candidate(key, words=scores.get(key), cosine=cosine, by_vector=True)
        return Candidates(list(by_key.values()), weight)

    def _held(self, rows: Connection, seq: int, removals: int) -> StoreVectors:
        """The store's vectors, with all that came since the last search."""
        held = self._memory.of(seq, removals)
        with held.turn:
            if held.removals < removals:  # this state is later than all that was added
                held.removals = removals
                if not held.keep(sqlite_files.completed(rows, seq)):
                    self._memory.forget(seq)
                    return self._held(rows, seq, removals)
            told = rows.execute(
                "SELECT seq, file, chunks, rows FROM vectors WHERE store = ? AND seq > ?"
                " ORDER BY seq",
                (seq, held.seen),
            )
            for number, file, chunks, given in told:
                held.add(file, chunks, given)
                held.seen = number
        self._memory.trim()
        return held

    async def passages(self, keys: Sequence[int]) -> dict[int, Passage]:
        """Those that are still there."""
        return await self._read(sqlite_files.passages, keys)

    # --- what embedders gave ---

    async def recall(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Vectors that are remembered."""

        def recall(rows: Connection) -> dict[bytes, bytes]:
            found: dict[bytes, bytes] = {}
            for at in range(0, len(keys), 500):
                some = keys[at : at + 500]
                marks = ", ".join("?" * len(some))
                found.update(
                    rows.execute(
                        f"SELECT key, vector FROM remembered WHERE key IN ({marks})", tuple(some)
                    ).fetchall()
                )
            return found

        return await self._read(recall)

    async def remember(self, vectors: Mapping[bytes, bytes]) -> None:
        """Remember these."""

        def remember(rows: Connection) -> None:
            rows.executemany(
                "INSERT OR IGNORE INTO remembered (key, vector) VALUES (?, ?)",
                list(vectors.items()),
            )
            rows.execute(
                "DELETE FROM remembered WHERE seq <= (SELECT max(seq) FROM remembered) - ?",
                (_REMEMBERED,),
            )

        await self._write(False, remember)

    # --- what is gone ---

    async def purge(self, now: float) -> bool:
        """Give back a bit of what is gone."""
        more = False
        if await self._read(sqlite_purge.waits, now):
            for seq in await self._write(False, sqlite_purge.end, now):
                self._forget(seq)
            more = await self._write(False, sqlite_purge.step, _BIT)
        # At once: the more pages are free, the longer it takes to give back one of them.
        return await to_thread.run_sync(self._base.shrink, _BIT) or more

    def _forget(self, seq: int) -> None:
        self._memory.forget(seq)
        self._words.forget(seq)

    async def aclose(self) -> None:
        """Close the database."""
        if not self._closed:
            self._closed = True
            await to_thread.run_sync(self._writer.close)
            await to_thread.run_sync(self._base.close)
