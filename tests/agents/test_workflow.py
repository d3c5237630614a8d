"""Workflows: async functions that run agents, each an agent itself to everyone outside."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from antiphon.agents import Agent, run, workflow
from antiphon.errors import OutputError
from antiphon.items import (
    AgentCall,
    AgentEvent,
    Event,
    Item,
    ItemAdded,
    Message,
    TextDelta,
    fold,
)
from antiphon.models import ScriptedModel, Text

from .kit import end_of
from .working import calls_of, meeting, report, speaker, told

pytestmark = pytest.mark.anyio


class Verdict(BaseModel):
    good: bool
    why: str


# --- the shape of a run ------------------------------------------------------


async def test_each_run_becomes_one_item_and_the_answer_one_message() -> None:
    result = await report.run("Why tides?")
    first, second, said = result.response.output
    assert isinstance(first, AgentCall)
    assert isinstance(second, AgentCall)
    assert isinstance(said, Message)
    assert (first.agent, first.input, first.status) == ("finder", "Why tides?", "completed")
    assert (second.agent, second.input) == ("writer", "Tides rise.")
    assert [getattr(item, "text", "") for item in second.output] == ["A report."]
    assert (said.role, said.status, said.text) == (
        "assistant",
        "completed",
        "A report. (Why tides?)",
    )
    assert result.output == result.output_text == "A report. (Why tides?)"
    assert result.response.status == "completed"
    assert result.response.model == "report"
    assert [type(item) for item in result.items] == [Message, AgentCall, AgentCall, Message]


async def test_events_are_numbered_without_gaps_and_fold_to_the_response() -> None:
    events = await told(report)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:3]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert fold(events) == end_of(events)
    answer = [e.type for e in events[-7:]]
    assert answer == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


async def test_a_child_s_events_stream_inside_the_workflow_s() -> None:
    inner = [e.event for e in await told(report) if isinstance(e, AgentEvent)]
    assert [e.delta for e in inner if isinstance(e, TextDelta)] == ["Tides rise.", "A report."]


async def test_the_same_script_and_seed_give_the_same_bytes() -> None:
    one, two = [await told(report, clock=lambda: 1.0) for _ in range(2)]
    assert [e.model_dump_json() for e in one] == [e.model_dump_json() for e in two]


async def test_usage_sums_the_children_and_each_item_tells_its_own() -> None:
    result = await report.run("Why?")
    shares = [call.usage.total_tokens for call in calls_of(result.response.output) if call.usage]
    assert shares == [15, 15]
    assert (result.usage.input_tokens, result.usage.output_tokens) == (20, 10)


async def test_an_answer_that_is_no_text_is_json_and_comes_back_typed() -> None:
    @workflow
    async def judge(text: str) -> Verdict:
        turns = [[Text('{"good": true, "why": "short"}')]]
        agent = Agent(name="critic", model=ScriptedModel(turns), output_type=Verdict)
        verdict = await run(agent, text)
        return Verdict(good=not verdict.output.good, why=verdict.output.why)

    result = await judge.run("x")
    assert result.output == Verdict(good=False, why="short")
    assert result.output_text == '{"good":false,"why":"short"}'


async def test_none_says_nothing() -> None:
    @workflow
    async def quiet(text: str) -> None:
        await run(speaker("a"), text)

    result = await quiet.run("x")
    assert result.output is None
    assert [type(item) for item in result.response.output] == [AgentCall]
    assert result.response.status == "completed"


async def test_an_answer_that_is_not_what_the_annotation_says_is_an_output_error() -> None:
    @workflow
    async def wrong(text: str) -> Verdict:
        value: Any = {"good": "perhaps"}
        return value

    with pytest.raises(OutputError, match="what its annotation says"):
        await wrong.run("x")


async def test_a_function_of_items_reads_the_whole_conversation() -> None:
    read: list[Item] = []

    @workflow
    async def all_of_it(items: list[Item]) -> str:
        read.extend(items)
        return (await run(speaker("a"), items)).output

    before: list[Item] = [Message(role="user", content="one")]
    await told(all_of_it, "two", history=before)
    assert [item.text for item in read if isinstance(item, Message)] == ["one", "two"]


async def test_a_function_of_text_reads_the_last_user_message() -> None:
    conversation = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "hm"},
        {"role": "user", "content": "last"},
        {"role": "developer", "content": "be kind"},
    ]
    assert end_of(await told(report, conversation)).output_text.endswith("(last)")


async def test_a_loop_runs_until_the_critic_is_content() -> None:
    verdicts = [[Text('{"good": false, "why": "dull"}')], [Text('{"good": true, "why": ""}')]]
    critic = Agent(name="critic", model=ScriptedModel(verdicts), output_type=Verdict)
    writer = speaker("writer", "draft")

    @workflow
    async def improve(task: str) -> str:
        words = task
        while True:
            draft = await run(writer, words)
            verdict = (await run(critic, draft.output)).output
            if verdict.good:
                return draft.output
            words = verdict.why

    result = await improve.run("Write.")
    calls = calls_of(result.response.output)
    assert [call.agent for call in calls] == ["writer", "critic", "writer", "critic"]
    assert calls[2].input == "dull"


# --- side by side ------------------------------------------------------------


async def test_runs_of_a_task_group_go_on_at_the_same_time_each_under_its_own_index() -> None:
    agent, here = meeting(20)

    @workflow
    async def wide(text: str) -> str:
        async with anyio.create_task_group() as tasks:
            for place in range(20):
                tasks.start_soon(run, agent, f"{text} {place}")
        return "All."

    with anyio.fail_after(60):
        events = await told(wide)
    assert here == [20]
    added = [event.output_index for event in events if isinstance(event, ItemAdded)]
    assert added == list(range(21))
    output = end_of(events).output
    assert [call.input for call in calls_of(output)] == [f"go {place}" for place in range(20)]
    assert fold(events).output == output


async def test_a_slow_reader_holds_the_children_back() -> None:
    words = [Text("w") for _ in range(500)]
    model = ScriptedModel([words])
    asked_for: list[int] = []

    class Counting:
        name = "counting"

        async def stream(self, request: Any) -> AsyncIterator[Event]:
            async for event in model.stream(request):
                asked_for.append(1)
                yield event

        async def aclose(self) -> None: ...

    agent = Agent(name="talker", model=Counting())

    @workflow
    async def talk(text: str) -> str:
        return (await run(agent, text)).output

    async with aclosing(talk.stream("go")) as events:
        async for event in events:
            if isinstance(event, AgentEvent):
                break
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert len(asked_for) < 100
