"""`ChatModel`: what it makes of the chunks of Chat Completions servers."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import httpx2
import pytest
from pydantic_core import to_json

from antiphon.errors import ModelError
from antiphon.items import (
    ArgumentsDelta,
    Event,
    FunctionCall,
    Ids,
    Item,
    ItemAdded,
    Json,
    Lowered,
    Message,
    OutputText,
    Reasoning,
    TextDelta,
    fold,
)
from antiphon.models import ChatModel, Model, ModelRequest

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

Sse: TypeAlias = Callable[..., bytes]
pytestmark = pytest.mark.anyio


def chunk(finish: str | None = None, **delta: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}


def tool(
    arguments: Any = None,
    *,
    index: int | None = None,
    id: str | None = None,  # noqa: A002
    name: str | None = None,
) -> Json:
    function = {"name": name, "arguments": arguments}
    call: Json = {"function": {key: value for key, value in function.items() if value is not None}}
    if index is not None:
        call["index"] = index
    if id is not None:
        call["id"] = id
    return call


USAGE: Json = {
    "choices": [],
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}
END = b"data: [DONE]\n\n"


@asynccontextmanager
async def at(server: "Server", **settings: Any) -> AsyncGenerator[ChatModel]:
    model = ChatModel("up", base_url=server.url, api_key="k", **settings)
    try:
        yield model
    finally:
        await model.aclose()


async def heard(listen: "Listen", server: "Server", *items: Lowered, **more: Any) -> list[Event]:
    async with at(server, **more) as model:
        return await listen(model, ModelRequest(items=list(items), ids=Ids(seed=1)))


def calls(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.name, item.arguments) for item in items if isinstance(item, FunctionCall)]


async def test_it_is_a_model() -> None:
    assert isinstance(ChatModel("up", base_url="http://localhost/v1"), Model)


async def test_a_stream_becomes_canonical_events(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen", fast: bool
) -> None:
    spoken = [
        chunk(role="assistant", content=""),
        chunk(reasoning_content="h"),
        chunk(reasoning="m"),
        chunk(content="grün"),
        chunk(content=" 🌊"),
        chunk("stop", content=None),
        USAGE,
    ]
    server.plays(reply([b": PROCESSING\n\n", sse(*spoken), END]))
    events = await heard(listen, server, fast=fast)
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["grün", " 🌊"]
    response = fold(events)
    thought, message = response.output
    assert isinstance(thought, Reasoning) and thought.text == "hm"
    assert isinstance(message, Message) and message.text == "grün 🌊"
    assert response.status == "completed"
    assert response.usage is not None
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 4, 7)
    assert usage.input_tokens_details.cached_tokens == 1
    assert usage.output_tokens_details.reasoning_tokens == 2


async def test_every_byte_may_come_alone(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen", fast: bool
) -> None:
    body = sse(chunk(content="grün 🌊"), chunk("stop")) + END
    server.plays(reply([body[place : place + 1] for place in range(len(body))]))
    assert fold(await heard(listen, server, fast=fast)).output_text == "grün 🌊"


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        pytest.param(
            [
                [tool("", index=0, id="a", name="f")],
                [tool('{"x"', index=0)],
                [tool("", index=3, id="b", name="g")],
                [tool("{}", index=3), tool(":1}", index=0)],
            ],
            [("f", '{"x":1}'), ("g", "{}")],
            id="interleaved, with a gap between indexes",
        ),
        pytest.param(
            [[tool('{"x":1}', id="a", name="f"), tool("{}", id="b", name="g")]],
            [("f", '{"x":1}'), ("g", "{}")],
            id="whole, without an index",
        ),
        pytest.param(
            [[tool("", id="a", name="f")], [tool('{"x"')], [tool(":1}")]],
            [("f", '{"x":1}')],
            id="in fragments, without an index",
        ),
        pytest.param(
            [[tool("{}", index=0, id="a", name="f")], [tool("[]", index=0, id="b", name="g")]],
            [("f", "{}"), ("g", "[]")],
            id="always index 0, with new ids",
        ),
        pytest.param(
            [[tool("{}", index=0, name="f")], [tool("{}", index=0, name="f")]],
            [("f", "{}"), ("f", "{}")],
            id="always index 0, without ids",
        ),
        pytest.param(
            [[tool("{", index=0, id="a", name="f")], [tool("}", index=0, id="a", name="f")]],
            [("f", "{}")],
            id="id and name again with every fragment",
        ),
        pytest.param(
            [[tool({"x": 1}, index=0, name="f")]], [("f", '{"x":1}')], id="an object of arguments"
        ),
        pytest.param(
            [[tool("{", index=0, id="a")], [tool("}", index=0, name="f")]],
            [("f", "{}")],
            id="the name after the first fragment",
        ),
        pytest.param([[tool(index=0, id="a", name="f")]], [("f", "")], id="no arguments at all"),
    ],
)
async def test_tool_calls_are_told_apart(
    spoken: list[list[Json]],
    expected: list[tuple[str, str]],
    server: "Server",
    reply: "type[Reply]",
    sse: Sse,
    listen: "Listen",
) -> None:
    chunks = [chunk(tool_calls=calls) for calls in spoken]
    server.plays(reply([sse(*chunks, chunk("tool_calls")), END]))
    events = await heard(listen, server)
    items = fold(events).output
    assert calls(items) == expected
    ids = [item.call_id for item in items if isinstance(item, FunctionCall)]
    assert len(set(ids)) == len(expected)
    indexes = [event.output_index for event in events if isinstance(event, ItemAdded)]
    assert indexes == list(range(len(expected)))
    assert all(event.delta for event in events if isinstance(event, ArgumentsDelta))


async def test_call_ids_are_the_servers_unless_the_context_has_them(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    spoken = chunk("tool_calls", tool_calls=[tool("{}", id=key, name="f") for key in ("a", "b")])
    server.plays(reply([sse(spoken), END]))
    before = FunctionCall(call_id="a", name="f", arguments="{}")
    output = fold(await heard(listen, server, before)).output
    first, second = [item.call_id for item in output if isinstance(item, FunctionCall)]
    assert first.startswith("call_") and second == "b"


async def test_logprobs_and_refusals_are_kept(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    token = {
        "token": "a",
        "logprob": -1,
        "bytes": None,
        "top_logprobs": [{"token": "b", "logprob": -2.0}],
    }
    spoken = chunk(content="a")
    spoken["choices"][0]["logprobs"] = {"content": [token]}
    server.plays(reply([sse(spoken, chunk("stop", refusal="no")), END]))
    events = await heard(listen, server)
    (delta,) = [event for event in events if isinstance(event, TextDelta)]
    assert delta.logprobs[0].top_logprobs[0].logprob == -2.0
    (item,) = fold(events).output
    assert isinstance(item, Message) and item.text == "ano"
    (part, refusal) = item.content
    assert isinstance(part, OutputText) and part.logprobs == delta.logprobs
    assert not isinstance(refusal, str) and refusal.type == "refusal"


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
async def test_an_answer_cut_short_is_incomplete(
    finish: str, reason: str, server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(chunk(finish, content="cut of")), END]))
    response = fold(await heard(listen, server))
    assert response.status == "incomplete" and response.incomplete_details is not None
    assert response.incomplete_details.reason == reason
    assert [getattr(item, "status", None) for item in response.output] == ["incomplete"]


async def test_a_server_that_does_not_stream_is_told_in_one_delta_each(
    server: "Server", reply: "type[Reply]", listen: "Listen", fast: bool
) -> None:
    said = {"role": "assistant", "content": "hello", "tool_calls": [tool("{}", id="a", name="f")]}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls"}
    server.plays(reply.json(USAGE | {"choices": [choice]}))
    response = fold(await heard(listen, server, fast=fast))
    assert response.output_text == "hello" and calls(response.output) == [("f", "{}")]
    assert response.usage is not None and response.usage.total_tokens == 7


async def test_a_stream_needs_only_one_last_word(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    for ending in (reply([sse(chunk("stop", content="a"))]), reply([sse(chunk(content="a")), END])):
        server.plays(ending)
        assert fold(await heard(listen, server)).status == "completed"
    server.plays(reply([sse(chunk("stop", content="a"))], cut=True))  # all was said before
    assert fold(await heard(listen, server)).output_text == "a"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "stream_cut", "without a last word"),
        (b"data: nonsense\n\n", "bad_event", "expected JSON"),
        (b"data: 3\n\n", "bad_event", "expected a JSON object"),
        (b'data: {"choices": 3}\n\n', "bad_event", "a list of choices"),
        (b'data: {"choices": [{"delta": 3}]}\n\n', "bad_event", "documented shape"),
        (b'data: {"choices": [{"delta": {"tool_calls": [3]}}]}\n\n', "bad_event", "shape"),
        (b'data: {"error": {"message": "m", "code": "c"}}\n\n', "c", ": m$"),
        (b'event: error\ndata: {"error": "m"}\n\n', "server_error", ": m$"),
        (b'data: {"object": "error", "message": "m", "code": 400}\n\n', "server_error", ": m$"),
        (
            b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}\n\n' + END,
            "bad_event",
            "a name in every tool call",
        ),
    ],
)
async def test_a_broken_stream_is_an_error_after_what_was_said(
    body: bytes, code: str, words: str, server: "Server", reply: "type[Reply]", sse: Sse
) -> None:
    server.plays(reply([sse(chunk(content="a")) + body]))
    said: list[Event] = []
    async with at(server) as model:
        with pytest.raises(ModelError, match=words) as caught, anyio.fail_after(60):
            async for event in model.stream(ModelRequest(items=[])):
                said.append(event)
    assert caught.value.code == code
    assert [event.delta for event in said if isinstance(event, TextDelta)] == ["a"]
    assert len(server.asked) == 1


async def test_a_connection_lost_before_the_last_word_is_an_error(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen", fast: bool
) -> None:
    server.plays(reply([sse(chunk(content="a"))], cut=True))
    with pytest.raises(ModelError, match="broke off in the middle") as caught:
        await heard(listen, server, fast=fast)
    assert caught.value.code == "stream_cut" and len(server.asked) == 1


@pytest.mark.parametrize("value", [{}, {"error": "no"}, {"choices": []}])
async def test_json_that_is_no_answer_is_an_error(
    value: Json, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply.json(value))
    with pytest.raises(ModelError):
        await heard(listen, server)


async def test_a_fragment_of_arguments_costs_no_more_after_thousands() -> None:
    async def cost(count: int) -> float:
        said = [chunk(tool_calls=[tool("", index=0, id="a", name="f")])]
        said += [chunk(tool_calls=[tool("x" * 1024, index=0)])] * count
        body = b"".join(b"data: %b\n\n" % to_json(each) for each in said) + END
        headers = {"content-type": "text/event-stream"}
        answer = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body))
        client = httpx2.AsyncClient(transport=answer)
        model = ChatModel("up", base_url="http://host/v1", http_client=client)
        began = time.process_time()
        deltas = [event async for event in model.stream(ModelRequest([])) if is_delta(event)]
        took = time.process_time() - began
        assert len(deltas) == count
        return took

    assert await cost(8000) < 25 * await cost(1000), "eight times as many"


def is_delta(event: Event) -> bool:
    return isinstance(event, ArgumentsDelta)
