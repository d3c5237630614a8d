"""Ingest: files that wait are read, embedded and kept, whatever happens to this process.

The queue is in the engine: a file that was acknowledged is read by this process, or by the next one
when this one's claim has run out. Above: `library`. Below: `engine`, `readers`, `embed`.
"""

import asyncio
import logging
import os
import secrets
import tempfile
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import Context
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio import to_thread

from antiphon.items import Clock

from .embed import Embedder, EmbedderError
from .embedding import Embedding
from .engine import Engine, Job, Vectors
from .reader.chunks import Chunk
from .reader.document import Unreadable
from .readers import Readers, small
from .store import Attachment, Fault, FaultCode
from .windows import windows

log: logging.Logger = logging.getLogger("antiphon.tools")

_ATTEMPTS: Final = 3
"""Processes that may die over one file."""


_FILES_AHEAD: Final = 256
_PASSAGES_AHEAD: Final = 4_000
"""What may have been read and is not kept yet, so that embedders are asked for much at once."""
_CLAIMS: Final = 64
_QUICK: Final = 0.5
"""Files that may be claimed at once, and the seconds in which they have to be begun: with that many
as long as they are read quickly, and with fewer where they are not, since others may be idle.
"""
_PAUSE: Final = 0.02
"""Seconds between two bits of what is given back, in which others write."""


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
        """The file's content; None where it is absent or another's.

        Of a file that was attached with a place (see `Attachment.source`), that is asked for.
        """
        ...


class Sources:
    """The sources that are here, by their names; several may have one, and files of their own."""

    def __init__(self) -> None:
        self._named: list[tuple[str, Source]] = []

    @property
    def names(self) -> list[str]:
        """Their names."""
        return list(dict(self._named))

    def add(self, source: Source, name: str) -> None:
        """One more; the same twice is one."""
        if (name, source) not in self._named:
            self._named.append((name, source))

    @asynccontextmanager
    async def open(self, file: Attachment, *, principal: str) -> AsyncGenerator[SourceFile | None]:
        """A file's content, of the first source that has it."""
        name, _, place = file.source.partition(":")
        for known, source in self._named:
            if known == name:
                async with source.open(place or file.file_id, principal=principal) as content:
                    if content is not None:
                        yield content
                        return
        yield None


class Ingest:
    """Reads the files that wait.

    Args:
        engine: Keeps them.
        readers: Read them.
        embedder: Makes vectors; None where stores are searched by words alone.
        sources: Have their content; what only others have is left to others.
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
        sources: Sources,
        *,
        clock: Clock,
        workers: int = 2,
        lease: float = 30.0,
    ) -> None:
        self._engine = engine
        self._readers = readers
        self._model = None if embedder is None else embedder.model
        self._window = 0 if embedder is None else embedder.window
        self._embedding = None if embedder is None else Embedding(engine, embedder)
        self._sources = sources
        self._clock = clock
        self._workers = workers
        self._lease = lease
        self._token = secrets.token_hex(8)
        self._running: list[asyncio.Task[None]] = []
        self._claimed: deque[Job] = deque()
        self._claiming = anyio.Lock()
        self._claims = 1
        self._asked = 0.0
        self._jobs: dict[asyncio.Task[None], Job] = {}
        self._passages = 0
        self._news = asyncio.Event()
        self.done: asyncio.Event = asyncio.Event()

    def wake(self) -> None:
        """There may be something to read. Begins the work, the first time."""
        self._news.set()
        if all(task.done() for task in self._running):  # none, or those of another event loop
            # Not in the context of the request that happens to be the first one.
            work = [*(self._work() for _ in range(self._workers)), self._hold(), self._tidy()]
            self._running = [asyncio.create_task(each, context=Context()) for each in work]

    async def aclose(self) -> None:
        """Let go: what was begun is read by the next process that looks."""
        running, self._running = self._running, []
        await _end(running)  # first: nobody begins anything more
        await self._release()
        await _end([*self._jobs])
        if self._embedding is not None:
            await self._embedding.aclose()
        await self._readers.aclose()

    async def _work(self) -> None:
        while True:
            self._news.clear()
            try:
                while await self._one():
                    pass
            except Exception:
                log.exception("files that wait could not be read; trying again")
            with anyio.move_on_after(self._lease / 2):  # or another process left one behind
                await self._news.wait()

    async def _tidy(self) -> None:
        """Give back the room of stores that were removed or have expired, beside all other work."""
        while True:
            more = False
            try:
                more = await self._engine.purge(self._clock())
            except Exception:
                log.exception("what is gone could not be given back; trying again")
            await anyio.sleep(_PAUSE if more else self._lease / 2)

    async def _one(self) -> bool:
        """Read the next file that waits; False where none does. What then has to be done to it is
        done while the next one is read.
        """
        async with self._claiming:
            if not self._claimed:
                await self._claim()
            if not self._claimed:
                return False
            job = self._claimed.popleft()
        read = asyncio.Event()
        task = asyncio.create_task(self._whole(job, read))
        self._jobs[task] = job
        task.add_done_callback(self._jobs.pop)
        await read.wait()
        while len(self._jobs) > _FILES_AHEAD or self._passages > _PASSAGES_AHEAD:
            await self.done.wait()  # not for this one: embedders would run out of others' texts
        return True

    async def _claim(self) -> None:
        """The next files, which are this process's for a while; none where none waits."""
        began, before = time.monotonic(), self._asked
        self._claims = min(_CLAIMS, max(1, self._claims * 2)) if began - before < _QUICK else 1
        self._asked = began
        asked = [asyncio.ensure_future(self._claimed_one()) for _ in range(self._claims)]
        given = asyncio.gather(*asked, return_exceptions=True)
        try:
            await asyncio.shield(given)
        finally:  # the engine may have written it already: it is not lost
            told = await given
            self._claimed.extend(each for each in told if isinstance(each, Job))
            if len(self._claimed) < self._claims:
                self._claims = 0  # that was all
            if any(each.attempts > 1 for each in self._claimed):
                await self._release(but=1)  # if a process dies again, it is not over others, too
                self._claims = 0
        for each in told:
            if isinstance(each, BaseException):
                raise each

    async def _claimed_one(self) -> Job | None:
        now = self._clock()
        return await self._engine.claim(
            f"{self._token}:{secrets.token_hex(4)}",
            now=now,
            until=now + self._lease,
            sources=self._sources.names,
            models=[] if self._model is None else [self._model],
        )

    async def _release(self, but: int = 0) -> None:
        """Give back what was claimed and is not begun, but for so many."""
        while len(self._claimed) > but:
            job = self._claimed.pop()
            with suppress(Exception):  # then it waits out its lease
                await self._engine.release(job)

    async def _whole(self, job: Job, read: asyncio.Event) -> None:
        """All that is done to one file; `read` is set when it is read."""
        try:
            await self._ingest(job, read)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self._engine.release(job)
            raise
        except Exception:
            log.exception("file %s: what became of it could not be kept", job.attachment.file_id)
        finally:
            read.set()
            done, self.done = self.done, asyncio.Event()
            done.set()

    async def _hold(self) -> None:
        """Keep the claims while files are read; stop reading where nobody wants one any more. What
        is not begun after so long is given back.
        """
        while True:
            await anyio.sleep(self._lease / 3)
            try:
                await self._release()
                begun = list(self._jobs.items())
                until = self._clock() + self._lease
                kept = await asyncio.gather(
                    *(self._engine.renew(job, until=until) for _, job in begun)
                )
                for (task, _), mine in zip(begun, kept, strict=True):
                    if not mine:
                        task.cancel()
            except Exception:
                log.exception("claims could not be renewed; trying again")

    async def _ingest(self, job: Job, read: asyncio.Event) -> None:
        if job.attempts > _ATTEMPTS:
            await self._fail(job, "server_error", f"{_ATTEMPTS} processes died over this file")
            return
        try:
            if job.model not in (None, self._model):
                raise EmbedderError(
                    f"this store has vectors of the embedding model {job.model!r}, which is not"
                    " configured here: configure it, or make a new vector store"
                )
            chunks = await self._read(job)
            if chunks is None:
                await self._fail(job, "invalid_file", "the file is not there any more")
                return
            self._passages += len(chunks)
            try:
                read.set()
                vectors = await self._embedded(job, chunks)
                await self._engine.finish(job, chunks, vectors)
            finally:
                self._passages -= len(chunks)
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
        data = b""
        async with self._sources.open(asked, principal=job.principal) as content:
            if content is None:
                return None
            chunks = aiter(content.chunks)
            async for each in chunks:
                data += each
                if not small(asked.filename, len(data)):
                    break
            else:
                return await self._readers.read(data, name=asked.filename, chunking=asked.chunking)
            descriptor, named = tempfile.mkstemp(prefix="antiphon-read-")
            try:
                with os.fdopen(descriptor, "wb") as copy:
                    await to_thread.run_sync(copy.write, data)
                    async for each in chunks:
                        await to_thread.run_sync(copy.write, each)
                return await self._readers.read(
                    Path(named), name=asked.filename, chunking=asked.chunking
                )
            finally:
                os.unlink(named)

    async def _embedded(self, job: Job, chunks: Sequence[Chunk]) -> Vectors | None:
        """Vectors of all passages; those of texts seen before are remembered."""
        if job.model is None or self._embedding is None or not chunks:
            return None
        texts, places = windows(chunks, self._window)
        return Vectors(await self._embedding.vectors(texts), places)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
