"""Tools to tolerate (wire.md 5): groups of functions, types without a backend, replays."""

import json
import logging
from typing import Any

import pytest

from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, tool

from .serving import events_of, exchange

pytestmark = pytest.mark.anyio

HI = {"role": "user", "content": "hi"}

NAMESPACE = {
    "type": "namespace",
    "name": "shop",
    "description": "All about the shop.",
    "tools": [
        {"type": "function", "name": "price", "parameters": {"type": "object"}, "strict": False},
        {"type": "custom", "name": "note"},
    ],
}


async def test_a_function_in_a_namespace_keeps_it() -> None:
    script = ScriptedModel([FunctionCall("shop__price", {"of": "tea"}), "ok"])
    app = Provider(models=[script])
    body = {"input": "hi", "tools": [NAMESPACE]}
    one = await exchange(app, body)
    said = json.loads(one.body)
    (call,) = said["output"]
    assert (call["type"], call["namespace"], call["name"]) == ("function_call", "shop", "price")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "3"}
    again = await exchange(app, {**body, "input": [HI, call, output]})
    assert again.status == 200
    assert getattr(script.requests[1].items[1], "name", "") == "shop__price"


async def test_a_function_in_a_namespace_keeps_it_in_a_stream() -> None:
    script = ScriptedModel([FunctionCall("shop__price", {"of": "tea"})])
    body = {"input": "hi", "tools": [NAMESPACE], "stream": True}
    events = events_of((await exchange(Provider(models=[script]), body)).body)
    items = [event["item"] for event in events if "item" in event]
    assert [(item["namespace"], item["name"]) for item in items] == [("shop", "price")] * 2
    done = [event for event in events if event["type"].endswith("arguments.done")]
    assert [event["name"] for event in done] == ["price"]


UNHOSTED: list[dict[str, Any]] = [
    {"type": "web_search", "external_web_access": True, "filters": None, "x": [1]},
    {"type": "web_search_preview", "search_context_size": "low"},
    {"type": "file_search", "vector_store_ids": []},
    {"type": "image_generation", "output_format": "png"},
    {"type": "shell"},
    {"type": "mcp", "server_label": "x", "server_url": "https://example.com/mcp"},
    {"type": "mcp", "server_label": "x", "connector_id": "connector_gmail"},
    {"type": "tool_search"},
    {"type": "vendor:thing", "x": 1},
    {"type": "code_interpreter", "container": {"type": "auto"}},
]


@pytest.mark.parametrize("definition", UNHOSTED, ids=lambda one: one["type"])
async def test_a_tool_without_a_backend_is_left_out_and_logged(
    definition: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    script = ScriptedModel(["ok"])
    function = {"type": "function", "name": "f"}
    with caplog.at_level(logging.WARNING):
        one = await exchange(
            Provider(models=[script]), {"input": "hi", "tools": [definition, function]}
        )
    assert one.status == 200, one.body
    assert [offered.name for offered in script.requests[0].tools] == ["f"]
    assert definition["type"] in caplog.text
    assert json.loads(one.body)["tools"][0]["type"] == definition["type"]


@pytest.mark.parametrize("definition", UNHOSTED, ids=lambda one: one["type"])
async def test_a_tool_without_a_backend_cannot_be_demanded(definition: dict[str, Any]) -> None:
    choice = {key: definition[key] for key in ("type", "server_label") if key in definition}
    body = {"input": "hi", "tools": [definition], "tool_choice": choice}
    one = await exchange(Provider(models=[ScriptedModel(["ok"])]), body)
    assert one.status == 400
    error = json.loads(one.body)["error"]
    assert (error["param"], error["code"]) == ("tool_choice", "tool_not_found")


@tool
async def weather(city: str) -> str:
    """Today's weather."""
    return f"sunny in {city}"


async def test_everything_that_we_say_is_taken_back() -> None:
    """Both forms of what ran here replay as input: the full item, and the one SDKs parse."""
    calls = [
        FunctionCall("weather", {"city": "Oslo"}),
        FunctionCall("code_interpreter", {"code": "1+1"}),
    ]
    tools = [
        {"type": "mcp", "server_label": "antiphon", "connector_id": "antiphon"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ]
    for headers in {}, {"openresponses-extensions": "antiphon"}:
        script = ScriptedModel([calls, "ok", "again"])
        app = Provider(models=[script], tools=[weather, CodeInterpreter(LocalSandboxes())])
        body = {"input": [HI], "tools": tools, "include": ["code_interpreter_call.outputs"]}
        said = json.loads((await exchange(app, body, headers=headers)).body)
        again = {**body, "input": [HI, *said["output"]], "store": False}
        one = await exchange(app, again, headers=headers)
        assert json.loads(one.body)["status"] == "completed", one.body
        first, second = script.requests[1].items, script.requests[2].items
        assert [item.to_json() for item in second[: len(first)]] == [
            item.to_json() for item in first
        ]
        await app.aclose()
