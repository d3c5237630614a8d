"""The hosted tool `mcp`: any MCP server that a request names, by URL or by a connector's id.

Source: OpenAI's `mcp` tool. A URL has to lead to the public internet, by its text and by the
address that is connected to, unless the provider says otherwise. Credentials go to the server and
nowhere else. Above: providers. Below: `mcp_source`, `mcp_server` (connectors).
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import BUILT_IN, McpServerTool, ToolDefinition

from .hosted import Offer, Scope
from .mcp_line import Lines
from .mcp_link import Link
from .mcp_listing import definition_mark
from .mcp_plain import Plain
from .mcp_policy import policy_of
from .mcp_server import CALL_SECONDS, CONNECT_SECONDS, IDLE_SECONDS, MCPServer, check_seconds, sent
from .mcp_source import McpListing, Source

if TYPE_CHECKING:
    import httpx2

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""Clients disagree about these: some skip them, some end the host there, some read on."""

_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
_OURS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-protocol-version",
        "mcp-session-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that are the protocol's business."""


class MCPServers:
    """Lets requests name MCP servers: `{"type": "mcp", "server_label": ..., "server_url": ...}`.

    A response begins with the server's tools (`mcp_list_tools`), unless the input has them
    already; each call is an `mcp_call`. As with OpenAI every call waits for a person's word
    (`mcp_approval_request`) unless the request says `require_approval: "never"` or filters.
    When a server cannot be asked, the item says so, and the response goes on without its tools.

    Args:
        connectors: Servers that requests may name by `connector_id`, of any kind.
        urls: Whether requests may name any other server, by `server_url`.
        timeout: Seconds that a listing or a call may take.
        idle: Seconds after which a session is ended when nobody uses it.

    Raises:
        ConfigurationError: A number or a connector is not what it should be.
    """

    def __init__(
        self,
        *,
        connectors: Mapping[str, MCPServer] | None = None,
        urls: bool = True,
        timeout: float = CALL_SECONDS,
        idle: float = IDLE_SECONDS,
    ) -> None:
        check_seconds(timeout=timeout, idle=idle)
        self._connectors = dict(connectors or {})
        if BUILT_IN in self._connectors:
            raise ConfigurationError(
                f"connectors: {BUILT_IN!r} stands for the provider's own functions: rename it"
            )
        for name, server in self._connectors.items():
            if not isinstance(server, MCPServer):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(
                    f"connectors[{name!r}]: expected an MCPServer, got {type(server).__name__}"
                )
        self._urls = urls
        self._timeout = timeout
        self._idle = idle
        # what sends HTTP requests instead of the network; for tests
        self._network: Callable[[], httpx2.AsyncBaseTransport] | None = None
        self._lines = Lines(connect=min(CONNECT_SECONDS, timeout), idle=idle)

    @property
    def type(self) -> str:
        """The type of the definitions that ask for it."""
        return "mcp"

    def listing(self, definition: ToolDefinition, scope: Scope) -> McpListing:
        """The tools of the server that a definition names.

        Raises:
            RequestError: It names none that can be used; `param` is relative to the definition.
        """
        if not isinstance(definition, McpServerTool):
            raise RequestError(f"expected type mcp, got {definition.type!r}", param="type")
        if (definition.server_url is None) == (definition.connector_id is None):
            raise RequestError(
                "server_url: expected either server_url or connector_id",
                param="server_url",
                code="missing_required_parameter",
            )
        if definition.connector_id is not None:
            return self._connector(definition.connector_id).lent(definition, scope)
        return McpListing(self._source(definition, scope), scope)

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[Offer]:
        """The same tools, as far as they are known without asking.

        Raises:
            RequestError: As for `listing`.
        """
        return self.listing(definition, scope).offers

    async def aclose(self) -> None:
        """End all sessions, those of the connectors, too."""
        await self._lines.aclose()
        for server in self._connectors.values():
            await server.aclose()

    def _connector(self, name: str) -> MCPServer:
        server = self._connectors.get(name)
        if server is None:
            known = ", ".join([BUILT_IN, *sorted(self._connectors)])
            raise RequestError(
                f"connector_id: there is no connector {name[:80]!r} here: expected one of {known}",
                param="connector_id",
                code="connector_not_found",
            )
        return server

    def _source(self, definition: McpServerTool, scope: Scope) -> Source:
        from .mcp_way import Address

        url = _checked(definition.server_url or "", allowed=self._urls)
        headers = _headers(definition)
        way = Address(
            url,
            headers,
            private=scope.private_urls,
            inner=self._network,
            silence=self._timeout + self._idle,
        )
        policy = policy_of(definition.allowed_tools, definition.require_approval)
        who = hashlib.sha256(repr((url, sorted(headers.items()))).encode()).digest()
        link = Link(
            self._lines,
            (scope.principal, scope.private_urls, who),
            way,
            self._timeout,
            Plain(tuple(way.secrets)),
            scope.principal,
        )
        label = definition.server_label
        mark = definition_mark(way, label, definition.allowed_tools)
        about = definition.server_description
        return Source(label, link, (policy,), mark, way.place, about)


def _checked(url: str, *, allowed: bool) -> str:
    if not allowed:
        raise RequestError(
            "server_url: this provider reaches no servers by URL: name one by connector_id",
            param="server_url",
            code="unsupported_value",
        )
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and _ODD.search(url) is None
    except ValueError:
        good = False
    if not good or len(url) > 8192 or not _can_be_sent(url):
        raise RequestError(
            "server_url: expected an http(s) URL", param="server_url", code="invalid_url"
        )
    return url


def _can_be_sent(url: str) -> bool:
    import httpx2

    try:
        return bool(httpx2.URL(url).host)
    except (httpx2.InvalidURL, UnicodeError):
        return False


def _headers(definition: McpServerTool) -> dict[str, str]:
    """What is sent; an error names a header at most, and never says a value."""
    given = definition.headers or {}
    for name, value in given.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise RequestError(
                f"headers: {name[:80]!r} cannot be set here: leave it out",
                param="headers",
                code="invalid_value",
            )
        if not _VALUE.fullmatch(value):
            raise RequestError(
                f"headers.{name}: expected one line of at most 8192 characters",
                param=f"headers.{name}",
                code="invalid_value",
            )
    token = definition.authorization
    if token is not None and not (_VALUE.fullmatch(token) and token.strip()):
        raise RequestError(
            "authorization: expected a token on one line",
            param="authorization",
            code="invalid_value",
        )
    if token is not None and any(name.lower() == "authorization" for name in given):
        raise RequestError(
            "authorization: it stands in headers, too: leave one out",
            param="authorization",
            code="invalid_value",
        )
    return sent(token, given)
