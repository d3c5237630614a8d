"""What the tests of MCP bridges share: a server of the official SDK, and a look at a run."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
from mcp.server import MCPServer as Server
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from antiphon.agents import Agent, loop
from antiphon.items import (
    CreateResponse,
    Event,
    Ids,
    Item,
    McpCall,
    McpListTools,
    Response,
    ResponseEvent,
)
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.tools import MCPServer

PATIENCE = 60.0
PNG = b"\x89PNG\r\n\x1a\nnot much of a picture"
SCRIPT = Path(__file__).parent / "mcp_program.py"


class Desk:
    """A server of the SDK, and what happened in it."""

    def __init__(self) -> None:
        self.server: Server = Server("desk")
        self.begun = anyio.Event()
        self.cancelled = anyio.Event()
        self.calls: list[str] = []
        self.server.tool(annotations=ToolAnnotations(read_only_hint=True))(self.add)
        for each in (self.echo, self.picture, self.fail, self.wait, self.count, self.table):
            self.server.tool()(each)

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        self.calls.append("add")
        return a + b

    def echo(self, text: str) -> str:
        """Say it again."""
        self.calls.append("echo")
        return text

    def picture(self) -> Image:
        """A picture."""
        return Image(data=PNG, format="png")

    def fail(self) -> str:
        """Fails."""
        raise ToolError("the shelf is empty")

    async def wait(self) -> str:
        """Never ends."""
        self.begun.set()
        try:
            await anyio.sleep_forever()
            return "never"
        finally:
            self.cancelled.set()

    async def count(self, ctx: Context) -> str:
        """Tells how far it is."""
        await ctx.report_progress(1, 2, "half")
        return "counted"

    def table(self) -> dict[str, Any]:
        """Data."""
        return {"rows": [1, 2, 3]}


def program(*args: str, label: str = "desk", **options: Any) -> MCPServer:
    """The same kind of server, as a program."""
    return MCPServer.stdio(label, sys.executable, str(SCRIPT), *args, **options)


def call(
    name: str, arguments: dict[str, Any] | None = None, *, label: str = "desk"
) -> FunctionCall:
    """A model's call."""
    return FunctionCall(f"{label}__{name}", arguments or {})


async def play(*turns: Any, tools: Sequence[Any], given: Any = "go", **options: Any) -> list[Event]:
    """All events of a run of an agent with these tools."""
    agent = Agent(name="clerk", model=ScriptedModel(list(turns)), tools=list(tools), **options)
    with anyio.fail_after(PATIENCE):
        return [event async for event in agent.stream(given)]


async def ask(model: Any, here: Sequence[Any], **fields: Any) -> Response:
    """The end of a request to a model; `here` is what can be run."""
    body = CreateResponse.model_validate({"model": "m", "input": "go", **fields})
    with anyio.fail_after(PATIENCE):
        events = [event async for event in loop(body, model=model, tools=here, ids=Ids(seed=1))]
    return end_of(events)


def end_of(events: Sequence[Event]) -> Response:
    """The response of the last event."""
    return cast("ResponseEvent", events[-1]).response


def listing_of(items: Sequence[Item]) -> McpListTools:
    """The one listing."""
    (found,) = [item for item in items if isinstance(item, McpListTools)]
    return found


def call_of(items: Sequence[Item]) -> McpCall:
    """The one call."""
    (found,) = [item for item in items if isinstance(item, McpCall)]
    return found


async def gone(pid: int) -> bool:
    """Whether a process is no more; waits for its end, and not for ever."""
    with anyio.move_on_after(PATIENCE):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            await anyio.lowlevel.checkpoint()
    return False
