"""Files in vector stores over HTTP, one by one and in batches.

Above: `vector_stores`. Below: `tools.search`, `files.store`. Source: OpenAI's API reference,
"Vector store files" and "Vector store file batches".
"""

from collections.abc import Callable, Sequence

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import RequestError
from antiphon.items import Ids, parse_body
from antiphon.tools import search as kept

from .door import Door
from .files import FileStore, no_file
from .manner import Manner
from .store import listed
from .vector_stores_wire import (
    ChangedFile,
    NewBatch,
    NewFile,
    answered,
    chunking_of,
    paging_of,
    shown_batch,
    shown_content,
    shown_file,
    status_of,
)


class StoreFiles:
    """The endpoints of files and of batches in a store.

    Args:
        manner: How requests are read.
        library: What keeps the stores, and reads files into them.
        files: Where uploads are kept.
        new_ids: Where ids come from.
    """

    def __init__(
        self,
        manner: Manner,
        library: kept.Library,
        files: FileStore,
        *,
        new_ids: Callable[[], Ids] = Ids,
    ) -> None:
        self._manner = manner
        self._library = library
        self._files = files
        self._new_ids = new_ids

    def routes(self) -> list[Route]:
        """Where they are."""
        files = "/v1/vector_stores/{id}/files"
        one = f"{files}/{{file_id}}"
        batches = "/v1/vector_stores/{id}/file_batches"
        batch = f"{batches}/{{batch_id}}"
        changes = {"GET": self._retrieve, "POST": self._describe, "DELETE": self._detach}
        return [
            Route(files, Door({"POST": self._attach, "GET": self._list})),
            Route(one, Door(changes)),
            Route(f"{one}/content", Door({"GET": self._content})),
            Route(batches, Door({"POST": self._attach_batch})),
            Route(batch, Door({"GET": self._batch})),
            Route(f"{batch}/cancel", Door({"POST": self._cancel})),
            Route(f"{batch}/files", Door({"GET": self._list})),
        ]

    async def attachments(
        self, wanted: Sequence[NewFile], principal: str, param: str
    ) -> list[kept.Attachment]:
        """What is to be attached, by name.

        Raises:
            RequestError: 404; a file is absent or another's. 400; chunks overlap too much.
        """
        made: list[kept.Attachment] = []
        for each in wanted:
            file = await self._files.load(each.file_id, principal=principal)
            if file is None:
                raise no_file(each.file_id, param)
            chunking = chunking_of(each.chunking_strategy)
            made.append(kept.Attachment(file.id, file.filename, each.attributes or {}, chunking))
        return made

    async def _attach(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(NewFile, await self._manner.body(scope, receive))
        files = await self.attachments([asked], principal, "file_id")
        made = await self._queued(scope, files, principal)
        await JSONResponse(shown_file(made[0]))(scope, receive, send)

    async def _attach_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(NewBatch, await self._manner.body(scope, receive))
        files = await self.attachments(asked.wanted, principal, "file_ids")
        batch_id = self._new_ids()("vsfb")
        await self._queued(scope, files, principal, batch_id)
        await self._show_batch(batch_id, principal, scope, receive, send)

    async def _queued(
        self,
        scope: Scope,
        files: Sequence[kept.Attachment],
        principal: str,
        batch_id: str | None = None,
    ) -> list[kept.StoreFile]:
        named = _store(scope)
        await self._library.stores([named], principal=principal)  # it has not expired
        at = int(self._library.clock())
        made = await self._library.engine.attach(
            named, files, principal=principal, at=at, batch_id=batch_id
        )
        if made is None:
            raise kept.no_store(named)
        self._library.wake()
        return made

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Files of a store, or of a batch in it."""
        principal = await self._manner.principal(scope)
        named = _store(scope)
        batch_id: str | None = scope["path_params"].get("batch_id")
        if await self._library.engine.store(named, principal=principal) is None:
            raise kept.no_store(named)
        if batch_id is not None:
            await self._found_batch(named, batch_id, principal)
        query = QueryParams(scope["query_string"])
        paging = paging_of(query)
        page = await self._library.engine.files(
            named, paging, principal=principal, status=status_of(query), batch_id=batch_id
        )
        if page is None:
            cursor = paging.after or paging.before or ""
            raise no_file(cursor, "after" if paging.after else "before")
        shown = [shown_file(each) for each in page.rows]
        await JSONResponse(listed(shown, has_more=page.has_more))(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named, file_id = _store(scope), _file(scope)
        self._library.wake()
        found = await self._library.engine.file(named, file_id, principal=principal)
        if found is None:
            raise _absent(file_id)
        await JSONResponse(shown_file(found))(scope, receive, send)

    async def _describe(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(ChangedFile, await self._manner.body(scope, receive))
        named, file_id = _store(scope), _file(scope)
        changed = await self._library.engine.describe(
            named, file_id, asked.attributes or {}, principal=principal
        )
        if changed is None:
            raise _absent(file_id)
        await JSONResponse(shown_file(changed))(scope, receive, send)

    async def _content(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named, file_id = _store(scope), _file(scope)
        passages = await self._library.engine.content(named, file_id, principal=principal)
        if passages is None:
            raise _absent(file_id)
        shown = answered("vector_store.file_content.page", shown_content(passages))
        await JSONResponse(shown)(scope, receive, send)

    async def _detach(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named, file_id = _store(scope), _file(scope)
        if not await self._library.engine.detach(named, file_id, principal=principal):
            raise _absent(file_id)
        gone = {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

    async def _batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        self._library.wake()
        batch_id: str = scope["path_params"]["batch_id"]
        await self._show_batch(batch_id, principal, scope, receive, send)

    async def _cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named = _store(scope)
        batch_id: str = scope["path_params"]["batch_id"]
        batch = await self._library.engine.cancel(named, batch_id, principal=principal)
        if batch is None:
            raise _no_batch(batch_id)
        await JSONResponse(shown_batch(batch))(scope, receive, send)

    async def _show_batch(
        self, batch_id: str, principal: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        batch = await self._found_batch(_store(scope), batch_id, principal)
        await JSONResponse(shown_batch(batch))(scope, receive, send)

    async def _found_batch(self, named: str, batch_id: str, principal: str) -> kept.Batch:
        batch = await self._library.engine.batch(named, batch_id, principal=principal)
        if batch is None:
            raise _no_batch(batch_id)
        return batch


def _store(scope: Scope) -> str:
    return scope["path_params"]["id"]


def _file(scope: Scope) -> str:
    return scope["path_params"]["file_id"]


def _absent(file_id: str) -> RequestError:
    return RequestError(
        f"there is no file {file_id[:100]!r} in this vector store",
        code="file_not_found",
        status=404,
        type="not_found_error",
    )


def _no_batch(batch_id: str) -> RequestError:
    return RequestError(
        f"there is no file batch {batch_id[:100]!r} in this vector store",
        code="file_batch_not_found",
        status=404,
        type="not_found_error",
    )
