"""Agents that a client composes inside its request: checked like it, run by the provider."""

from typing import Any

import httpx2
import pytest

from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.provider import Provider
from antiphon.tools import tool

pytestmark = pytest.mark.anyio

HEADERS = {"OpenResponses-Extensions": "antiphon"}
looked_up: list[str] = []


@tool
async def look_up(word: str) -> str:
    """What a word means."""
    looked_up.append(word)
    return f"{word}: a word"


def inline(**fields: Any) -> dict[str, Any]:
    return {
        "type": "antiphon:agent",
        "name": "reader",
        "model": "small",
        "instructions": "Read.",
        "tools": [{"type": "antiphon:function", "name": "look_up"}],
        **fields,
    }


async def post(*tools: dict[str, Any], big: list[Any] | None = None, **headers: str) -> Any:
    turns = big or [[FunctionCall("reader", {"input": "tide?"})], [Text("Done.")]]
    small = ScriptedModel(
        [[FunctionCall("look_up", {"word": "tide"})], [Text("A tide.")]], name="small", repeat=True
    )
    app = Provider(models=[ScriptedModel(turns, name="big"), small], tools=[look_up])
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        body = {"model": "big", "input": "Go.", "tools": tools}
        answer = await client.post("/v1/responses", json=body, headers={**HEADERS, **headers})
        return answer.status_code, answer.json(), small


async def test_one_request_runs_an_agent_with_its_own_model_instructions_and_tools() -> None:
    looked_up.clear()
    status, told, small = await post(inline())
    assert status == 200
    call, message = told["output"]
    assert (call["type"], call["agent"], call["status"]) == (
        "antiphon:agent_call",
        "reader",
        "completed",
    )
    assert [item["type"] for item in call["output"]] == ["antiphon:tool_call", "message"]
    assert message["content"][0]["text"] == "Done."
    assert looked_up == ["tide"]
    assert small.requests[0].instructions == "Read."


async def test_agents_stand_inside_agents() -> None:
    outer = inline(name="editor", model="big", tools=[inline()])
    big = [
        [FunctionCall("editor", {"input": "edit"})],
        [FunctionCall("reader", {"input": "read"})],
        [Text("Edited.")],
        [Text("Done.")],
    ]
    status, told, _ = await post(outer, big=big)
    assert status == 200
    call = told["output"][0]
    assert call["agent"] == "editor"
    assert call["output"][0]["agent"] == "reader"


async def test_an_agent_without_a_model_has_the_request_s() -> None:
    big = [
        [FunctionCall("reader", {"input": "read"})],
        [Text("Read by big.")],
        [Text("Done.")],
    ]
    status, told, small = await post(inline(model=None, tools=[]), big=big)
    assert status == 200
    assert told["output"][0]["output"][0]["content"][0]["text"] == "Read by big."
    assert small.requests == []


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "nobody"}, 404, "tools[0].model"),
        ({"name": "a b"}, 400, "tools[0].name"),
        ({"tools": [{"type": 5}]}, 400, "tools[0].tools[0]"),
        ({"tools": [{"type": "function", "name": "x"}]}, 400, "tools[0].tools[0].type"),
        (
            {"tools": [{"type": "antiphon:function", "name": "nope"}]},
            400,
            "tools[0].tools[0].name",
        ),
        (
            {"tools": [inline(tools=[{"type": "antiphon:function", "name": "nope"}])]},
            400,
            "tools[0].tools[0].tools[0].name",
        ),
        ({"tools": 5}, 400, "tools[0].tools"),
    ],
)
async def test_an_agent_is_checked_like_the_request_before_anything_is_created(
    fields: dict[str, Any], status: int, param: str
) -> None:
    code, told, _ = await post(inline(**fields))
    assert (code, told["error"]["param"]) == (status, param)
    assert told["error"]["message"].startswith(f"{param}: ")


async def test_two_agents_of_one_name_are_refused() -> None:
    code, told, _ = await post(inline(), inline())
    assert (code, told["error"]["code"]) == (400, "duplicate_tool")


async def test_an_agent_s_secrets_are_not_echoed() -> None:
    secret = {
        "type": "mcp",
        "server_label": "x",
        "server_url": "https://x.example",
        "headers": {"k": "s3cret"},
    }
    status, told, _ = await post(inline(tools=[secret]), big=[[Text("Hi.")]])
    assert status == 200
    assert "s3cret" not in str(told)
    assert told["tools"][0]["tools"][0]["server_label"] == "x"
