"""Responses over HTTP: create, retrieve, follow, cancel and delete them, and read their input.

Above: `app`, which puts the routes up. Below: `respond` (in the foreground), `background`,
`line` (one answer's bytes). Source: OpenAI's Responses API, which Open Responses has its POST of.
"""

from collections.abc import Awaitable, Callable
from typing import get_args

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from antiphon.errors import RequestError
from antiphon.items import CreateResponse, Include, Json

from .background import Background
from .caller import Caller
from .desk import Desk
from .door import Door
from .line import Write
from .manner import Manner
from .respond import Responder
from .sse import DONE, frame, pad
from .store import Paging, Record, input_items, invalid, page_of
from .view import View


class ResponsesApi:
    """The endpoints under /v1/responses.

    Args:
        desk: What responses are made with.
        background: Who makes those that no client waits for.
        manner: How requests are read and answered.
    """

    def __init__(self, desk: Desk, background: Background, manner: Manner) -> None:
        self._desk = desk
        self._background = background
        self._manner = manner

    def routes(self) -> list[Route]:
        """Where they are."""
        one = "/v1/responses/{id}"
        return [
            Route("/v1/responses", Door({"POST": self._create})),
            Route(one, Door({"GET": self._retrieve, "DELETE": self._delete})),
            Route(f"{one}/cancel", Door({"POST": self._cancel})),
            Route(f"{one}/input_items", Door({"GET": self._input_items})),
        ]

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        request = CreateResponse.parse(await self._manner.body(scope, receive))
        view = self._manner.caller(scope).view(request)
        release = self._manner.throttle.take(principal)
        if request.background:
            record = await self._background.start(
                request, principal=principal, view=view, release=release
            )
            await self._begun(record, bool(request.stream), receive, send, scope)
            return
        try:
            responder = await Responder.begin(self._desk, request, principal=principal, view=view)

            async def whole(write: Write) -> None:
                await write(await responder.whole())

            line = self._manner.line(receive, send, streaming=bool(request.stream))
            await line.answer(responder.stream if request.stream else whole)
        finally:
            release()

    async def _begun(
        self, record: Record, streaming: bool, receive: Receive, send: Send, scope: Scope
    ) -> None:
        """Answer whoever began a job: with the job as it stands, or all that comes of it."""
        if streaming:
            await self._manner.line(receive, send, streaming=True).answer(
                self._following(record, -1)
            )
            return
        shown = View.from_data(record.view).response(record.response)
        await JSONResponse(shown.model_dump(mode="json"))(scope, receive, send)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        caller = self._manner.caller(scope)
        query = QueryParams(scope["query_string"])
        include, after = included(query), _after(query)
        record = await self._stored(scope, principal)
        if after is not None:
            if not record.response.background:
                raise RequestError(
                    "stream: only a response made with background: true can be followed: leave "
                    "stream out to get it whole",
                    param="stream",
                    code="unsupported_parameter",
                )
            line = self._manner.line(receive, send, streaming=True)
            await line.answer(self._following(record, after))
            return
        include = include.union(record.view["include"])
        await JSONResponse(self._shown(record, caller, include))(scope, receive, send)

    async def _cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        caller = self._manner.caller(scope)
        record = await self._stored(scope, principal)
        if not record.response.background:
            raise RequestError(
                "only a response made with background: true can be cancelled: close the line of "
                "any other",
                code="not_cancellable",
            )
        await self._background.cancel(record)
        record = await self._stored(scope, principal)
        include = frozenset[str](record.view["include"])
        await JSONResponse(self._shown(record, caller, include))(scope, receive, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        self._manner.caller(scope)
        record = await self._stored(scope, principal)
        if record.response.background:
            await self._background.cancel(record)
        response_id = record.response.id
        await self._desk.store.delete(response_id, principal=principal)
        gone = {"id": response_id, "object": "response", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

    async def _input_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        caller = self._manner.caller(scope)
        query = QueryParams(scope["query_string"])
        paging, include = Paging.of(query), included(query)
        record = await self._stored(scope, principal)
        page = page_of(input_items(record), paging)
        view = self._desk.seen(View(extensions=caller.extensions, include=include), principal)
        await JSONResponse(view.page(page.items, has_more=page.has_more))(scope, receive, send)

    def _shown(self, record: Record, caller: Caller, include: frozenset[str]) -> Json:
        view = View(extensions=caller.extensions, include=include)
        shown = self._desk.seen(view, record.principal).response(record.response)
        return shown.model_dump(mode="json")

    async def _stored(self, scope: Scope, principal: str) -> Record:
        response_id: str = scope["path_params"]["id"]
        record = await self._desk.store.load(response_id, principal=principal)
        if record is None:
            raise RequestError(
                f"there is no stored response {response_id!r}",
                status=404,
                code="response_not_found",
                type="not_found_error",
            )
        return record

    def _following(self, record: Record, after: int) -> Callable[[Write], Awaitable[None]]:
        async def follow(write: Write) -> None:
            padded = View.from_data(record.view).obfuscate
            async for events in self._background.follow(record, after=after):
                for event in events if padded else ():
                    pad(event, record.response.id)
                await write(b"".join(frame(event) for event in events))
            await write(DONE)

        return follow


def _after(query: QueryParams) -> int | None:
    """The sequence number behind which a stream is to begin; None where none is asked for.

    Raises:
        RequestError: It is no number, or there is one and no stream.
    """
    streaming = query.get("stream", "false").lower()
    after = query.get("starting_after")
    if streaming not in ("true", "false", "1", "0"):
        raise invalid("stream", "true or false", streaming)
    if streaming in ("false", "0"):
        if after is not None:
            raise invalid("starting_after", "stream=true beside it", after)
        return None
    if after is None:
        return -1
    if not (after.isascii() and after.isdigit() and len(after) < 16):
        raise invalid("starting_after", "a sequence number", after)
    return int(after)


def included(query: QueryParams) -> frozenset[str]:
    """What the query of a GET asks for beside what its response was created with.

    Raises:
        RequestError: It asks for what there is not.
    """
    asked = frozenset([*query.getlist("include"), *query.getlist("include[]")])
    known: tuple[str, ...] = get_args(Include)
    unknown = sorted(asked.difference(known))
    if unknown:
        raise invalid("include", f"some of {', '.join(known)}", unknown[0])
    return asked
