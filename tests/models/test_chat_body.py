"""`ChatModel`: what it sends to Chat Completions servers."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import (
    AllowedTools,
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
    Json,
    Lowered,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
    ToolRef,
    UnknownPart,
    user,
)
from antiphon.models import ChatModel, ModelRequest

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

Sse: TypeAlias = Callable[..., bytes]
pytestmark = pytest.mark.anyio


IMAGE = "data:image/png;base64,AA=="
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


@pytest.mark.parametrize("arguments", ['{"ci', "", "[1]", '{"a": {"b": 1}'])
async def test_arguments_that_were_cut_go_out_as_none(
    arguments: str, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply([END]))
    await heard(listen, server, call("c", arguments), FunctionCallOutput(call_id="c", output="x"))
    (said,) = server.asked[0].body["messages"][0]["tool_calls"]
    assert said["function"]["arguments"] == "{}"


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
    ("form", "sent"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "name": "n", "description": "d", "schema": {"type": "null"}},
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "d", "schema": {"type": "null"}},
            },
        ),
    ],
)
async def test_the_form_of_the_answer_is_asked_for_in_chats_words(
    form: Json, sent: Any, server: "Server", reply: "type[Reply]", listen: "Listen"
) -> None:
    server.plays(reply([END]))
    original = CreateResponse.model_validate({"text": {"format": form}})
    async with at(server) as model:
        await listen(model, ModelRequest(items=[], original=original))
    assert server.asked[0].body.get("response_format") == sent


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
