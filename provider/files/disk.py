"""Files in a folder on a local disk, with the index beside them.

    folder/index.db    who owns which file (`index`)
    folder/incoming/   uploads that are not whole; locked by the process that writes them
    folder/content/    whole files, each under its id

An upload is written and synced in `incoming`, then renamed into `content` inside the transaction
that lists it. So whatever is listed is whole. What a crash leaves behind is removed: an upload that
nobody writes within a minute of use, a content that is not listed when the folder is opened next.
"""

import os
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from anyio import CancelScope, to_thread

from antiphon.errors import ConfigurationError
from antiphon.items import Clock, now

from .index import FileIndex
from .store import Content, FilePage, Order, StoredFile
from .upload import DiskUpload, Place, is_id, locked

T = TypeVar("T")

_CHUNK: Final = 1024 * 1024
_SWEEP_SECONDS: Final = 60.0
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class DiskFiles:
    """A `FileStore` in a folder. Several processes of one machine may share it.

    Args:
        folder: Where; made where it is missing, for its owner only. It has to be on a local disk
            (SQLite and locks do not work over a network). None for a temporary folder, which is
            gone with this object.
        max_bytes: Bytes that one file may have.
        quota: Bytes that all files of one principal may have, unfinished uploads included.
        max_files: How many files one principal may have.
        clock: Gives seconds since 1970; files expire by it.

    Raises:
        ConfigurationError: A limit is less than 1, or others may write to the folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        max_bytes: int = 512 * 1024 * 1024,
        quota: int = 10 * 1024 * 1024 * 1024,
        max_files: int = 100_000,
        clock: Clock = now,
    ) -> None:
        limits = {"max_bytes": max_bytes, "quota": quota, "max_files": max_files}
        for name, value in limits.items():
            if value < 1:
                raise ConfigurationError(f"{name}: expected a whole number from 1, got {value}")
        self._folder = None if folder is None else _made(Path(folder))
        self._max_bytes = max_bytes
        self._quota = quota
        self._max_files = max_files
        self._clock = clock
        self._opening = Lock()
        self._opened: Place | None = None
        self._remove: Callable[[], object] | None = None
        self._swept_at = 0.0

    @property
    def max_bytes(self) -> int:
        """Bytes that one file may have."""
        return self._max_bytes

    @asynccontextmanager
    async def upload(self, *, principal: str) -> AsyncGenerator[DiskUpload]:
        """Begin a file; see `FileStore`."""

        def begin(place: Place) -> DiskUpload:
            return DiskUpload.begin(place, principal, max_files=self._max_files)

        upload = await self._do(begin)
        try:
            yield upload
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(upload.discard)

    async def load(self, file_id: str, *, principal: str) -> StoredFile | None:
        """The file; None where it is absent, expired or another's."""
        if not is_id(file_id):
            return None
        return await self._do(lambda place: place.index.load(file_id, principal, self._clock()))

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Content | None]:
        """The file with its content. It is read to its end, though it be deleted meanwhile.

        Raises:
            OSError: The content is not what the index says: somebody changed the folder.
        """

        found = await self._do(lambda place: self._open(place, file_id, principal))
        if found is None:
            yield None
            return
        file, handle = found
        try:
            async with aclosing(_chunks(handle)) as chunks:
                yield Content(file, chunks)
        finally:
            os.close(handle)

    async def page(
        self,
        *,
        principal: str,
        after: str | None = None,
        limit: int = 10_000,
        order: Order = "desc",
        purpose: str | None = None,
    ) -> FilePage | None:
        """Files of this principal; see `FileStore`."""
        if after is not None and not is_id(after):
            return None
        return await self._do(
            lambda place: place.index.page(
                principal, self._clock(), after=after, limit=limit, order=order, purpose=purpose
            )
        )

    async def delete(self, file_id: str, *, principal: str) -> bool:
        """Remove a file and its content; False where it is absent, expired or another's."""

        def remove(place: Place) -> bool:
            with place.index.change(durable=True):
                if place.index.load(file_id, principal, self._clock()) is None:
                    return False
                place.index.remove(file_id)
            _unlink(place.content / file_id)
            return True

        return is_id(file_id) and await self._do(remove)

    async def sweep(self) -> int:
        """Remove what has expired; how many files that were."""
        return await self._do(self._sweep)

    async def aclose(self) -> None:
        """Close the index, and remove a temporary folder. The next use opens a folder again."""
        with CancelScope(shield=True):
            await to_thread.run_sync(self._close)

    # --- in worker threads ---------------------------------------------------

    async def _do(self, how: Callable[[Place], T]) -> T:
        def work() -> T:
            place = self._place()
            if abs(self._clock() - self._swept_at) >= _SWEEP_SECONDS:
                self._sweep(place)
            return how(place)

        return await to_thread.run_sync(work)

    def _place(self) -> Place:
        with self._opening:
            if self._opened is None:
                folder = self._folder
                if folder is None:
                    folder = Path(tempfile.mkdtemp(prefix="antiphon-files-"))  # mode 0700
                    self._remove = weakref.finalize(self, shutil.rmtree, folder, True)
                place = Place(
                    FileIndex(folder / "index.db"),
                    incoming=_made(folder / "incoming"),
                    content=_made(folder / "content"),
                    max_bytes=self._max_bytes,
                    quota=self._quota,
                    clock=self._clock,
                )
                _drop_dead(place)
                _drop_unlisted(place)
                self._opened = place
            return self._opened

    def _open(self, place: Place, file_id: str, principal: str) -> tuple[StoredFile, int] | None:
        def load() -> StoredFile | None:
            return place.index.load(file_id, principal, self._clock()) if is_id(file_id) else None

        file = load()
        if file is None:
            return None
        try:
            handle = os.open(place.content / file.id, _READ)
        except FileNotFoundError:
            if load() is None:
                return None  # deleted between the two
            raise
        try:
            _check(file, handle)
        except BaseException:
            os.close(handle)
            raise
        return file, handle

    def _sweep(self, place: Place) -> int:
        self._swept_at = self._clock()
        _drop_dead(place)
        with place.index.change():
            gone = place.index.expired(self._swept_at)
            for file_id in gone:
                place.index.remove(file_id)
        for file_id in gone:
            _unlink(place.content / file_id)
        return len(gone)

    def _close(self) -> None:
        with self._opening:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.index.close()
            if self._remove is not None:
                self._remove()


def _made(folder: Path) -> Path:
    """A folder that nobody else can change.

    Raises:
        ConfigurationError: It is none, or others may.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: expected a folder for files, got {error.strerror}: name another"
        ) from error
    mode = folder.stat().st_mode
    if sys.platform != "win32" and mode & 0o022:
        raise ConfigurationError(
            f"{folder}: expected a folder that only its owner can write to, got mode "
            f"{stat.S_IMODE(mode):04o}: name a new one, or chmod go-w {folder}"
        )
    return folder


def _drop_dead(place: Place) -> None:
    """Remove uploads that no process writes any more, and free their room."""
    with place.index.change():  # nobody begins, finishes or deletes meanwhile
        writing: set[str] = set()
        for path in place.incoming.iterdir():
            if not locked(path):
                _unlink(path)
            if path.exists():
                writing.add(path.name)
        place.index.drop(place.index.uploads() - writing)


def _drop_unlisted(place: Place) -> None:
    """Remove contents whose uploads died before they were listed, or that were being deleted."""
    with place.index.change():
        known = place.index.ids()
        for path in place.content.iterdir():
            if path.name not in known:
                _unlink(path)


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError, PermissionError):  # Windows keeps what is open: next time
        path.unlink()


def _check(file: StoredFile, handle: int) -> None:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_size != file.bytes:
        raise OSError(
            f"the content of {file.id}: expected a regular file of {file.bytes:,} bytes, got "
            f"{found.st_size:,}: somebody changed the folder; restore it or delete the file"
        )


async def _chunks(handle: int) -> AsyncGenerator[bytes]:
    while data := await to_thread.run_sync(os.read, handle, _CHUNK):
        yield data
