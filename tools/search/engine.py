"""What keeps vector stores: rows, the queue of files to be read, passages, and both searches.

A seam: `SqliteEngine` (`sqlite`) is one, `antiphon.testing.search` the suite that any other has to
pass. Whatever belongs to one file changes at once or not at all. Another's store, an absent one
and a deleted one look the same. Above: `library`, which ranks, reads files and asks embedders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .filters import Filter
from .reader.chunks import Chunk
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

Matrix: TypeAlias = Any
"""A numpy array of float32, a row a vector. Not named as such: numpy is an extra's."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of a file's chunks.

    Attributes:
        rows: A vector of length 1 in each row; several rows may be of one chunk.
        chunks: Of each row, the chunk's place among the file's chunks.
    """

    rows: Matrix
    chunks: Sequence[int]


@dataclass(frozen=True, slots=True)
class Job:
    """A file that is to be read now.

    Attributes:
        key: The engine's own name for it.
        token: Whose claim it is; one that was lost finishes nothing.
        principal: Whose file.
        model: The store's embedding model.
        attachment: What to read, and how.
        attempts: How often it was claimed, this time included.
    """

    key: int
    token: str
    principal: str
    store_id: str
    model: str | None
    attachment: Attachment
    attempts: int


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    Attributes:
        text: In words.
        vector: As a numpy vector of length 1, where the store has vectors.
        filters: Which files it may be in.
        limit: Candidates of each search.
    """

    text: str
    vector: Matrix | None = None
    filters: Filter | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that may be what is looked for.

    Attributes:
        key: The engine's own name for it.
        words: BM25, above 0; None where it is not among the best by words.
        cosine: The best of its vectors; None without vectors.
        by_vector: Whether it is among the best by vectors.
    """

    key: int
    words: float | None = None
    cosine: float | None = None
    by_vector: bool = False


@dataclass(frozen=True, slots=True)
class Candidates:
    """What both searches found, filtered.

    Attributes:
        found: Each chunk once, in no order.
        weight: The BM25 of a passage of average length that has every term of the query once;
            0 where the query has no terms.
    """

    found: list[Candidate] = field(default_factory=list[Candidate])
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk with the file that it is of."""

    key: int
    store_id: str
    file_id: str
    filename: str
    attributes: Attributes
    chunk: Chunk


class Engine(Protocol):
    """Keeps vector stores. All methods are safe to call concurrently, also by processes."""

    # --- stores ---

    async def create(self, store: VectorStore) -> None:
        """Keep a new store; durable when this returns."""
        ...

    async def store(self, store_id: str, *, principal: str) -> VectorStore | None:
        """The store with its counts; None where it is absent or another's."""
        ...

    async def stores(self, paging: Paging, *, principal: str) -> Page[VectorStore] | None:
        """Stores by creation; None where the cursor is not one of them."""
        ...

    async def change(
        self, store_id: str, change: StoreChange, *, principal: str
    ) -> VectorStore | None:
        """Change it."""
        ...

    async def touch(self, store_ids: Sequence[str], at: int) -> None:
        """They were active at this time."""
        ...

    async def remove(self, store_id: str, *, principal: str) -> bool:
        """Remove it with all that is in it."""
        ...

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
        """Put files into the queue, all or none; durable when this returns.

        A file that is in the store already is read anew. With `batch_id` a batch is made.
        """
        ...

    async def file(self, store_id: str, file_id: str, *, principal: str) -> StoreFile | None:
        """One file of a store."""
        ...

    async def files(
        self,
        store_id: str,
        paging: Paging,
        *,
        principal: str,
        status: FileStatus | None = None,
        batch_id: str | None = None,
    ) -> Page[StoreFile] | None:
        """Files of a store in the order in which they came."""
        ...

    async def describe(
        self, store_id: str, file_id: str, attributes: Attributes, *, principal: str
    ) -> StoreFile | None:
        """Give it these attributes instead of those it has."""
        ...

    async def content(self, store_id: str, file_id: str, *, principal: str) -> list[Passage] | None:
        """All its chunks in order; none while it is not completed."""
        ...

    async def detach(self, store_id: str, file_id: str, *, principal: str) -> bool:
        """Take a file out of a store, and out of the queue."""
        ...

    async def forget(self, file_id: str, *, principal: str) -> int:
        """Take a file out of every store of this principal; out of how many it was."""
        ...

    async def batch(self, store_id: str, batch_id: str, *, principal: str) -> Batch | None:
        """A batch with its counts."""
        ...

    async def cancel(self, store_id: str, batch_id: str, *, principal: str) -> Batch | None:
        """Cancel what of a batch is still in the queue."""
        ...

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
        """The oldest file that waits and that nobody has a claim on at this time.

        Args:
            token: Whose claim it is to be.
            now: Seconds since 1970.
            until: When the claim runs out.
            sources: Names of the sources that are here; files of others are left. None: any.
            models: The embedding models that are here. A file of another's store is left as long
                as a claim takes, and as long as a file of that model is being read; then nobody
                has the model. None: any.
        """
        ...

    async def renew(self, job: Job, *, until: float) -> bool:
        """Hold on to a claim; False where it was lost, or the file is no longer wanted."""
        ...

    async def release(self, job: Job) -> None:
        """Give a claim back, as if there had been none: whoever held it ends in good order."""
        ...

    async def finish(self, job: Job, chunks: Sequence[Chunk], vectors: Vectors | None) -> bool:
        """The file is completed, with all of this; False where the claim was lost."""
        ...

    async def fail(self, job: Job, fault: Fault) -> bool:
        """The file failed; False where the claim was lost."""
        ...

    # --- searching ---

    async def candidates(self, store_id: str, query: Query) -> Candidates:
        """The best by words and by vectors, of files that pass the filter, exactly."""
        ...

    async def passages(self, keys: Sequence[int]) -> dict[int, Passage]:
        """Those of them that are still there."""
        ...

    # --- what embedders gave ---

    async def recall(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Those of these vectors that are remembered."""
        ...

    async def remember(self, vectors: Mapping[bytes, bytes]) -> None:
        """Remember these; the oldest may be forgotten."""
        ...

    # --- what is gone ---

    async def purge(self, now: float) -> bool:
        """Give back some of the room of stores that were removed, or have expired at this time.

        A store that has expired is empty from then on, and stays expired. A call takes
        milliseconds and keeps nobody from writing for longer; whether there may be more to do.
        """
        ...

    async def aclose(self) -> None:
        """Give back everything held. Closing twice is no error."""
        ...
