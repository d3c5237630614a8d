"""`Provider`: the ASGI application that serves models, agents and hosted tools.

It mounts into any Starlette or FastAPI application at any path. Below: `door` (HTTP), `respond`
(one response), `auth` (whose it is). Not here: what a response is made of.
"""

import logging
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, get_args

import anyio
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.agents import Agent, Workflow
from antiphon.errors import ConfigurationError
from antiphon.items import Clock, Ids, ToolDefinition, now
from antiphon.models import Model
from antiphon.tools import HostedTool, Offer, Price

from .admit import MAX_ITEMS
from .auth import KeyLookup, Keys
from .background import LEASE, Background
from .catalogue import Catalogue, Served, Upstream
from .compact import Compact
from .conversations import ConversationsApi
from .cors import crossing
from .desk import Desk
from .door import Door, guarded, refuse
from .files import DiskFiles, FileStore
from .files_api import FilesApi
from .line import KEEP_ALIVE_SECONDS
from .manner import Manner
from .rate import Rate, Throttle
from .responses import ResponsesApi
from .seal import Seal
from .store import MemoryStore, Store, store_of
from .tokens import InputTokens
from .view import Dialect
from .websocket import WebSocketDoor

_DEFINITIONS: TypeAdapter[list[ToolDefinition]] = TypeAdapter(list[ToolDefinition])


if TYPE_CHECKING:
    from antiphon.tools import FileSearch

READY_SECONDS: Final = 5.0
"""How long the store may take to answer while this provider calls itself ready."""

log: logging.Logger = logging.getLogger("antiphon.provider")


class Endpoints(Protocol):
    """A family of endpoints."""

    def routes(self) -> Sequence[BaseRoute]:
        """Where they are."""
        ...


class Provider:
    """An Open Responses provider, as an ASGI application.

    Serves /v1/responses (POST as JSON, SSE or in the background; retrieve, follow, cancel,
    delete, input items), /v1/conversations, GET /v1/models, /healthz and /readyz.

    Args:
        models: Models that requests may name.
        agents: Agents, each served as a model of its name.
        workflows: Workflows, likewise; the models of their agents are for their owner to close.
        tools: What can be run here: `@tool` functions and hosted tools. Requests ask for them.
        upstream: Where model names lead that are none of these.
        api_keys: Key -> principal, or a function (async, or run in a thread) that gives a key's
            principal or None. Without keys only this machine is served.
        store: Where responses are kept: a Store, or the URL of a database such as
            `sqlite+aiosqlite:///antiphon.db`; the newest in memory by default.
        files: Where uploads are kept; by default in a temporary folder, as long as this lives.
        store_by_default: Whether a request that does not say `store` is stored.
        seal_keys: What compactions and encrypted reasoning are sealed with: secrets of at least
            32 characters, a list or one text with commas between; the first seals, all open.
            Without keys they are sealed with one made at random, and do not survive this process.
        default_tools: Tool definitions that every request to a model gets.
        dialect: Whose reasoning event names all clients get; by default each its own.
        private_urls: Whether image and file URLs may point into private networks.
        max_body: Bytes that a request body may have.
        max_items: Items that a request may have; each part of them counts, too.
        max_turns: Samplings after which a model's run ends incomplete; agents have their own.
        body_seconds: How long a request body may take to arrive.
        keep_alive: Seconds of silence after which a line is kept alive.
        prices: What models cost, by name, for budgets that count money.
        rate: How many responses each principal may ask for.
        cors: Origins, such as https://app.example, whose web pages may call this; by default none.
        lease_seconds: How long a background response waits for a process that died, before
            another goes on with it.
        new_ids: Makes the source of ids of each response; seed it for repeatable runs.
        clock: Gives seconds since 1970.

    Raises:
        ConfigurationError: Two names are the same, or something is not what it should be.
    """

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
        max_body: int = 64 * 1024 * 1024,
        max_items: int = MAX_ITEMS,
        max_turns: int = 1000,
        body_seconds: float = 60.0,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        prices: Mapping[str, Price] | None = None,
        rate: Rate | None = None,
        cors: Sequence[str] = (),
        lease_seconds: float = LEASE,
        new_ids: Callable[[], Ids] = Ids,
        clock: Clock = now,
    ) -> None:
        _whole(max_body=max_body, max_items=max_items, max_turns=max_turns)
        _positive(body_seconds=body_seconds, keep_alive=keep_alive, lease_seconds=lease_seconds)
        served = _served(models, agents, workflows)
        more = _definitions(default_tools)
        catalogue = Catalogue(served, upstream, _tools(tools), more, max_turns, dict(prices or {}))
        self._keys = Keys(api_keys)
        self._tools = tools
        self._desk = Desk(
            catalogue=catalogue,
            store=store_of(store),
            files=_files(files),
            seal=Seal(seal_keys),
            store_by_default=store_by_default,
            private_urls=private_urls,
            max_items=max_items,
            new_ids=new_ids,
            clock=clock,
        )
        self._lasting = not isinstance(self._desk.store, MemoryStore)
        self._background = Background(self._desk, lease=lease_seconds)
        manner = Manner(
            keys=self._keys,
            dialect=_spoken(dialect),
            max_body=max_body,
            max_items=max_items,
            body_seconds=body_seconds,
            keep_alive=keep_alive,
            throttle=Throttle(_rate(rate)),
        )
        self._endpoints = _endpoints(self._desk, self._background, manner, tools)
        self._draining = False
        self._app: ASGIApp = crossing(self._routed(), cors, keyless=self._keys.open)

    def _routed(self) -> Router:
        return Router(
            routes=[
                *(route for each in self._endpoints for route in each.routes()),
                Route("/v1/models", Door({"GET": self._models})),
                Route("/healthz", Door({"GET": self._health})),
                Route("/readyz", Door({"GET": self._ready})),
            ],
            default=self._nowhere,
            lifespan=self._lifespan,
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if self._lasting:  # another process may have left a job behind
            self._background.wake()
        await self._app(scope, receive, send)

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
        async with AsyncExitStack() as open_still:  # one that cannot be closed stops no other
            open_still.push_async_callback(self._desk.store.aclose)
            open_still.push_async_callback(self._desk.files.aclose)
            open_still.push_async_callback(self._desk.catalogue.aclose)
            for tool in self._tools:
                if isinstance(tool, HostedTool):
                    open_still.push_async_callback(tool.aclose)
            open_still.push_async_callback(self._background.aclose)  # the first to be closed

    @asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.aclose()

    async def _models(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._keys.principal(scope)
        created = int(self._desk.clock())
        listed = [
            {"id": name, "object": "model", "created": created, "owned_by": "antiphon"}
            for name in await self.names()
        ]
        await JSONResponse({"object": "list", "data": listed})(scope, receive, send)

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
            log.warning("not ready: the store does not answer: %r", error)
            await _unready("the store does not answer")(scope, receive, send)
            return
        await JSONResponse({"status": "ok"})(scope, receive, send)

    async def _nowhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        path = scope["path"]
        handler = refuse(404, f"nothing is served at {path!r}: POST /v1/responses is")
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
        FilesApi(manner.keys, desk.files, idle_seconds=manner.body_seconds),
        *_stores(tools, desk, manner),
    ]


def _unready(reason: str) -> JSONResponse:
    return JSONResponse({"status": "unavailable", "reason": reason}, 503)


def _stores(tools: Sequence[Offer | HostedTool], desk: Desk, manner: Manner) -> Sequence[Endpoints]:
    """The vector stores of the file search that is served, if one is."""
    found: list[Endpoints] = []
    for tool in tools:
        if isinstance(tool, HostedTool) and tool.type == "file_search":
            from .vector_stores import VectorStoresApi  # with the search engine behind it

            library = cast("FileSearch", tool).library
            found.append(VectorStoresApi(manner, library, desk.files, new_ids=desk.new_ids))
    return found


def _files(given: FileStore | None) -> FileStore:
    if given is not None and not hasattr(given, "upload"):
        raise ConfigurationError(
            f"files: expected a FileStore, got {given!r}: DiskFiles(folder) keeps them in a folder"
        )
    return given or DiskFiles()


def _rate(given: Rate | None) -> Rate:
    if given is not None and not isinstance(given, Rate):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"rate: expected Rate(at_once=..., per_minute=...), got {given!r}")
    return given or Rate()


def _whole(**limits: object) -> None:
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name}: expected a whole number from 1, got {value!r}")


def _positive(**seconds: object) -> None:
    for name, value in seconds.items():
        wrong = isinstance(value, bool) or not isinstance(value, int | float)
        if wrong or not 0 < cast("float", value) < math.inf:
            raise ConfigurationError(f"{name}: expected seconds above 0, got {value!r}")


def _spoken(dialect: Dialect | None) -> Dialect | None:
    if dialect is not None and dialect not in get_args(Dialect):
        raise ConfigurationError(
            f"dialect: expected one of {', '.join(get_args(Dialect))}, got {dialect!r}"
        )
    return dialect


def _served(
    models: Sequence[Model], agents: Sequence[Agent[Any]], workflows: Sequence[Workflow[Any]]
) -> Sequence[Served]:
    return [
        *_checked(models, Model, "models"),
        *_checked(agents, Agent, "agents"),
        *_checked(workflows, Workflow, "workflows"),
    ]


def _checked(given: Sequence[Any], kind: type[Any], what: str) -> Sequence[Any]:
    for one in given:
        if not isinstance(one, kind):
            raise ConfigurationError(
                f"{what}: expected {kind.__name__} objects, got {type(one).__name__}"
            )
    return given


def _tools(given: Sequence[Any]) -> Sequence[Offer | HostedTool]:
    names: set[str] = set()
    for one in given:
        if not isinstance(one, Offer | HostedTool):
            raise ConfigurationError(
                f"tools: expected @tool functions or hosted tools, got {type(one).__name__}: "
                "decorate the function with @tool"
            )
        name = one.function.name if isinstance(one, Offer) else one.type
        if name in names:
            raise ConfigurationError(f"tools: two tools are named {name!r}: rename one")
        names.add(name)
    return given


def _definitions(given: Sequence[Mapping[str, Any]]) -> list[ToolDefinition]:
    try:
        return _DEFINITIONS.validate_python([dict(one) for one in given])
    except (ValidationError, TypeError, ValueError) as error:
        raise ConfigurationError(f"default_tools: expected tool definitions: {error}") from error
