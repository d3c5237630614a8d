"""Workflows in each other and in agents, what they share, and what cannot be one."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, Workflow, run, workflow
from antiphon.errors import ConfigurationError, RequestError, RunError
from antiphon.items import AgentCall, Event, Item, ToolCall, fold
from antiphon.models import FunctionCall, ScriptedModel, Text, Usage
from antiphon.tools import Context, tool

from .kit import asked, end_of, heard, own
from .working import calls_of, report, speaker, told

pytestmark = pytest.mark.anyio


# --- in each other -----------------------------------------------------------


async def test_a_workflow_is_a_tool_of_an_agent() -> None:
    model = ScriptedModel(
        [
            [FunctionCall("report", {"input": "Why tides?"}), Usage(100, 50)],
            [Text("Read it."), Usage(200, 70)],
        ]
    )
    boss = Agent(name="boss", model=model, tools=[report.as_tool()])
    result = await boss.run("Report on tides.")
    (call,) = calls_of(result.response.output)
    assert (call.agent, call.status) == ("report", "completed")
    assert [type(item).__name__ for item in call.output] == ["AgentCall", "AgentCall", "Message"]
    assert heard(model)[-1]["output"] == "A report. (Why tides?)"
    assert result.usage.input_tokens == 320
    assert model.requests[0].tools[0].description == "Find, then write."


async def test_a_workflow_runs_a_workflow_and_gets_its_typed_answer() -> None:
    @workflow
    async def count(text: str) -> dict[str, int]:
        await run(speaker("counter"), text)
        return {"words": len(text.split())}

    @workflow(name="outer", description="Counts.")
    async def outside(text: str) -> str:
        counted = await run(count, text)
        return str(counted.output["words"] + 1)

    events = await told(outside, "one two")
    (call,) = calls_of(end_of(events).output)
    assert [type(item).__name__ for item in call.output] == ["AgentCall", "Message"]
    assert end_of(events).output_text == "3"
    assert fold(events).output == end_of(events).output
    assert (outside.name, outside.description) == ("outer", "Counts.")


async def test_what_a_child_s_own_tools_run_is_no_item_of_the_workflow() -> None:
    helper = speaker("helper")

    @tool
    async def help_me() -> str:
        """Ask for help."""
        return (await run(helper, "help")).output

    turns = [[FunctionCall("help_me", {})], [Text("Helped.")]]
    child = Agent(name="child", model=ScriptedModel(turns), tools=[help_me])

    @workflow
    async def parent(text: str) -> str:
        return (await run(child, text)).output

    (call,) = calls_of((await parent.run("x")).response.output)
    assert call.agent == "child"
    assert isinstance(call.output[0], ToolCall)
    assert call.output[0].output == "helper spoke"


async def test_outside_a_workflow_run_is_the_agent_s_own() -> None:
    result = await run(speaker("alone"), "x")
    assert result.output == "alone spoke"
    assert [type(item).__name__ for item in result.response.output] == ["Message"]


async def test_a_workflow_that_runs_itself_is_stopped_by_the_depth() -> None:
    @workflow
    async def again(text: str) -> str:
        return (await run(again, text)).output

    with pytest.raises(RunError, match="agents stand 8 deep") as raised:
        await again.run("x")
    depth, items = 0, raised.value.response.output
    while items:
        depth, items = depth + 1, items[0].output
    assert depth == 9


# --- what is shared ----------------------------------------------------------


async def test_max_tool_calls_counts_runs_and_the_calls_inside_them() -> None:
    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    turns: list[Any] = [[FunctionCall("look", {})], [Text("Looked.")]]
    child = Agent(name="looker", model=ScriptedModel(turns, repeat=True), tools=[look])

    @workflow
    async def twice(text: str) -> str:
        await run(child, text)
        try:
            await run(child, text)
        except RunError as error:
            return str(error)
        return "ran"

    end = end_of([event async for event in twice.serve(asked(max_tool_calls=2))])
    first, second = calls_of(end.output)
    assert isinstance(first.output[0], ToolCall)
    assert first.output[0].status == "completed"
    assert (second.status, second.output) == ("failed", [])
    assert end.output_text == "looker failed: max_tool_calls is reached: no more agents run"


async def test_a_workflow_inside_another_shares_its_max_tool_calls() -> None:
    @workflow
    async def outer(text: str) -> str:
        return (await run(report, text)).output

    end = end_of([event async for event in outer.serve(asked(max_tool_calls=2))])
    (call,) = calls_of(end.output)
    assert [one.status for one in calls_of(call.output)] == ["completed", "failed"]
    assert end.error is not None
    assert end.error.message == (
        "report failed: writer failed: max_tool_calls is reached: no more agents run"
    )


async def test_deps_and_principal_reach_the_children_s_tools() -> None:
    @tool
    async def who(context: Context[str]) -> str:
        """Who asks."""
        return f"{context.deps} of {context.principal}"

    turns = [[FunctionCall("who", {})], [Text("Known.")]]
    child = Agent(name="knower", model=ScriptedModel(turns), tools=[who])

    @workflow
    async def known(text: str) -> str:
        return (await run(child, text)).output

    (call,) = calls_of(end_of(await told(known, deps="Ada", principal="them")).output)
    assert isinstance(call.output[0], ToolCall)
    assert call.output[0].output == "Ada of them"


async def test_a_run_that_outlives_its_workflow_is_closed_and_told_why() -> None:
    never, wrong, events = anyio.Event(), list[Exception](), list[Event]()

    @tool
    async def wait() -> str:
        """Wait."""
        await never.wait()
        return "late"

    turns = [[FunctionCall("wait", {})], [Text("Late.")]]
    child = Agent(name="late", model=ScriptedModel(turns), tools=[wait])

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            begun = anyio.Event()

            @workflow
            async def hasty(text: str) -> str:
                async def stray() -> None:
                    begun.set()
                    try:
                        await run(child, text)
                    except ConfigurationError as error:
                        wrong.append(error)

                tasks.start_soon(stray)
                await begun.wait()
                return "gone"

            events.extend([event async for event in hasty.stream("x")])
            never.set()
    end = end_of(events)
    assert (end.status, end.output_text) == ("completed", "gone")
    assert calls_of(end.output)[0].status == "incomplete"
    assert "has returned already" in str(wrong[0])


# --- what cannot be ----------------------------------------------------------


def plain(text: str) -> str:
    return text


async def two(one: str, other: str) -> str:
    return one + other


async def none() -> str:
    return ""


async def number(text: int) -> str:
    return str(text)


async def bare(text) -> Any:  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    return str(text)  # pyright: ignore[reportUnknownArgumentType]


async def yields(text: str) -> Any:
    yield text


async def starred(*texts: str) -> str:
    return "".join(texts)


async def lost(text: "Nowhere") -> str:  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  # noqa: F821
    return ""


class Lock:
    pass


async def locked(text: str) -> Lock:
    return Lock()


NO_WORKFLOWS: list[tuple[Any, str]] = [
    (plain, "async def"),
    (yields, "without yield"),
    (two, "one parameter"),
    (none, "one parameter"),
    (starred, "one parameter"),
    (number, r"str, or list\[Item\], got <class 'int'>"),
    (bare, "str, or list"),
    (lost, "annotations that can be read"),
    (locked, "what pydantic can make JSON of"),
]


@pytest.mark.parametrize(("function", "said"), NO_WORKFLOWS)
async def test_what_cannot_be_a_workflow_says_why_at_once(
    function: Callable[..., Coroutine[Any, Any, str]], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        workflow(function)


async def test_a_workflow_needs_a_name_and_a_tool_needs_words() -> None:
    @workflow(name="a b")
    async def wordless(items: list[Item]) -> str:
        return ""

    with pytest.raises(ConfigurationError, match="expected a description"):
        wordless.as_tool()
    with pytest.raises(ConfigurationError, match="letters, digits"):
        wordless.as_tool(description="x")
    assert wordless.as_tool(name="ab", description="x").function.name == "ab"
    with pytest.raises(ConfigurationError, match="needs a name"):
        workflow(name="")(two)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": own("look")}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"input": [{"role": "assistant", "content": "hm"}]}, "input"),
    ],
)
async def test_a_request_that_a_workflow_cannot_serve_is_refused_before_anything_begins(
    fields: dict[str, Any], param: str
) -> None:
    request = asked(**{"given": fields.pop("input", "go"), **fields})
    with pytest.raises(RequestError) as raised:
        await anext(report.serve(request))
    assert raised.value.param == param


def test_run_sync_runs() -> None:
    assert isinstance(report, Workflow)
    assert report.run_sync("Why?").output == "A report. (Why?)"
    assert isinstance(report.run_sync("Why?").response.output[0], AgentCall)
