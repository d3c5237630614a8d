"""`antiphon mcp`: a Provider, an agent, a workflow or tools for MCP hosts, over stdio or HTTP.

Above: `entry`. Below: `provider`, `mcp_wire` (stdin and stdout), `listening` (HTTP). Not here: what
a call does, which is the Provider's.
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

from .listening import KEYS, keys_of, refuse_strangers, run_server, whom
from .load import held, look_up, where
from .logs import log_to_stderr
from .mcp_wire import serve_wire, take_wire
from .options import McpOptions

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
    if options.listening.api_keys or options.listening.keys:
        raise ConfigurationError("--api-key and --keys belong to --http: stdio has one user")
    came, goes = take_wire()  # before anything of the user's is imported, which may print
    if options.listening.log is not None:
        log_to_stderr(options.listening.log)
    anyio.run(serve_wire, _provider(options), came, goes)
    return 0


def _serve_http(options: McpOptions) -> int:
    provider = _provider(options)
    provider.mcp_server()  # whether there is anything to serve
    refuse_strangers(
        provider,
        options.listening.host,
        cure=f"say --api-key KEY=NAME, or set {KEYS}, or --keys FILE (a Provider: write "
        "Provider(api_keys={...}))",
    )

    def greeting(url: str) -> str:
        what = f"antiphon {__version__} serves {options.target} at {url}/mcp"
        return f"{what}\nopen to {whom(provider)}\n"

    return run_server(OnlyMcp(provider), options.listening, leaving=provider.drain, greet=greeting)


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
        if options.listening.api_keys or options.listening.keys:
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
            kinds = (Provider, Runnable, Offer)
            cure = held(module, *kinds, instead="name what is to be served, as module:name")
            raise ConfigurationError(
                f"expected a Provider, an Agent, a Workflow, a @tool function or a list of them "
                f"named {path!r} in {where(module)}; got {got}: {cure}"
            )
    keys = keys_of(options.listening) if options.http else None
    if not options.http and os.environ.get(KEYS):
        sys.stderr.write(f"note: {KEYS} is for --http\n")
    return Provider(
        agents=[cast("Agent[Any]", one) for one in given if isinstance(one, Agent)],
        workflows=[cast("Workflow[Any]", one) for one in given if isinstance(one, Workflow)],
        tools=[one for one in given if isinstance(one, Offer)],
        api_keys=keys or None,
        store="memory://",
    )
