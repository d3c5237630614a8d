"""What can be typed after `antiphon mcp`: options and help.

Above: `parser`. Below: `options`. Not here: serving, which is `mcp`.
"""

from typing import Any, Final

from .command import add_command
from .options import McpOptions
from .shared import add_address, add_drain, add_keys, add_log, listening_of

_EPILOG: Final = """\
examples:
  antiphon mcp app:agent            the agent of app.py, for a host that starts this program
  antiphon mcp app:app              all tools, agents and workflows of the Provider `app`
  antiphon mcp app:app --http --port 8001
                                    the same at http://127.0.0.1:8001/mcp

module:name is a Provider, an Agent, a Workflow, a @tool function, or a list of agents, workflows
and tools; `antiphon mcp app` means app:app. A host's configuration names the program and its
arguments:
  {"mcpServers": {"guide": {"command": "antiphon", "args": ["mcp", "app:agent"], "cwd": "..."}}}
Over stdio, standard output carries the protocol; whatever your code prints goes to standard error.
A Provider that is being served already has MCP at /mcp, without this command.

environment, for --http:
  ANTIPHON_API_KEYS    API keys, as key:name,key2:name2 (a Provider has its own)
"""


def add_mcp(commands: Any) -> None:
    """Add `mcp`."""
    parser = add_command(
        commands,
        "mcp",
        brief="serve tools, agents and workflows to MCP hosts, over stdio or HTTP",
        epilog=_EPILOG,
        make=lambda given: McpOptions(
            target=given.target,
            http=given.http,
            listening=listening_of(given),
        ),
    )
    parser.add_argument("target", metavar="module:name", help="what to serve")
    add_log(parser)
    http = parser.add_argument_group("over HTTP")
    http.add_argument("--http", action="store_true", help="serve streamable HTTP, at /mcp")
    add_address(http)
    add_keys(http)
    add_drain(http)
