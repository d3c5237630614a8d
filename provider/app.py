"""`Provider`: the ASGI application that serves models, agents and hosted tools.

It mounts into any Starlette or FastAPI application at any path. Below: `door` (HTTP), `respond`
(one response), `auth` (whose it is). Not here: what a response is made of.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, runtime_checkable

import anyio
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.agents import Agent, Workflow
from antiphon.items import Clock, Ids, now
from antiphon.models import Model
from antiphon.tools import HasContainers, HostedTool, Offer, Price

from .admit import MAX_BODY, MAX_ITEMS
from .auth import KeyLookup, Keys
from .background import LEASE, Background
from .catalogue import Catalogue, Upstream
from .compact import Compact
from .containers import containers_of
from .conversations import ConversationsApi
from .cors import crossing
from .desk import Desk
from .door import Door, guarded, refuse
from .figures import Figures, base_of
from .files import FileStore
from .files_api import FilesApi
from .line import KEEP_ALIVE_SECONDS
from .manner import Manner
from .mcp_api import McpApi
from .mcp_offer import HostTools
from .models_api import ModelsApi
from .options import (
    check_seconds,
    check_whole,
    definitions_of,
    dialect_of,
    files_of,
    rate_of,
    served_of,
    tools_of,
)
from .problem import logged
from .rate import Rate, Throttle
from .responses import ResponsesApi
from .seal import Seal
from .store import MemoryStore, Store, store_of
from .tokens import InputTokens
from .view import Dialect
from .websocket import WebSocketDoor

if TYPE_CHECKING:
    from mcp.server import Server

    from antiphon.tools import FileSearch

READY_SECONDS: Final = 5.0
"""How long the store may take to answer while this provider calls itself ready."""

log: logging.Logger = logging.getLogger("antiphon.provider")


class Endpoints(Protocol):
    """A family of endpoints."""

    def routes(self) -> Sequence[BaseRoute]:
        """Where they are."""
        ...


@runtime_checkable
class Wakes(Protocol):
    """Endpoints with work that goes on beside requests."""

    def wake(self) -> None:
        """Begin it, also what a process that died has left. Needs a running event loop."""
        ...


class Provider:
    """An Open Responses provider, as an ASGI application.

    Serves /v1/responses (POST as JSON, SSE or in the background; a WebSocket; retrieve, follow,
    cancel, delete, input items; compact, input tokens), /v1/conversations, /v1/files,
    /v1/containers, /v1/models, /mcp, /healthz and /readyz; and /v1/vector_stores where a
    file search is among its tools.

    Args:
        models: Models that requests may name.
        agents: Agents, each served as a model of its name.
        workflows: Workflows, likewise; the models of their agents are for their owner to close.
        tools: What can be run here: `@tool` functions and hosted tools. Requests ask for them.
        upstream: Where model names lead that are none of these.
        api_keys: Key -> principal, or a function (async, or run in a thread) that gives a key's
            principal or None. Without keys only this machine is served.
        store: Where responses are kept: a Store, or the URL of a database such as
            `sqlite+aiosqlite:///antiphon.db` or `postgresql://user:password@host/name`; the
            newest in memory by default.
        files: Where uploads are kept; by default in a temporary folder, as long as this lives.
        store_by_default: Whether a request that does not say `store` is stored.
        seal_keys: What compactions and encrypted reasoning are sealed with: secrets of at least
            32 characters, a list or one text with commas between; the first seals, all open.
            Without keys they are sealed with one made at random, and do not survive this process.
        default_tools: Tool definitions that every request to a model gets.
        dialect: Whose reasoning event names all clients get; by default each its own.
        private_urls: Whether image and file URLs may point into private networks.
        public_url: Where clients reach this: what stands before /v1, such as https://api.example.
            With it, images that code shows have URLs of their containers' files (fetched with a
            key, as those are); without it, data URLs.
        max_body: Bytes that a request body may have.
        max_items: Items that a request may have; each part of them counts, too.
        max_turns: Samplings after which a model's run ends incomplete; agents have their own.
        body_seconds: How long a request body may take to arrive.
        keep_alive: Seconds of silence after which a line is kept alive.
        prices: What models cost, by name, for budgets that count money.
        rate: How many responses each principal may ask for.
        cors: Origins, such as https://app.example, whose web pages may call this; by default none.
        mcp: Whether the tools, agents and workflows are served to MCP hosts, too, at /mcp.
        lease_seconds: How long a background response waits for a process that died, before
            another goes on with it.
        new_ids: Makes the source of ids of each response; seed it for repeatable runs.
        clock: Gives seconds since 1970.

    Raises:
        ConfigurationError: Two names are the same, or something is not what it should be.
    """

    _draining = False
    _awake = False

    def __init__(
        self,
        *,
        models: Sequence[Model] = (),
        agents: Sequence[Agent[Any]] = (),
        workflows: Sequence[Workflow[Any]] = (),
        tools: Sequence[Offer | HostedTool] = (),
        upstream: Upstream | None = None,
        api_keys: Mapping[str, str] | KeyLookup | None = None,
        store: Store | str | None = None,
        files: FileStore | None = None,
        store_by_default: bool = True,
        seal_keys: str | Sequence[str] | None = None,
        default_tools: Sequence[Mapping[str, Any]] = (),
        dialect: Dialect | None = None,
        private_urls: bool = False,
        public_url: str | None = None,
        max_body: int = MAX_BODY,
        max_items: int = MAX_ITEMS,
        max_turns: int = 1000,
        body_seconds: float = 60.0,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        prices: Mapping[str, Price] | None = None,
        rate: Rate | None = None,
        cors: Sequence[str] = (),
        mcp: bool = True,
        lease_seconds: float = LEASE,
        new_ids: Callable[[], Ids] = Ids,
        clock: Clock = now,
    ) -> None:
        check_whole(max_body=max_body, max_items=max_items, max_turns=max_turns)
        check_seconds(body_seconds=body_seconds, keep_alive=keep_alive, lease_seconds=lease_seconds)
        served = served_of(models, agents, workflows)
        more = definitions_of(default_tools)
        catalogue = Catalogue(served, upstream, tools_of(tools), more, max_turns, prices or {})
        self._keys = Keys(api_keys)
        self._tools = tools
        self._desk = Desk(
            catalogue=catalogue,
            store=store_of(store),
            files=files_of(files),
            seal=Seal(seal_keys),
            store_by_default=store_by_default,
            private_urls=private_urls,
            figures=_figures(public_url, tools),
            max_items=max_items,
            max_body=max_body,
            new_ids=new_ids,
            clock=clock,
        )
        self._lasting = not isinstance(self._desk.store, MemoryStore)
        spoken, throttle = dialect_of(dialect), Throttle(rate_of(rate))
        self._background = Background(self._desk, throttle, lease=lease_seconds)
        manner = Manner(self._keys, spoken, max_body, max_items, body_seconds, keep_alive, throttle)
        self._endpoints = _endpoints(self._desk, self._background, manner, tools)
        offered = HostTools(self._desk, [*agents, *workflows], tools, prices=prices)
        self._mcp = McpApi(offered, manner, self._desk.seal, origins=cors)
        self._endpoints += [self._mcp] if mcp else []
        self._app: ASGIApp = crossing(self._routed(), cors, keyless=self._keys.open)

    def _routed(self) -> Router:
        return Router(
            routes=[
                *(route for each in self._endpoints for route in each.routes()),
                Route("/healthz", Door({"GET": self._health, "HEAD": self._health})),
                Route("/readyz", Door({"GET": self._ready, "HEAD": self._ready})),
            ],
            default=self._nowhere,
            lifespan=self._lifespan,
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if not self._awake:
            self._wake()
        await self._app(scope, receive, send)

    def _wake(self) -> None:
        """Look once for what another process may have left behind."""
        self._awake = True
        if self._lasting:
            self._background.wake()
        for each in self._endpoints:
            if isinstance(each, Wakes):
                each.wake()

    @property
    def open(self) -> bool:
        """Whether there are no API keys, so that only this machine is served."""
        return self._keys.open

    async def names(self) -> list[str]:
        """Every name that a request's `model` may say; the upstream's come last.

        Raises:
            ModelError: There is an upstream, and it cannot be asked.
        """
        return await self._desk.catalogue.names()

    def mcp_server(self) -> "Server[Any]":
        """What MCP hosts are offered, as a server of the official SDK, for any streams; its calls
        are those of the principal `local`.

        Raises:
            ConfigurationError: There are no tools, agents or workflows.
        """
        return self._mcp.local()

    def drain(self) -> None:
        """Take leave: /readyz says 503 from now on, and WebSockets close when the response on
        them has ended. A server calls this when it takes no new connections any more.
        """
        self._draining = True
        for each in self._endpoints:
            if isinstance(each, WebSocketDoor):
                each.drain()

    async def aclose(self) -> None:
        """Give back models' connections, tools' sandboxes and the store. A server's lifespan
        calls this; a Provider mounted in another application is closed by that application.
        """
        self._awake = False
        async with AsyncExitStack() as open_still:  # one that cannot be closed stops no other
            open_still.push_async_callback(self._desk.store.aclose)
            open_still.push_async_callback(self._desk.files.aclose)
            open_still.push_async_callback(self._desk.catalogue.aclose)
            for tool in self._tools:
                if isinstance(tool, HostedTool):
                    open_still.push_async_callback(tool.aclose)
            open_still.push_async_callback(self._background.aclose)
            open_still.push_async_callback(self._mcp.aclose)  # the first to be closed

    @asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.aclose()

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"status": "ok"})(scope, receive, send)

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whether requests can be served now: the store answers, and nobody is closing up."""
        if self._draining:
            await _unready("this server is about to stop")(scope, receive, send)
            return
        try:
            with anyio.fail_after(READY_SECONDS):
                await self._desk.store.load("resp_ready", principal="")
        except Exception as error:
            log.warning("not ready: the store does not answer: %s", logged(error))
            await _unready("the store does not answer")(scope, receive, send)
            return
        await JSONResponse({"status": "ok"})(scope, receive, send)

    async def _nowhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        path = scope["path"]
        told = f"nothing is served at {path!r}: create responses with POST /v1/responses"
        handler = refuse(404, told)
        await guarded(handler, scope, receive, send)


def _endpoints(
    desk: Desk,
    background: Background,
    manner: Manner,
    tools: Sequence[Offer | HostedTool],
) -> list[Endpoints]:
    """All families, those before others whose paths would take theirs for an id."""
    socket = WebSocketDoor(
        keys=manner.keys,
        desk=desk,
        dialect=manner.dialect,
        max_body=manner.max_body,
        throttle=manner.throttle,
    )
    return [
        socket,
        Compact(desk, manner),
        InputTokens(desk, manner),
        ResponsesApi(desk, background, manner),
        ConversationsApi(desk, manner),
        ModelsApi(desk, manner),
        FilesApi(
            manner.keys,
            desk.files,
            idle_seconds=manner.body_seconds,
            readers=[tool.library for tool in _searches(tools)],
        ),
        *_stores(tools, desk, manner),
        containers_of(manner, tools, desk.files),
    ]


def _figures(public_url: str | None, tools: Sequence[object]) -> Figures | None:
    """The images that code has shown, where they have URLs."""
    base = base_of(public_url)
    registries = [tool.containers for tool in tools if isinstance(tool, HasContainers)]
    return None if base is None else Figures(base, registries)


def _unready(reason: str) -> JSONResponse:
    return JSONResponse({"status": "unavailable", "reason": reason}, 503)


def _searches(tools: Sequence[Offer | HostedTool]) -> Iterator["FileSearch"]:
    """The file search that is served, if one is."""
    for tool in tools:
        if isinstance(tool, HostedTool) and tool.type == "file_search" and hasattr(tool, "library"):
            yield cast("FileSearch", tool)


def _stores(tools: Sequence[Offer | HostedTool], desk: Desk, manner: Manner) -> Sequence[Endpoints]:
    """The vector stores of the file search that is served, if one is."""
    found: list[Endpoints] = []
    for tool in _searches(tools):
        from .vector_stores import VectorStoresApi  # with the search engine behind it

        found.append(VectorStoresApi(manner, tool.library, desk.files, new_ids=desk.new_ids))
    return found
