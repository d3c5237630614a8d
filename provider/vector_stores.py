"""Vector stores over HTTP: make, list, change, delete and search them.

Above: `app`, which puts the routes up. Below: `vector_stores_files` (what is in them),
`tools.search` (what keeps and searches them). Source: OpenAI's API reference, "Vector stores".
"""

from collections.abc import Callable

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import ModelError, RequestError
from antiphon.items import Ids, parse_body
from antiphon.tools import search as kept

from .door import Door
from .files import FileStore
from .manner import Manner
from .store import listed
from .vector_stores_files import StoreFiles
from .vector_stores_wire import (
    ChangedStore,
    NewFile,
    NewStore,
    Search,
    answered,
    chunking_of,
    paging_of,
    shown_result,
    shown_store,
)


class VectorStoresApi:
    """The endpoints under /v1/vector_stores.

    Args:
        manner: How requests are read.
        library: What keeps and searches the stores; it reads files from these uploads, and its
            clock is the one of all that is told here.
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
        library.read_from(files)
        self._manner = manner
        self._library = library
        self._new_ids = new_ids
        self._inside = StoreFiles(manner, library, files, new_ids=new_ids)

    def wake(self) -> None:
        """Read what a process that died has left. Needs a running event loop."""
        if self._library.lasting:
            self._library.wake()

    def routes(self) -> list[Route]:
        """Where they are."""
        one = "/v1/vector_stores/{id}"
        changes = {"GET": self._retrieve, "POST": self._update, "DELETE": self._delete}
        return [
            Route("/v1/vector_stores", Door({"POST": self._create, "GET": self._list})),
            Route(one, Door(changes)),
            Route(f"{one}/search", Door({"POST": self._search})),
            *self._inside.routes(),
        ]

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(NewStore, await self._manner.body(scope, receive))
        chunking_of(asked.chunking_strategy)
        wanted = [
            NewFile(file_id=each, chunking_strategy=asked.chunking_strategy)
            for each in dict.fromkeys(asked.file_ids or ())
        ]
        files = await self._inside.attachments(wanted, principal, "file_ids")
        now = int(self._library.clock())
        store = kept.VectorStore(
            id=self._new_ids()("vs"),
            principal=principal,
            name=asked.name or "",
            description=asked.description,
            metadata=asked.metadata or {},
            created_at=now,
            last_active_at=now,
            expires_days=None if asked.expires_after is None else asked.expires_after.days,
            model=self._library.model,
        )
        await self._library.engine.create(store)
        if files:
            await self._library.engine.attach(store.id, files, principal=principal, at=now)
            self._library.wake()
        await self._show(store.id, principal, scope, receive, send)

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        paging = paging_of(QueryParams(scope["query_string"]))
        page = await self._library.engine.stores(paging, principal=principal)
        if page is None:
            cursor = paging.after or paging.before or ""
            raise kept.no_store(cursor, "after" if paging.after else "before")
        now = self._library.clock()
        shown = [shown_store(each, now) for each in page.rows]
        await JSONResponse(listed(shown, has_more=page.has_more))(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        self._library.wake()
        await self._show(scope["path_params"]["id"], principal, scope, receive, send)

    async def _update(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(ChangedStore, await self._manner.body(scope, receive))
        named: str = scope["path_params"]["id"]
        engine = self._library.engine
        if await engine.change(named, asked.change, principal=principal) is None:
            raise kept.no_store(named)
        await self._show(named, principal, scope, receive, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named: str = scope["path_params"]["id"]
        if not await self._library.engine.remove(named, principal=principal):
            raise kept.no_store(named)
        gone = {"id": named, "object": "vector_store.deleted", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

    async def _search(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(Search, await self._manner.body(scope, receive))
        if asked.rewrite_query:
            raise RequestError(
                "rewrite_query: queries are asked as they are: leave it out",
                param="rewrite_query",
                code="unsupported_parameter",
            )
        queries = [asked.query] if isinstance(asked.query, str) else asked.query
        try:
            found = await self._library.search(
                [scope["path_params"]["id"]],
                queries,
                principal=principal,
                filters=kept.filter_of(asked.filters),
                ranking=kept.ranking_of(asked.ranking_options),
                limit=asked.max_num_results or 10,
            )
        except kept.EmbedderError as error:
            raise ModelError(str(error), code="embedding_failed") from error
        shown = answered("vector_store.search_results.page", [shown_result(each) for each in found])
        await JSONResponse({**shown, "search_query": queries})(scope, receive, send)

    async def _show(
        self, named: str, principal: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        store = await self._library.engine.store(named, principal=principal)
        if store is None:
            raise kept.no_store(named)
        await JSONResponse(shown_store(store, self._library.clock()))(scope, receive, send)
