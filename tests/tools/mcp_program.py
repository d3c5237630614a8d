"""A server of the official SDK over standard input and output; `die` ends it in the middle."""

import os
import sys

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("program")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def who() -> str:
    """Which process this is."""
    return str(os.getpid())


@server.tool()
def key() -> str:
    """What it was given to get in."""
    return os.environ.get("DESK_KEY", "nothing")


@server.tool()
def variable(name: str) -> str:
    """One of its variables."""
    return os.environ.get(name, "nothing")


@server.tool()
async def wait(ctx: Context) -> str:
    """Begins, and never ends."""
    await ctx.report_progress(0, 1, "begun")
    await anyio.sleep_forever()
    return "never"


@server.tool()
def die() -> str:
    """The process ends."""
    os._exit(3)


if __name__ == "__main__":
    if "silent" in sys.argv:
        sys.stdin.read()
    elif "broken" in sys.argv:
        sys.exit(3)
    else:
        server.run("stdio")
