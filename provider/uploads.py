"""Uploads for containers: stored files, looked up once for a request, read when they are needed.

Above: containers' endpoints, and runs whose tools take `file_ids`. Below: `files.store`.
"""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Self

from antiphon.errors import SandboxFileError
from antiphon.tools import Upload

from .files import FileStore


class StoredUploads:
    """The uploads that one request names; see `antiphon.tools.Uploads`. Made by `of`."""

    def __init__(self, files: FileStore, principal: str, found: Mapping[str, Upload]) -> None:
        self._files = files
        self._principal = principal
        self._found = found

    @classmethod
    async def of(cls, files: FileStore, principal: str, file_ids: Iterable[str]) -> Self:
        """Look these ids up."""
        found: dict[str, Upload] = {}
        for file_id in dict.fromkeys(file_ids):
            file = await files.load(file_id, principal=principal)
            if file is not None:
                found[file_id] = Upload(file.filename, file.bytes)
        return cls(files, principal, found)

    def find(self, file_id: str) -> Upload | None:
        """What was found; None where it is absent, expired or another's."""
        return self._found.get(file_id)

    async def read(self, file_id: str, *, limit: int) -> bytes:
        """What it holds. Raises: SandboxFileError; it is gone, or too large."""
        async with self._files.open(file_id, principal=self._principal) as content:
            if content is None:
                raise SandboxFileError(f"The upload {file_id[:100]!r} is there no more.")
            if content.file.bytes > limit:
                raise SandboxFileError(
                    f"The upload {file_id[:100]!r} has {content.file.bytes:,} bytes; a container "
                    f"takes {limit:,}."
                )
            data = BytesIO()  # gives its bytes without a copy, unlike a list of them
            async for chunk in content.chunks:
                data.write(chunk)
            return data.getvalue()
