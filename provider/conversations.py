"""Conversations over HTTP: lists of items that clients keep here, under an id.

Above: `app`, which puts the routes up. Below: `store.Conversations`. Source: OpenAI's
Conversations API. A request for a response names one by its `conversation`.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.agents import context_of
from antiphon.errors import RequestError
from antiphon.items import Item, Json, Maybe, Metadata, Wire, parse_body

from .admit import admit_items
from .desk import Desk
from .door import Door
from .manner import Manner
from .prepare import no_conversation, whole
from .responses import included
from .store import Conversation, Paging, no_such_item
from .view import View

MAX_ADDED: Final = 20
"""Items that one request may add (OpenAI's limit)."""


class NewConversation(Wire):
    """The body that makes a conversation."""

    items: Maybe[list[Item]] = None
    metadata: Maybe[Metadata] = None


class NewMetadata(Wire):
    """The body that changes one; null is no metadata."""

    metadata: Metadata | None


class NewItems(Wire):
    """The body that adds to one."""

    items: Annotated[list[Item], Field(min_length=1)]


class ConversationsApi:
    """The endpoints under /v1/conversations.

    Args:
        desk: Where conversations are kept, and what an item may be.
        manner: How requests are read.
    """

    def __init__(self, desk: Desk, manner: Manner) -> None:
        self._desk = desk
        self._manner = manner

    def routes(self) -> list[Route]:
        """Where they are."""
        one = "/v1/conversations/{id}"
        changes = {"GET": self._retrieve, "POST": self._update, "DELETE": self._delete}
        item = {"GET": self._item, "DELETE": self._delete_item}
        return [
            Route("/v1/conversations", Door({"POST": self._create})),
            Route(one, Door(changes)),
            Route(f"{one}/items", Door({"GET": self._items, "POST": self._append})),
            Route(f"{one}/items/{{item_id}}", Door(item)),
        ]

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(NewConversation, await self._manner.body(scope, receive))
        items = await self._admitted(asked.items or (), scope, principal)
        made = Conversation(
            id=self._desk.new_ids()("conv"),
            principal=principal,
            created_at=int(self._desk.clock()),
            metadata=asked.metadata or {},
        )
        await self._desk.store.create_conversation(made, items)
        await JSONResponse(_shown(made))(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await self._found(scope, await self._manner.principal(scope))
        await JSONResponse(_shown(found))(scope, receive, send)

    async def _update(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        asked = parse_body(NewMetadata, await self._manner.body(scope, receive))
        named = _id(scope)
        changed = await self._desk.store.update_conversation(
            named, asked.metadata or {}, principal=principal
        )
        if changed is None:
            raise no_conversation(named, param="id")
        await JSONResponse(_shown(changed))(scope, receive, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        named = _id(scope)
        if not await self._desk.store.delete_conversation(named, principal=principal):
            raise no_conversation(named, param="id")
        gone = {"id": named, "object": "conversation.deleted", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

    async def _items(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        query = QueryParams(scope["query_string"])
        view = self._view(scope, query, principal)
        named = _id(scope)
        page = await self._desk.store.page(named, Paging.of(query), principal=principal)
        if page is None:
            raise no_conversation(named, param="id")
        await JSONResponse(view.page(page.items, has_more=page.has_more))(scope, receive, send)

    async def _append(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        view = self._view(scope, QueryParams(scope["query_string"]), principal)
        asked = parse_body(NewItems, await self._manner.body(scope, receive))
        named = _id(scope)
        items = await self._admitted(asked.items, scope, principal, named=named)
        added = await self._desk.store.append(named, items, principal=principal)
        if added is None:
            raise no_conversation(named, param="id")
        await JSONResponse(view.page(added, has_more=False))(scope, receive, send)

    async def _item(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        view = self._view(scope, QueryParams(scope["query_string"]), principal)
        named = (await self._found(scope, principal)).id
        item_id: str = scope["path_params"]["item_id"]
        item = await self._desk.store.conversation_item(named, item_id, principal=principal)
        if item is None:
            raise no_such_item(item_id, param="item_id")
        await JSONResponse(view.item(item).model_dump(mode="json"))(scope, receive, send)

    async def _delete_item(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        found = await self._found(scope, principal)
        item_id: str = scope["path_params"]["item_id"]
        if not await self._desk.store.delete_item(found.id, item_id, principal=principal):
            raise no_such_item(item_id, param="item_id")
        await JSONResponse(_shown(found))(scope, receive, send)

    async def _found(self, scope: Scope, principal: str) -> Conversation:
        named = _id(scope)
        found = await self._desk.store.conversation(named, principal=principal)
        if found is None:
            raise no_conversation(named, param="id")
        return found

    async def _admitted(
        self, items: Sequence[Item], scope: Scope, principal: str, *, named: str | None = None
    ) -> list[Item]:
        """Items as they may be kept: each admitted as a request's own, references resolved.

        Args:
            items: What is to be added.
            scope: The request's.
            principal: Whose it is.
            named: The conversation that they go on from.
        """
        if len(items) > MAX_ADDED:
            raise RequestError(
                f"items: expected at most {MAX_ADDED}, got {len(items)}: add them in several "
                "requests",
                param="items",
                code="too_many_items",
            )
        figures = self._desk.figures
        seen = items if figures is None else figures.passed(items)
        private_urls, max_items = self._desk.private_urls, self._desk.max_items
        admit_items(seen, private_urls=private_urls, max_items=max_items, param="items")
        view = self._view(scope, QueryParams(""), principal)
        kept = await whole(items, self._desk, principal=principal, view=view, param="items")
        try:
            context_of([], kept, param="items")
        except RequestError as error:
            if error.code != "orphan" or named is None:
                raise
            before = await self._desk.store.said(named, principal=principal)
            if before is None:
                raise no_conversation(named, param="id") from None
            context_of(before, kept, param="items")  # the call may stand there already
        return kept

    def _view(self, scope: Scope, query: QueryParams, principal: str) -> View:
        caller = self._manner.caller(scope)
        view = View(extensions=caller.extensions, include=included(query))
        return self._desk.seen(view, principal)


def _id(scope: Scope) -> str:
    return scope["path_params"]["id"]


def _shown(conversation: Conversation) -> Json:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": conversation.created_at,
        "metadata": conversation.metadata,
    }
