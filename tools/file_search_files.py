"""Files that a file search is given by who makes it: an agent's own, beside any vector store.

They are read before the first search, into a store of their own that no request can name. Ids are
made from names and contents, so that an index that is kept reads again only what has changed.

Above: `file_search.py`. Below: `search` (the library, which asks here for their contents).
"""

import hashlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

import anyio
from anyio import to_thread

from antiphon.errors import ConfigurationError, RequestError

from .search import Attachment, Library, Paging, StoreFile, VectorStore, walk

log: logging.Logger = logging.getLogger("antiphon.tools")

GivenFile: TypeAlias = str | PathLike[str] | tuple[str, bytes]
"""A path of a file or a folder on this machine, or a name and what the file holds."""

OWNER: Final = "antiphon:files"
"""Whose they are in the library: nobody's who can ask for anything."""


class _Held:
    """A file's content (see `search.SourceFile`)."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """All of it."""
        return self._given()

    async def _given(self) -> AsyncIterator[bytes]:
        yield self._data


class GivenFiles:
    """The files, and the store that they are in.

    Args:
        library: Keeps and searches them.
        files: What was given; of a folder all that is not hidden, without links
            that lead out of it.

    Raises:
        ConfigurationError: A path is not there.
    """

    def __init__(self, library: Library, files: Iterable[GivenFile]) -> None:
        self._library = library
        self._files: dict[str, Path | bytes] = {}
        for name, content in _all(files):
            if self._files.setdefault(name, content) != content:
                raise ConfigurationError(f"files: two are named {name!r}: rename one")
        told = "\0".join((library.model or "", *sorted(self._files)))
        self._store_id = f"vs_{_digest(told.encode())}"
        self._wanted: dict[str, str] = {}  # file id -> name
        self._ready = False
        self._reading = anyio.Lock()

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[_Held | None]:
        """The content of one (see `search.Source`)."""
        name = self._wanted.get(file_id) if principal == OWNER else None
        yield None if name is None else _Held(await self._content(name))

    async def store(self) -> str:
        """The id of their store, when all of them have been read.

        Raises:
            RequestError: None of them can be read, or one is not there any more.
        """
        async with self._reading:
            if not self._ready:
                await self._read()
                self._ready = True
        return self._store_id

    async def _read(self) -> None:
        for name in self._files:
            content = await self._content(name)
            self._wanted[f"file-{_digest(name.encode('utf-8', 'replace'), content)}"] = name
        engine, at = self._library.engine, int(self._library.clock())
        source = f"given-{self._store_id}"  # whoever was given the same can read on
        self._library.read_from(self, name=source)  # not before it is known what there is
        if await engine.store(self._store_id, principal=OWNER) is None:
            model = self._library.model
            await engine.create(VectorStore(self._store_id, OWNER, "files", at, at, model=model))
        there = {each.id: each async for each in self._there()}
        for file_id in there.keys() - self._wanted.keys():
            await engine.detach(self._store_id, file_id, principal=OWNER)
        new = [
            Attachment(file_id, name.rpartition("/")[2], source=source)
            for file_id, name in self._wanted.items()
            if file_id not in there or not _goes_on(there[file_id], source)
        ]
        await engine.attach(self._store_id, new, principal=OWNER, at=at)
        self._library.wake()
        counts = (await self._library.settled(self._store_id, principal=OWNER)).counts
        await self._library.rest()  # the next search may be of another event loop
        if counts.failed:
            self._tell([each async for each in self._there()], none=not counts.completed)

    async def _there(self) -> AsyncIterator[StoreFile]:
        after: str | None = None
        while True:
            page = await self._library.engine.files(
                self._store_id, Paging(after, limit=100), principal=OWNER
            )
            if page is None or not page.rows:
                return
            for each in page.rows:
                yield each
            after = page.rows[-1].id

    def _tell(self, files: Iterable[StoreFile], *, none: bool) -> None:
        faults = {
            self._wanted.get(each.id, each.id): each.fault.message
            for each in files
            if each.fault is not None
        }
        for name, why in faults.items():
            log.warning("file search: %s cannot be read: %s", name, why)
        if none:
            name, why = next(iter(faults.items()))
            raise RequestError(f"none of the files can be read; {name}: {why}", code="no_files")

    async def _content(self, name: str) -> bytes:
        """What a file holds.

        Raises:
            RequestError: It is not there any more; a model reads this, so its path is not told.
        """
        held = self._files[name]
        if isinstance(held, bytes):
            return held
        try:
            return await to_thread.run_sync(held.read_bytes)
        except OSError as error:
            log.error("file search: %s cannot be read: %s", held, error.strerror)
            raise RequestError(
                f"the file {name!r} cannot be read on the provider's side: {error.strerror}",
                code="no_files",
            ) from error


def _goes_on(file: StoreFile, source: str) -> bool:
    """Whether it has been read, or will be."""
    mine = file.attachment.source == source
    return file.status == "completed" or (file.status == "in_progress" and mine)


def _all(files: Iterable[GivenFile]) -> Iterator[tuple[str, Path | bytes]]:
    """Every file by its name; those of a folder by its name and their path in it."""
    for given in files:
        if isinstance(given, tuple):
            yield given
            continue
        path = Path(given)
        if path.is_file():
            yield path.name, path
        elif path.is_dir():
            passed: Counter[str] = Counter()
            for inside, found in walk(path, passed):
                if found.is_file():
                    yield "/".join((path.resolve().name, *inside.parts)), found
            if passed["links"]:
                log.warning("file search: %s: links out of it are not followed", path)
        else:
            raise ConfigurationError(f"files: expected a file or a folder, got {str(path)!r}")


def _digest(*told: bytes) -> str:
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:48]
