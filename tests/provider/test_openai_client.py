"""The `openai` SDK 3.x, as its users have it, against a Provider on loopback."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import json
import threading
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import anyio.to_thread
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from antiphon.errors import RequestError
from antiphon.items import FunctionTool, ToolDefinition
from antiphon.models import (
    Failure,
    FunctionCall,
    ModelRequest,
    Reasoning,
    Refusal,
    ScriptedModel,
    Stop,
    Text,
    Usage,
    model,
)
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, Offer, Scope, tool

from .serving import BUILT_IN, PATIENCE, serve

pytestmark = pytest.mark.anyio

KEY = "sk-test"

CLASSES: dict[str, type[Any]] = {
    typing.get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in typing.get_args(typing.get_args(ResponseStreamEvent)[0])
}
"""The SDK's class of each event type."""

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Today's weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}

STARTED = threading.Event()
RELEASE = threading.Event()


@tool
async def climate(city: str) -> str:
    """The climate of a city."""
    if city == "Atlantis":
        raise ValueError("it sank")
    return f"mild in {city}"


class Full:
    """A hosted tool without a free place."""

    @property
    def type(self) -> str:
        return "shell"

    def offers(self, definition: ToolDefinition, scope: Scope) -> list[Offer]:
        raise RequestError(
            "no place is free", status=429, code="busy", type="too_many_requests", retry_after=3
        )

    async def aclose(self) -> None: ...


@model("echo")
async def echo(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Says how many items it was given, and what the last one was."""
    yield Text(f"{len(request.items)}:")
    yield Text(request.items[-1].type)
    yield Usage(3, 2, cached_tokens=1, reasoning_tokens=1)


@model("caller")
async def caller(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Calls the first tool once for every city, then reports the outputs."""
    outputs = [item.output for item in request.items if item.type == "function_call_output"]
    if outputs:
        yield Text(" and ".join(str(output) for output in outputs))
        return
    words = request.items[-1].text.split()  # pyright: ignore[reportAttributeAccessIssue]
    for city in words:
        yield FunctionCall(request.tools[0].name, {"city": city})


async def slow_code() -> AsyncIterator[str]:
    yield '{"code": "x = 6\\n'
    STARTED.set()
    assert await anyio.to_thread.run_sync(RELEASE.wait, PATIENCE)
    yield 'print(x * 7)"}'


@model("coder")
async def coder(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Writes code in two fragments, the second when the client has seen the first."""
    if request.items[-1].type == "function_call_output":
        yield Text(f"It printed {request.items[-1].output}")
        return
    yield FunctionCall("code_interpreter", slow_code())


@model("thinker")
async def thinker(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Thinks aloud, then in short, then answers."""
    yield Reasoning("raw ")
    yield Reasoning("thought")
    yield Reasoning("in short", summary=True)
    yield Text("42")


def script(name: str, *turn: Any) -> ScriptedModel:
    return ScriptedModel([list(turn)], name=name, repeat=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    provider = Provider(
        models=[
            echo,
            caller,
            coder,
            thinker,
            script("json", Text('{"name": "Ada", '), Text('"age": 36}')),
            script("refuser", Refusal("I would rather not.")),
            script("cut", Text("It was a dark and"), Stop("max_output_tokens"), Usage(1, 2)),
            script("broken", Text("It was"), Failure("server_error", "the engine stalled")),
        ],
        tools=[climate, CodeInterpreter(LocalSandboxes()), Full()],
        api_keys={KEY: "alice"},
    )
    with serve(provider) as base:
        yield f"{base}/v1"


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=PATIENCE) as made:
        yield made


@pytest.fixture
async def aclient(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=PATIENCE) as made:
        yield made


def strictly(response: Any) -> Response:
    """The same response as pydantic reads it: SDK classes are built without validation."""
    said = response.model_dump_json(exclude_unset=True, warnings="error", by_alias=True)
    return Response.model_validate_json(said, strict=True)


def played(stream: Any) -> list[Any]:
    """All events of a sync stream, each checked."""
    return [checked(event, position) for position, event in enumerate(stream)]


def checked(event: Any, position: int) -> Any:
    assert type(event) is CLASSES[event.type], f"{event.type} fell back to {type(event)}"
    assert event.sequence_number == position
    EVENT.validate_json(event.model_dump_json(exclude_unset=True, by_alias=True), strict=True)
    return event


def kinds(events: list[Any]) -> list[str]:
    return [event.type for event in events]


# --- an answer ---------------------------------------------------------------


def test_create_gives_a_whole_response(client: OpenAI) -> None:
    response = client.responses.create(model="echo", input="hello", metadata={"a": "b"})
    strictly(response)
    assert response.status == "completed"
    assert response.output_text == "1:message"
    assert response.usage is not None
    assert response.usage.total_tokens == 5
    assert response.usage.input_tokens_details.cached_tokens == 1
    assert response.usage.output_tokens_details.reasoning_tokens == 1
    assert response.metadata == {"a": "b"}
    assert response._request_id


async def test_async_create_gives_the_same(aclient: AsyncOpenAI) -> None:
    response = await aclient.responses.create(model="echo", input="hello")
    assert strictly(response).output_text == "1:message"


def test_every_streamed_event_is_of_its_own_class(client: OpenAI) -> None:
    events = played(client.responses.create(model="echo", input="hello", stream=True))
    assert kinds(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[0].response.output == []
    assert events[2].item.content == []
    strictly(events[-1].response)
    assert events[-1].response.output[0].id == events[2].item.id


async def test_async_stream_gives_the_same(aclient: AsyncOpenAI) -> None:
    stream = await aclient.responses.create(model="echo", input="hello", stream=True)
    events = [event async for event in stream]
    assert [checked(event, at).type for at, event in enumerate(events)][-1] == "response.completed"


def test_the_stream_helper_puts_the_response_together(client: OpenAI) -> None:
    with client.responses.stream(model="echo", input="hello") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert deltas == ["1:", "message"]
    assert final.output_text == "1:message"


async def test_the_async_stream_helper_puts_the_response_together(aclient: AsyncOpenAI) -> None:
    async with aclient.responses.stream(model="thinker", input="hello") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "42"


class Person(BaseModel):
    name: str
    age: int


def test_parse_gives_a_value_of_the_type(client: OpenAI) -> None:
    response = client.responses.parse(model="json", input="Who?", text_format=Person)
    assert response.output_parsed == Person(name="Ada", age=36)


def test_the_stream_helper_parses_too(client: OpenAI) -> None:
    with client.responses.stream(model="json", input="Who?", text_format=Person) as stream:
        assert stream.get_final_response().output_parsed == Person(name="Ada", age=36)


def test_a_refusal_streams_and_comes_whole(client: OpenAI) -> None:
    events = played(client.responses.create(model="refuser", input="x", stream=True))
    assert "response.refusal.delta" in kinds(events)
    assert events[-1].response.output[0].content[0].refusal == "I would rather not."
    strictly(events[-1].response)


def test_a_cut_answer_is_incomplete(client: OpenAI) -> None:
    response = client.responses.create(model="cut", input="x")
    strictly(response)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"  # pyright: ignore


def test_a_broken_model_is_a_failed_response_not_an_exception(client: OpenAI) -> None:
    response = client.responses.create(model="broken", input="x")
    strictly(response)
    assert response.status == "failed"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("server_error", "the engine stalled")
    events = played(client.responses.create(model="broken", input="x", stream=True))
    assert kinds(events)[-1] == "response.failed"
    assert "error" not in kinds(events)


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
    events = played(
        client.responses.create(model="caller", input="Oslo", tools=tools, stream=True)
    )
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

CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}


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
    second = client.responses.create(model="echo", input=[*asked, *first.output], tools=[CODE])
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


# --- what is stored ----------------------------------------------------------


def test_retrieve_and_delete(client: OpenAI) -> None:
    first = client.responses.create(model="echo", input="x")
    assert strictly(client.responses.retrieve(first.id)).output_text == first.output_text
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_models_are_listed(client: OpenAI) -> None:
    names = [listed.id for listed in client.models.list()]
    assert names[:2] == ["echo", "caller"]


# --- errors ------------------------------------------------------------------


def test_a_bad_request_names_the_field(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="echo", input="x", temperature=9)
    error = caught.value
    assert (error.param, error.code, error.type) == (
        "temperature",
        "invalid_value",
        "invalid_request_error",
    )


def test_an_unsupported_field_has_a_code_and_a_cure(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="foreground") as caught:
        client.responses.create(model="echo", input="x", background=True)
    assert (caught.value.param, caught.value.code) == ("background", "unsupported_parameter")


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="nobody", input="x", stream=True)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_a_wrong_key_is_an_authentication_error(url: str) -> None:
    with (
        OpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.responses.create(model="echo", input="x")
    assert caught.value.code == "invalid_api_key"
    assert caught.value.response.headers["www-authenticate"] == "Bearer"


def test_a_full_machine_is_a_rate_limit_error(client: OpenAI) -> None:
    busy: Any = {"type": "shell"}
    with pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model="echo", input="x", tools=[busy])
    assert caught.value.code == "busy"
    assert caught.value.response.headers["retry-after"] == "3"


def test_the_first_event_does_not_wait_for_the_model(url: str) -> None:
    """Raw bytes: created is readable while the model still holds its second fragment back."""
    STARTED.clear()
    RELEASE.clear()
    body = {"model": "coder", "input": "x", "tools": [CODE], "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx2.stream(
        "POST", f"{url}/responses", json=body, headers=headers, timeout=PATIENCE
    ) as answer:
        chunks = answer.iter_raw()
        seen = b""
        while b"code_interpreter_call_code.delta" not in seen:
            seen += next(chunks)
        assert seen.startswith(b"event: response.created\n")
        assert STARTED.wait(PATIENCE)
        assert not RELEASE.is_set()
        RELEASE.set()
        for chunk in chunks:
            seen += chunk
    assert seen.endswith(b"data: [DONE]\n\n")


def test_function_definitions_are_echoed_with_all_their_keys(client: OpenAI) -> None:
    bare: Any = {"type": "function", "name": "bare"}
    response = client.responses.create(model="echo", input="x", tools=[bare, WEATHER])
    raw = json.loads(response.model_dump_json())
    assert {"description", "parameters", "strict"} <= raw["tools"][0].keys()
    assert FunctionTool.model_validate(raw["tools"][1]).strict is True
