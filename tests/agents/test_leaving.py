"""Whoever stops a run with children, wherever they are: nothing that was told is lost."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TypeAlias

import anyio
import anyio.lowlevel
import pytest

from antiphon.agents import Agent, Workflow, budget, run, workflow
from antiphon.items import AgentEvent, Completed, Event, Incomplete, ResponseEvent, fold
from antiphon.models import FunctionCall, ScriptedModel, Speech, Text
from antiphon.tools import tool

pytestmark = pytest.mark.anyio

CHILDREN = 2
SAID = "So far, a long way."
LAST = 25
"""Events after which both children do nothing but wait for their tool."""
STEPS = 40
"""Rounds of the event loop after which they do, too."""


@tool
async def hang() -> str:
    """Never ends."""
    await anyio.sleep_forever()
    return ""


def child() -> Agent[str]:
    script: list[list[Speech]] = [[Text(SAID), FunctionCall("hang", {})]] * CHILDREN**2
    model = ScriptedModel(script, fragment=3)
    return Agent(name="reader", model=model, instructions="Hang.", tools=[hang])


def called(seconds: float | None) -> Agent[str]:
    both: list[Speech] = [FunctionCall("reader", {"input": "x"})] * CHILDREN
    held = None if seconds is None else budget(seconds=seconds)
    return Agent(name="editor", model=ScriptedModel([both]), tools=[child().as_tool()], budget=held)


def flowing(seconds: float | None) -> Workflow[str]:
    one = child()

    @workflow
    async def both(text: str) -> str:
        async with anyio.create_task_group() as tasks:
            for _ in range(CHILDREN):
                tasks.start_soon(run, one, text)
        return ""

    both.budget = None if seconds is None else budget(seconds=seconds)
    return both


def deeper(seconds: float | None) -> Agent[str]:
    both: list[Speech] = [FunctionCall("editor", {"input": "x"})] * CHILDREN
    inner = called(None)
    inner.model = ScriptedModel([[FunctionCall("reader", {"input": "x"})] * CHILDREN] * CHILDREN)
    tools = [inner.as_tool(description="Edits.")]
    held = None if seconds is None else budget(seconds=seconds)
    return Agent(name="publisher", model=ScriptedModel([both]), tools=tools, budget=held)


Way: TypeAlias = Callable[[float | None], Agent[str] | Workflow[str]]
WAYS: list[Way] = [called, flowing, deeper]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_a_reader_that_is_stopped_at_its_own_work_leaves_without_an_error(
    way: Way, seconds: float | None
) -> None:
    for place in range(2, LAST):
        count = 0
        with anyio.fail_after(60), anyio.CancelScope() as scope:
            async with aclosing(way(seconds).stream("go")) as events:
                async for _ in events:
                    count += 1
                    if count == place:
                        scope.cancel()
                        await anyio.sleep_forever()
        assert count == place


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_a_cancelled_run_tells_every_child_s_own_end_and_misses_no_number(
    way: Way, seconds: float | None
) -> None:
    for place in range(2, LAST):
        check(await heard(way(seconds), place))


def check(told: Sequence[Event]) -> None:
    """Nothing is missing, and all ends, the children's too, are those of a cancelled run."""
    assert [event.sequence_number for event in told] == list(range(len(told)))
    last = told[-1]
    assert isinstance(last, ResponseEvent)
    assert fold(told).model_dump() == last.response.model_dump()
    assert last.response.status in ("completed", "cancelled")
    for index in range(CHILDREN):
        inner = [
            event.event
            for event in told
            if isinstance(event, AgentEvent) and event.output_index == index
        ]
        assert [event.sequence_number for event in inner] == list(range(len(inner)))
        assert not inner or isinstance(inner[-1], Completed | Incomplete)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seconds", [None, 60.0])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_task_cancelled_once_or_more_at_any_step_tells_the_same_true_end(
    way: Way, seconds: float | None, times: int
) -> None:
    before = asyncio.all_tasks()
    for steps in range(1, STEPS):
        told: list[Event] = []
        task = asyncio.create_task(listening(way(seconds), told))
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        for _ in range(times):
            task.cancel()
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(60):
            await asyncio.wait([task])
        assert task.cancelled()
        assert asyncio.all_tasks() == before
        check(told)


async def listening(agent: Agent[str] | Workflow[str], told: list[Event]) -> None:
    async for event in agent.stream("go"):
        told.append(event)


async def heard(agent: Agent[str] | Workflow[str], place: int) -> Sequence[Event]:
    """All events of a run that is cancelled at this one."""
    told: list[Event] = []
    with anyio.fail_after(60), anyio.CancelScope() as scope:
        async with aclosing(agent.stream("go")) as events:
            async for event in events:
                told.append(event)
                if len(told) == place:
                    scope.cancel()
    return told
