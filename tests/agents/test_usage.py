"""What a run used: each sampling once, whoever made it and however it ended."""

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, Workflow, budget, run, workflow
from antiphon.items import (
    AgentCall,
    Completed,
    Event,
    Failed,
    Fault,
    ItemAdded,
    ItemDone,
    Response,
    Usage as Used,
)
from antiphon.models import FunctionCall, ScriptedModel, Usage
from antiphon.tools import tool

from .kit import Raw, asked, end_of, play

pytestmark = pytest.mark.anyio


@tool
async def hang() -> str:
    """Never ends."""
    await anyio.sleep_forever()
    return ""


def child() -> Agent[str]:
    model = ScriptedModel([[Usage(10, 5), FunctionCall("hang", {})]])
    return Agent(name="child", model=model, instructions="Hang.", tools=[hang])


def caller(**options: Any) -> Agent[str]:
    turn = [Usage(100, 50), FunctionCall("child", {"input": "x"})]
    return Agent(name="caller", model=ScriptedModel([turn]), tools=[child().as_tool()], **options)


def flowing() -> Workflow[str]:
    one = child()

    @workflow
    async def flow(text: str) -> str:
        return (await run(one, text)).output_text

    return flow


async def cancelled(agent: Agent[str] | Workflow[str]) -> Sequence[Event]:
    told: list[Event] = []

    async def listen() -> None:
        async for event in agent.stream("go"):
            told.append(event)

    task = asyncio.create_task(listen())
    with anyio.fail_after(60):
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        await asyncio.wait([task])
    return told


def check(response: Response, total: int, share: int) -> None:
    [call] = [item for item in response.output if isinstance(item, AgentCall)]
    assert (call.status, call.usage and call.usage.total_tokens) == ("incomplete", share)
    assert response.usage is not None and response.usage.total_tokens == total


async def test_what_a_child_used_counts_when_its_caller_is_cancelled() -> None:
    check(end_of(await cancelled(caller())), 165, 15)


async def test_what_a_child_used_counts_when_its_workflow_is_cancelled() -> None:
    check(end_of(await cancelled(flowing())), 15, 15)


async def test_what_a_child_used_counts_when_its_caller_has_no_time_left() -> None:
    check((await caller(budget=budget(seconds=0.05)).run("go")).response, 165, 15)


def count(total: int) -> Used:
    return Used(input_tokens=total - 5, output_tokens=5, total_tokens=total)


async def test_a_run_that_a_models_server_tells_of_is_in_that_servers_count_already() -> None:
    call = AgentCall(id="ac", status="in_progress", agent="far", input="x")
    done = call.model_copy(update={"status": "completed", "usage": count(15)})
    model = Raw(
        [
            ItemAdded(output_index=0, item=call),
            ItemDone(output_index=0, item=done),
            Completed(response=Response(id="far", usage=count(165))),
        ]
    )
    response = end_of(await play(asked(), model))
    assert response.usage == count(165)
    assert isinstance(response.output[0], AgentCall) and response.output[0].usage == count(15)


async def test_a_sampling_that_was_too_long_counts_if_its_server_counted_it() -> None:
    fault = Fault(code="context_length_exceeded", message="too long")
    failed = Failed(response=Response(id="x", status="failed", error=fault, usage=count(30)))
    model = Raw([failed], [Completed(response=Response(id="y", usage=count(20)))], whole=False)
    given = [{"role": "user", "content": text} for text in ("one", "two", "three")]
    response = end_of(await play(asked(given, truncation="auto"), model))
    assert len(model.requests) == 2
    assert response.usage is not None and response.usage.total_tokens == 50
