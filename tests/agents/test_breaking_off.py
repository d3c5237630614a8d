"""A run that somebody stops listening to ends at once, and leaves nothing behind."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, budget
from antiphon.items import CallStatus, Event, TextDelta, ToolCall, ToolProgress
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.tools import Progress, tool

pytestmark = pytest.mark.anyio

ended: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ended() -> None:
    ended.clear()


@tool
async def tick(text: str) -> AsyncIterator[Progress | str]:
    """Ticks for ever."""
    try:
        while True:
            yield Progress(text)
            await anyio.lowlevel.checkpoint()
    finally:
        ended.append(text)


@tool
async def wait(text: str) -> str:
    """Waits for ever."""
    try:
        await anyio.sleep_forever()
    finally:
        ended.append(text)
    return text


def engine(*pieces: Speech) -> Any:
    @model("engine")
    async def speak(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        try:
            for piece in pieces:
                await anyio.lowlevel.checkpoint()
                yield piece
        finally:
            ended.append("model")

    return speak


async def leave(agent: Agent[Any], when: Callable[[Event], bool]) -> None:
    """Listen until an event, and close the stream there."""
    before = asyncio.all_tasks()
    with anyio.fail_after(60):
        async with aclosing(agent.stream("hi")) as events:
            async for event in events:
                if when(event):
                    break
    assert asyncio.all_tasks() == before, "a task was left behind"
    gc.collect()  # a generator that nobody closed would make a task now
    assert asyncio.all_tasks() == before, "a generator was left open"


def said(text: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, TextDelta) and event.delta == text


def progress(text: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, ToolProgress) and event.message == text


async def test_while_the_model_speaks() -> None:
    agent = Agent(name="a", model=engine(Text("a"), Text("b"), Text("c")))
    await leave(agent, said("b"))
    assert ended == ["model"]


async def test_before_the_model_is_asked() -> None:
    agent = Agent(name="a", model=engine(Text("a")))
    await leave(agent, lambda event: event.sequence_number == 0)
    assert ended == []


async def test_while_one_tool_runs() -> None:
    agent = Agent(name="a", model=engine(FunctionCall("tick", {"text": "one"})), tools=[tick])
    await leave(agent, progress("one"))
    assert ended == ["model", "one"]


@pytest.mark.parametrize("watched", ["one", "two"])
async def test_while_several_tools_run(watched: str) -> None:
    calls = [FunctionCall("tick", {"text": text}) for text in ("one", "two")]
    calls.append(FunctionCall("wait", {"text": "three"}))
    agent = Agent(name="a", model=engine(*calls), tools=[tick, wait])
    await leave(agent, progress(watched))
    assert ended[0] == "model"
    assert sorted(ended[1:]) == ["one", "three", "two"]


async def test_while_a_call_is_refused() -> None:
    agent = Agent(name="a", model=engine(FunctionCall("nowhere", {})))
    await leave(
        agent,
        lambda event: isinstance(event, CallStatus) and event.type.endswith("failed"),
    )
    assert ended == ["model"]


@pytest.mark.parametrize("calls", [1, 3])
async def test_an_error_of_the_listener_comes_out_as_it_is(calls: int) -> None:
    given = [FunctionCall("tick", {"text": "one"}) for _ in range(calls)]
    agent = Agent(name="a", model=engine(*given), tools=[tick])
    with pytest.raises(LookupError):
        async with aclosing(agent.stream("hi")) as events:
            async for event in events:
                if isinstance(event, ToolProgress):
                    raise LookupError
    assert len(ended) == calls + 1


@pytest.mark.parametrize("calls", [1, 3])
async def test_a_run_whose_scope_is_cancelled_ends_its_tools(calls: int) -> None:
    given = [FunctionCall("wait", {"text": "one"}) for _ in range(calls)]
    agent = Agent(name="a", model=engine(*given), tools=[wait])
    scope = anyio.CancelScope()

    async def listen() -> None:
        with scope:
            await agent.run("hi")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert ended == ["model", *["one"] * calls]


@pytest.mark.parametrize("calls", [1, 3])
async def test_a_task_that_is_cancelled_the_way_of_asyncio_ends_its_tools(calls: int) -> None:
    given = [FunctionCall("wait", {"text": "one"}) for _ in range(calls)]
    agent = Agent(name="a", model=engine(*given), tools=[wait])
    told: list[Event] = []

    async def listen() -> None:
        async for event in agent.stream("hi"):
            told.append(event)

    task = asyncio.create_task(listen())
    with anyio.fail_after(60):
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended == ["model", *["one"] * calls]
    last: Any = told[-1]
    assert last.response.status == "cancelled"
    assert all(
        isinstance(item, ToolCall) and item.status == "incomplete" for item in last.response.output
    )


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_what_is_shielded_is_done_before_a_run_has_ended(seconds: float | None) -> None:
    begun, free = anyio.Event(), anyio.Event()

    @tool
    async def keep() -> str:
        """Cannot be cut in the middle."""
        with anyio.CancelScope(shield=True):
            begun.set()
            await free.wait()
            ended.append("kept")
        return "kept"

    held = None if seconds is None else budget(seconds=seconds)
    agent = Agent(name="a", model=engine(FunctionCall("keep", {})), tools=[keep], budget=held)
    with anyio.fail_after(60), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.run, "hi")
            await begun.wait()
            scope.cancel()
            free.set()
    assert scope.cancelled_caught
    assert "kept" in ended
