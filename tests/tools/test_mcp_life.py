"""Sessions with MCP servers: shared, left and closed, without a task or a scope left behind."""

import asyncio

import anyio
import anyio.lowlevel
import pytest

from antiphon.agents import Agent
from antiphon.items import Event, McpApprovalRequest, McpCall, McpListTools, ToolProgress
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.tools import MCPServer

from .mcp_kit import PATIENCE, Desk, ask, call, call_of, end_of, listing_of, play, program

pytestmark = pytest.mark.anyio


async def test_runs_that_begin_together_share_one_session() -> None:
    pids: set[str] = set()

    async def one(server: MCPServer) -> None:
        events = await play([call("who")], "ok", tools=[server])
        pids.add(call_of(end_of(events).output).output or "")

    async with program() as server, anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one, server)
    assert len(pids) == 1


async def test_a_run_that_is_cancelled_while_its_server_starts_takes_nothing_down() -> None:
    server = program()
    agent = Agent(name="clerk", model=ScriptedModel(["never"]), tools=[server])
    events: list[Event] = []
    listing = anyio.Event()

    async def run() -> None:
        async for event in agent.stream("go"):
            events.append(event)
            if event.type == "response.mcp_list_tools.in_progress":
                listing.set()

    async with server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            with anyio.fail_after(PATIENCE):
                await listing.wait()
            tasks.cancel_scope.cancel()
        assert end_of(events).status == "cancelled"
        assert listing_of(end_of(events).output).tools == []
        again = await play([call("add", {"a": 1, "b": 1})], "ok", tools=[server])
    assert call_of(end_of(again).output).output == "2"


async def test_who_opened_a_session_may_be_cancelled_and_the_others_keep_it() -> None:
    server = program()
    first = Agent(name="first", model=ScriptedModel([[call("who"), call("wait")]]), tools=[server])
    begun = anyio.Event()

    async def open_and_wait(scope: anyio.CancelScope) -> None:
        with scope:
            async for event in first.stream("go"):
                if isinstance(event, ToolProgress):
                    begun.set()

    pids: set[str | None] = set()

    async def ask() -> None:
        events = await play([call("who")], "ok", tools=[server])
        pids.add(call_of(end_of(events).output).output)

    async with server:
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_and_wait, scope)
            with anyio.fail_after(PATIENCE):
                await begun.wait()
            await ask()
            scope.cancel()
        await ask()
    assert len(pids) == 1
    assert all((pid or "").isdigit() for pid in pids)


async def test_closing_a_server_fails_the_calls_that_are_on_their_way() -> None:
    server = program()
    agent = Agent(name="clerk", model=ScriptedModel([[call("wait")], "ok"]), tools=[server])
    events: list[Event] = []
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            async for event in agent.stream("go"):
                events.append(event)
                if isinstance(event, ToolProgress):
                    tasks.start_soon(server.aclose)
    assert end_of(events).status == "completed"
    assert call_of(end_of(events).output).status == "failed"


async def test_many_runs_leave_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with MCPServer.in_process("desk", Desk().server) as server:
        for _ in range(30):
            await play([call("add", {"a": 1, "b": 1})], "ok", tools=[server])
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    assert asyncio.all_tasks() == before


async def test_an_agent_to_which_a_conversation_is_handed_has_its_own_server() -> None:
    one, two = Desk(), Desk()
    async with (
        MCPServer.in_process("desk", one.server) as first,
        MCPServer.in_process("desk", two.server, allowed_tools=["echo"]) as second,
    ):
        other = Agent(
            name="other",
            model=ScriptedModel([[call("echo", {"text": "hi"})], "done"]),
            tools=[second],
        )
        handing = FunctionCall("transfer_to_other", {"reason": "theirs"})
        agent = Agent(
            name="clerk",
            model=ScriptedModel([[call("add", {"a": 1, "b": 1})], [handing]]),
            tools=[first],
            handoffs=[other],
        )
        result = await agent.run("go")
    assert result.output == "done"
    listings = [item for item in result.response.output if isinstance(item, McpListTools)]
    assert [len(listing.tools) for listing in listings] == [7, 1]
    calls = [item.name for item in result.response.output if isinstance(item, McpCall)]
    assert calls == ["add", "echo"]
    assert (one.calls, two.calls) == (["add"], ["echo"])


async def test_a_server_among_a_provider_s_tools_is_asked_for_by_its_label() -> None:
    async with MCPServer.in_process("desk", Desk().server) as server:
        tools = [{"type": "mcp", "server_label": "desk", "allowed_tools": ["add"]}]
        turn = [call("add", {"a": 1, "b": 1})]
        waits = await ask(ScriptedModel([turn]), [server], tools=tools)
        free = [{**tools[0], "require_approval": "never"}]
        runs = await ask(ScriptedModel([turn, "ok"]), [server], tools=free)
    assert isinstance(waits.output[-1], McpApprovalRequest)
    assert call_of(runs.output).output == "2"
