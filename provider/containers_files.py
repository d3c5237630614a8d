"""Files of containers over HTTP: put (as an upload, or by the id of one), list, read, remove.

What goes in or out is held in memory on its way, a few files of each principal at a time.

Above: `containers`. Below: `uploading`, `downloading`, `files.form` (the multipart body),
`containers_fleet`.
Source: OpenAI's API reference, "Container files".
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from anyio import Semaphore, SpooledTemporaryFile, WouldBlock
from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import RequestError, SandboxFileError
from antiphon.items import parse_body
from antiphon.tools import ContainerFile, Containers

from .containers_fleet import Fleet, telling
from .containers_wire import NewContainerFile, cut, shown_file, two_files
from .door import Door
from .downloading import download, download_headers
from .files import FileStore, no_file, too_large
from .manner import Manner
from .uploading import announced, check_origin, take
from .uploads import StoredUploads

MAX_FILE: Final = 64 * 1024 * 1024
"""Bytes of a file that goes into a container, or out of one."""

_IMAGES: Final = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""The types that are told: an image may stand in a page. SVG is not among them: it can run code."""

_AT_ONCE: Final = 4
_AGAIN: Final = 5.0  # seconds
_SMALL: Final = 256 * 1024
_IN_MEMORY: Final = 1024 * 1024

_Turns: TypeAlias = WeakValueDictionary[str, Semaphore]


class ContainerFiles:
    """The endpoints under /v1/containers/{id}/files.

    Args:
        manner: How requests are read.
        fleet: Where the containers are.
        files: Where uploads are kept.
    """

    def __init__(self, manner: Manner, fleet: Fleet, files: FileStore) -> None:
        self._manner = manner
        self._fleet = fleet
        self._files = files
        self._limit = min(MAX_FILE, files.max_bytes)
        self._arriving: _Turns = WeakValueDictionary()
        self._coming: _Turns = WeakValueDictionary()
        self._leaving: _Turns = WeakValueDictionary()

    def routes(self) -> list[Route]:
        """Where they are."""
        every = "/v1/containers/{id}/files"
        one = f"{every}/{{file_id}}"
        return [
            Route(every, Door({"POST": self._create, "GET": self._list})),
            Route(one, Door({"GET": self._retrieve, "DELETE": self._delete})),
            Route(f"{one}/content", Door({"GET": self._content})),
        ]

    def turn(self, principal: str) -> Semaphore:
        """To be entered while a file of this principal that comes in is held in memory."""
        return _turn(self._coming, principal)

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named: str = scope["path_params"]["id"]
        registry = self._fleet.running(named, principal)
        headers = Headers(scope=scope)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            if self._manner.keys.open:
                check_origin(headers)
            file = await self._upload(registry, named, principal, headers, receive)
        else:
            asked = parse_body(NewContainerFile, await self._manner.body(scope, receive))
            asked.check()
            file = await self._copy(registry, named, principal, asked.file_id)
        await JSONResponse(shown_file(file))(scope, receive, send)

    async def _upload(
        self,
        registry: Containers,
        named: str,
        principal: str,
        headers: Headers,
        receive: Receive,
    ) -> ContainerFile:
        from .files.form import MAX_OVERHEAD, Form  # the parser is an extra's

        form = Form(headers.get("content-type", ""), known=("file_id",))
        if announced(headers) > self._limit + MAX_OVERHEAD:
            raise too_large(self._limit)
        async with (
            AsyncExitStack() as places,
            SpooledTemporaryFile(max_size=_IN_MEMORY) as arrived,
        ):
            size, more = 0, True
            while more:
                chunk, more = await take(receive, self._manner.body_seconds)
                for piece in form.feed(chunk):
                    size += len(piece)
                    if size > self._limit:
                        raise too_large(self._limit)
                    if size - len(piece) <= _IN_MEMORY < size:  # it becomes a file on the disk
                        places.enter_context(_place(_turn(self._arriving, principal)))
                    await arrived.write(piece)
            if "file_id" in form.fields:
                if form.filename is not None:
                    raise two_files()
                return await self._copy(registry, named, principal, form.fields["file_id"])
            name = form.end()
            async with self.turn(principal):
                await arrived.seek(0)
                with telling(registry, named, principal):
                    return await registry.put(named, principal, name, await arrived.read())

    async def _copy(
        self, registry: Containers, named: str, principal: str, file_id: str
    ) -> ContainerFile:
        """Put a stored upload into a container."""
        uploads = await StoredUploads.of(self._files, principal, [file_id])
        found = uploads.find(file_id)
        if found is None:
            raise no_file(file_id, "file_id")
        if found.bytes > self._limit:
            raise too_large(self._limit)
        async with self.turn(principal):
            with telling(registry, named, principal):
                data = await uploads.read(file_id, limit=self._limit)
                return await registry.put(named, principal, found.name, data)

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named: str = scope["path_params"]["id"]
        registry = self._fleet.running(named, principal)
        with telling(registry, named, principal):
            files = await registry.files(named, principal)
        page = cut(
            sorted(files, key=lambda file: file.created_at),
            QueryParams(scope["query_string"]),
            key=lambda file: file.id,
            absent=lambda after: no_container_file(after, "after"),
            show=shown_file,
        )
        await JSONResponse(page)(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named, file_id = _path(scope)
        registry = self._fleet.running(named, principal)
        with telling(registry, named, principal):
            file = await registry.file(named, file_id, principal)
        if file is None:
            raise no_container_file(file_id)
        await JSONResponse(shown_file(file))(scope, receive, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named, file_id = _path(scope)
        registry = self._fleet.running(named, principal)
        with telling(registry, named, principal):
            if not await registry.remove(named, file_id, principal):
                raise no_container_file(file_id)
        gone = {"id": file_id, "object": "container.file.deleted", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

    async def _content(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named, file_id = _path(scope)
        registry = self._fleet.running(named, principal)
        async with AsyncExitStack() as turn:
            with telling(registry, named, principal):
                read = None
                found = await registry.file(named, file_id, principal)
                if found is not None and found.bytes <= _SMALL:
                    with suppress(SandboxFileError):  # it may have grown since
                        read = await registry.read(named, file_id, principal, limit=_SMALL)
                if found is not None and read is None:
                    await turn.enter_async_context(_turn(self._leaving, principal))
                    read = await registry.read(named, file_id, principal, limit=MAX_FILE)
            if read is None:
                raise no_container_file(file_id)
            file, data = read
            headers = download_headers(file.name, len(data), _IMAGES)
            seconds = self._manner.body_seconds
            await download(_one(data), headers, scope, receive, send, seconds=seconds)


def no_container_file(file_id: str, param: str | None = None) -> RequestError:
    """What a request is told that names a file which is not in this container."""
    return RequestError(
        f"{param or 'file_id'}: there is no file {file_id[:100]!r} in this container",
        param=param,
        code="container_file_not_found",
        status=404,
        type="not_found_error",
    )


def _turn(turns: _Turns, principal: str) -> Semaphore:
    return turns.setdefault(principal, Semaphore(_AT_ONCE))


@contextmanager
def _place(turn: Semaphore) -> Generator[None]:
    """A place that is had at once, or not at all.

    Raises:
        RequestError: 429; all are taken.
    """
    try:
        turn.acquire_nowait()
    except WouldBlock:
        raise RequestError(
            f"you send {_AT_ONCE} large files already: wait until one has arrived",
            status=429,
            type="too_many_requests",
            code="too_many_uploads",
            retry_after=_AGAIN,
        ) from None
    try:
        yield
    finally:
        turn.release()


async def _one(data: bytes) -> AsyncGenerator[bytes]:
    yield data


def _path(scope: Scope) -> tuple[str, str]:
    return scope["path_params"]["id"], scope["path_params"]["file_id"]
