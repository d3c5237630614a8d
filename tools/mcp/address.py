"""The way to a URL: streamable HTTP, and where a server does not know that, the older HTTP+SSE.

Above: whoever names servers by URL. Below: `way` (a session), `http` (what sends), `secrets`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .fault import leaf, status_of
from .secrets import basic, passwords, plain_in, secrets_in, tokens_of
from .traffic import Traffic, Watch
from .way import carried

if TYPE_CHECKING:
    import httpx2
    from mcp.client import Client

EVENT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one event of a stream: one result."""

OLD_EVENT_LIMIT: Final = 1024 * 1024
"""The same over HTTP+SSE, as the SDK has it."""

_OLD: Final = frozenset({400, 404, 405, 406, 410, 415, 501})
"""What a server of the first revision (two endpoints, HTTP+SSE) answers to a POST."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL: streamable HTTP, and where a server does not know that, the older HTTP+SSE.

    Attributes:
        url: Where.
        network: Makes what sends: where it may lead is judged there.
        headers: Of every request.
        auth: For OAuth (`mcp.client.auth.OAuthClientProvider`).
        roots: As for `Program`.
        named: Headers and fields of the query that are secrets beside those that are called so.
        silence: Seconds that the server may say nothing while it is waited for.
    """

    url: str = field(repr=False)
    network: "Callable[[], httpx2.AsyncBaseTransport]" = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    auth: "httpx2.Auth | None" = field(default=None, repr=False)
    roots: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    silence: float = 300.0

    @property
    def secrets(self) -> Sequence[str]:
        """The token and the password, in each form that a server may give back; of other headers
        and the URL's query what `secrets` takes for keys.
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

        from .http import http_client

        whole = httpx2.URL(self.url)
        bare = str(whole.copy_with(userinfo=b"", query=None, fragment=None))
        made = partial(
            http_client,
            url=whole,
            headers=self.headers,
            auth=self.auth,
            silence=self.silence,
        )
        traffic = Traffic(watch.ended)
        try:
            async with AsyncExitStack() as trying:
                http = await trying.enter_async_context(
                    made(self.network(), event=EVENT_LIMIT, left=traffic.leave)
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
            return made(self.network(), event=OLD_EVENT_LIMIT, left=traffic.leave, posting=True)

        events = sse_client(bare, httpx_client_factory=factory)
        return await carried(stack, events, watch, traffic=traffic, mode="legacy", roots=self.roots)
