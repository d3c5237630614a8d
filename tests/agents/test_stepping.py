"""A run may be stepped under any scope and by any task, and be left lying: it takes no hold."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, Workflow, budget, run, workflow
from antiphon.errors import ScriptError
from antiphon.items import AgentEvent, Completed, Event, ToolProgress
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.tools import Progress, tool

pytestmark = pytest.mark.anyio

ended: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ended() -> None:
    ended.clear()


@tool
async def pause(name: str) -> str:
    """Takes a while."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    return name


@tool
async def last(name: str) -> AsyncIterator[Progress | str]:
    """Never ends."""
    try:
        while True:
            yield Progress(name)
            await anyio.lowlevel.checkpoint()
    finally:
        ended.append(name)


CALLS = ("one", "two")


def several(name: str, **options: Any) -> Agent[str]:
    """Two calls side by side."""
    turn = [FunctionCall(name, {"name": call}) for call in CALLS]
    return Agent(name="a", model=ScriptedModel([turn, "Done."]), tools=[pause, last], **options)


def timed(name: str) -> Agent[str]:
    """The same, with a clock beside them."""
    return several(name, budget=budget(seconds=60))


def flowing(name: str) -> Workflow[str]:
    """The same, called by a function."""
    child = several(name)

    @workflow
    async def flow(text: str) -> str:
        return (await run(child, text)).output_text

    return flow


WAYS = (several, timed, flowing)


@pytest.mark.parametrize("way", WAYS)
async def test_every_event_may_be_waited_for_under_a_scope_of_its_own(way: Any) -> None:
    told: Event | None = None
    async with aclosing(way("pause").stream("go")) as events:
        while True:
            with anyio.fail_after(60):
                try:
                    told = await anext(events)
                except StopAsyncIteration:
                    break
    assert isinstance(told, Completed)


@pytest.mark.parametrize("way", WAYS)
async def test_every_event_may_be_waited_for_by_another_task(way: Any) -> None:
    told: Event | None = None
    events: AsyncGenerator[Event, None] = way("pause").stream("go")
    with anyio.fail_after(60):
        while (event := await asyncio.create_task(following(events))) is not None:
            told = event
    assert isinstance(told, Completed)


async def following(events: AsyncGenerator[Event, None]) -> Event | None:
    return await anext(events, None)


@pytest.mark.parametrize("way", WAYS)
async def test_a_stream_that_is_left_lying_ends_its_tools_and_harms_nobody(way: Any) -> None:
    before = asyncio.all_tasks()
    with anyio.fail_after(60):
        async for event in way("last").stream("go"):
            inner = event.event if isinstance(event, AgentEvent) else event
            if isinstance(inner, ToolProgress):
                break
        gc.collect()  # what is collected is closed by the loop, in a task of its own
        await anyio.wait_all_tasks_blocked()
    assert sorted(ended) == [*CALLS]
    assert asyncio.all_tasks() == before


async def test_a_script_that_runs_out_beside_others_is_the_test_s_error() -> None:
    child = Agent(name="child", model=ScriptedModel([]), instructions="Speak.")
    turn = [FunctionCall("child", {"input": "x"})] * 2
    parent = Agent(name="a", model=ScriptedModel([turn]), tools=[child.as_tool()])
    with pytest.raises(ScriptError, match="one more was asked"):
        await parent.run("go")
