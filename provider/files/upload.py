"""One upload on its way to the disk: reserved, written, hashed, then listed as a whole.

Above: `disk`. Below: `index`.
"""

import hashlib
import os
import re
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio import to_thread

from antiphon.items import Clock

from .index import FileIndex
from .name import safe_name
from .store import StoredFile, no_room, too_large

if sys.platform != "win32":
    import fcntl

_ID: Final = re.compile(r"file-[0-9a-f]{48}")
_BLOCK: Final = 1024 * 1024
_BINARY: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of files that is open.

    Attributes:
        index: What is in it.
        incoming: Where uploads are written.
        content: Where whole files are.
        max_bytes: Bytes that one file may have.
        quota: Bytes that all files of one principal may have.
        clock: Gives seconds since 1970.
    """

    index: FileIndex
    incoming: Path
    content: Path
    max_bytes: int
    quota: int
    clock: Clock


def is_id(text: str) -> bool:
    """Whether a text is an id as uploads get it, so that a path may be made of it."""
    return _ID.fullmatch(text) is not None


class DiskUpload:
    """An `Upload` into a folder; see `begin`."""

    def __init__(self, place: Place, upload_id: str, principal: str, handle: int) -> None:
        self._place = place
        self._id = upload_id
        self._principal = principal
        self._handle: int | None = handle
        self._path = place.incoming / upload_id
        self._waiting = bytearray()
        self._size = 0
        self._hash = hashlib.sha256()
        self._usable = True
        self._kept = False

    @classmethod
    def begin(cls, place: Place, principal: str, *, max_files: int) -> "DiskUpload":
        """Make an empty file, locked for as long as this process writes it.

        Raises:
            RequestError: 413; the principal has as many files as it may have.
        """
        upload_id = f"file-{secrets.token_hex(24)}"
        with place.index.change():
            count, _ = place.index.taken(principal)
            if count >= max_files:
                raise no_room(
                    f"file: expected at most {max_files:,} files, got one more: delete some"
                )
            handle = os.open(place.incoming / upload_id, _CREATE, 0o600)
            _lock(handle)
            place.index.begin(upload_id, principal)
        return cls(place, upload_id, principal, handle)

    async def write(self, data: bytes) -> None:
        """Add to the content. It goes to the disk by the mebibyte.

        Raises:
            RequestError: 413; it is too large, or its principal's files are.
        """
        self._use()  # what fails in the middle is not gone on with
        self._size += len(data)
        if self._size > self._place.max_bytes:
            raise too_large(self._place.max_bytes)
        self._waiting += data
        if len(self._waiting) >= _BLOCK:
            await to_thread.run_sync(self._flush)
        self._usable = True

    async def finish(
        self, *, filename: str, purpose: str, expires_after: int | None = None
    ) -> StoredFile:
        """Keep it; see `Upload`."""
        self._use()
        return await to_thread.run_sync(self._finish, safe_name(filename), purpose, expires_after)

    def discard(self) -> None:
        """Leave nothing, unless it is finished."""
        self._usable = False
        if self._kept:
            return
        self._close()
        self._path.unlink(missing_ok=True)
        with self._place.index.change():
            self._place.index.drop([self._id])

    def _use(self) -> None:
        if not self._usable:
            raise RuntimeError("an upload is over once it has been finished, failed or left")
        self._usable = False

    # --- in worker threads ---------------------------------------------------

    def _flush(self) -> None:
        assert self._handle is not None  # it is usable
        self._reserve(len(self._waiting))
        self._hash.update(self._waiting)
        with memoryview(self._waiting) as data:
            written = 0
            while written < len(data):
                written += os.write(self._handle, data[written:])
        self._waiting.clear()

    def _reserve(self, more: int) -> None:
        index, quota = self._place.index, self._place.quota
        with index.change():
            _, taken = index.taken(self._principal)
            if taken + more > quota:
                raise no_room(
                    f"file: expected at most {quota:,} bytes in all your files together, got "
                    f"{taken + more:,} with this one: delete some"
                )
            index.reserve(self._id, more)

    def _finish(self, filename: str, purpose: str, expires_after: int | None) -> StoredFile:
        self._flush()
        assert self._handle is not None  # it is usable
        os.fsync(self._handle)
        created = int(self._place.clock())
        file = StoredFile(
            id=self._id,
            principal=self._principal,
            filename=filename,
            purpose=purpose,
            bytes=self._size,
            sha256=self._hash.hexdigest(),
            created_at=created,
            expires_at=None if expires_after is None else created + expires_after,
        )
        kept = self._place.content / self._id
        try:
            with self._place.index.change(durable=True):
                self._close()  # Windows renames nothing that is open; nobody else looks meanwhile
                self._place.index.add(file)
                self._path.rename(kept)
                _sync(self._place.content)
        except BaseException:
            kept.unlink(missing_ok=True)
            raise
        self._kept = True
        return file

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _sync(folder: Path) -> None:
    if sys.platform == "win32":
        return  # folders cannot be synced there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform != "win32":  # there, what is open cannot be removed anyway
        fcntl.flock(handle, fcntl.LOCK_EX)


def locked(path: Path) -> bool:
    """Whether a process is writing this upload."""
    if sys.platform == "win32":
        return False  # if it is, it cannot be removed
    try:
        handle = os.open(path, os.O_RDONLY | _BINARY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
