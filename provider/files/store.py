"""What keeps files: uploads with their names, each the property of a principal.

A seam: `DiskFiles` (`disk`) is one such store, `antiphon.testing.files` the suite that any
other has to pass. Above: `files_api` (HTTP) and `documents` (what models read of files).
Another's id, an expired one and an absent one look the same.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from antiphon.errors import RequestError

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file that is kept.

    Attributes:
        id: `file-` and random digits; nobody can guess one.
        principal: Whose it is.
        filename: Its name, harmless (see `name.safe_name`); never part of a path.
        purpose: What it was uploaded for; a store takes any word.
        bytes: Its size.
        sha256: The SHA-256 of its content, in hexadecimal digits.
        created_at: Seconds since 1970.
        expires_at: Seconds since 1970 from which on it is gone; None for never.
    """

    id: str
    principal: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    created_at: int
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class FilePage:
    """Some files of a list, in its order, and whether more follow."""

    files: list[StoredFile]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is open for reading.

    Attributes:
        file: Which one.
        chunks: Its bytes, once, `file.bytes` of them; at most 1 MiB each.
    """

    file: StoredFile
    chunks: AsyncIterator[bytes]


class Upload(Protocol):
    """A file in the making: some `write`, then one `finish`."""

    async def write(self, data: bytes) -> None:
        """Add to the content.

        Raises:
            RequestError: 413; the file (`file_too_large`) or all files of this principal
                (`quota_exceeded`) would have more bytes than they may.
        """
        ...

    async def finish(
        self, *, filename: str, purpose: str, expires_after: int | None = None
    ) -> StoredFile:
        """Keep it: when this returns, the file outlives a crash.

        Args:
            filename: Any text; it is kept as `name.safe_name` gives it.
            purpose: Any word.
            expires_after: Seconds from now until it is gone; None for never.
        """
        ...


class FileStore(Protocol):
    """Keeps files. All methods are safe to call concurrently."""

    @property
    def max_bytes(self) -> int:
        """Bytes that one file may have."""
        ...

    def upload(self, *, principal: str) -> AbstractAsyncContextManager[Upload]:
        """Begin a file. Leaving without `finish`, however that happens, leaves nothing behind.

        Raises (on entering):
            RequestError: 413 `quota_exceeded`; this principal has no room for any more file.
        """
        ...

    async def load(self, file_id: str, *, principal: str) -> StoredFile | None:
        """The file; None where it is absent, expired or another's."""
        ...

    def open(self, file_id: str, *, principal: str) -> AbstractAsyncContextManager[Content | None]:
        """The file with its content, for as long as the context is entered; None as in `load`."""
        ...

    async def page(
        self,
        *,
        principal: str,
        after: str | None = None,
        limit: int = 10_000,
        order: Order = "desc",
        purpose: str | None = None,
    ) -> FilePage | None:
        """Files of this principal by their time of creation.

        Args:
            principal: Whose.
            after: The id of a file; what comes after it in this order is listed.
            limit: How many at most, from 1.
            order: `asc` from the oldest, `desc` from the newest.
            purpose: Only files of this purpose.

        Returns:
            None where `after` is absent, expired or another's.
        """
        ...

    async def delete(self, file_id: str, *, principal: str) -> bool:
        """Remove a file and its content; False where it is absent, expired or another's."""
        ...

    async def sweep(self) -> int:
        """Remove what has expired; how many files that were. A store also does it when used."""
        ...

    async def aclose(self) -> None:
        """Give back everything held. Closing twice is no error."""
        ...


def no_file(file_id: str, param: str | None = None) -> RequestError:
    """What a request is told that names a file which is not there, or not its principal's."""
    shown = file_id if len(file_id) <= 100 else f"{file_id[:100]}..."
    return RequestError(
        f"{param}: there is no file {shown!r}" if param else f"there is no file {shown!r}",
        param=param,
        code="file_not_found",
        status=404,
        type="not_found_error",
    )


def too_large(max_bytes: int) -> RequestError:
    """What a request is told whose file has more bytes than a file may have."""
    return RequestError(
        f"file: expected at most {max_bytes:,} bytes: split it, or send less",
        param="file",
        code="file_too_large",
        status=413,
    )


def no_room(message: str) -> RequestError:
    """What a request is told whose principal may keep no more. Not a 429: a retry is no help."""
    return RequestError(message, param="file", code="quota_exceeded", status=413)
