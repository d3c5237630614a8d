"""The `openai` SDK 3.x: functions, provider-run functions, code and reasoning."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import json
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from .serving import BUILT_IN
from .talking import (
    CODE,
    RELEASE,
    STARTED,
    WEATHER,
    aclient as aclient,
    checked,
    client as client,
    kinds,
    played,
    strictly,
    url as url,
)

pytestmark = pytest.mark.anyio

# --- functions ---------------------------------------------------------------


def test_a_function_goes_round_by_items(client: OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": "Oslo"}]
    first = client.responses.create(model="caller", input=asked, tools=[WEATHER])
    strictly(first)
    (call,) = first.output
    assert call.type == "function_call"
    assert json.loads(call.arguments) == {"city": "Oslo"}
    asked += first.output
    asked.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    second = client.responses.create(model="caller", input=asked, tools=[WEATHER])
    assert second.output_text == "sunny"


def test_a_function_goes_round_by_previous_response_id(client: OpenAI) -> None:
    first = client.responses.create(model="caller", input="Oslo", tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call"
    second = client.responses.create(
        model="caller",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
        tools=[WEATHER],
    )
    strictly(second)
    assert second.output_text == "sunny"
    assert second.previous_response_id == first.id


async def test_parallel_calls_keep_their_order(aclient: AsyncOpenAI) -> None:
    stream = await aclient.responses.create(
        model="caller", input="Oslo Rome", tools=[WEATHER], stream=True
    )
    events = [checked(event, at) for at, event in enumerate([e async for e in stream])]
    added = [event for event in events if event.type == "response.output_item.added"]
    assert [event.output_index for event in added] == [0, 1]
    assert all(event.item.arguments == "" for event in added)
    done = [e for e in events if e.type == "response.function_call_arguments.done"]
    assert [json.loads(event.arguments)["city"] for event in done] == ["Oslo", "Rome"]
    assert [event.name for event in done] == ["weather", "weather"]
    calls = events[-1].response.output
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"dry {at}"}
        for at, call in enumerate(calls)
    ]
    last = await aclient.responses.create(
        model="caller", previous_response_id=events[-1].response.id, input=outputs
    )
    assert last.output_text == "dry 0 and dry 1"


def test_a_provider_run_function_is_an_mcp_call(client: OpenAI) -> None:
    tools: list[Any] = [BUILT_IN]
    events = played(client.responses.create(model="caller", input="Oslo", tools=tools, stream=True))
    told = kinds(events)
    at = told.index("response.mcp_call.in_progress")
    assert told[at - 1 : at + 6] == [
        "response.output_item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
        "response.output_item.done",
        "response.output_item.added",
    ]
    final = strictly(events[-1].response)
    call = final.output[0]
    assert call.type == "mcp_call"
    assert (call.server_label, call.name, call.output) == ("antiphon", "climate", "mild in Oslo")
    assert final.output_text == "mild in Oslo"


def test_a_failed_provider_run_function_says_why(client: OpenAI) -> None:
    tools: list[Any] = [BUILT_IN]
    response = client.responses.create(model="caller", input="Atlantis", tools=tools)
    call = strictly(response).output[0]
    assert call.type == "mcp_call"
    assert call.status == "failed"
    assert "it sank" in str(call.error)
    assert "it sank" in response.output_text


# --- the code interpreter ----------------------------------------------------


async def test_code_is_live_and_its_events_come_in_order(aclient: AsyncOpenAI) -> None:
    STARTED.clear()
    RELEASE.clear()
    stream = await aclient.responses.create(
        model="coder",
        input="6 times 7?",
        tools=[CODE],
        include=["code_interpreter_call.outputs"],
        stream=True,
    )
    events: list[Any] = []
    async for event in stream:
        events.append(checked(event, len(events)))
        if event.type == "response.code_interpreter_call_code.delta":
            RELEASE.set()  # the model writes the rest only now: the first delta was live
    told = kinds(events)
    assert told[2:11] == [
        "response.output_item.added",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.output_item.done",
        "response.output_item.added",
    ]
    added, done = events[2].item, events[9].item
    assert (added.code, added.outputs, added.status) == ("", None, "in_progress")
    assert added.container_id == done.container_id != ""
    assert [event.delta for event in events[4:6]] == ["x = 6\n", "print(x * 7)"]
    assert events[6].code == "x = 6\nprint(x * 7)"
    assert done.outputs[0].logs == "42\n"
    final = strictly(events[-1].response)
    assert final.output_text == "It printed 42\n"


def test_outputs_are_null_unless_included(client: OpenAI) -> None:
    RELEASE.set()
    response = client.responses.create(model="coder", input="?", tools=[CODE])
    call = strictly(response).output[0]
    assert call.type == "code_interpreter_call"
    assert call.outputs is None
    assert call.status == "completed"


def test_a_replayed_code_call_reads_as_it_did(client: OpenAI) -> None:
    RELEASE.set()
    asked: list[Any] = [{"role": "user", "content": "?"}]
    first = client.responses.create(model="coder", input=asked, tools=[CODE])
    asked += first.output
    second = client.responses.create(model="echo", input=asked, tools=[CODE])
    assert second.output_text == "4:message"  # user, call, its output, message


# --- reasoning ---------------------------------------------------------------


def test_reasoning_events_have_the_names_that_the_sdk_knows(client: OpenAI) -> None:
    events = played(client.responses.create(model="thinker", input="x", stream=True))
    told = kinds(events)
    assert told[2:14] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
    ]
    thought = strictly(events[-1].response).output[0]
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert thought.content[0].text == "raw thought"
    assert thought.summary[0].text == "in short"


def test_reasoning_is_taken_back(client: OpenAI) -> None:
    first = client.responses.create(model="thinker", input="x")
    again: list[Any] = [{"role": "user", "content": "x"}, *first.output]
    assert client.responses.create(model="echo", input=again).output_text == "3:message"
