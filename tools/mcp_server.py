"""`MCPServer`: an MCP server whose tools an agent uses, or to which a provider lends its name.

Above: agents (`Agent(tools=[MCPServer.stdio(...)])`), `mcp_servers` (connectors). Below:
`mcp_listing` (its tools), `mcp` (the protocol).
"""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import BUILT_IN, McpServerTool, ToolDefinition

from .hosted import Offer, Scope
from .mcp import (
    Address,
    Approval,
    InProcess,
    Lines,
    Link,
    Names,
    Plain,
    Program,
    Source,
    Way,
    check_named,
    definition_mark,
    policy_of,
    sent,
)
from .mcp_listing import McpListing

if TYPE_CHECKING:
    import httpx2

log: logging.Logger = logging.getLogger("antiphon.tools.mcp")

CONNECT_SECONDS: Final = 20.0
IDLE_SECONDS: Final = 300.0
CALL_SECONDS: Final = 120.0

_LABEL: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class MCPServer:
    """One MCP server. Make it with `stdio`, `http` or `in_process`; nothing starts before it is
    asked for something, and what is not used for a while is closed.

    Its tools are listed at the beginning of a run (an `mcp_list_tools` item) and called as
    `mcp_call` items. What it says of itself and what its tools give is data: bounded, without
    control characters. A server that asks for sampling or elicitation is refused.

    Attributes:
        label: What its items call it; models see its tools as `label__tool`.
    """

    def __init__(
        self,
        label: str,
        way: Way,
        *,
        allowed_tools: Names | None = None,
        require_approval: Approval = "never",
        timeout: float = CALL_SECONDS,
        idle: float = IDLE_SECONDS,
    ) -> None:
        if not _LABEL.fullmatch(label) or label == BUILT_IN:
            raise ConfigurationError(
                f"MCPServer: expected a label of 1 to 64 letters, digits, `_` or `-`, and not "
                f"{BUILT_IN!r}, got {label!r}"
            )
        check_seconds(timeout=timeout, idle=idle)
        self.label = label
        try:
            self._policy = policy_of(allowed_tools, require_approval)
        except RequestError as error:
            raise ConfigurationError(f"MCPServer({label!r}): {error.message}") from None
        self._allowed = allowed_tools
        self._timeout = timeout
        self._way = way
        connect = timeout if way.slow else min(CONNECT_SECONDS, timeout)
        self._lines = Lines(connect=connect, idle=idle)

    @classmethod
    def stdio(
        cls,
        label: str,
        command: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        roots: Sequence[str | PathLike[str]] = (),
        secrets: Sequence[str] = (),
        allowed_tools: Names | None = None,
        require_approval: Approval = "never",
        timeout: float = CALL_SECONDS,
        idle: float = IDLE_SECONDS,
    ) -> "MCPServer":
        """A program on this machine, started when it is first asked for something.

        Args:
            label: What its items call it.
            command: The program.
            args: Its arguments.
            env: Its variables, beside PATH, HOME and the few others that are harmless.
            cwd: Where it runs.
            roots: Folders that it is told to keep to, if it asks (the protocol's roots). It is
                told, and not held to them.
            secrets: Which variables are never shown when the program gives them back, beside those
                that are called a key, token, password or the like.
            allowed_tools: Names, or `{"tool_names": [...], "read_only": True}`; all by default.
            require_approval: `never`, `always`, or filters: `{"never": {"read_only": True}}`.
            timeout: Seconds that a listing or a call may take.
            idle: Seconds after which it is ended when nobody uses it.

        Raises:
            ConfigurationError: The label, a filter or a number is not what it should be.
        """
        named = check_named(secrets, env or {})
        way = Program(command, args, dict(env or {}), cwd, _uris(roots), named)
        return cls(
            label,
            way,
            allowed_tools=allowed_tools,
            require_approval=require_approval,
            timeout=timeout,
            idle=idle,
        )

    @classmethod
    def http(
        cls,
        label: str,
        url: str,
        *,
        authorization: str | None = None,
        headers: Mapping[str, str] | None = None,
        auth: "httpx2.Auth | None" = None,
        auth_origins: Sequence[str] = (),
        roots: Sequence[str | PathLike[str]] = (),
        secrets: Sequence[str] = (),
        allowed_tools: Names | None = None,
        require_approval: Approval = "never",
        timeout: float = CALL_SECONDS,
        idle: float = IDLE_SECONDS,
    ) -> "MCPServer":
        """A URL: streamable HTTP, or the older HTTP+SSE. It may be in a private network: whoever
        writes this code says where it leads.

        Args:
            label: What its items call it.
            url: Where.
            authorization: A token, sent as `Authorization: Bearer`.
            headers: Further headers of every request.
            auth: OAuth, as the SDK has it: `mcp.client.auth.OAuthClientProvider(...)`. Whoever
                has to log in has `timeout` seconds for it.
            auth_origins: Origins in a private network (`https://login.corp:8443`) to which OAuth
                may lead, beside the server's own; to public ones it may without a word.
            roots: As for `stdio`.
            secrets: As for `stdio`: names of headers, and of fields of the URL's query.
            allowed_tools: As for `stdio`.
            require_approval: As for `stdio`.
            timeout: Seconds that a listing or a call may take.
            idle: Seconds after which the session is ended when nobody uses it.

        Raises:
            ConfigurationError: The label, a filter or a number is not what it should be.
        """
        known = sent(authorization, headers)
        way = Address(
            url,
            partial(network, url, *_origins(auth_origins)),
            known,
            auth=auth,
            roots=_uris(roots),
            named=check_named(secrets, [*known, *dict(parse_qsl(urlsplit(url).query))]),
            silence=timeout + idle,
        )
        return cls(
            label,
            way,
            allowed_tools=allowed_tools,
            require_approval=require_approval,
            timeout=timeout,
            idle=idle,
        )

    @classmethod
    def in_process(
        cls,
        label: str,
        server: object,
        *,
        allowed_tools: Names | None = None,
        require_approval: Approval = "never",
        timeout: float = CALL_SECONDS,
    ) -> "MCPServer":
        """A server of the `mcp` SDK in this process: no program, no network.

        Args:
            label: What its items call it.
            server: A `mcp.server.MCPServer`, or the low-level `Server`.
            allowed_tools: As for `stdio`.
            require_approval: As for `stdio`.
            timeout: Seconds that a listing or a call may take.

        Raises:
            ConfigurationError: The label, a filter or a number is not what it should be.
        """
        from mcp.server import MCPServer as Theirs, Server  # whoever has one has imported this

        if not isinstance(server, Theirs | Server):
            raise ConfigurationError(
                f"MCPServer.in_process: expected a server of the mcp SDK, got {server!r:.200}"
            )
        return cls(
            label,
            InProcess(server),
            allowed_tools=allowed_tools,
            require_approval=require_approval,
            timeout=timeout,
        )

    def __repr__(self) -> str:
        return f"MCPServer({self.label!r})"

    @property
    def type(self) -> str:
        """What it is known by among the tools that can be run here."""
        return f"mcp:{self.label}"

    @property
    def definition(self) -> ToolDefinition:
        """How an agent's request asks for it."""
        return McpServerTool(
            server_label=self.label, connector_id=self.label, require_approval="never"
        )

    def listing(self, definition: ToolDefinition, scope: Scope) -> McpListing:
        """Its tools, in one run.

        Raises:
            RequestError: The definition says what cannot be said of it.
        """
        return self.lent(definition, scope)

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[Offer]:
        """Its tools, as far as they are known without asking it.

        Raises:
            RequestError: As for `listing`.
        """
        return self.listing(definition, scope).offers

    def lent(self, definition: ToolDefinition, scope: Scope) -> McpListing:
        """Its tools under a definition of somebody's own, whose filters hold beside its own.

        Raises:
            RequestError: 400; `param` is relative to the definition.
        """
        if not isinstance(definition, McpServerTool):
            raise RequestError(f"expected type mcp, got {definition.type!r}", param="type")
        for field in ("server_url", "authorization", "headers"):
            if getattr(definition, field) is not None:
                raise RequestError(
                    f"{field}: {self.label!r} is a server of this provider, which knows the way: "
                    "leave it out",
                    param=field,
                    code="invalid_value",
                )
        asked = policy_of(definition.allowed_tools, definition.require_approval)
        label = definition.server_label
        about = definition.server_description
        mark = definition_mark(self._way, label, self._allowed, definition.allowed_tools)
        place = [*self._way.place, self.label, definition.connector_id or ""]
        source = Source(
            label,
            self._link(),
            (asked, self._policy),
            mark,
            place,
            about,
            guarded=self._policy.believes,
        )
        return McpListing(source, scope)

    def _link(self) -> Link:
        plain = Plain(tuple(self._way.secrets), self._way.tokens)
        return Link(self._lines, self.label, self._way, self._timeout, plain)

    async def aclose(self) -> None:
        """End its sessions; it can be used again afterwards."""
        await self._lines.aclose()

    async def __aenter__(self) -> "MCPServer":
        return self

    async def __aexit__(self, *how: object) -> None:
        await self.aclose()


def _uris(folders: Sequence[str | PathLike[str]]) -> tuple[str, ...]:
    return tuple(Path(folder).resolve().as_uri() for folder in folders)


def _origins(urls: Sequence[str]) -> tuple[str, ...]:
    for url in urls:
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path not in ("", "/")
        ):
            raise ConfigurationError(
                f"auth_origins: expected origins such as 'https://login.corp:8443', got {url!r}"
            )
    return tuple(urls)


def check_seconds(**given: float) -> None:
    """Whether these can be waited for.

    Raises:
        ConfigurationError: One cannot.
    """
    for name, seconds in given.items():
        if not 0 < seconds < math.inf:
            raise ConfigurationError(f"{name}: expected seconds above 0, got {seconds}")


def network(*origins: str) -> "httpx2.AsyncBaseTransport":
    """What sends requests: to these origins wherever they are, else to public addresses alone."""
    import httpx2

    from .web.network import Near, Public

    def refused(origin: str) -> None:
        log.warning("an MCP server leads to %s, in a private network: refused", origin)

    return Near(map(httpx2.URL, origins), refused=refused) if origins else Public()
