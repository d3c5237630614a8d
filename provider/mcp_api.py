"""/mcp: tools, agents and workflows for MCP hosts, over streamable HTTP.

Whose a request is, where it may come from, how large and how slow it may be is decided here, as
for every endpoint; only then does the SDK see it, which is imported with the first request. There
is no stream without a call (GET): nothing happens here that a host has not asked for.

Above: `app`. Below: `mcp_sessions`, `manner`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from antiphon.errors import ConfigurationError, RequestError

from .auth import LOCAL
from .door import Door
from .manner import Manner
from .mcp_offer import HostTools
from .mcp_sessions import LEFT, Sessions
from .seal import Seal

if TYPE_CHECKING:
    from mcp.server import Server

MOST_BODY: Final = 16 * 1024 * 1024
"""Bytes that a message may have, if the provider does not allow less."""


class McpApi:
    """The endpoint.

    Args:
        tools: What is offered.
        manner: How requests are read.
        seal: Seals what a host keeps of a call that waits for a person.
        origins: Web pages of other origins that may call it.
    """

    def __init__(
        self, tools: HostTools, manner: Manner, seal: Seal, *, origins: Sequence[str] = ()
    ) -> None:
        self._tools = tools
        self._manner = replace(manner, max_body=min(manner.max_body, MOST_BODY))
        self._seal = seal
        self._origins = frozenset(origins)
        self.sessions: Sessions = Sessions(self._server, max_body=self._manner.max_body)

    def routes(self) -> Sequence[BaseRoute]:
        """Where it is; nowhere, where nothing is offered."""
        if not self._tools:
            return []
        return [Route("/mcp", Door({"POST": self._post, "DELETE": self._delete}))]

    async def aclose(self) -> None:
        """End all sessions."""
        await self.sessions.aclose()

    def local(self) -> "Server[Any]":
        """The server of whoever has the provider itself, for any streams.

        Raises:
            ConfigurationError: Nothing is offered.
        """
        tools = self._tools.described()
        if not tools.named:
            raise ConfigurationError("mcp: expected a tool, agent or workflow to serve, got none")
        return self._server(LOCAL, tools)

    def _server(self, principal: str, tools: HostTools | None = None) -> "Server[Any]":
        from .mcp_server import server_of

        throttle, seal = self._manner.throttle, self._seal
        return server_of(tools or self._tools, principal=principal, throttle=throttle, seal=seal)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        self._check_origin(scope)
        body = await self._manner.body(scope, receive)
        leaving: set[anyio.CancelScope] = set()
        told = False

        async def again() -> Message:
            nonlocal told
            if not told:
                told = True
                return {"type": "http.request", "body": body, "more_body": False}
            message = await receive()
            if message["type"] == "http.disconnect":
                for each in list(leaving):
                    each.cancel()
            return message

        await self.sessions.serve(principal, {**scope, LEFT: leaving}, again, send)

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._manner.principal(scope)
        self._check_origin(scope)
        await self.sessions.serve(principal, scope, receive, send)

    def _check_origin(self, scope: Scope) -> None:
        """Refuse web pages of other origins: a name of theirs may lead to this machine.

        Raises:
            RequestError: 403.
        """
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or not self._origins.isdisjoint((origin, "*")):
            return
        if _netloc(origin) == headers.get("host"):
            return
        raise RequestError(
            f"origin: pages of {origin[:200]!r} may not use this MCP server: name it in "
            "Provider(cors=[...])",
            status=403,
            code="origin_not_allowed",
            type="permission_error",
        )


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
