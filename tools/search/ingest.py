"""Ingest: files that wait are read, embedded and kept, whatever happens to this process.

The queue is in the engine: a file that was acknowledged is read by this process, or by the next one
when this one's claim has run out. Above: `library`. Below: `engine`, `readers`, `embed`.
"""

import asyncio
import hashlib
import logging
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from pathlib import Path
from typing import Any, Final, Protocol

import anyio
from anyio import to_thread

from antiphon.items import Clock

from .embed import Embedder, EmbedderError
from .engine import Engine, Job, Vectors
from .reader.chunks import Chunk
from .reader.document import Unreadable
from .readers import Readers
from .store import Fault, FaultCode
from .windows import windows

log: logging.Logger = logging.getLogger("antiphon.tools")

_ATTEMPTS: Final = 3
"""Processes that may die over one file."""


class SourceFile(Protocol):
    """A file that is open for reading."""

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes."""
        ...


class Source(Protocol):
    """Where files come from; a provider's FileStore is one."""

    def open(
        self, file_id: str, *, principal: str
    ) -> AbstractAsyncContextManager[SourceFile | None]:
        """The file's content; None where it is absent or another's."""
        ...


class Ingest:
    """Reads the files that wait.

    Args:
        engine: Keeps them.
        readers: Read them.
        embedder: Makes vectors; None where stores are searched by words alone.
        source: Has their content.
        clock: Seconds since 1970.
        workers: Files that are read at the same time.
        lease: Seconds for which a file belongs to a process that says nothing more.

    Attributes:
        done: Set, and replaced by a new one, when a file has come to its end here.
    """

    def __init__(
        self,
        engine: Engine,
        readers: Readers,
        embedder: Embedder | None,
        source: Source,
        *,
        clock: Clock,
        workers: int = 2,
        lease: float = 30.0,
    ) -> None:
        self._engine = engine
        self._readers = readers
        self._embedder = embedder
        self._source = source
        self._clock = clock
        self._workers = workers
        self._lease = lease
        self._token = secrets.token_hex(8)
        self._running: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self.done: asyncio.Event = asyncio.Event()

    def wake(self) -> None:
        """There may be something to read. Begins the work, the first time."""
        self._news.set()
        if not self._running:
            # Not in the context of the request that happens to be the first one.
            self._running = [
                asyncio.create_task(self._work(), context=Context()) for _ in range(self._workers)
            ]

    async def aclose(self) -> None:
        """Let go: what was begun is read by the next process that looks."""
        running, self._running = self._running, []
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._readers.aclose()

    async def _work(self) -> None:
        while True:
            self._news.clear()
            try:
                while await self.one():
                    done, self.done = self.done, asyncio.Event()
                    done.set()
            except Exception:
                log.exception("files that wait could not be read; trying again")
            with anyio.move_on_after(self._lease / 2):  # or another process left one behind
                await self._news.wait()

    async def one(self) -> bool:
        """Read the next file that waits; False where none does."""
        now = self._clock()
        token = f"{self._token}:{secrets.token_hex(4)}"
        job = await self._engine.claim(token, now=now, until=now + self._lease)
        if job is None:
            return False
        if job.attempts > _ATTEMPTS:
            await self._fail(job, "server_error", f"{_ATTEMPTS} processes died over this file")
            return True
        async with anyio.create_task_group() as group:
            group.start_soon(self._hold, job, group.cancel_scope)
            await self._ingest(job)
            group.cancel_scope.cancel()
        return True

    async def _hold(self, job: Job, scope: anyio.CancelScope) -> None:
        """Keep the claim while the file is read; stop reading where nobody wants it any more."""
        while True:
            await anyio.sleep(self._lease / 3)
            if not await self._engine.renew(job, until=self._clock() + self._lease):
                scope.cancel()

    async def _ingest(self, job: Job) -> None:
        try:
            chunks = await self._read(job)
            if chunks is None:
                await self._fail(job, "invalid_file", "the file is not there any more")
                return
            vectors = await self._embedded(job, chunks)
            await self._engine.finish(job, chunks, vectors)
        except Unreadable as error:
            code: FaultCode = "invalid_file"
            if error.code == "unsupported_file":
                code = "unsupported_file"
            await self._fail(job, code, error.message)
        except EmbedderError as error:
            await self._fail(job, "server_error", str(error))
        except Exception as error:
            log.exception("file %s could not be read", job.attachment.file_id)
            said = f"something broke ({type(error).__name__}): see the provider's log"
            await self._fail(job, "server_error", said)

    async def _fail(self, job: Job, code: FaultCode, message: str) -> None:
        await self._engine.fail(job, Fault(code, message[:1_000]))

    async def _read(self, job: Job) -> list[Chunk] | None:
        """The file's passages; None where it is gone. Its reader gets a copy, at its own pace."""
        asked = job.attachment
        opened = self._source.open(asked.file_id, principal=job.principal)
        async with opened as content:
            if content is None:
                return None
            descriptor, named = tempfile.mkstemp(prefix="antiphon-read-")
            try:
                with os.fdopen(descriptor, "wb") as copy:
                    async for data in content.chunks:
                        await to_thread.run_sync(copy.write, data)
                return await self._readers.read(
                    Path(named), name=asked.filename, chunking=asked.chunking
                )
            finally:
                os.unlink(named)

    async def _embedded(self, job: Job, chunks: Sequence[Chunk]) -> Vectors | None:
        """Vectors of all passages; those of texts seen before are remembered."""
        if job.model is None or not chunks:
            return None
        if self._embedder is None or self._embedder.model != job.model:
            raise EmbedderError(
                f"this store has vectors of the embedding model {job.model!r}, which is not"
                " configured here: configure it, or make a new vector store"
            )
        import numpy as np

        texts, places = windows(chunks, self._embedder.window)
        keys = [_key(self._embedder, text) for text in texts]
        known = dict(await self._engine.recall(list(dict.fromkeys(keys))))
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            rows = await self._embedder.passages(list(new.values()))
            made = {key: _bytes(row) for key, row in zip(new, rows, strict=True)}
            await self._engine.remember(made)
            known.update(made)
        joined = b"".join(known[key] for key in keys)
        return Vectors(np.frombuffer(joined, "<f4").reshape(len(keys), -1), places)


def _key(embedder: Embedder, text: str) -> bytes:
    told = f"{embedder.model}\0{embedder.passage_prefix}\0{text}"
    return hashlib.sha256(told.encode("utf-8", "replace")).digest()


def _bytes(row: Any) -> bytes:
    return row.astype("<f4", copy=False).tobytes()
