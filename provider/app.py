"""`Provider`: the ASGI application that serves models, agents and hosted tools.

It mounts into any Starlette or FastAPI application at any path. Below: `door` (HTTP), `respond`
(one response), `auth` (whose it is). Not here: what a response is made of.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from antiphon.agents import Agent, Workflow
from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import Clock, CreateResponse, Ids, Include, ToolDefinition, now
from antiphon.models import Model
from antiphon.tools import HostedTool, Offer, Price

from .admit import MAX_ITEMS, admit_body
from .auth import Keys
from .catalogue import Catalogue, Upstream
from .door import Door, guarded, read_json, refuse
from .line import KEEP_ALIVE_SECONDS, Line
from .respond import Desk, Responder
from .store import MemoryStore, Record, Store
from .view import Dialect, View

VERSIONS = ("latest", "2026-01-15", "2026-04-24")
"""The Open Responses versions that a client may ask for."""

_DEFINITIONS: TypeAdapter[list[ToolDefinition]] = TypeAdapter(list[ToolDefinition])


class Provider:
    """An Open Responses provider, as an ASGI application.

    Serves POST /v1/responses (JSON and SSE), GET and DELETE /v1/responses/{id}, GET /v1/models
    and GET /healthz.

    Args:
        models: Models that requests may name.
        agents: Agents, each served as a model of its name.
        workflows: Workflows, likewise; the models of their agents are for their owner to close.
        tools: What can be run here: `@tool` functions and hosted tools. Requests ask for them.
        upstream: Where model names lead that are none of these.
        api_keys: Key -> principal. Without keys only this machine is served.
        store: Where responses are kept; the newest in memory by default.
        store_by_default: Whether a request that does not say `store` is stored.
        default_tools: Tool definitions that every request to a model gets.
        dialect: Whose reasoning event names all clients get; by default each its own.
        private_urls: Whether image and file URLs may point into private networks.
        max_body: Bytes that a request body may have.
        max_items: Items that a request may have; each part of them counts, too.
        max_turns: Samplings after which a model's run ends incomplete; agents have their own.
        body_seconds: How long a request body may take to arrive.
        keep_alive: Seconds of silence after which a line is kept alive.
        prices: What models cost, by name, for budgets that count money.
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
        api_keys: Mapping[str, str] | None = None,
        store: Store | None = None,
        store_by_default: bool = True,
        default_tools: Sequence[Mapping[str, Any]] = (),
        dialect: Dialect | None = None,
        private_urls: bool = False,
        max_body: int = 64 * 1024 * 1024,
        max_items: int = MAX_ITEMS,
        max_turns: int = 1000,
        body_seconds: float = 60.0,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        prices: Mapping[str, Price] | None = None,
        new_ids: Callable[[], Ids] = Ids,
        clock: Clock = now,
    ) -> None:
        _whole(max_body=max_body, max_items=max_items, max_turns=max_turns)
        _positive(body_seconds=body_seconds, keep_alive=keep_alive)
        catalogue = Catalogue(
            models=_checked(models, Model, "models"),
            agents=_checked(agents, Agent, "agents"),
            workflows=_checked(workflows, Workflow, "workflows"),
            upstream=upstream,
            tools=_tools(tools),
            default_tools=_definitions(default_tools),
            max_turns=max_turns,
            prices=dict(prices or {}),
        )
        self._keys = Keys(api_keys)
        self._tools = tools
        self._dialect: Dialect | None = _spoken(dialect)
        self._max_body = max_body
        self._body_seconds = body_seconds
        self._keep_alive = keep_alive
        self._desk = Desk(
            catalogue=catalogue,
            store=_store(store),
            store_by_default=store_by_default,
            private_urls=private_urls,
            max_items=max_items,
            new_ids=new_ids,
            clock=clock,
        )
        self._router: Router = self._routed()

    def _routed(self) -> Router:
        return Router(
            routes=[
                Route("/v1/responses", Door({"POST": self._create})),
                Route("/v1/responses/{id}", Door({"GET": self._retrieve, "DELETE": self._delete})),
                Route("/v1/models", Door({"GET": self._models})),
                Route("/healthz", Door({"GET": self._health})),
            ],
            default=self._nowhere,
            lifespan=self._lifespan,
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        await self._router(scope, receive, send)

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

    async def aclose(self) -> None:
        """Give back models' connections, tools' sandboxes and the store. A server's lifespan
        calls this; a Provider mounted in another application is closed by that application.
        """
        async with AsyncExitStack() as open_still:  # one that cannot be closed stops no other
            open_still.push_async_callback(self._desk.store.aclose)
            open_still.push_async_callback(self._desk.catalogue.aclose)
            for tool in self._tools:
                if isinstance(tool, HostedTool):
                    open_still.push_async_callback(tool.aclose)

    @asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.aclose()

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = self._keys.principal(scope)
        body = await read_json(scope, receive, limit=self._max_body, seconds=self._body_seconds)
        admit_body(body, max_items=self._desk.max_items)
        request = CreateResponse.parse(body)
        view = _view(request, Headers(scope=scope), self._dialect)
        responder = await Responder.begin(self._desk, request, principal=principal, view=view)
        streaming = bool(request.stream)
        line = Line(receive, send, streaming=streaming, quiet=self._keep_alive)

        async def whole(write: Callable[[bytes], Awaitable[None]]) -> None:
            await write(await responder.whole())

        await line.answer(responder.stream if streaming else whole)

    async def _retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = self._keys.principal(scope)
        _version(Headers(scope=scope))
        include = _included(QueryParams(scope["query_string"]))
        record = await self._stored(scope, principal)
        view = View(
            extensions=_extensions(Headers(scope=scope)),
            include=include.union(record.view["include"]),
        )
        shown = view.response(record.response)
        await JSONResponse(shown.model_dump(mode="json"))(scope, receive, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = self._keys.principal(scope)
        _version(Headers(scope=scope))
        response_id = (await self._stored(scope, principal)).response.id
        await self._desk.store.delete(response_id, principal=principal)
        gone = {"id": response_id, "object": "response", "deleted": True}
        await JSONResponse(gone)(scope, receive, send)

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

    async def _models(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._keys.principal(scope)
        created = int(self._desk.clock())
        listed = [
            {"id": name, "object": "model", "created": created, "owned_by": "antiphon"}
            for name in await self.names()
        ]
        await JSONResponse({"object": "list", "data": listed})(scope, receive, send)

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"status": "ok"})(scope, receive, send)

    async def _nowhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        path = scope["path"]
        handler = refuse(404, f"nothing is served at {path!r}: POST /v1/responses is")
        await guarded(handler, scope, receive, send)


def _view(request: CreateResponse, headers: Headers, configured: Dialect | None) -> View:
    """What this client sees, by its headers.

    Raises:
        RequestError: It asks for a version that is not spoken here.
    """
    version = _version(headers)
    dialect = configured or ("openresponses" if version else _dialect(headers))
    return View.of(request, dialect=dialect, extensions=_extensions(headers))


def _version(headers: Headers) -> str | None:
    """The version that a client asks for, if it does."""
    version = headers.get("openresponses-version")
    if version is not None and version not in VERSIONS:
        raise RequestError(
            f"OpenResponses-Version: expected one of {', '.join(VERSIONS)}, got {version!r}",
            param="OpenResponses-Version",
            code="unsupported_version",
        )
    return version


def _included(query: QueryParams) -> frozenset[str]:
    """What the query of a GET asks for beside what its response was created with.

    Raises:
        RequestError: It asks for a stream, or for what there is not.
    """
    for name in ("stream", "starting_after"):
        if query.get(name, "false").lower() != "false":
            raise RequestError(
                f"{name}: a stored response is not streamed here: leave it out to get it whole",
                param=name,
                code="unsupported_parameter",
            )
    asked = frozenset([*query.getlist("include"), *query.getlist("include[]")])
    known: tuple[str, ...] = get_args(Include)
    unknown = sorted(asked.difference(known))
    if unknown:
        raise RequestError(
            f"include: expected some of {', '.join(known)}, got {unknown[0]!r}",
            param="include",
            code="invalid_value",
        )
    return asked


def _dialect(headers: Headers) -> Dialect:
    """OpenAI-style clients are known by what they send; everyone else gets the standard."""
    agent = headers.get("user-agent", "").lower()
    openai = (
        any(name.startswith("x-stainless-") for name in headers)
        or agent.startswith(("openai/", "asyncopenai/", "litellm"))
        or "originator" in headers
        or "openai-beta" in headers
    )
    return "openai" if openai else "openresponses"


def _extensions(headers: Headers) -> bool:
    asked = headers.get("openresponses-extensions", "")
    return "antiphon" in (name.strip().lower() for name in asked.split(","))


def _whole(**limits: object) -> None:
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name}: expected a whole number from 1, got {value!r}")


def _positive(**seconds: object) -> None:
    for name, value in seconds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigurationError(f"{name}: expected seconds above 0, got {value!r}")


def _spoken(dialect: Dialect | None) -> Dialect | None:
    if dialect is not None and dialect not in get_args(Dialect):
        raise ConfigurationError(
            f"dialect: expected one of {', '.join(get_args(Dialect))}, got {dialect!r}"
        )
    return dialect


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


def _store(given: Store | None) -> Store:
    if given is None:
        return MemoryStore()
    if not hasattr(given, "save"):
        raise ConfigurationError(
            f"store: expected a Store, got {given!r}: leave it out to keep responses in memory"
        )
    return given
