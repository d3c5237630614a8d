"""The hosted tool `mcp`: any MCP server that a request names, by URL or by a connector's id.

Source: OpenAI's `mcp` tool. A URL has to lead to the public internet, by its text and by the
address that is connected to, unless the provider says otherwise. Credentials go to the server and
nowhere else. Above: providers. Below: `mcp_server` (connectors), `mcp_listing` (tools of a server),
`mcp` (the protocol).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import BUILT_IN, McpServerTool, ToolDefinition

from .hosted import Offer, Scope
from .mcp import (
    Address,
    Lines,
    Link,
    Plain,
    Source,
    definition_mark,
    headers_of,
    policy_of,
    url_of,
)
from .mcp_listing import McpListing
from .mcp_server import (
    CALL_SECONDS,
    CONNECT_SECONDS,
    IDLE_SECONDS,
    MCPServer,
    check_seconds,
    network,
)

if TYPE_CHECKING:
    import httpx2


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
        if not self._urls:
            raise RequestError(
                "server_url: this provider reaches no servers by URL: name one by connector_id",
                param="server_url",
                code="unsupported_value",
            )
        url = url_of(definition)
        headers = headers_of(definition)
        way = Address(
            url,
            self._network or partial(network, *([url] if scope.private_urls else [])),
            headers,
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
