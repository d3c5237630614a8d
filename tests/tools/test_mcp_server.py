"""`MCPServer`: an agent's own servers: programs, servers in this process, and their lives."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest
from mcp.server import MCPServer as Server

from antiphon.agents import Agent
from antiphon.errors import ConfigurationError
from antiphon.items import Event, McpCall, McpListTools, ToolProgress
from antiphon.models import ScriptedModel
from antiphon.tools import MCPServer

from .mcp_kit import PATIENCE, Desk, call, call_of, end_of, listing_of, play, program

pytestmark = pytest.mark.anyio


async def test_a_run_begins_with_the_server_s_tools_and_calls_them() -> None:
    async with MCPServer.in_process("desk", Desk().server) as server:
        events = await play([call("add", {"a": 1, "b": 2})], "three", tools=[server])
    assert [event.type for event in events if "mcp" in event.type] == [
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    output = end_of(events).output
    assert [tool.name for tool in listing_of(output).tools][:2] == ["add", "echo"]
    receipt = call_of(output)
    assert (receipt.server_label, receipt.name, receipt.output) == ("desk", "add", "3")
    assert (receipt.status, receipt.error) == ("completed", None)


async def test_a_program_is_started_once_for_many_runs() -> None:
    async with program() as server:
        pids = [
            call_of(end_of(await play([call("who")], "ok", tools=[server])).output).output
            for _ in range(3)
        ]
    assert len(set(pids)) == 1
    assert (pids[0] or "").isdigit()


async def test_a_program_that_died_is_started_again_for_the_next_call() -> None:
    async with program() as server:
        events = await play([call("die")], [call("add", {"a": 1, "b": 1})], "ok", tools=[server])
    died, added = [item for item in end_of(events).output if isinstance(item, McpCall)]
    assert died.status == "failed"
    assert "nobody knows whether the call ran" in str(died.error)
    assert added.output == "2"


@pytest.mark.parametrize("how", ["silent", "broken"])
async def test_a_program_that_does_not_speak_is_a_failed_listing(how: str) -> None:
    async with program(how, timeout=1.0) as server:
        events = await play("without tools, then", tools=[server])
    response = end_of(events)
    listing = listing_of(response.output)
    assert listing.tools == []
    assert listing.error
    assert "response.mcp_list_tools.failed" in [event.type for event in events]
    assert response.status == "completed"
    assert response.output_text == "without tools, then"


async def test_a_program_that_is_not_there_is_a_failed_listing() -> None:
    async with MCPServer.stdio("desk", "/no/such/program") as server:
        listing = listing_of(end_of(await play("alone", tools=[server])).output)
    assert "could not be started" in str(listing.error)


async def test_a_key_that_a_program_gives_back_is_not_shown() -> None:
    key = "sk-0123456789abcdefghij"
    async with program(env={"DESK_KEY": key}) as server:
        events = await play([call("key")], "ok", tools=[server])
    assert call_of(end_of(events).output).output == "[redacted]"
    assert key not in repr(server)


async def test_calls_of_one_turn_run_side_by_side_in_one_session() -> None:
    turn = [call("add", {"a": n, "b": 0}) for n in range(30)]
    async with program() as server:
        output = end_of(await play(turn, "ok", tools=[server])).output
    calls = [item for item in output if isinstance(item, McpCall)]
    assert [one.output for one in calls] == [str(n) for n in range(30)]


async def test_a_cancelled_call_is_cancelled_there_and_the_session_lives_on() -> None:
    desk = Desk()
    async with MCPServer.in_process("desk", desk.server) as server:
        agent = Agent(name="clerk", model=ScriptedModel([[call("wait")]]), tools=[server])
        events: list[Event] = []

        async def run() -> None:
            async for event in agent.stream("go"):
                events.append(event)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await desk.begun.wait()
                tasks.cancel_scope.cancel()
            await desk.cancelled.wait()
        assert end_of(events).status == "cancelled"
        assert call_of(end_of(events).output).status == "incomplete"
        again = await play([call("add", {"a": 2, "b": 2})], "ok", tools=[server])
    assert call_of(end_of(again).output).output == "4"


async def test_a_call_that_takes_too_long_fails_and_is_cancelled_there() -> None:
    desk = Desk()
    async with MCPServer.in_process("desk", desk.server, timeout=0.2) as server:
        receipt = call_of(end_of(await play([call("wait")], "ok", tools=[server])).output)
        with anyio.fail_after(PATIENCE):
            await desk.cancelled.wait()
    assert receipt.status == "failed"
    assert "took longer than 0.2 s" in str(receipt.error)


async def test_what_a_tool_says_of_its_failure_is_an_error_that_the_model_reads() -> None:
    async with MCPServer.in_process("desk", Desk().server) as server:
        model = ScriptedModel([[call("fail")], "ok"])
        result = await Agent(name="clerk", model=model, tools=[server]).run("go")
    receipt = call_of(result.response.output)
    assert receipt.status == "failed"
    assert receipt.output is None
    assert receipt.error["type"] == "mcp_tool_execution_error"
    read = cast("Any", model.requests[1].items[-1])
    assert read.output.startswith("Error: ")
    assert "shelf is empty" in read.output


async def test_a_picture_goes_to_the_model_as_a_picture_and_is_named_in_the_text() -> None:
    async with MCPServer.in_process("desk", Desk().server) as server:
        model = ScriptedModel([[call("picture")], "ok"])
        result = await Agent(name="clerk", model=model, tools=[server]).run("go")
    assert (call_of(result.response.output).output or "").startswith("[image image/png, ")
    read = cast("Any", model.requests[1].items[-1])
    assert [part.type for part in read.output] == ["input_image"]
    assert read.output[0].image_url.startswith("data:image/png;base64,iVBOR")


async def test_progress_is_told_while_the_call_runs() -> None:
    async with MCPServer.in_process("desk", Desk().server) as server:
        events = await play([call("count")], "ok", tools=[server])
    told = [event for event in events if isinstance(event, ToolProgress)]
    assert [(one.message, one.fraction) for one in told] == [("half", 0.5)]


async def test_arguments_that_cannot_fit_are_not_sent() -> None:
    desk = Desk()
    async with MCPServer.in_process("desk", desk.server) as server:
        receipt = call_of(end_of(await play([call("add", {"a": 1})], "ok", tools=[server])).output)
    assert receipt.status == "failed"
    assert "needs b" in str(receipt.error)
    assert desk.calls == []


async def test_only_allowed_tools_are_listed_and_can_be_called() -> None:
    desk = Desk()
    server = MCPServer.in_process("desk", desk.server, allowed_tools={"read_only": True})
    async with server:
        output = end_of(await play([call("echo", {"text": "x"})], "ok", tools=[server])).output
    assert [tool.name for tool in listing_of(output).tools] == ["add"]
    assert desk.calls == []


async def test_a_listing_in_the_input_is_not_asked_for_again() -> None:
    async with MCPServer.in_process("desk", Desk().server) as server:
        model = ScriptedModel(["hello", [call("add", {"a": 1, "b": 1})], "two"])
        agent = Agent(name="clerk", model=model, tools=[server])
        first = await agent.run("hi")
        second = await agent.run([*first.items, "add"])
    assert not any(isinstance(item, McpListTools) for item in second.response.output)
    assert call_of(second.response.output).output == "2"
    assert [tool.name for tool in model.requests[0].tools] == [
        tool.name for tool in model.requests[1].tools
    ]


async def test_after_the_server_said_that_its_tools_changed_they_are_listed_again() -> None:
    desk = Desk()

    def later() -> str:
        """New."""
        return "new"

    async with MCPServer.in_process("desk", desk.server) as server:
        agent = Agent(name="clerk", model=ScriptedModel(["ok"], repeat=True), tools=[server])
        first = await agent.run("hi")
        desk.server.tool()(later)
        line = server._lines.peek("desk")  # pyright: ignore[reportPrivateUsage]
        assert line is not None
        line._others()  # pyright: ignore[reportPrivateUsage]
        second = await agent.run([*first.items, "again"])
        third = await agent.run([*second.items, "and again"])
    assert "later" in [tool.name for tool in listing_of(second.response.output).tools]
    assert not any(isinstance(item, McpListTools) for item in third.response.output)


async def test_two_servers_are_asked_side_by_side_and_listed_in_order() -> None:
    one = MCPServer.in_process("one", Desk().server)
    two = MCPServer.in_process("two", Desk().server)
    async with one, two:
        output = end_of(
            await play([call("add", {"a": 1, "b": 1}, label="two")], "ok", tools=[one, two])
        )
    listings = [item for item in output.output if isinstance(item, McpListTools)]
    assert [listing.server_label for listing in listings] == ["one", "two"]
    assert call_of(output.output).server_label == "two"


async def test_an_unused_session_is_ended_and_opened_again() -> None:
    async with program(idle=0.05) as server:
        first = call_of(end_of(await play([call("who")], "ok", tools=[server])).output)
        with anyio.fail_after(PATIENCE):
            for line in list(server._lines._open.values()):  # pyright: ignore[reportPrivateUsage]
                await line.closed()
        second = call_of(end_of(await play([call("who")], "ok", tools=[server])).output)
    assert first.output != second.output


def test_a_server_is_used_from_one_event_loop_after_another() -> None:
    server = program()
    agent = Agent(
        name="clerk",
        model=ScriptedModel([[call("add", {"a": 1, "b": 1})], "ok"], repeat=True),
        tools=[server],
    )
    assert call_of(agent.run_sync("go").response.output).output == "2"
    assert call_of(agent.run_sync("go").response.output).output == "2"


@pytest.mark.parametrize("label", ["", "a b", "antiphon", "x" * 65])
def test_a_label_that_cannot_be_one_is_refused(label: str) -> None:
    with pytest.raises(ConfigurationError, match="label"):
        MCPServer.stdio(label, "true")


@pytest.mark.parametrize("server", [5, "http://desk.example", None])
def test_what_is_no_server_is_refused_when_it_is_named(server: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a server of the mcp SDK, got"):
        MCPServer.in_process("desk", server)


async def test_an_error_at_a_server_s_beginning_is_told_to_its_owner_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @asynccontextmanager
    async def life(_: Any) -> AsyncGenerator[None]:
        raise AttributeError("no table orders")
        yield

    broken = Server("desk", lifespan=life)
    async with MCPServer.in_process("desk", broken) as server:
        listing = listing_of(end_of(await play("ok", tools=[server])).output)
    assert listing.error == "no session: AttributeError"
    assert "the MCP server desk of this process did not begin" in caplog.text
    assert "AttributeError: no table orders" in caplog.text


def test_filters_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"allowed_tools\.names: expected no other"):
        MCPServer.stdio("x", "true", allowed_tools={"names": ["a"]})
    with pytest.raises(ConfigurationError, match="require_approval: expected"):
        MCPServer.stdio("x", "true", require_approval="sometimes")
