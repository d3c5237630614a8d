"""`antiphon mcp`: a Provider, an agent, a workflow or tools for MCP hosts, over stdio or HTTP.

Above: `entry`. Below: `provider`, `mcp_wire` (stdin and stdout), `server` (HTTP). Not here: what a
call does, which is the Provider's.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any, Final, cast

import anyio
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from antiphon import __version__
from antiphon.agents import Agent, Runnable, Workflow
from antiphon.errors import ConfigurationError
from antiphon.models import prefer_fast
from antiphon.provider import Provider
from antiphon.tools import HostedTool, Offer

from .load import look_up, where
from .logs import log_to_stderr
from .mcp_parser import McpOptions
from .mcp_wire import serve_wire, take_wire
from .serve import KEYS, bind, is_loopback, keys_of
from .server import Server

_SERVED: Final = ("/mcp", "/healthz", "/readyz")


def mcp(options: McpOptions) -> int:
    """Serve until the host is gone, or a signal says stop.

    Returns:
        0 when it ended as it was told; 1 if it could not start.

    Raises:
        ConfigurationError: There is nothing to serve, or it would be open to strangers.
        AntiphonError: The address cannot be bound.
        KeyboardInterrupt: Ctrl-C.
    """
    if options.http:
        prefer_fast()
        return _serve_http(options)
    if options.api_keys or options.keys:
        raise ConfigurationError("--api-key and --keys belong to --http: stdio has one user")
    came, goes = take_wire()  # before anything of the user's is imported, which may print
    if options.log is not None:
        log_to_stderr(options.log)
    anyio.run(serve_wire, _provider(options), came, goes)
    return 0


def _serve_http(options: McpOptions) -> int:
    provider = _provider(options)
    provider.mcp_server()  # whether there is anything to serve
    if provider.open and not is_loopback(options.host):
        raise ConfigurationError(
            f"--host {options.host} lets other machines in, and there is no API key: say "
            f"--api-key KEY=NAME, or set {KEYS}, or --keys FILE (a Provider: write "
            "Provider(api_keys={...})), or keep --host 127.0.0.1"
        )
    given: dict[str, Any] = {}
    if options.log is not None:
        log_to_stderr(options.log)
        given["log_config"] = None
    bound = bind(options.host, options.port)
    app = OnlyMcp(provider)
    server = Server(app, drain=options.drain, leaving=provider.drain, **given)
    host = f"[{options.host}]" if ":" in options.host else options.host
    whom = "to this machine only: no API key is set" if provider.open else "to holders of a key"
    url = f"http://{host}:{bound.getsockname()[1]}/mcp"
    sys.stdout.write(f"antiphon {__version__} serves {options.target} at {url}\nopen {whom}\n")
    sys.stdout.flush()
    try:
        server.run(sockets=[bound])
    finally:
        bound.close()
    return 0 if server.started else 1


class OnlyMcp:
    """A Provider's /mcp and its health, and nothing else of it.

    Args:
        provider: The Provider.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] == "lifespan" or scope["path"] in _SERVED:
            await self._provider(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            told = f"nothing is served at {scope['path']!r}: MCP is at /mcp"
            error = {"message": told, "type": "not_found_error", "param": None, "code": None}
            await JSONResponse({"error": error}, 404)(scope, receive, send)


def _provider(options: McpOptions) -> Provider:
    """The Provider that is named; or one that is made around what is named."""
    module, path, found = look_up(options.target, "app")
    if isinstance(found, Provider):
        if options.api_keys or options.keys:
            raise ConfigurationError(
                "--api-key and --keys are for agents, workflows and tools: write "
                f"Provider(api_keys=...) in {options.target}"
            )
        return found
    several = isinstance(found, list | tuple)
    given = list(cast("Sequence[object]", found)) if several else [found]
    for one in given:
        if isinstance(one, HostedTool) or not isinstance(one, Runnable | Offer):
            got = "nothing" if one is None else type(one).__name__
            raise ConfigurationError(
                f"expected a Provider, an Agent, a Workflow, a @tool function or a list of them "
                f"named {path!r} in {where(module)}; got {got}: name what is to be served, "
                "as module:name"
            )
    keys = keys_of(options.api_keys, options.keys) if options.http else None
    if not options.http and os.environ.get(KEYS):
        sys.stderr.write(f"note: {KEYS} is for --http\n")
    return Provider(
        agents=[cast("Agent[Any]", one) for one in given if isinstance(one, Agent)],
        workflows=[cast("Workflow[Any]", one) for one in given if isinstance(one, Workflow)],
        tools=[one for one in given if isinstance(one, Offer)],
        api_keys=keys or None,
        store="memory://",
    )
