"""An agent as an MCP server: a host calls it, and its person approves what the agent would do.

python examples/serve_mcp.py                    host and server in one process; you approve
antiphon mcp serve_mcp:clerk                    the server alone, from this folder, for a host
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any

from mcp import Client
from mcp_types import ElicitRequestParams, ElicitResult, TextContent

from antiphon.agents import Agent
from antiphon.items import FunctionCallOutput
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.provider import Provider
from antiphon.tools import tool


@tool(needs_approval=lambda euros: euros > 10)
async def refund(order: str, euros: int) -> str:
    """Give money back for an order."""
    return f"{euros} euros are on their way"


@model("settler")
async def settler(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Plays the model: it calls the tool, and tells what came of it."""
    last = request.items[-1]
    if isinstance(last, FunctionCallOutput):
        yield Text(f"The till says: {last.output}")
    else:
        yield FunctionCall("refund", {"order": "A-17", "euros": 40})


clerk = Agent(name="clerk", model=settler, instructions="Settle complaints.", tools=[refund])


async def ask(context: Any, params: ElicitRequestParams) -> ElicitResult:
    """What a host does when a server asks its person something."""
    print(f"{params.message} [y/N]", flush=True)
    yes = sys.stdin.readline().strip().lower() == "y"
    return ElicitResult(action="accept" if yes else "decline", content={})


async def follow(progress: float, total: float | None, message: str | None) -> None:
    print(f"... {message}")


async def main() -> None:
    served = Provider(agents=[clerk])  # over HTTP it is at /mcp
    async with Client(served.mcp_server(), elicitation_callback=ask) as host:
        result = await host.call_tool("clerk", {"input": "It broke."}, progress_callback=follow)
        print(*(block.text for block in result.content if isinstance(block, TextContent)))


if __name__ == "__main__":
    asyncio.run(main())
