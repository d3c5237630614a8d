"""Ways to an MCP server: a program on this machine, a URL, or a server in this process.

A way enters the SDK's client on the stack of whoever will leave it again: the SDK's contexts are
bound to the task that entered them. `mcp` is imported when a way is gone, not before.

Above: `mcp_line`. Below: the official `mcp` SDK, which speaks every revision of the protocol.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from antiphon.errors import ConfigurationError

from .mcp_stdio import TooMuch

if TYPE_CHECKING:
    import httpx2
    from mcp.client import Client
    from mcp.client.session import IncomingMessage

EVENT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one event of a stream: one result."""

FLOOD: Final = 20_000
"""Messages that a server may send between two requests of ours; it is left when it sends more."""

FAULT: Final = -32000
"""JSON-RPC's code of what went wrong below JSON-RPC."""

KEY: Final = 16
"""Characters from which on a value is taken for a key."""

_OLD: Final = frozenset({400, 404, 405, 406, 410, 415, 501})
"""What a server of the first revision (two endpoints, HTTP+SSE) answers to a POST."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of a session.

    Attributes:
        ended: The server hung up; or was left, which the words say.
        changed: It says that its tools are others now.
    """

    ended: Callable[[str | None], None]
    changed: Callable[[], None]

    async def heard(self, message: "IncomingMessage") -> None:
        """A notification of the server's."""
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self.changed()


class Way(Protocol):
    """How to get to a server."""

    @property
    def secrets(self) -> Sequence[str]:
        """What lets us in."""
        ...

    @property
    def place(self) -> Sequence[str]:
        """Where it leads, without what lets us in."""
        ...

    @property
    def slow(self) -> bool:
        """Whether a person may have to do something before there is a connection."""
        ...

    def tokens(self) -> Sequence[str]:
        """What lets us in beside the secrets, by now."""
        ...

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, Traffic | None]":
        """A connected client, which is left when the stack is closed, in this same task."""
        ...


class Traffic:
    """The messages that come from a server, as its session reads them: counted, and their end told.

    Attributes:
        unasked: How many came since our last request.
        over: Whether the server hung up.
    """

    def __init__(self, ended: Callable[[str | None], None]) -> None:
        self.unasked: int = 0
        self.over: bool = False
        self.messages: Any = None
        self._ended = ended

    @property
    def last_context(self) -> Any:
        """Which the SDK looks for on what it reads from."""
        return getattr(self.messages, "last_context", None)

    def __aiter__(self) -> "Traffic":
        return self

    async def __anext__(self) -> Any:
        self.unasked += 1
        try:
            if self.unasked > FLOOD:
                raise TooMuch(f"it sent {FLOOD} messages that nobody asked for")
            return await self.messages.__anext__()
        except TooMuch as error:
            self._end(str(error))
            raise StopAsyncIteration from None
        except BaseException:
            self._end(None)
            raise

    def _end(self, why: str | None) -> None:
        self.over = True
        self._ended(why)

    async def receive(self) -> Any:
        """The next one."""
        return await self.messages.receive()

    async def aclose(self) -> None:
        """Read no more."""
        await self.messages.aclose()

    async def __aenter__(self) -> "Traffic":
        return self

    async def __aexit__(self, *how: object) -> None:
        await self.aclose()


class _Watched:
    """A transport of the SDK's whose messages pass through `Traffic`."""

    def __init__(self, transport: AbstractAsyncContextManager[Any], traffic: Traffic) -> None:
        self._transport = transport
        self._traffic = traffic

    async def __aenter__(self) -> Any:
        self._traffic.messages, writing = await self._transport.__aenter__()
        return self._traffic, writing

    async def __aexit__(self, *how: Any) -> Any:
        return await self._transport.__aexit__(*how)


async def _speak(
    stack: AsyncExitStack,
    server: Any,
    watch: Watch,
    *,
    mode: str = "auto",
    roots: Sequence[str] = (),
) -> "Client":
    from mcp.client import Client
    from mcp_types import Implementation, ListRootsResult, Root

    async def listed(context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root.model_validate({"uri": each}) for each in roots])

    # No other callbacks: a server that wants sampling or elicitation is refused by the SDK.
    client = Client(
        server,
        mode=mode,
        cache=None,
        list_roots_callback=listed if roots else None,
        client_info=Implementation(name="antiphon", version="1"),
        message_handler=watch.heard,
    )
    return await stack.enter_async_context(client)


async def carried(
    stack: AsyncExitStack, transport: Any, watch: Watch, **options: Any
) -> "tuple[Client, Traffic]":
    """A session over a transport of the SDK's; `mode` and `roots` as for `_speak`."""
    traffic = Traffic(watch.ended)
    return await _speak(stack, _Watched(transport, traffic), watch, **options), traffic


@dataclass(frozen=True, slots=True)
class Address:
    """A URL: streamable HTTP, and where a server does not know that, the older HTTP+SSE.

    Attributes:
        url: Where.
        headers: Of every request.
        private: Whether it may be in a private network.
        auth: For OAuth (`mcp.client.auth.OAuthClientProvider`).
        inner: What sends, instead of the network.
        roots: As for `Program`.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    private: bool = False
    auth: "httpx2.Auth | None" = field(default=None, repr=False)
    inner: "Callable[[], httpx2.AsyncBaseTransport] | None" = field(default=None, repr=False)
    roots: tuple[str, ...] = ()

    @property
    def secrets(self) -> Sequence[str]:
        """The token and the password; of other headers and the URL's query what is long enough
        to be a key, and no word that a server may say by itself.
        """
        import httpx2

        url = httpx2.URL(self.url)
        token = self.headers.get("authorization", "")
        found = [token, token.split(" ")[-1], url.userinfo.decode().partition(":")[2]]
        others = [value for name, value in self.headers.items() if name != "authorization"]
        others += [value for _, value in url.params.multi_items()]
        return [each for each in (*found, *(one for one in others if len(one) >= KEY)) if each]

    @property
    def slow(self) -> bool:
        """By OAuth somebody may have to log in."""
        return self.auth is not None

    def tokens(self) -> Sequence[str]:
        """What OAuth has brought us by now, where the SDK does it."""
        known: Any = getattr(self.auth, "context", None)
        found = (
            getattr(getattr(known, "current_tokens", None), "access_token", None),
            getattr(getattr(known, "current_tokens", None), "refresh_token", None),
            getattr(getattr(known, "client_info", None), "client_secret", None),
        )
        return [each for each in found if isinstance(each, str)]

    @property
    def place(self) -> Sequence[str]:
        """Scheme, host, port and path."""
        import httpx2

        url = httpx2.URL(self.url)
        return [url.scheme, url.host, str(url.port), url.path]

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, Traffic]":
        """Connect."""
        import httpx2
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client

        from .mcp_http import http_client

        whole = httpx2.URL(self.url)
        bare = str(whole.copy_with(userinfo=b"", query=None, fragment=None))
        made = partial(
            http_client,
            whole,
            headers=self.headers,
            private=self.private,
            auth=self.auth,
        )
        try:
            async with AsyncExitStack() as trying:
                http = await trying.enter_async_context(
                    made(inner=self.inner() if self.inner else None)
                )
                stream = streamable_http_client(
                    bare, http_client=http, max_sse_event_size=EVENT_LIMIT
                )
                client, traffic = await carried(trying, stream, watch, roots=self.roots)
                stack.push_async_exit(trying.pop_all())
                return client, traffic
        except Exception as error:  # which left through task groups, and is in groups itself
            if status_of(leaf(error)) not in _OLD:
                raise

        def factory(
            headers: dict[str, str] | None = None,
            timeout: httpx2.Timeout | None = None,
            auth: httpx2.Auth | None = None,
        ) -> httpx2.AsyncClient:
            return made(inner=self.inner() if self.inner else None)

        events = sse_client(bare, httpx_client_factory=factory)
        return await carried(stack, events, watch, mode="legacy", roots=self.roots)


def leaf(error: BaseException) -> BaseException:
    """The first cause in a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        return leaf(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


def status_of(error: Any) -> int | None:
    """The HTTP status behind an error of the SDK's, where there is one."""
    told = told_of(error)
    status = told.get("status")
    return status if isinstance(status, int) else None


def told_of(error: Any) -> Mapping[str, Any]:
    """What `mcp_http.fault` said of an error of the SDK's."""
    data: object = getattr(error, "data", None)
    if getattr(error, "code", None) != FAULT or not isinstance(data, dict):
        return {}
    told: object = cast("dict[str, object]", data).get("antiphon")
    return cast("Mapping[str, Any]", told) if isinstance(told, dict) else {}


@dataclass(frozen=True, slots=True)
class InProcess:
    """A server object in this process (`mcp.server.MCPServer`, or the low-level `Server`)."""

    server: Any

    @property
    def secrets(self) -> Sequence[str]:
        """None."""
        return ()

    @property
    def place(self) -> Sequence[str]:
        """The server's name."""
        return [str(getattr(self.server, "name", ""))]

    @property
    def slow(self) -> bool:
        """It is not."""
        return False

    def tokens(self) -> Sequence[str]:
        """None."""
        return ()

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, None]":
        """Begin its lifespan."""
        try:
            return await _speak(stack, self.server, watch), None
        except AttributeError as error:
            raise ConfigurationError(
                f"MCPServer.in_process: expected a server of the mcp SDK, got {self.server!r}"
            ) from error
