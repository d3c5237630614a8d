"""The library: an engine, an embedder, and whoever reads files, as one thing to search in.

Above: `tools.FileSearch` and the provider's endpoints. Below: `engine`, `rank`, `embed`, `ingest`.
"""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import anyio

from antiphon.errors import RequestError
from antiphon.items import Clock, now

from .embed import Embedder, EmbedderError, need_numpy
from .engine import Candidates, Engine, Matrix, Passage, Query
from .filters import Filter
from .ingest import Ingest, Source, Sources
from .rank import Ranking, ranked
from .readers import Readers
from .sqlite import SqliteEngine
from .store import VectorStore

MOST_QUERIES = 16
LONGEST_QUERY = 10_000
_FRESH = 60
"""Seconds for which a store counts as active without being told so again."""

_ELSEWHERE = 2.0
"""Seconds after which to look whether another process has read a file."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage and how well it answers, from 0 to 1."""

    passage: Passage
    score: float


class Library:
    """Vector stores that can be searched, and files that are read into them.

    Args:
        engine: What keeps them, or the path of an SQLite file; by default a temporary file, which
            is gone with this.
        embedder: Makes vectors of the stores that are made from now on; without one they are
            searched by words alone.
        clock: Seconds since 1970.
        readers: Read files.
        workers: Files that are read at the same time.
        lease: Seconds after which another process reads on where one has died.

    Attributes:
        engine: What keeps the stores.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        engine: Engine | str | Path | None = None,
        *,
        embedder: Embedder | None = None,
        clock: Clock = now,
        readers: Readers | None = None,
        workers: int = 2,
        lease: float = 30.0,
    ) -> None:
        if embedder is not None:
            need_numpy()
        self._cleanup: Callable[[], object] | None = None
        if engine is None:
            folder = tempfile.mkdtemp(prefix="antiphon-search-")
            self._cleanup = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            engine = Path(folder) / "search.db"
        self.engine: Engine = (
            SqliteEngine(Path(engine)) if isinstance(engine, str | Path) else engine
        )
        self.clock = clock
        self._embedder = embedder
        self._readers = readers or Readers()
        self._workers = workers
        self._lease = lease
        self._sources = Sources()
        self._ingest: Ingest | None = None

    @property
    def model(self) -> str | None:
        """The embedding model of stores that are made now; None: words alone."""
        return None if self._embedder is None else self._embedder.model

    @property
    def lasting(self) -> bool:
        """Whether what it holds outlives it, so that another process may have left some unread."""
        return self._cleanup is None

    def read_from(self, source: Source, *, name: str = "") -> None:
        """Where the content of files comes from; of several sources each has files of its own.
        Named before anything is attached.

        Args:
            source: Has the content.
            name: Which files it has: those that were attached with this name as their `source`,
                by whichever process. One that it does not know then has failed.
        """
        self._sources.add(source, name)
        self._ingest = self._ingest or Ingest(
            self.engine,
            self._readers,
            self._embedder,
            self._sources,
            clock=self.clock,
            workers=self._workers,
            lease=self._lease,
        )

    def wake(self) -> None:
        """Read what waits, also what another process left behind. Needs a running event loop."""
        if self._ingest is not None:
            self._ingest.wake()

    async def forget(self, file_id: str, *, principal: str) -> None:
        """A file was deleted: take it out of all stores of its principal."""
        await self.engine.forget(file_id, principal=principal)

    async def rest(self) -> None:
        """End what goes on beside calls, until the next `wake`: before another event loop."""
        if self._ingest is not None:
            await self._ingest.aclose()

    async def settled(self, store_id: str, *, principal: str) -> VectorStore:
        """Wait until every file of a store has been read, or could not be; the store then.

        Raises:
            RequestError: The store is absent, another's, or has expired.
        """
        while True:
            done = None if self._ingest is None else self._ingest.done
            (store,) = await self.stores([store_id], principal=principal)
            if not store.counts.in_progress or done is None:
                return store
            with anyio.move_on_after(_ELSEWHERE):
                await done.wait()

    async def stores(self, store_ids: Sequence[str], *, principal: str) -> list[VectorStore]:
        """The stores of these ids, to be searched.

        Raises:
            RequestError: 404; one is absent or another's. 400; one has expired.
        """
        found: list[VectorStore] = []
        for store_id in dict.fromkeys(store_ids):
            store = await self.engine.store(store_id, principal=principal)
            if store is None:
                raise no_store(store_id)
            if store.expired(self.clock()):
                raise RequestError(
                    f"the vector store {store_id!r} has expired: make a new one",
                    code="vector_store_expired",
                )
            found.append(store)
        return found

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        principal: str,
        filters: Filter | None = None,
        ranking: Ranking | None = None,
        limit: int = 10,
    ) -> list[Found]:
        """The best passages for any of the queries in any of the stores, best first.

        Args:
            store_ids: Where.
            queries: What is looked for, each on its own.
            principal: Who asks.
            filters: Which files may be found.
            ranking: In which order, and how good at least.
            limit: How many at most.

        Raises:
            RequestError: A store is absent, or expired; a query is none.
            EmbedderError: A store has vectors, and the query cannot be made one.
        """
        check_queries(queries)
        self.wake()
        stores = await self.stores(store_ids, principal=principal)
        ranking = ranking or Ranking()
        best: dict[int, float] = {}
        for query in dict.fromkeys(queries):
            vector: Matrix | None = None
            for store in stores:
                if store.model is not None and vector is None:
                    vector = await self._vector(store, query)
                near = self._pinned(store) and vector is not None
                asked = Query(query, vector if near else None, filters, max(100, 2 * limit))
                given: Candidates = await self.engine.candidates(store.id, asked)
                for key, score in ranked(given, ranking):
                    best[key] = max(score, best.get(key, 0.0))
        order = sorted(best.items(), key=lambda each: (-each[1], each[0]))[:limit]
        passages = await self.engine.passages([key for key, _ in order])
        at = int(self.clock())
        stale = [store.id for store in stores if store.last_active_at <= at - _FRESH]
        if stale:
            await self.engine.touch(stale, at)
        return [Found(passages[key], score) for key, score in order if key in passages]

    def _pinned(self, store: VectorStore) -> bool:
        """Whether the store has vectors of the model that is here."""
        if store.model is None:
            return False
        if store.model != self.model:
            raise EmbedderError(
                f"the vector store {store.id} has vectors of the embedding model {store.model!r},"
                f" and here is {self.model!r}: configure that model, or make a new store"
            )
        return True

    async def _vector(self, store: VectorStore, query: str) -> Matrix | None:
        if not self._pinned(store) or self._embedder is None:
            return None
        return await self._embedder.query(query)

    async def aclose(self) -> None:
        """Give back everything held; what waits is read by the next process."""
        async with AsyncExitStack() as open_still:
            if self._cleanup is not None:
                open_still.callback(self._cleanup)
            open_still.push_async_callback(self.engine.aclose)
            if self._embedder is not None:
                open_still.push_async_callback(self._embedder.aclose)
            if self._ingest is not None:
                open_still.push_async_callback(self._ingest.aclose)


def check_queries(queries: Sequence[str], param: str = "query") -> None:
    """Queries can be asked.

    Raises:
        RequestError: 400; there are none, too many, or one is empty or too long.
    """
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise RequestError(
            f"{param}: expected 1 to {MOST_QUERIES} queries, got {len(queries)}",
            param=param,
            code="invalid_value",
        )
    for query in queries:
        if not query.strip() or len(query) > LONGEST_QUERY:
            raise RequestError(
                f"{param}: expected 1 to {LONGEST_QUERY:,} characters, got {len(query):,}",
                param=param,
                code="invalid_value",
            )


def no_store(store_id: str, param: str | None = None) -> RequestError:
    """What a request is told that names a store which is not there, or not its principal's."""
    return RequestError(
        f"there is no vector store {store_id[:100]!r}",
        param=param,
        code="vector_store_not_found",
        status=404,
        type="not_found_error",
    )
