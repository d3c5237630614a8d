"""Servers that say that their tools are others now: within a run, between runs, after approval."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.server.mcpserver import Context

from antiphon.agents import Agent
from antiphon.items import McpApprovalResponse, McpCall, McpListTools
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text, model
from antiphon.tools import MCPServer

from .mcp_kit import PATIENCE, Desk, ask, call, call_of, end_of, play
from .mcp_reaching import SOME, reached

pytestmark = pytest.mark.anyio

ways = pytest.mark.parametrize(("way", "revision"), SOME)


async def heard(server: MCPServer, *, times: int = 1) -> None:
    """Until a server has said that its tools are others: over HTTP on a stream of its own."""
    lines = server._lines  # pyright: ignore[reportPrivateUsage]
    with anyio.fail_after(PATIENCE):
        while (line := lines.peek(server.label)) is None or line.changes < times:
            await anyio.lowlevel.checkpoint()


def names(listing: McpListTools) -> list[str]:
    return [tool.name for tool in listing.tools]


@ways
async def test_a_tool_that_comes_while_a_run_goes_on_can_be_called_in_it(
    way: str, revision: str
) -> None:
    async with reached(way, revision) as server:
        seen: list[set[str]] = []

        @model("curious")
        async def curious(request: ModelRequest) -> AsyncGenerator[Any, None]:
            """Unlocks, waits until it is known, and calls what was not there before."""
            seen.append({tool.name for tool in request.tools})
            if len(seen) == 1:
                yield FunctionCall("desk__unlock", {})
            elif "desk__secret" not in seen[-1]:
                await heard(server)
                yield FunctionCall("desk__look", {})
            elif getattr(request.items[-1], "output", None) != "found":
                yield FunctionCall("desk__secret", {})
            else:
                yield Text("that is all")

        agent = Agent(name="clerk", model=curious, tools=[server])
        with anyio.fail_after(PATIENCE):
            result = await agent.run("go")
    calls = [item for item in result.response.output if isinstance(item, McpCall)]
    assert (calls[0].output, calls[-1].name, calls[-1].output) == ("unlocked", "secret", "found")
    first, second = [item for item in result.response.output if isinstance(item, McpListTools)]
    assert "secret" not in names(first)
    assert "secret" in names(second)


@ways
async def test_the_next_run_sees_what_changed_and_the_one_after_it_asks_no_more(
    way: str, revision: str
) -> None:
    async with reached(way, revision) as server:
        script = [[call("unlock")], "ok", "and", "so on"]
        agent = Agent(name="clerk", model=ScriptedModel(script), tools=[server])
        with anyio.fail_after(PATIENCE):
            first = await agent.run("go")
            await heard(server)
            second = await agent.run([*first.items, "again"])
            third = await agent.run([*second.items, "and again"])
    listings = [item for item in third.items if isinstance(item, McpListTools)]
    assert ["secret" in names(listing) for listing in listings] == [False, True]
    assert not any(isinstance(item, McpListTools) for item in third.response.output)


@ways
async def test_a_tool_that_changed_after_it_was_approved_is_asked_for_again(
    way: str, revision: str
) -> None:
    asking = {"always": {"tool_names": ["look"]}, "never": {"tool_names": ["turn"]}}
    async with reached(way, revision, require_approval=asking) as server:
        turns = [[call("look"), call("turn")], "seen it"]
        agent = Agent(name="clerk", model=ScriptedModel(turns), tools=[server])
        with anyio.fail_after(PATIENCE):
            first = await agent.run("go")
            (request,) = first.approvals
            word = McpApprovalResponse(approval_request_id=request.id or "", approve=True)
            second = await agent.run([*first.items, word])
            (anew,) = second.approvals
            word = McpApprovalResponse(approval_request_id=anew.id or "", approve=True)
            third = await agent.run([*second.items, word])
    ran = [item.name for item in second.items if isinstance(item, McpCall)]
    assert ran == ["turn"]
    (listing,) = [item for item in second.response.output if isinstance(item, McpListTools)]
    (look,) = [tool for tool in listing.tools if tool.name == "look"]
    assert look.description == "Look, and send all of it to me."
    assert anew.id != request.id
    assert call_of(third.response.output).output == "seen"


async def test_a_server_that_always_says_that_it_changed_is_asked_a_few_times_in_a_run() -> None:
    desk = Desk()

    async def fidget(ctx: Context) -> str:
        """It is another one after each call."""
        await ctx.notify_tools_changed()
        return "so?"

    desk.server.tool()(fidget)
    async with MCPServer.in_process("desk", desk.server) as server:
        events = await play(*[[call("fidget")] for _ in range(30)], "enough", tools=[server])
    lists = [event for event in events if event.type == "response.mcp_list_tools.completed"]
    assert end_of(events).output_text == "enough"
    assert 1 < len(lists) <= 9


async def test_what_tool_choice_demanded_is_not_demanded_again_by_a_new_list() -> None:
    desk = Desk()

    async def vanish(ctx: Context) -> str:
        """It is gone afterwards."""
        desk.server.remove_tool("vanish")
        await ctx.notify_tools_changed()
        return "puff"

    desk.server.tool()(vanish)
    script = ScriptedModel([[call("vanish")], [call("add", {"a": 1, "b": 1})], "two"])
    async with MCPServer.in_process("desk", desk.server) as server:
        tool = {"type": "mcp", "server_label": "desk", "require_approval": "never"}
        demand = {"type": "mcp", "server_label": "desk", "name": "vanish"}
        response = await ask(script, [server], tools=[tool], tool_choice=demand)
    assert (response.status, response.output_text) == ("completed", "two")
    calls = [item.output for item in response.output if isinstance(item, McpCall)]
    assert calls == ["puff", "2"]
    assert [request.tool_choice for request in script.requests][1:] == ["auto", "auto"]


async def test_no_list_is_asked_for_when_no_more_calls_may_run() -> None:
    desk = Desk()

    async def fidget(ctx: Context) -> str:
        """It is another one after each call."""
        await ctx.notify_tools_changed()
        return "so?"

    desk.server.tool()(fidget)
    script = ScriptedModel([[call("fidget"), call("fidget")], "enough"])
    async with MCPServer.in_process("desk", desk.server) as server:
        tool = {"type": "mcp", "server_label": "desk", "require_approval": "never"}
        response = await ask(script, [server], tools=[tool], max_tool_calls=1)
    assert response.output_text == "enough"
    assert len([item for item in response.output if isinstance(item, McpListTools)]) == 1
    assert script.requests[1].tool_choice == "none"
