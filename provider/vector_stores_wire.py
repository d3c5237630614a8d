"""Vector stores as the wire has them: the bodies of requests, and what answers show.

Above: `vector_stores`, `vector_stores_files`. Source: OpenAI's API reference, "Vector stores".
"""

from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field
from starlette.datastructures import QueryParams

from antiphon.errors import RequestError
from antiphon.items import Json, Maybe, Metadata, Wire
from antiphon.tools import search as kept

from .store import invalid, limit_of, order_of

MAX_FILES: Final = 2_000
"""Files that one request may attach."""

_LARGEST: Final = 2**53


class ExpiresAfter(Wire):
    """When a store expires."""

    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class StaticSizes(Wire):
    """The tokens of a chunk, and those that it shares with the one before."""

    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0)]


class StaticChunking(Wire):
    """Chunks of sizes that the client chooses."""

    type: Literal["static"]
    static: StaticSizes


class AutoChunking(Wire):
    """Chunks as the provider likes them."""

    type: Literal["auto"]


ChunkingStrategy: TypeAlias = Annotated[StaticChunking | AutoChunking, Field(discriminator="type")]


def _attributes(given: dict[str, str | bool | int | float]) -> dict[str, str | bool | int | float]:
    if len(given) > 16:
        raise ValueError(f"expected at most 16 attributes, got {len(given)}")
    for key, value in given.items():
        if not 0 < len(key) <= 64:
            raise ValueError(f"expected names of 1 to 64 characters, got {len(key)}")
        if isinstance(value, str):
            if len(value) > 512:
                raise ValueError(f"{key}: expected at most 512 characters, got {len(value)}")
        elif not -_LARGEST <= value <= _LARGEST:  # no NaN is, and a huge integer is no float
            raise ValueError(f"{key}: expected a number of at most 2**53")
    return given


AttributesOf: TypeAlias = Annotated[
    dict[str, str | bool | int | float], AfterValidator(_attributes)
]
FileIds: TypeAlias = Annotated[list[str], Field(min_length=1, max_length=MAX_FILES)]


class NewStore(Wire):
    """The body that makes a store."""

    name: Maybe[Annotated[str, Field(max_length=256)]] = None
    description: Maybe[Annotated[str, Field(max_length=4096)]] = None
    metadata: Maybe[Metadata] = None
    expires_after: Maybe[ExpiresAfter] = None
    file_ids: Maybe[Annotated[list[str], Field(max_length=MAX_FILES)]] = None
    chunking_strategy: Maybe[ChunkingStrategy] = None


class ChangedStore(Wire):
    """The body that changes one; what is null or not there stays, but for an expiry of null."""

    name: Maybe[Annotated[str, Field(max_length=256)]] = None
    metadata: Maybe[Metadata] = None
    expires_after: Maybe[ExpiresAfter] = None

    @property
    def change(self) -> kept.StoreChange:
        """What is to be changed."""
        days = 0 if "expires_after" in self.model_fields_set else None
        if self.expires_after is not None:
            days = self.expires_after.days
        return kept.StoreChange(self.name, self.metadata, days)


class NewFile(Wire):
    """The body that attaches a file; also one of several."""

    file_id: str
    attributes: Maybe[AttributesOf] = None
    chunking_strategy: Maybe[ChunkingStrategy] = None


class ChangedFile(Wire):
    """The body that gives a file other attributes."""

    attributes: AttributesOf | None


class NewBatch(Wire):
    """The body that attaches several: ids with what holds for all, or files with their own."""

    file_ids: Maybe[FileIds] = None
    files: Maybe[Annotated[list[NewFile], Field(min_length=1, max_length=MAX_FILES)]] = None
    attributes: Maybe[AttributesOf] = None
    chunking_strategy: Maybe[ChunkingStrategy] = None

    @property
    def wanted(self) -> list[NewFile]:
        """Each file with its own, once.

        Raises:
            RequestError: 400; there are both lists, or neither.
        """
        if (self.file_ids is None) == (self.files is None):
            raise RequestError(
                "expected either file_ids or files: send one of them",
                param="file_ids",
                code="invalid_value",
            )
        listed = self.files or [
            NewFile(
                file_id=each,
                attributes=self.attributes,
                chunking_strategy=self.chunking_strategy,
            )
            for each in self.file_ids or ()
        ]
        return list({each.file_id: each for each in listed}.values())


class Search(Wire):
    """The body of a search."""

    query: str | list[str]
    filters: Maybe[Json] = None
    max_num_results: Maybe[Annotated[int, Field(ge=1, le=50)]] = None
    ranking_options: Maybe[Json] = None
    rewrite_query: Maybe[bool] = None


def chunking_of(strategy: ChunkingStrategy | None) -> kept.Chunking:
    """How a file is to be cut.

    Raises:
        RequestError: 400; chunks would overlap by more than half.
    """
    if not isinstance(strategy, StaticChunking):
        return kept.Chunking()
    most, overlap = strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens
    if overlap * 2 > most:
        raise RequestError(
            f"chunking_strategy.static.chunk_overlap_tokens: expected at most half of {most}, got "
            f"{overlap}",
            param="chunking_strategy.static.chunk_overlap_tokens",
            code="invalid_value",
        )
    return kept.Chunking(most, overlap)


def paging_of(query: QueryParams) -> kept.Paging:
    """Which rows of a list are asked for.

    Raises:
        RequestError: 400; `limit` or `order` is not what it can be.
    """
    after, before = query.get("after"), query.get("before")
    return kept.Paging(after, before, limit_of(query), order_of(query))


def status_of(query: QueryParams) -> kept.FileStatus | None:
    """The status that files are filtered by.

    Raises:
        RequestError: 400; there is no such status.
    """
    wanted = query.get("filter")
    for status in get_args(kept.FileStatus):
        if status == wanted:
            return status
    if wanted is not None:
        raise invalid("filter", f"one of {', '.join(get_args(kept.FileStatus))}", wanted)
    return None


# --- what answers show -----------------------------------------------------------------------


def shown_store(store: kept.VectorStore, now: float) -> Json:
    """The vector store object."""
    status = "in_progress" if store.counts.in_progress else "completed"
    days = store.expires_days
    return {
        "id": store.id,
        "object": "vector_store",
        "created_at": store.created_at,
        "name": store.name,
        "description": store.description,
        "usage_bytes": store.usage_bytes,
        "file_counts": shown_counts(store.counts),
        "status": "expired" if store.expired(now) else status,
        "expires_after": None if days is None else {"anchor": "last_active_at", "days": days},
        "expires_at": store.expires_at,
        "last_active_at": store.last_active_at,
        "metadata": dict(store.metadata),
        "antiphon:embedding_model": store.model,  # null: it is searched by words alone
    }


def shown_counts(counts: kept.Counts) -> Json:
    """Numbers of files by their status."""
    return {
        "in_progress": counts.in_progress,
        "completed": counts.completed,
        "cancelled": counts.cancelled,
        "failed": counts.failed,
        "total": counts.total,
    }


def shown_file(file: kept.StoreFile) -> Json:
    """The vector store file object."""
    fault, chunking = file.fault, file.attachment.chunking
    return {
        "id": file.id,
        "object": "vector_store.file",
        "created_at": file.created_at,
        "vector_store_id": file.store_id,
        "status": file.status,
        "last_error": None if fault is None else {"code": fault.code, "message": fault.message},
        "usage_bytes": file.usage_bytes,
        "attributes": dict(file.attachment.attributes),
        "chunking_strategy": {
            "type": "static",
            "static": {
                "max_chunk_size_tokens": chunking.most,
                "chunk_overlap_tokens": chunking.overlap,
            },
        },
    }


def shown_batch(batch: kept.Batch) -> Json:
    """The file batch object. One whose every file failed has failed."""
    counts = batch.counts
    status = "in_progress" if counts.in_progress else "completed"
    if batch.cancelled:
        status = "cancelled"
    elif counts.total and counts.failed == counts.total:
        status = "failed"
    return {
        "id": batch.id,
        "object": "vector_store.files_batch",
        "created_at": batch.created_at,
        "vector_store_id": batch.store_id,
        "status": status,
        "file_counts": shown_counts(counts),
    }


def shown_result(found: kept.Found) -> Json:
    """A search result: one passage, and where it stands."""
    passage = found.passage
    return {
        "file_id": passage.file_id,
        "filename": passage.filename,
        "score": found.score,
        "attributes": dict(passage.attributes),
        "content": [shown_passage(passage.chunk)],
    }


def shown_passage(chunk: kept.Chunk) -> Json:
    """A passage's text, with its pages, lines and heading where these are known."""
    places = {"pages": chunk.pages, "lines": chunk.lines, "heading": chunk.heading or None}
    told = {f"antiphon:{name}": place for name, place in places.items() if place is not None}
    return {"type": "text", "text": chunk.text, **told}


def shown_content(passages: list[kept.Passage]) -> list[Json]:
    """The text of a file, what passages share told once."""
    shown: list[Json] = []
    told = 0
    for chunk in (each.chunk for each in passages):
        text = chunk.text[max(0, told - chunk.start) :]
        told = max(told, chunk.end)
        if text:
            shown.append({"type": "text", "text": text})
    return shown


def answered(kind: str, shown: list[Json]) -> Json:
    """The one page of a search, or of a content."""
    return {"object": kind, "data": shown, "has_more": False, "next_page": None}
