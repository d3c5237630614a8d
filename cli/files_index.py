"""The vector stores of an index file on this machine, without a server.

Above: `files`. Below: `tools.search`. Files are read from where they are; nothing is copied.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import anyio

from antiphon.errors import ConfigurationError
from antiphon.items import Ids
from antiphon.tools import search as kept

from .embedding import check_index, open_embedder
from .files_shelf import Attributes, Hit, Kept, Status, Store, place_of
from .files_tree import Found
from .options import Where

_CHUNK: Final = 1024 * 1024
_PAGE: Final = 100
_SOURCE: Final = "path"


class _Open:
    """A file on this machine, open."""

    def __init__(self, path: anyio.Path) -> None:
        self._path = path

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes."""
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        async with await self._path.open("rb") as file:
            while data := await file.read(_CHUNK):
                yield data


class _Paths:
    """Files on this machine (see `search.Source`): their places are in the index, so that any
    of these commands can read what another one left.
    """

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[_Open | None]:
        """The file at a path; None where it is gone."""
        path = anyio.Path(os.fsdecode(unquote_to_bytes(file_id)))
        yield _Open(path) if await path.is_file() else None


class IndexShelf:
    """The stores of an index file.

    Args:
        path: The file.
        where: Whose stores, and what makes their vectors.
        make: Whether it is made where it is missing.

    Raises:
        ConfigurationError: It is missing, or no index; a model's server is missing.
    """

    def __init__(self, path: str, where: Where, *, make: bool = False) -> None:
        check_index(path)
        if not make and not Path(path).exists():
            raise ConfigurationError(
                f"--index: there is no index {path}: antiphon files add FOLDER --index {path} "
                "makes it"
            )
        self._path = path
        self._principal = where.principal
        self._library = kept.Library(path, embedder=open_embedder(where.embedding))
        self._engine = self._library.engine
        self._library.read_from(_Paths(), name=_SOURCE)
        self._found: dict[str, Found] = {}
        self._sources: dict[str, str] = {}  # of files that are in the store
        self._new_id = Ids()

    @property
    def where(self) -> str:
        """Its path."""
        return self._path

    async def stores(self) -> list[Store]:
        """All stores, the newest first."""
        found: list[Store] = []
        after: str | None = None
        while True:
            paging = kept.Paging(after, None, _PAGE)
            page = await self._engine.stores(paging, principal=self._principal)
            if page is None or not page.rows:
                return found
            found += [_store(each) for each in page.rows]
            after = page.rows[-1].id

    async def store(self, store_id: str) -> Store:
        """A store as it is now."""
        (found,) = await self._library.stores([store_id], principal=self._principal)
        return _store(found)

    async def check(self, store: Store) -> None:
        """Its vectors can be made here."""
        if store.model not in (None, self._library.model):
            raise ConfigurationError(
                f"the store {store.name or store.id} has vectors of the embedding model "
                f"{store.model!r}: add to it with --embedding-model {store.model} "
                "--embedding-url URL, or to another one with --store NAME"
            )

    async def make(self, name: str) -> Store:
        """A new store."""
        at = int(self._library.clock())
        made = kept.VectorStore(
            id=self._new_id("vs"),
            principal=self._principal,
            name=name,
            created_at=at,
            last_active_at=at,
            model=self._library.model,
        )
        await self._engine.create(made)
        return _store(made)

    async def kept(self, store_id: str, status: Status | None = None) -> AsyncIterator[Kept]:
        """The files of a store."""
        after: str | None = None
        while True:
            paging = kept.Paging(after, None, _PAGE)
            page = await self._engine.files(
                store_id, paging, principal=self._principal, status=status
            )
            if page is None or not page.rows:
                return
            for each in page.rows:
                fault = each.fault
                error = None if fault is None else (fault.code, fault.message)
                self._sources[each.id] = each.attachment.source
                yield Kept(each.id, each.status, each.attachment.attributes, error)
            after = page.rows[-1].id

    async def put(self, found: Found, data: bytes) -> str:
        """A file stays where it is; it gets an id."""
        file_id = self._new_id("file")
        self._found[file_id] = found
        return file_id

    async def attach(self, store_id: str, files: Sequence[tuple[str, Attributes]]) -> None:
        """Have files read."""
        wanted: list[kept.Attachment] = []
        for each, attributes in files:
            found = self._found[each]
            name = found.name.rpartition("/")[2]
            wanted.append(kept.Attachment(each, name, attributes, source=_source(found)))
        at = int(self._library.clock())
        await self._engine.attach(store_id, wanted, principal=self._principal, at=at)
        self._library.wake()

    async def expect(self, file_id: str, found: Found) -> bool:
        """A file that an earlier command left is read on, if it is still in the same place."""
        self._found[file_id] = found
        self._library.wake()
        return self._sources.get(file_id) == _source(found)

    async def describe(self, store_id: str, file_id: str, attributes: Attributes) -> None:
        """Other attributes."""
        await self._engine.describe(store_id, file_id, attributes, principal=self._principal)

    async def remove(self, store_id: str, file_id: str) -> None:
        """Take a file out of a store."""
        await self._engine.detach(store_id, file_id, principal=self._principal)

    async def search(self, store_id: str, query: str, limit: int) -> list[Hit]:
        """The passages that answer best."""
        found = await self._library.search(
            [store_id], [query], principal=self._principal, limit=limit
        )
        return [_hit(each) for each in found]

    async def aclose(self) -> None:
        """Close it."""
        await self._library.aclose()


def _source(found: Found) -> str:
    """Where it is, in characters that any database takes."""
    return f"{_SOURCE}:{quote_from_bytes(os.fsencode(found.path))}"


def _store(store: kept.VectorStore) -> Store:
    counts = store.counts
    return Store(
        id=store.id,
        name=store.name,
        reading=counts.in_progress,
        files=counts.total,
        failed=counts.failed,
        size=store.usage_bytes,
        model=store.model,
    )


def _hit(found: kept.Found) -> Hit:
    passage = found.passage
    return Hit(
        name=str(passage.attributes.get("path") or passage.filename),
        place=place_of(passage.chunk.pages, passage.chunk.lines),
        heading=passage.chunk.heading,
        score=found.score,
        text=passage.chunk.text,
        file_id=passage.file_id,
    )
