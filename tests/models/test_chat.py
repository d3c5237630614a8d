"""`ChatModel`: what it sends to Chat Completions servers, and what it makes of their chunks."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import pytest

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import (
    AllowedTools,
    ArgumentsDelta,
    CreateResponse,
    Event,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    Ids,
    InputFile,
    InputImage,
    InputText,
    InputVideo,
    Item,
    ItemAdded,
    Json,
    Lowered,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
    TextDelta,
    ToolRef,
    UnknownPart,
    fold,
    user,
)
from antiphon.models import ChatModel, Model, ModelRequest

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

Sse: TypeAlias = Callable[..., bytes]
pytestmark = pytest.mark.anyio

IMAGE = "data:image/png;base64,AA=="


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
        with pytest.raises(ModelError, match=words) as caught, anyio.fail_after(10):
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


def call(key: str, arguments: str = "{}") -> FunctionCall:
    return FunctionCall(call_id=key, name="f", arguments=arguments)


def output(key: str, content: Any = "out") -> FunctionCallOutput:
    return FunctionCallOutput(call_id=key, output=content)


def says(text: str) -> Message:
    return Message(role="assistant", content=[OutputText(text=text)])


def calls_of(*keys: str, text: str | None = None) -> Json:
    function = {"name": "f", "arguments": "{}"}
    made = [{"id": key, "type": "function", "function": function} for key in keys]
    return {"role": "assistant", "content": text, "tool_calls": made}


def out(key: str, content: str = "out") -> Json:
    return {"role": "tool", "tool_call_id": key, "content": content}


THOUGHT = Reasoning(content=[ReasoningText(text="hm")])
SEEN: Json = {"type": "image_url", "image_url": {"url": IMAGE}}
NOTHING: Json = {}
TABLE: list[Any] = [
    pytest.param([user("a")], {}, [{"role": "user", "content": "a"}], id="a user's text"),
    pytest.param(
        [Message(role="developer", content="d"), Message(role="system", content="s")],
        {},
        [{"role": "system", "content": "d"}, {"role": "system", "content": "s"}],
        id="developers are systems",
    ),
    pytest.param(
        [Message(role="user", content=[InputText(text="a")])],
        {},
        [{"role": "user", "content": "a"}],
        id="one part of text is a text",
    ),
    pytest.param(
        [
            Message(
                role="user",
                content=[
                    InputText(text="a"),
                    InputImage(image_url=IMAGE, detail="low"),
                    InputFile(filename="n.pdf", file_data="data:application/pdf;base64,AA=="),
                    InputVideo(video_url="http://v"),
                    UnknownPart.model_validate({"type": "input_audio", "input_audio": NOTHING}),
                ],
            )
        ],
        {},
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "n.pdf",
                            "file_data": "data:application/pdf;base64,AA==",
                        },
                    },
                    {"type": "video_url", "video_url": {"url": "http://v"}},
                    {"type": "input_audio", "input_audio": NOTHING},
                ],
            }
        ],
        id="parts",
    ),
    pytest.param(
        [says("a"), call("1"), call("2"), output("1"), output("2"), says("b"), says("c")],
        {},
        [
            calls_of("1", "2", text="a"),
            out("1"),
            out("2"),
            {"role": "assistant", "content": "b"},
            {"role": "assistant", "content": "c"},
        ],
        id="a turn's calls are one message with its text",
    ),
    pytest.param(
        [call("1"), output("1"), call("2"), output("2")],
        {},
        [calls_of("1"), out("1"), calls_of("2"), out("2")],
        id="two turns are two messages",
    ),
    pytest.param(
        [call("1"), call("h"), output("h"), call("2"), output("1"), output("2"), user("a")],
        {},
        [
            calls_of("1", "h", "2"),
            out("h"),
            out("1"),
            out("2"),
            {"role": "user", "content": "a"},
        ],
        id="a hosted call's output between the calls of its turn",
    ),
    pytest.param([THOUGHT, call("1")], {}, [calls_of("1")], id="reasoning is dropped"),
    pytest.param(
        [THOUGHT, call("1"), output("1"), THOUGHT, says("a")],
        {"reasoning_field": "reasoning_content"},
        [
            calls_of("1") | {"reasoning_content": "hm"},
            out("1"),
            {"role": "assistant", "content": "a", "reasoning_content": "hm"},
        ],
        id="or given back with the words that followed it",
    ),
    pytest.param(
        [call("1"), output("1", [InputText(text="a"), InputImage(image_url=IMAGE)])],
        {},
        [calls_of("1"), out("1", "a\n[an image, which cannot be shown here]")],
        id="an image of a tool is noted",
    ),
    pytest.param(
        [call("1"), call("2"), output("1", [InputImage(image_url=IMAGE)]), output("2")],
        {"images_in_outputs": True},
        [
            calls_of("1", "2"),
            out("1", "[an image, shown in the next message]"),
            out("2"),
            {
                "role": "user",
                "content": [{"type": "text", "text": "Images from tool call 1:"}, SEEN],
            },
        ],
        id="or shown after all outputs",
    ),
]


@pytest.mark.parametrize(("items", "settings", "messages"), TABLE)
async def test_items_become_messages(
    items: list[Lowered],
    settings: Json,
    messages: list[Json],
    server: "Server",
    reply: "type[Reply]",
    listen: "Listen",
) -> None:
    server.plays(reply([END]))
    request = ModelRequest(items=items)
    async with at(server, **settings) as model:
        await listen(model, request)
        await listen(model, request)  # from the memo
    assert server.asked[0].body["messages"] == messages
    assert server.asked[1].raw == server.asked[0].raw


async def test_history_is_written_once(
    server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply([END]))
    first = user("one")
    request = ModelRequest(items=[first])
    async with at(server) as model:
        await listen(model, request)
        (key,) = request.memo
        assert key != id(first)  # an adapter that writes other bytes may share the memo
        request.memo[key] = b'{"from":"memo"}'
        request.items.append(user("two"))
        await listen(model, request)
    assert server.asked[1].body["messages"] == [
        {"from": "memo"},
        {"role": "user", "content": "two"},
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (InputImage(file_id="f"), "input_image: expected `image_url`"),
        (InputFile(file_url="http://f"), "input_file: expected `file_data`"),
    ],
)
async def test_what_chat_cannot_take_is_refused_before_anything_is_sent(
    part: Any, words: str, server: "Server", listen: "Listen"
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        await heard(listen, server, Message(role="user", content=[part]))
    assert caught.value.code == "unsupported_input" and server.asked == []


async def test_options_reach_the_server_in_chats_words(
    server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply([END]))
    same: Json = {
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "service_tier": "flex",
        "prompt_cache_key": "p",
        "user": "u",
    }
    original = CreateResponse.model_validate(
        same
        | {
            "top_logprobs": 2,
            "parallel_tool_calls": False,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True},
                "verbosity": "low",
            },
            "metadata": {"a": "b"},
            "store": True,
        }
    )
    request = ModelRequest(
        items=[],
        original=original,
        instructions="be brief",
        max_output_tokens=9,
        tools=[FunctionTool(name="f", description="d", strict=False), FunctionTool(name="g")],
        tool_choice="required",
    )
    async with at(server, extra_body={"top_k": 4, "temperature": 0}) as model:
        await listen(model, request)
    none: Json = {"type": "object", "properties": {}}
    assert server.asked[0].path == "/v1/chat/completions"
    assert server.asked[0].body == same | {
        "model": "up",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": "be brief"}],
        "max_tokens": 9,
        "logprobs": True,
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {}, "strict": True},
        },
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": none, "strict": False},
            },
            {"type": "function", "function": {"name": "g", "parameters": none}},
        ],
        "tool_choice": "required",
        "top_k": 4,
        "temperature": 0,
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        ("none", "none"),
        (ToolRef(type="function", name="f"), {"type": "function", "function": {"name": "f"}}),
        (AllowedTools(mode="required", tools=[ToolRef(type="function", name="f")]), "required"),
    ],
)
async def test_a_choice_of_tools_keeps_all_tools_in_sight(
    choice: Any, expected: Any, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply([END]))
    tools = [FunctionTool(name="f"), FunctionTool(name="g")]
    async with at(server) as model:
        await listen(model, ModelRequest(items=[], tools=tools, tool_choice=choice))
        await listen(model, ModelRequest(items=[], tool_choice=choice))
    with_tools, without = (asked.body for asked in server.asked)
    assert with_tools.get("tool_choice") == expected and len(with_tools["tools"]) == 2
    assert "tool_choice" not in without and "tools" not in without


async def test_the_bound_may_have_its_newer_name(
    server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply([END]))
    async with at(server, max_tokens_field="max_completion_tokens") as model:
        await listen(model, ModelRequest(items=[], max_output_tokens=5))
    assert server.asked[0].body["max_completion_tokens"] == 5
    wrong: Any = "tokens"
    with pytest.raises(ConfigurationError, match="max_tokens_field: expected"):
        ChatModel("up", base_url="http://localhost/v1", max_tokens_field=wrong)


@pytest.mark.parametrize("field", ["messages", "stream"])
def test_extra_body_cannot_break_the_adapter(field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"got '{field}', which this adapter sets itself"):
        ChatModel("up", base_url="http://localhost/v1", extra_body={field: 1})
