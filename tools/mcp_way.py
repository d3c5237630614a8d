"""Ways to an MCP server: a program on this machine, a URL, or a server in this process.

A way enters the SDK's client on the stack of whoever will leave it again: the SDK's contexts are
bound to the task that entered them. `mcp` is imported when a way is gone, not before.

Above: `mcp_line`. Below: the official `mcp` SDK, which speaks every revision of the protocol.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from .mcp_secrets import basic, passwords, plain_in, secrets_in, tokens_of
from .mcp_traffic import Traffic, Watch, Watched

if TYPE_CHECKING:
    import httpx2
    from mcp.client import Client

log: logging.Logger = logging.getLogger("antiphon.tools.mcp")

EVENT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one event of a stream: one result."""

OLD_EVENT_LIMIT: Final = 1024 * 1024
"""The same over HTTP+SSE, as the SDK has it."""

FAULT: Final = -32000
"""JSON-RPC's code of what went wrong below JSON-RPC."""

OURS: Final = f"antiphon-{token_hex(16)}"
"""Under which such an error has what is known of it. No server can know it, and say so itself."""

_OLD: Final = frozenset({400, 404, 405, 406, 410, 415, 501})
"""What a server of the first revision (two endpoints, HTTP+SSE) answers to a POST."""


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
    def hidden(self) -> Sequence[object]:
        """What else makes it another way; nothing of it is ever seen."""
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
    stack: AsyncExitStack,
    transport: Any,
    watch: Watch,
    *,
    traffic: Traffic | None = None,
    **options: Any,
) -> "tuple[Client, Traffic]":
    """A session over a transport of the SDK's; `mode` and `roots` as for `_speak`."""
    traffic = traffic or Traffic(watch.ended)
    return await _speak(stack, Watched(transport, traffic), watch, **options), traffic


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
        named: Headers and fields of the query that are secrets beside those that are called so.
        silence: Seconds that the server may say nothing while it is waited for.
        near: Origins in a private network to which OAuth may lead, beside the server's own.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    private: bool = False
    auth: "httpx2.Auth | None" = field(default=None, repr=False)
    inner: "Callable[[], httpx2.AsyncBaseTransport] | None" = field(default=None, repr=False)
    roots: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    silence: float = 300.0
    near: tuple[str, ...] = ()

    @property
    def secrets(self) -> Sequence[str]:
        """The token and the password, in each form that a server may give back; of other headers
        and the URL's query what `mcp_secrets` takes for keys.
        """
        import httpx2

        url = httpx2.URL(self.url)
        sent = [*self.headers.items(), *url.params.multi_items()]
        token = self.headers.get("authorization", "")
        found = [*tokens_of(token), *passwords(self.url), *secrets_in(sent, self.named)]
        if url.username and not url.password:  # some take a token for a user
            found += [url.username, basic(url.username, "")]
        return [each for each in dict.fromkeys(found) if each]

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
        """Scheme, host, port and path; its folders; what of its query and headers is no secret."""
        import httpx2

        url = httpx2.URL(self.url)
        sent = plain_in([*self.headers.items(), *url.params.multi_items()], self.named)
        return [url.scheme, url.host, str(url.port), url.path, *self.roots, *sent]

    @property
    def hidden(self) -> Sequence[object]:
        """Whose it is, its query and its headers."""
        import httpx2

        url = httpx2.URL(self.url)
        told = [url.userinfo.decode(), url.query.decode(), sorted(self.headers.items())]
        return told if any(told) else []

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, Traffic]":
        """Connect."""
        import httpx2
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
            silence=self.silence,
            near=self.near,
        )
        traffic = Traffic(watch.ended)
        try:
            async with AsyncExitStack() as trying:
                http = await trying.enter_async_context(
                    made(event=EVENT_LIMIT, left=traffic.leave, inner=self._network())
                )
                stream = streamable_http_client(
                    bare, http_client=http, max_sse_event_size=EVENT_LIMIT
                )
                found = await carried(trying, stream, watch, traffic=traffic, roots=self.roots)
                stack.push_async_exit(trying.pop_all())
                return found
        except Exception as error:  # which left through task groups, and is in groups itself
            if status_of(leaf(error)) not in _OLD:
                raise
        return await self._older(stack, bare, watch, made)

    async def _older(
        self, stack: AsyncExitStack, bare: str, watch: Watch, made: "partial[httpx2.AsyncClient]"
    ) -> "tuple[Client, Traffic]":
        """Connect by HTTP+SSE."""
        import httpx2
        from mcp.client.sse import sse_client

        traffic = Traffic(watch.ended)

        def factory(
            headers: dict[str, str] | None = None,
            timeout: httpx2.Timeout | None = None,
            auth: httpx2.Auth | None = None,
        ) -> httpx2.AsyncClient:
            return made(
                event=OLD_EVENT_LIMIT, left=traffic.leave, inner=self._network(), posting=True
            )

        events = sse_client(bare, httpx_client_factory=factory)
        return await carried(stack, events, watch, traffic=traffic, mode="legacy", roots=self.roots)

    def _network(self) -> "httpx2.AsyncBaseTransport | None":
        return self.inner() if self.inner else None


def leaf(error: BaseException) -> BaseException:
    """The first cause in a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        return leaf(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


def status_of(error: Any) -> int | None:
    """The HTTP status behind an error of the SDK's, where there is one."""
    status = guard_said(error).get("status")
    return status if isinstance(status, int) else None


def guard_said(error: Any) -> Mapping[str, Any]:
    """What `mcp_http.fault` said of an error of the SDK's; nothing of what a server sent."""
    data: object = getattr(error, "data", None)
    if getattr(error, "code", None) != FAULT or not isinstance(data, dict):
        return {}
    told: object = cast("dict[str, object]", data).get(OURS)
    return cast("Mapping[str, Any]", told) if isinstance(told, dict) else {}


@dataclass(frozen=True, slots=True)
class InProcess:
    """A server object in this process (`mcp.server.MCPServer`, or the low-level `Server`)."""

    server: Any
    which: str = field(default_factory=partial(token_hex, 16), repr=False, compare=False)

    @property
    def secrets(self) -> Sequence[str]:
        """None."""
        return ()

    @property
    def place(self) -> Sequence[str]:
        """The server's name."""
        return [str(getattr(self.server, "name", ""))]

    @property
    def hidden(self) -> Sequence[object]:
        """Which object it is: others may have the name, too."""
        return [self.which]

    @property
    def slow(self) -> bool:
        """It is not."""
        return False

    def tokens(self) -> Sequence[str]:
        """None."""
        return ()

    async def enter(self, stack: AsyncExitStack, watch: Watch) -> "tuple[Client, None]":
        """Begin its lifespan; what goes wrong in there is told to its owner, and nobody else."""
        try:
            return await _speak(stack, self.server, watch), None
        except Exception:
            log.warning(
                "the MCP server %s of this process did not begin", *self.place, exc_info=True
            )
            raise
