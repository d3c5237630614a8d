"""What can be typed after `antiphon mcp`: its options and their help.

Above: `parser`, `options`. Not here: any import that takes time, and serving, which is `mcp`.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from .command import Command

_EPILOG: Final = """\
examples:
  antiphon mcp app:agent            the agent of app.py, for a host that starts this program
  antiphon mcp app:app              all tools, agents and workflows of the Provider `app`
  antiphon mcp app:app --http --port 8001
                                    the same at http://127.0.0.1:8001/mcp

module:name is a Provider, an Agent, a Workflow, a @tool function, or a list of these but the first.
A host's configuration has the program and its arguments, such as
  {"mcpServers": {"guide": {"command": "antiphon", "args": ["mcp", "app:agent"], "cwd": "..."}}}
Over stdio whatever else prints goes to standard error; a Provider's own /mcp needs no such command.

environment: ANTIPHON_API_KEYS, keys for --http as key:name,key2:name2 (a Provider has its own)
"""


@dataclass(frozen=True, slots=True)
class McpOptions:
    """`antiphon mcp`.

    Attributes:
        target: What to serve, as `module:name`.
        http: Whether over HTTP; else over stdin and stdout.
        host: The address to bind.
        port: The port to bind; 0 takes a free one.
        api_keys: Keys of callers, as `KEY=NAME`.
        keys: A file of keys.
        drain: Seconds that calls under way are given at the end.
        log: How requests are logged to standard error; None logs none.
    """

    target: str
    http: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: Sequence[str] = ()
    keys: str | None = None
    drain: float = 30.0
    log: Literal["json", "text"] | None = None


def add_mcp(commands: Any, *, command: Command, port: Callable[[str], int]) -> None:
    """Add `mcp`.

    Args:
        commands: Where commands are added.
        command: Adds one.
        port: Reads a port.
    """
    parser = command(
        commands,
        "mcp",
        brief="serve tools, agents and workflows to MCP hosts, over stdio or HTTP",
        epilog=_EPILOG,
        make=lambda given: McpOptions(
            target=given.target,
            http=given.http,
            host=given.host,
            port=given.port,
            api_keys=tuple(given.api_key),
            keys=given.keys,
            drain=given.drain,
            log=given.log,
        ),
    )
    parser.add_argument("target", metavar="module:name", help="what to serve")
    parser.add_argument(
        "--log", choices=("json", "text"), help="log every request to standard error"
    )
    http = parser.add_argument_group("over HTTP")
    http.add_argument("--http", action="store_true", help="serve streamable HTTP, at /mcp")
    http.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    http.add_argument(
        "--port", type=port, default=8000, help="port to bind (default: 8000; 0 takes a free one)"
    )
    http.add_argument(
        "--api-key",
        action="append",
        default=[],
        metavar="KEY=NAME",
        help="a key that hosts may use, and whose it is; may be repeated",
    )
    http.add_argument("--keys", metavar="FILE", help="a file of keys, with a line KEY:NAME each")
    http.add_argument(
        "--drain",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long calls under way may take to end when the server is stopped (default: 30)",
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < 86_400:
        raise argparse.ArgumentTypeError(f"expected seconds from 0, got {text}")
    return number
