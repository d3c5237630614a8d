"""`ResponsesModel`: what it sends."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from antiphon.errors import ConfigurationError
from antiphon.items import (
    AllowedTools,
    CreateResponse,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    Json,
    Message,
    OutputText,
    Reasoning,
    ReasoningText,
    ToolRef,
    user,
)
from antiphon.models import ModelRequest, ResponsesModel

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

Sse: TypeAlias = Callable[..., bytes]
pytestmark = pytest.mark.anyio


ENDED: Json = {"type": "response.completed", "response": {}}


@asynccontextmanager
async def at(server: "Server", **settings: Any) -> AsyncGenerator[ResponsesModel]:
    model = ResponsesModel("up", base_url=server.url, api_key="k", **settings)
    try:
        yield model
    finally:
        await model.aclose()


async def sent(listen: "Listen", server: "Server", request: ModelRequest, **settings: Any) -> Json:
    async with at(server, **settings) as model:
        await listen(model, request)
    return server.asked[-1].body


async def test_the_body_has_what_was_asked_and_nothing_else(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(ENDED)]))
    body = await sent(listen, server, ModelRequest(items=[user("hi")]))
    assert body == {
        "model": "up",
        "stream": True,
        "store": False,
        "input": [{"type": "message", "role": "user", "content": "hi"}],
    }
    assert server.asked[0].path == "/v1/responses"
    assert server.asked[0].headers["openresponses-extensions"] == "antiphon"
    assert server.asked[0].headers["authorization"] == "Bearer k"


async def test_options_of_the_request_reach_the_server(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(ENDED)]))
    asked: Json = {
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "top_logprobs": 3,
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": {"enum": [None, 1]}},
            "verbosity": "low",
        },
        "service_tier": "flex",
        "safety_identifier": "s",
        "prompt_cache_key": "p",
        "prompt_cache_retention": "24h",
        "user": "u",
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    }
    ours: Json = {"metadata": {"a": "b"}, "store": True, "background": True, "model": "mine"}
    hosted: Json = {"include": [*asked["include"], "code_interpreter_call.outputs"]}
    original = CreateResponse.model_validate(asked | ours | hosted)
    tool = FunctionTool(name="f", parameters={"type": "object"}, strict=False)
    request = ModelRequest(
        items=[],
        original=original,
        instructions="be brief",
        max_output_tokens=9,
        tools=[tool],
        tool_choice="required",
    )
    body = await sent(listen, server, request, extra_body={"top_k": 4, "user": "over"})
    assert body == asked | {
        "model": "up",
        "stream": True,
        "store": False,
        "input": [],
        "instructions": "be brief",
        "max_output_tokens": 9,
        "tools": [tool.model_dump()],
        "tool_choice": "required",
        "top_k": 4,
        "user": "over",
    }


async def test_items_go_without_our_ids_and_with_everything_else(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(ENDED)]))
    items = [
        Message(
            id="m",
            status="completed",
            role="assistant",
            content=[OutputText(text="a")],
            phase="commentary",
        ),
        Reasoning(id="r", status="completed"),  # says nothing: left out
        Reasoning(id="r", content=[ReasoningText(text="t")], encrypted_content="e"),
        FunctionCall(id="f", call_id="c", name="n", arguments="{}", namespace="ns"),
        FunctionCallOutput(id="o", call_id="c", output="out"),
    ]
    body = await sent(listen, server, ModelRequest(items=list(items)))
    said: Json = {"type": "output_text", "text": "a", "annotations": []}
    assert body["input"] == [
        {"type": "message", "role": "assistant", "content": [said], "phase": "commentary"},
        {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "t"}],
            "encrypted_content": "e",
        },
        {
            "type": "function_call",
            "call_id": "c",
            "name": "n",
            "arguments": "{}",
            "namespace": "ns",
        },
        {"type": "function_call_output", "call_id": "c", "output": "out"},
    ]


async def test_history_is_written_once(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(ENDED)]))
    items = [user("one"), user("two")]
    request = ModelRequest(items=list(items))
    async with at(server) as model:
        await listen(model, request)
        assert set(request.memo) == {id(item) for item in items}
        request.memo[id(items[0])] = b'{"from":"memo"}'
        request.items.append(user("three"))
        await listen(model, request)
    assert [item.get("content") for item in server.asked[1].body["input"]] == [
        None,
        "two",
        "three",
    ]


async def test_tools_that_the_server_hosts_are_left_to_it(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(ENDED)]))
    original = CreateResponse.model_validate(
        {
            "tools": [{"type": "web_search", "search_context_size": "low"}, {"type": "shell"}],
            "include": ["web_search_call.results", "file_search_call.results"],
        }
    )
    tools = [FunctionTool(name="web_search"), FunctionTool(name="shell")]
    choice = AllowedTools(tools=[ToolRef(type="function", name="web_search")])
    request = ModelRequest(items=[], original=original, tools=tools, tool_choice=choice)
    body = await sent(listen, server, request, native={"web_search"})
    assert [tool.get("name", tool["type"]) for tool in body["tools"]] == ["shell", "web_search"]
    assert body["tools"][1]["search_context_size"] == "low"
    assert body["tool_choice"]["tools"] == [{"type": "web_search"}]
    assert body["include"] == ["web_search_call.results"]
    plain = await sent(listen, server, request)
    assert [tool["type"] for tool in plain["tools"]] == ["function", "function"]


HOSTED = ToolRef(type="web_search")


@pytest.mark.parametrize(
    ("choice", "sent_choice"),
    [
        (HOSTED, {"type": "web_search"}),
        (
            AllowedTools(mode="required", tools=[HOSTED, ToolRef(type="function", name="f")]),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}],
            },
        ),
    ],
)
async def test_a_choice_of_what_the_server_hosts_goes_as_it_is(
    choice: ToolRef | AllowedTools,
    sent_choice: Json,
    server: "Server",
    reply: "type[Reply]",
    sse: Sse,
    listen: "Listen",
) -> None:
    server.plays(reply([sse(ENDED)]))
    original = CreateResponse.model_validate({"tools": [{"type": "web_search"}]})
    tools = [FunctionTool(name="f")]
    request = ModelRequest(items=[], original=original, tools=tools, tool_choice=choice)
    body = await sent(listen, server, request, native={"web_search"})
    assert body["tool_choice"] == sent_choice


@pytest.mark.parametrize("field", ["input", "stream", "store"])
def test_extra_body_cannot_break_the_adapter(field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"got '{field}', which this adapter sets itself"):
        ResponsesModel("up", base_url="http://localhost/v1", extra_body={field: 1})
