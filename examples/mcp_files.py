"""Notes behind an MCP server: a model may read them, and a person approves what it erases.

python examples/mcp_files.py                    a script plays the model, you approve
python examples/mcp_files.py --model ollama:qwen3
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from mcp.server import MCPServer as Server
from mcp_types import ToolAnnotations

from antiphon.agents import Agent
from antiphon.items import McpApprovalResponse, McpCall
from antiphon.models import FunctionCall, Model, ScriptedModel
from antiphon.tools import Asked, MCPServer

SCRIPT = [
    [FunctionCall("notes__read", {"name": "teapots"})],
    [FunctionCall("notes__erase", {"name": "teapots"})],
    "That is all.",
]


def serve(folder: Path) -> None:
    """The server: this file again, as a program of its own."""
    server = Server("notes")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def read(name: str) -> str:  # pyright: ignore[reportUnusedFunction]
        """What a note says."""
        return (folder / Path(name).name).read_text()

    @server.tool()
    def erase(name: str) -> str:  # pyright: ignore[reportUnusedFunction]
        """Erase a note for ever."""
        (folder / Path(name).name).unlink()
        return f"{name} is erased"

    server.run("stdio")


def word_on(asked: Asked) -> McpApprovalResponse:
    print(f"May it {asked.name} {asked.arguments}? [y/N]", flush=True)
    yes = sys.stdin.readline().strip().lower() == "y"
    return McpApprovalResponse(approval_request_id=asked.id or "", approve=yes)


async def work(folder: str, model: Model | str) -> None:
    careful = {"never": {"read_only": True}}
    program = (sys.executable, __file__, "--serve", folder)
    async with MCPServer.stdio("notes", *program, require_approval=careful) as notes:
        agent = Agent(name="archivist", model=model, tools=[notes])
        result = await agent.run("Read the note `teapots`, and erase it if it is old.")
        while result.approvals:
            words = [word_on(asked) for asked in result.approvals]
            result = await agent.run([*result.items, *words])
    for item in result.items:
        if isinstance(item, McpCall):
            print(f"{item.name} {item.arguments} -> {item.output or item.status}")
    print(result.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--serve", type=Path)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
    else:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "teapots").write_text("A teapot with a broken spout, of 1951.")
            asyncio.run(work(folder, given.model or ScriptedModel(SCRIPT)))
