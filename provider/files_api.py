"""/v1/files: uploads, kept for their owner, as OpenAI's Files API has it.

Above: `app`, which assembles the routes. Below: `files.form` (the multipart body), `files.store`
(the seam), `downloading`. Ranges are not served.
Source: OpenAI's API reference, "Files".
"""

import base64
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, Protocol

from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import ConfigurationError

from .auth import Keys
from .door import Door
from .downloading import download, download_headers
from .files import FileStore, StoredFile, no_file, too_large
from .store import invalid, limit_of, listed, order_of, whole
from .uploading import announced, check_origin, take

PURPOSES: Final = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What a file may be uploaded for."""

_ANCHOR: Final = "expires_after[anchor]"
_SECONDS: Final = "expires_after[seconds]"
_KNOWN: Final = ("purpose", _ANCHOR, _SECONDS)
_SHORTEST, _LONGEST = 3_600, 2_592_000  # seconds: one hour, 30 days
_MOST: Final = 10_000

_SAFE: Final = {
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".txt": "text/plain",
    ".webp": "image/webp",
    ".zip": "application/zip",
}
"""Types that are told by a name's ending; none that a browser would run."""


class Reader(Protocol):
    """Who keeps what it has read in files, such as a library of vector stores."""

    async def forget(self, file_id: str, *, principal: str) -> None:
        """Keep nothing of a file any more: its owner deletes it."""
        ...


class FilesApi:
    """The endpoints of files.

    Args:
        keys: Who is asking.
        files: Where files are kept.
        idle_seconds: How long an upload may take for each 64 KiB of its body, and a client that
            downloads for each 256 KiB.
        readers: Who is told of deleted files.

    Raises:
        ConfigurationError: The parser of uploads is not installed.
    """

    def __init__(
        self,
        keys: Keys,
        files: FileStore,
        *,
        idle_seconds: float = 60.0,
        readers: Sequence[Reader] = (),
    ) -> None:
        if find_spec("python_multipart") is None:
            raise ConfigurationError(
                "uploads of files need python-multipart: pip install 'antiphon[server]'"
            )
        self._keys = keys
        self._files = files
        self._idle = idle_seconds
        self._readers = readers

    def routes(self) -> list[Route]:
        """What is served, each path with its door."""
        return [
            Route("/v1/files", Door({"POST": self._upload, "GET": self._list})),
            Route("/v1/files/{id}", Door({"GET": self._retrieve, "DELETE": self._delete})),
            Route("/v1/files/{id}/content", Door({"GET": self._content})),
        ]

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        from .files.form import MAX_OVERHEAD, Form  # the parser is an extra's

        principal = await self._keys.principal(scope)
        headers = Headers(scope=scope)
        if self._keys.open:
            check_origin(headers)
        form = Form(headers.get("content-type", ""), known=_KNOWN)
        if announced(headers) > self._files.max_bytes + MAX_OVERHEAD:
            raise too_large(self._files.max_bytes)
        async with self._files.upload(principal=principal) as upload:
            more = True
            while more:
                chunk, more = await take(receive, self._idle)
                for piece in form.feed(chunk):
                    await upload.write(piece)
                _check(form.fields)  # as soon as can be: the file may be long
            filename = form.end()
            purpose, expires_after = _wanted(form.fields)
            file = await upload.finish(
                filename=filename, purpose=purpose, expires_after=expires_after
            )
        await JSONResponse(_shown(file))(scope, receive, send)

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._keys.principal(scope)
        query = QueryParams(scope["query_string"])
        after = query.get("after")
        page = await self._files.page(
            principal=principal,
            after=after,
            limit=limit_of(query, default=_MOST, most=_MOST),
            order=order_of(query),
            purpose=query.get("purpose"),
        )
        if page is None:
            raise no_file(after or "", "after")
        shown = [_shown(file) for file in page.files]
        await JSONResponse(listed(shown, has_more=page.has_more))(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._keys.principal(scope)
        file_id: str = scope["path_params"]["id"]
        file = await self._files.load(file_id, principal=principal)
        if file is None:
            raise no_file(file_id)
        await JSONResponse(_shown(file))(scope, receive, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._keys.principal(scope)
        file_id: str = scope["path_params"]["id"]
        if await self._files.load(file_id, principal=principal) is None:
            raise no_file(file_id)
        for each in self._readers:  # first: if this is cut off, the file can be deleted once more
            await each.forget(file_id, principal=principal)
        await self._files.delete(file_id, principal=principal)
        gone = {"id": file_id, "object": "file", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

    async def _content(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._keys.principal(scope)
        file_id: str = scope["path_params"]["id"]
        async with self._files.open(file_id, principal=principal) as content:
            if content is None:
                raise no_file(file_id)
            headers = _headers(content.file)
            await download(content.chunks, headers, scope, receive, send, seconds=self._idle)


def _check(fields: Mapping[str, str]) -> None:
    """Refuse a purpose or an expiry that is not served, if it has come.

    Raises:
        RequestError: 400, with `param`.
    """
    purpose = fields.get("purpose", PURPOSES[0])
    if purpose not in PURPOSES:
        raise invalid("purpose", f"one of {', '.join(PURPOSES)}", purpose)
    if fields.get(_ANCHOR, "created_at") != "created_at":
        raise invalid(_ANCHOR, "created_at", fields[_ANCHOR])
    whole(fields.get(_SECONDS, str(_SHORTEST)), _SECONDS, _SHORTEST, _LONGEST)


def _wanted(fields: Mapping[str, str]) -> tuple[str, int | None]:
    """The purpose, and the seconds until the file is gone; `_check` has passed both.

    Raises:
        RequestError: 400; a field is missing.
    """
    from .files.form import missing

    if "purpose" not in fields:
        raise missing("purpose", f"one of {', '.join(PURPOSES)}")
    for field, other in (_ANCHOR, _SECONDS), (_SECONDS, _ANCHOR):
        if field in fields and other not in fields:
            raise missing(other, f"it together with {field}")
    if _SECONDS in fields:
        return fields["purpose"], int(fields[_SECONDS])
    return fields["purpose"], _LONGEST if fields["purpose"] == "batch" else None


def _shown(file: StoredFile) -> dict[str, Any]:
    """The file object of the wire."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",  # there is nothing to wait for
    }


def _headers(file: StoredFile) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    told = download_headers(file.filename, file.bytes, _SAFE)
    return {**told, "repr-digest": f"sha-256=:{digest}:"}
