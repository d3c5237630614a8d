"""What a tool's definition holds of credentials, wherever it stands, is neither told nor kept."""

import json
from typing import Any

import pytest

from antiphon.models import FunctionCall
from antiphon.provider import MemoryStore

from .keeping import ALICE, get, provider
from .serving import EXTENDED, events_of, exchange

pytestmark = pytest.mark.anyio

SECRET = "s3cret"
CREDENTIALS = {"authorization": SECRET, "headers": {"k": SECRET}}
URL = f"https://me:{SECRET}@x.example:8443/@scope/mcp?key={SECRET}#{SECRET}"
MCP = {"type": "mcp", "server_label": "x", "server_url": URL, **CREDENTIALS}
MY_FUNCTION = {
    "type": "function",
    "name": "call",
    "parameters": {"type": "object", "properties": {"headers": {"type": "string"}}},
}

TOOLS: list[dict[str, Any]] = [
    MCP,
    {"type": "web_search", **CREDENTIALS},
    {"type": "image_generation", **CREDENTIALS},
    {"type": "shell", **CREDENTIALS},
    {"type": "file_search", "vector_store_ids": ["vs"], **CREDENTIALS},
    {"type": "x_new", "server_url": URL, **CREDENTIALS, "tools": [MCP]},
    {"type": "namespace", "name": "n", "tools": [MCP], **CREDENTIALS},
    {"type": "antiphon:agent", "name": "a", "tools": [MCP], **CREDENTIALS},
    {"type": "function", "name": "f", "api_key": SECRET},
    {**MCP, "api_key": SECRET, "x_odd": SECRET, "require_approval": {"never": {"token": SECRET}}},
    *(
        {"type": "x_new", key: SECRET}
        for key in ("api_key", "apiKey", "X-Api-Key", "token", "auth")
    ),
    {"type": "x_new", "how": [{"access_token": SECRET, "cookies": [SECRET]}]},
    {"type": "x_new", "how": {"value": f"Bearer {SECRET}"}, "more": [f"sk-{SECRET}"]},
    {"type": "web_search", "auth": {"value": SECRET}, "callback_url": URL},
]


async def told(stream: bool, *turns: Any, **body: Any) -> tuple[bytes, MemoryStore, dict[str, Any]]:
    store = MemoryStore()
    app = provider(*turns, store=store)
    asked = {"input": "x", "stream": stream, **body}
    one = await exchange(app, asked, headers=ALICE | EXTENDED)
    assert one.status == 200, one.body
    response = events_of(one.body)[-1]["response"] if stream else json.loads(one.body)
    kept = await get(app, response["id"], ALICE | EXTENDED)
    return one.body + kept.body, store, response


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tool", TOOLS, ids=[str(tool)[:60] for tool in TOOLS])
async def test_no_tool_s_credentials_are_told_or_kept(tool: dict[str, Any], stream: bool) -> None:
    body, store, response = await told(stream, tools=[tool, MY_FUNCTION])
    assert SECRET.encode() not in body
    assert SECRET not in repr(store._shelves)  # pyright: ignore[reportPrivateUsage]
    assert response["tools"][0]["type"] == tool["type"]
    assert response["tools"][1]["parameters"] == MY_FUNCTION["parameters"]


async def test_what_is_no_credential_of_an_unknown_tool_is_told() -> None:
    tool = {
        "type": "x_new",
        "max_tokens": 3,
        "author": "me",
        "how": {"size": [1, "wide"]},
        "parameters": {"properties": {"token": {"type": "string"}}},
    }
    _, _, response = await told(False, tools=[tool])
    assert response["tools"] == [tool]


async def test_a_background_request_is_kept_without_what_is_not_known_of_it() -> None:
    app = provider("x", store=(store := MemoryStore()))
    asked = {"input": "x", "background": True, "api_key": SECRET, "extra": {"k": SECRET}}
    one = await exchange(app, asked, headers=ALICE)
    assert one.status == 200, one.body
    assert "'request': {" in repr(store._shelves)  # pyright: ignore[reportPrivateUsage]
    assert SECRET not in repr(store._shelves)  # pyright: ignore[reportPrivateUsage]
    await app.aclose()


async def test_what_is_no_credential_of_a_url_is_told() -> None:
    _, _, response = await told(False, tools=[MCP])
    assert response["tools"][0]["server_url"] == "https://x.example:8443/@scope/mcp"


@pytest.mark.parametrize("url", [f"me:{SECRET}@x.example/", f"https:///me:{SECRET}@x.example"])
async def test_what_is_hardly_a_url_tells_no_credential(url: str) -> None:
    body, _, _ = await told(False, tools=[{**MCP, "server_url": url}])
    assert SECRET.encode() not in body


BUILT_IN = {"type": "mcp", "server_label": "antiphon", "connector_id": "antiphon"}
REF = {"type": "mcp", "server_label": "antiphon"}


@pytest.mark.parametrize("several", [False, True])
async def test_a_choice_names_its_tools_and_tells_nothing_more_of_them(several: bool) -> None:
    choice: dict[str, Any] = {**REF, "name": "whoami", **CREDENTIALS, "server_url": URL}
    shown: dict[str, Any] = {**REF, "name": "whoami"}
    turns: list[Any] = [[FunctionCall("whoami", {})], "x"]
    if several:
        choice = {"type": "allowed_tools", "mode": "auto", "tools": [choice], **CREDENTIALS}
        shown = {"type": "allowed_tools", "mode": "auto", "tools": [shown]}
    body, store, response = await told(False, *turns, tools=[BUILT_IN], tool_choice=choice)
    assert SECRET.encode() not in body
    assert SECRET not in repr(store._shelves)  # pyright: ignore[reportPrivateUsage]
    assert response["tool_choice"] == shown
