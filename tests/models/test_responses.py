"""`ResponsesModel`: what it makes of what a server sends."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import pytest

from antiphon.errors import ModelError
from antiphon.items import (
    ArgumentsDelta,
    Event,
    Failed,
    Ids,
    Incomplete,
    ItemAdded,
    ItemDone,
    Json,
    TextDelta,
    UnknownEvent,
    fold,
    user,
)
from antiphon.models import Model, ModelRequest, ResponsesModel

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

Sse: TypeAlias = Callable[..., bytes]
pytestmark = pytest.mark.anyio


def within(kind: str, **more: Any) -> Json:
    return {"type": f"response.{kind}", "item_id": "m1", "output_index": 0} | more


MESSAGE: Json = {
    "type": "message",
    "id": "m1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "grün 🌊", "annotations": []}],
}
CALL: Json = {
    "type": "function_call",
    "id": "f1",
    "call_id": "c1",
    "name": "weather",
    "arguments": '{"city":"Oslo"}',
    "status": "completed",
}
ADDED: Json = {"type": "response.output_item.added", "output_index": 0}
DONE: Json = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
EMPTY_PART: Json = {"type": "output_text", "text": "", "annotations": []}
USAGE: Json = {
    "input_tokens": 3,
    "output_tokens": 4,
    "total_tokens": 7,
    "input_tokens_details": None,
}
ENDED: Json = {
    "type": "response.completed",
    # what servers send: nulls where the schema wants numbers, and fields that nobody knows
    "response": {
        "id": "r1",
        "status": "completed",
        "model": "up",
        "output": [MESSAGE],
        "usage": USAGE,
        "temperature": None,
        "text": None,
        "x": 1,
    },
}
GREETING: list[Json] = [
    {"type": "response.created", "response": {"id": "r1", "temperature": None}},
    {"type": "response.in_progress", "response": {}},
    ADDED | {"item": MESSAGE | {"status": "in_progress", "content": []}},
    within("content_part.added", content_index=0, part=EMPTY_PART),
    within("output_text.delta", content_index=0, delta="grün", logprobs=[]),
    within("output_text.delta", content_index=0, delta=" 🌊"),
    within("output_text.done", content_index=0, text="grün 🌊"),
    within("content_part.done", content_index=0, part=MESSAGE["content"][0]),
    DONE,
    ENDED,
]


@asynccontextmanager
async def at(server: "Server", **settings: Any) -> AsyncGenerator[ResponsesModel]:
    model = ResponsesModel("up", base_url=server.url, api_key="k", **settings)
    try:
        yield model
    finally:
        await model.aclose()


async def heard(listen: "Listen", server: "Server", **settings: Any) -> list[Event]:
    async with at(server, **settings) as model:
        return await listen(model, ModelRequest(items=[user("hi")], ids=Ids(seed=1)))


async def test_it_is_a_model_under_the_servers_name_or_ones_own() -> None:
    one = ResponsesModel("up", base_url="http://localhost/v1")
    other = ResponsesModel("up", base_url="http://localhost/v1", name="mine")
    assert isinstance(one, Model)
    assert (one.name, other.name) == ("up", "mine")


async def test_a_stream_becomes_canonical_events(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen", fast: bool
) -> None:
    server.plays(reply([sse(*GREETING), b"data: [DONE]\n\n"]))
    events = await heard(listen, server, fast=fast)
    assert [event.type for event in events] == [event["type"] for event in GREETING[2:]]
    response = fold(events)
    assert response.output_text == "grün 🌊" and response.status == "completed"
    assert response.usage is not None and response.usage.total_tokens == 7


async def test_every_byte_may_come_alone(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen", fast: bool
) -> None:
    body = sse(*GREETING).replace(b"\n", b"\r\n")
    server.plays(reply([body[place : place + 1] for place in range(len(body))]))
    assert fold(await heard(listen, server, fast=fast)).output_text == "grün 🌊"


async def test_keep_alive_comments_are_no_events(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([b": waiting\n\n", sse(*GREETING[:4]), b":\n\n", sse(*GREETING[4:])]))
    assert fold(await heard(listen, server)).output_text == "grün 🌊"


@pytest.mark.parametrize("name", ["response.reasoning", "response.reasoning_text"])
async def test_both_spellings_of_reasoning_become_the_standards(
    name: str, server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    part = {"type": "reasoning_text", "text": "hm"}
    item: Json = {"type": "reasoning", "id": "m1", "summary": []}
    server.plays(
        reply(
            [
                sse(
                    ADDED | {"item": item},
                    within("reasoning_part.added", content_index=0, part=part | {"text": ""}),
                    within("x", content_index=0, delta="hm") | {"type": f"{name}.delta"},
                    within("x", content_index=0, text="hm") | {"type": f"{name}.done"},
                    within("reasoning_part.done", content_index=0, part=part),
                    DONE | {"item": item | {"content": [part], "encrypted_content": None}},
                    ENDED,
                )
            ]
        )
    )
    assert [event.type for event in await heard(listen, server)] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning.delta",
        "response.reasoning.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


async def test_unknown_events_pass_along(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse({"type": "acme:progress", "percent": 3}, ENDED)]))
    first = (await heard(listen, server))[0]
    assert isinstance(first, UnknownEvent) and first.model_extra == {"percent": 3}


async def test_events_need_no_name_line(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    body = b"".join(line + b"\n" for line in sse(*GREETING).split(b"\n") if line[:5] != b"event")
    server.plays(reply([body + b"\n"]))
    assert fold(await heard(listen, server)).output_text == "grün 🌊"


async def test_nulls_and_missing_indexes_of_sloppy_servers_are_mended(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    second: Json = {
        "type": "response.output_item.added",
        "item": MESSAGE | {"id": "m2", "content": []},
    }
    server.plays(
        reply(
            [
                sse(
                    {"type": "response.output_item.added", "item": MESSAGE | {"content": []}},
                    second,
                    {"type": "response.output_text.delta", "item_id": "m1", "delta": "a"},
                    within("output_text.delta", content_index=0, delta="b", logprobs=None),
                    {"type": "response.output_text.delta", "item_id": "m2", "delta": "c"},
                    {"type": "response.completed", "response": {"output": None}},
                )
            ]
        )
    )
    events = await heard(listen, server)
    deltas = [(event.output_index, event.delta) for event in events if isinstance(event, TextDelta)]
    assert deltas == [(0, "a"), (0, "b"), (1, "c")]


async def test_items_that_were_never_streamed_are_told_at_the_end(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    ended: Json = {"type": "response.completed", "response": {"output": [MESSAGE, CALL]}}
    server.plays(reply([sse(*GREETING[:-1], ended)]))
    events = await heard(listen, server)
    assert [event.type for event in events[-5:]] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [item.model_dump() for item in fold(events).output] == [MESSAGE, CALL]


async def test_an_item_that_was_never_finished_is_finished_at_the_end(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(*GREETING[:-2], ENDED)]))
    events = await heard(listen, server)
    assert len([event for event in events if isinstance(event, ItemAdded)]) == 1
    assert isinstance(events[-2], ItemDone)


async def test_a_server_that_does_not_stream_is_told_honestly_in_one_delta_each(
    server: "Server", reply: "type[Reply]", listen: "Listen", fast: bool
) -> None:
    thought: Json = {
        "type": "reasoning",
        "id": "t1",
        "summary": [{"type": "summary_text", "text": "s"}],
    }
    refusal: Json = MESSAGE | {"id": "m2", "content": [{"type": "refusal", "refusal": "no"}]}
    search = {"type": "web_search_call", "id": "w1", "status": "completed"}
    output: list[Json] = [thought, MESSAGE, CALL, refusal, search]
    server.plays(reply.json({"status": "completed", "output": output, "usage": USAGE}))
    events = await heard(listen, server, fast=fast)
    assert [item.model_dump() for item in fold(events).output] == output
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["grün 🌊"]
    assert [e.delta for e in events if isinstance(e, ArgumentsDelta)] == ['{"city":"Oslo"}']
    added = [event.item for event in events if isinstance(event, ItemAdded)]
    assert [getattr(item, "status", None) for item in added] == [None] + ["in_progress"] * 4


@pytest.mark.parametrize(
    ("event", "kind", "reason"),
    [
        (
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "content_filter"}},
            },
            Incomplete,
            "content_filter",
        ),
        (
            {
                "type": "response.failed",
                "response": {"error": {"code": "overloaded", "message": "key is k-secret"}},
            },
            Failed,
            "overloaded: key is ***",
        ),
        ({"type": "response.failed", "response": None}, Failed, "server_error: the server gave"),
    ],
)
async def test_a_bad_end_is_told_with_its_reason(
    event: Json,
    kind: type[Event],
    reason: str,
    server: "Server",
    reply: "type[Reply]",
    sse: Sse,
    listen: "Listen",
) -> None:
    server.plays(reply([sse(event)]))
    model = ResponsesModel("up", base_url=server.url, api_key="k-secret")
    events = await listen(model, ModelRequest(items=[]))
    await model.aclose()
    assert isinstance(events[-1], kind)
    response = fold(events)
    why = response.incomplete_details.reason if response.incomplete_details else ""
    why = f"{response.error.code}: {response.error.message}" if response.error else why
    assert why is not None and why.startswith(reason)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "stream_cut", "without a last word"),
        (b"event: response.output_text.delta\ndata: {\n\n", "bad_event", "expected JSON"),
        (b"data: [1]\n\n", "bad_event", "expected a JSON object"),
        (b'data: {"no": "type"}\n\n', "bad_event", "with a `type`"),
        (
            b'event: response.output_text.delta\ndata: {"delta": 3, "item_id": "x"}\n\n',
            "bad_event",
            "malformed response.output_text.delta: delta: Input should be a valid string",
        ),
        (b"data: [DONE]\n\n", "stream_cut", "without a last word"),
        (
            b'data: {"type": "response.completed", "response": {"output": [{}, {"type": 3}]}}\n\n',
            "bad_event",
            "malformed item",
        ),
        (b'data: {"type": "error", "error": {"code": "c", "message": "m"}}\n\n', "c", ": m$"),
        (b'data: {"type": "error", "code": "c", "message": "m"}\n\n', "c", ": m$"),
        (b'data: {"error": {"message": "m"}}\n\n', "server_error", ": m$"),
    ],
)
async def test_a_broken_stream_is_an_error_after_what_was_said(
    body: bytes,
    code: str,
    words: str,
    server: "Server",
    reply: "type[Reply]",
    sse: Sse,
) -> None:
    server.plays(reply([sse(*GREETING[:6]) + body]))
    said: list[Event] = []
    async with at(server) as model:
        with pytest.raises(ModelError, match=words) as caught, anyio.fail_after(60):
            async for event in model.stream(ModelRequest(items=[])):
                said.append(event)
    assert caught.value.code == code
    assert [event.delta for event in said if isinstance(event, TextDelta)] == ["grün", " 🌊"]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [({"object": "list"}, "finished response; got JSON of status None"), ({"error": "no"}, "no$")],
)
async def test_json_that_is_no_response_is_an_error(
    value: Json, words: str, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply.json(value))
    with pytest.raises(ModelError, match=words):
        await heard(listen, server)
