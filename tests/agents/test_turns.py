"""Turns: calls side by side, barriers, bounds, sums, and models that break."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent
from antiphon.errors import ModelError
from antiphon.items import (
    ArgumentsDelta,
    Event,
    FunctionCall as FunctionCallItem,
    ItemAdded,
    ItemDone,
    Message,
    OutputText,
    PartAdded,
    Reasoning as ReasoningItem,
    TextDelta,
    ToolCall,
    fold,
)
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Speech, Text, Usage, model
from antiphon.tools import tool

from .kit import Raw, asked, end_of, heard, own, play

pytestmark = pytest.mark.anyio

ASK: dict[str, Any] = {"type": "function", "name": "ask"}


async def test_calls_of_one_turn_run_at_the_same_time() -> None:
    """Two tools that each wait for the other: one by one they would wait for ever."""
    gates = {"left": anyio.Event(), "right": anyio.Event()}

    @tool
    async def meet(me: str, other: str) -> str:
        gates[me].set()
        await gates[other].wait()
        return f"{me} met {other}"

    calls = [
        FunctionCall("meet", {"me": "left", "other": "right"}),
        FunctionCall("meet", {"me": "right", "other": "left"}),
    ]
    spoken = ScriptedModel([calls, "ok"])
    with anyio.fail_after(60):
        response = end_of(await play(asked(tools=own("meet")), spoken, [meet]))
    assert [getattr(item, "output", None) for item in response.output[:2]] == [
        "left met right",
        "right met left",
    ]
    assert [item["type"] for item in heard(spoken)][1:] == [
        "function_call",
        "function_call_output",
        "function_call",
        "function_call_output",
    ]


async def test_a_call_that_runs_alone_is_a_barrier() -> None:
    log: list[str] = []

    @tool
    async def beside(name: str) -> str:
        log.append(f"{name} begins")
        await anyio.wait_all_tasks_blocked()
        log.append(f"{name} ends")
        return name

    @tool(parallel=False)
    async def alone(name: str) -> str:
        log.append(f"{name} begins")
        await anyio.wait_all_tasks_blocked()
        log.append(f"{name} ends")
        return name

    calls = [
        FunctionCall("beside", {"name": "a"}),
        FunctionCall("beside", {"name": "b"}),
        FunctionCall("alone", {"name": "c"}),
        FunctionCall("alone", {"name": "d"}),
        FunctionCall("beside", {"name": "e"}),
    ]
    spoken = ScriptedModel([calls, "ok"])
    await play(asked(tools=own("beside", "alone")), spoken, [beside, alone])
    assert log[:2] == ["a begins", "b begins"]
    assert sorted(log[2:4]) == ["a ends", "b ends"]
    assert log[4:] == [f"{name} {step}" for name in "cde" for step in ("begins", "ends")]


async def test_events_of_calls_side_by_side_bear_their_own_place() -> None:
    @tool
    async def name(text: str) -> str:
        await anyio.wait_all_tasks_blocked()
        return text

    calls = [FunctionCall("name", {"text": text}) for text in "abc"]
    events = await play(asked(tools=own("name")), ScriptedModel([calls, "ok"]), [name])
    done = {
        event.output_index: event.item
        for event in events
        if isinstance(event, ItemDone) and isinstance(event.item, ToolCall)
    }
    assert {index: item.output for index, item in done.items() if isinstance(item, ToolCall)} == {
        0: "a",
        1: "b",
        2: "c",
    }


async def test_our_calls_run_before_the_response_ends_with_the_clients() -> None:
    ran: list[str] = []

    @tool
    async def note(text: str) -> str:
        ran.append(text)
        return text

    calls = [
        FunctionCall("note", {"text": "a"}),
        FunctionCall("ask", {}, call_id="call_1"),
        FunctionCall("note", {"text": "b"}),
    ]
    spoken = ScriptedModel([calls, "ok"])
    tools = [*own("note"), ASK]
    events = await play(asked(tools=tools), spoken, [note])
    response = end_of(events)
    assert ran == ["a", "b"]
    assert response.status == "completed"
    assert [item.type for item in response.output] == [
        "antiphon:tool_call",
        "function_call",
        "antiphon:tool_call",
    ]
    assert [getattr(item, "status", None) for item in response.output] == ["completed"] * 3
    assert len(spoken.requests) == 1, "the client goes on"
    answer = {"type": "function_call_output", "call_id": "call_1", "output": "me"}
    await play(asked(["go", *response.output, answer][1:], tools=tools), spoken, [note])
    outputs = [one["output"] for one in heard(spoken) if "output" in one]
    assert sorted(outputs) == ["a", "b", "me"]


async def test_max_output_tokens_bounds_the_sum_of_all_turns() -> None:
    @tool
    async def note(text: str) -> str:
        return text

    turn = [FunctionCall("note", {"text": "a"}), Usage(1, 30)]
    spoken = ScriptedModel([turn, turn, turn, turn])
    request = asked(tools=own("note"), max_output_tokens=90)
    response = end_of(await play(request, spoken, [note]))
    assert [one.max_output_tokens for one in spoken.requests] == [90, 60, 30]
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.max_output_tokens == 90
    assert response.usage is not None and response.usage.output_tokens == 90
    assert [getattr(item, "status", None) for item in response.output] == ["completed"] * 3


async def test_a_run_ends_after_max_turns() -> None:
    @tool
    async def note(text: str) -> str:
        return text

    spoken = ScriptedModel([FunctionCall("note", {"text": "a"})], repeat=True)
    agent = Agent(name="a", model=spoken, tools=[note], max_turns=3)
    result = await agent.run("Hi")
    assert result.response.status == "incomplete"
    assert result.response.incomplete_details is not None
    assert result.response.incomplete_details.reason == "max_turns"
    assert len(spoken.requests) == 3 and len(result.response.output) == 3


async def test_usage_is_the_sum_of_all_turns_and_unreported_usage_is_zero() -> None:
    @tool
    async def note(text: str) -> str:
        return text

    call = FunctionCall("note", {"text": "a"})
    turns: list[list[Speech]] = [
        [call, Usage(1, 2, cached_tokens=3, reasoning_tokens=4)],
        [call],
        [Text("ok"), Usage(10, 20, cached_tokens=30, reasoning_tokens=40)],
    ]
    response = end_of(await play(asked(tools=own("note")), ScriptedModel([*turns]), [note]))
    usage = response.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (11, 22, 33)
    assert usage.input_tokens_details.cached_tokens == 33
    assert usage.output_tokens_details.reasoning_tokens == 44


async def test_what_is_asked_first_is_not_changed_by_what_comes_later() -> None:
    """The context grows; tools and instructions stay, so that servers' caches hit."""

    @tool
    async def note(text: str) -> str:
        return text

    spoken = ScriptedModel([FunctionCall("note", {"text": "a"}), "ok"])
    await play(asked(tools=own("note"), instructions="Be brief."), spoken, [note])
    first, second = spoken.requests
    assert second.items[: len(first.items)] == first.items
    assert second.tools == first.tools
    assert second.instructions == first.instructions


# --- models that break ------------------------------------------------------


async def test_a_model_that_raises_fails_the_response_with_its_items_closed() -> None:
    @model("engine")
    async def engine(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        yield Text("Well")
        raise ConnectionError("secret host 10.0.0.7")

    events = await play(asked(), engine)
    response = end_of(events)
    assert response.status == "failed" and response.error is not None
    assert response.error.code == "server_error"
    assert "secret" not in response.error.message
    (said,) = response.output
    assert isinstance(said, Message) and (said.text, said.status) == ("Well", "incomplete")
    assert fold(events) == response


async def test_a_model_that_knows_why_it_broke_says_so() -> None:
    error = ModelError("too many requests", code="rate_limit_exceeded", retry_after=3)
    response = end_of(await play(asked(), Raw([error])))
    assert response.status == "failed" and response.error is not None
    assert response.error.code == "rate_limit_exceeded"
    assert response.error.message == "too many requests"
    assert response.output == []


def opened(*, whole: bool) -> list[Event]:
    """A message and a call that are never finished."""
    added = Message(role="assistant", content=[], status="in_progress")
    call = FunctionCallItem(call_id="call_1", name="note", arguments="")
    events: list[Event] = [
        ItemAdded(output_index=0, item=added),
        PartAdded(item_id="", output_index=0, content_index=0, part=OutputText(text="")),
        TextDelta(item_id="", output_index=0, content_index=0, delta="We"),
        ItemAdded(output_index=1, item=call),
    ]
    return [*events, ArgumentsDelta(item_id="", output_index=1, delta='{"te')] if whole else events


@pytest.mark.parametrize("whole", [True, False])
async def test_a_stream_without_an_end_is_a_stream_that_was_cut(whole: bool) -> None:
    @tool
    async def note(text: str) -> str:
        raise AssertionError("a call that is not whole was run")

    raw = Raw(opened(whole=whole), whole=False)
    events = await play(asked(tools=own("note")), raw, [note])
    response = end_of(events)
    assert response.status == "failed" and response.error is not None
    assert response.error.code == "stream_cut"
    said, call = response.output
    assert isinstance(said, Message) and (said.text, said.status) == ("We", "incomplete")
    assert isinstance(call, ToolCall) and call.status == "incomplete"
    assert call.arguments == ('{"te' if whole else "")
    assert call.error == response.error.message
    assert fold(events) == response
    assert raw.closed == 1


async def test_an_event_about_nothing_is_an_invalid_stream() -> None:
    for stray in (
        TextDelta(item_id="", output_index=3, content_index=0, delta="x"),
        ItemDone(output_index=3, item=ReasoningItem()),
    ):
        response = end_of(await play(asked(), Raw([stray])))
        assert response.status == "failed" and response.error is not None
        assert response.error.code == "invalid_stream"


async def test_an_item_that_a_model_never_finishes_is_not_left_open() -> None:
    """A sloppy model says that it has completed, and leaves its items as they are."""
    events = await play(asked(tools=[ASK]), Raw(opened(whole=True)[:3]))
    done = [event.item for event in events if isinstance(event, ItemDone)]
    assert [item.id for item in done] == [item.id for item in end_of(events).output]
    assert all(getattr(item, "status", None) != "in_progress" for item in done)
    assert fold(events) == end_of(events)


async def test_a_call_that_a_model_never_finishes_is_not_left_open() -> None:
    @tool
    async def note(text: str) -> str:
        raise AssertionError("a call that is not whole was run")

    events = await play(asked(tools=own("note")), Raw(opened(whole=True), []), [note])
    done = [event.item for event in events if isinstance(event, ItemDone)]
    assert [item.id for item in done] == [item.id for item in end_of(events).output]
    assert fold(events) == end_of(events)


async def test_a_call_that_a_model_calls_incomplete_is_not_run() -> None:
    @tool
    async def note(text: str) -> str:
        raise AssertionError("a call that is not whole was run")

    def call(status: str) -> FunctionCallItem:
        arguments = "" if status == "in_progress" else '{"text": "a"}'
        return FunctionCallItem(call_id="c", name="note", arguments=arguments, status=status)

    turn = [
        ItemAdded(output_index=0, item=call("in_progress")),
        ItemDone(output_index=0, item=call("incomplete")),
    ]
    response = end_of(await play(asked(tools=own("note")), Raw(turn), [note]))
    assert getattr(response.output[0], "status", "") == "incomplete"


# --- tools that break -------------------------------------------------------


@tool
async def note(text: str) -> str:
    """Says it again."""
    return text


class Odd:
    """The tool `note` with calls whose `run` is another."""

    function = note.function
    item_type = "antiphon:tool_call"
    parallel = True

    def __init__(self, run: Callable[[], AsyncGenerator[Event, None]]) -> None:
        self._run = run

    def begin(self, *given: Any) -> Any:
        call: Any = note.begin(*given)
        call.run = self._run
        return call


async def silent() -> AsyncGenerator[Event, None]:
    return
    yield


async def breaking() -> AsyncGenerator[Event, None]:
    raise LookupError("secret")
    yield


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("run", "status", "words"),
    [
        (silent, "incomplete", "it was never finished"),
        (breaking, "failed", "note broke: LookupError"),
    ],
)
async def test_a_tool_that_breaks_its_own_rules_leaves_nothing_open(
    count: int, run: Any, status: str, words: str
) -> None:
    odd: Any = Odd(run)
    calls = [FunctionCall("note", {"text": "a"}) for _ in range(count)]
    spoken = ScriptedModel([calls, "ok"])
    events = await play(asked(tools=own("note")), spoken, [odd])
    response = end_of(events)
    assert response.status == "completed" and response.output_text == "ok"
    for call in response.output[:-1]:
        assert isinstance(call, ToolCall)
        assert (call.status, call.error) == (status, words)
    assert [item["output"] for item in heard(spoken)[2::2]] == [f"Error: {words}"] * count
    assert fold(events) == response
