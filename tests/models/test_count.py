"""Counting: what a `ResponsesModel` asks its server, and what it makes of the answer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.errors import ModelError
from antiphon.items import CreateResponse, FunctionTool, user
from antiphon.models import (
    ChatModel,
    Counts,
    ModelRequest,
    ResponsesModel,
    ScriptedModel,
    Upstream,
)

if TYPE_CHECKING:
    from .conftest import Reply, Server

pytestmark = pytest.mark.anyio

REQUEST = ModelRequest(items=[user("hi")])


@asynccontextmanager
async def at(server: "Server", **settings: Any) -> AsyncGenerator[ResponsesModel]:
    model = ResponsesModel("up", base_url=server.url, api_key="sk-1", name="ours", **settings)
    try:
        yield model
    finally:
        await model.aclose()


async def test_the_servers_count_is_the_count(server: "Server", reply: "type[Reply]") -> None:
    server.plays(reply.json({"object": "response.input_tokens", "input_tokens": 17}))
    async with at(server) as model:
        assert await model.count(REQUEST) == 17
    assert server.asked[0].path == "/v1/responses/input_tokens"
    assert server.asked[0].headers["authorization"] == "Bearer sk-1"


async def test_only_what_can_be_counted_is_sent(server: "Server", reply: "type[Reply]") -> None:
    """Servers refuse unknown fields here: nothing of how to sample and how to answer."""
    server.plays(reply.json({"input_tokens": 1}))
    tool = FunctionTool(name="f", parameters={"type": "object"}, strict=False)
    original = CreateResponse.model_validate(
        {
            "temperature": 0.5,
            "reasoning": {"effort": "low"},
            "text": {"verbosity": "low"},
            "parallel_tool_calls": False,
            "include": ["reasoning.encrypted_content"],
            "user": "u",
        }
    )
    request = ModelRequest(
        items=[user("hi")],
        instructions="be brief",
        tools=[tool],
        tool_choice="required",
        max_output_tokens=9,
        original=original,
    )
    async with at(server, extra_body={"top_k": 4, "truncation": "auto"}) as model:
        await model.count(request)
    assert server.asked[0].body == {
        "model": "up",
        "instructions": "be brief",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "tools": [tool.model_dump()],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "truncation": "auto",
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, {}),
        (405, {}),
        (501, {"code": "nope", "message": "not here"}),
        (400, {"code": "unsupported", "message": "I cannot"}),
    ],
)
async def test_a_server_that_does_not_count_is_told_apart(
    server: "Server", reply: "type[Reply]", status: int, error: Any
) -> None:
    server.plays(reply.json({"error": error}, status=status))
    async with at(server, retries=0) as model:
        with pytest.raises(ModelError, match=r"'ours' cannot be counted.*input_tokens") as caught:
            await model.count(REQUEST)
    assert caught.value.code == "cannot_count"


@pytest.mark.parametrize(
    ("status", "code"), [(404, "model_not_found"), (401, "invalid_api_key"), (500, "oops")]
)
async def test_what_else_goes_wrong_is_the_servers_own_error(
    server: "Server", reply: "type[Reply]", status: int, code: str
) -> None:
    server.plays(reply.json({"error": {"code": code, "message": "no"}}, status=status))
    async with at(server, retries=0) as model:
        with pytest.raises(ModelError) as caught:
            await model.count(REQUEST)
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"input_tokens": None}, {"input_tokens": "9"}, {"input_tokens": True},
     {"input_tokens": -1}, {"input_tokens": 1.5}],
)  # fmt: skip
async def test_what_is_no_count_is_not_taken_for_one(
    server: "Server", reply: "type[Reply]", answer: Any
) -> None:
    server.plays(reply.json(answer))
    async with at(server) as model:
        with pytest.raises(ModelError) as caught:
            await model.count(REQUEST)
    assert caught.value.code == "bad_answer"


async def test_what_is_no_json_is_not_taken_for_a_count(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply([b"event: x\ndata: 5\n\n"]))
    async with at(server) as model:
        with pytest.raises(ModelError) as caught:
            await model.count(REQUEST)
    assert caught.value.code == "bad_answer"


async def test_an_upstream_counts_if_it_speaks_responses(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply.json({"input_tokens": 5}))
    upstream = Upstream(server.url, api="responses")
    model: Any = upstream.model("any")
    assert isinstance(model, Counts)
    assert await model.count(REQUEST) == 5
    await upstream.aclose()


async def test_an_upstream_of_chat_completions_cannot(server: "Server") -> None:
    upstream = Upstream(server.url, api="chat")
    model: Any = upstream.model("any")
    with pytest.raises(ModelError, match="Chat Completions") as caught:
        await model.count(REQUEST)
    assert caught.value.code == "cannot_count"
    assert server.asked == []
    await upstream.aclose()


def test_who_has_no_tokenizer_does_not_pretend_to_count() -> None:
    assert not isinstance(ScriptedModel([]), Counts)
    assert not isinstance(ChatModel("x", base_url="http://localhost:1/v1"), Counts)
    assert isinstance(ResponsesModel("x", base_url="http://localhost:1/v1"), Counts)
