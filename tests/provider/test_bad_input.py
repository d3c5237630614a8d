"""Whatever comes in: a 4xx with the error object, at once, and the next request works."""

import json
from typing import Any

import pytest

from .refusing import DEEP, items, one_part, provider, refused
from .serving import exchange

pytestmark = pytest.mark.anyio


# --- no JSON, or no object ---------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"input": "hi"',
        b'{"input": "hi",}',
        b"{'input': 'hi'}",
        b"input=hi",
        b'{"input": "hi"} {}',
        b'{"input": "\xff\xfe"}',
        b'{"input": "\xed\xa0\x80"}',
        b'{"input": "\\ud800"}',
        b'{"metadata": {"\\udc00": "x"}, "input": "hi"}',
        b'\xef\xbb\xbf{"input": "hi"}',
        '{"input": "hi"}'.encode("utf-16"),
        b'{"input": "h\ni"}',
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"input": ' + b'[{"content": ' * DEEP,
        b'{"x": ' * DEEP + b"1" + b"}" * DEEP,
        b'{"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": '
        + b'{"x": ' * DEEP
        + b"1"
        + b"}" * DEEP
        + b"}]}",
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_what_is_not_json(body: bytes) -> None:
    error = await refused(body)
    assert error["code"] == "invalid_json"
    assert error["message"].startswith("expected JSON")
    assert len(error["message"]) < 300


@pytest.mark.parametrize("body", [b"[]", b"1", b'"hi"', b"null", b"true", b"[{}]"])
async def test_what_is_no_object(body: bytes) -> None:
    error = await refused(body)
    assert error["code"] == "invalid_value"
    assert error["message"].startswith("body: ")


# --- a field is wrong, and is named ------------------------------------------

MESSAGE = {"role": "user", "content": "hi"}
IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}


def tools(*given: Any) -> dict[str, Any]:
    return {"input": "hi", "tools": list(given)}


def field(name: str, value: Any) -> dict[str, Any]:
    return {"input": "hi", name: value}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "input"),
    (field("input", None), "input"),
    (field("input", 5), "input"),
    (field("input", {"role": "user"}), "input"),
    (items(5), "input[0]"),
    (items("hi"), "input[0]"),
    (items(None), "input[0]"),
    (items(MESSAGE, {}), "input[1]"),
    (items({"type": 5}), "input[0]"),
    (items({"type": {}}), "input[0]"),
    (items({"type": []}), "input[0]"),
    (items({"role": "robot", "content": "hi"}), "input[0].role"),
    (items({"role": "user"}), "input[0].content"),
    (items({"role": "user", "content": 5}), "input[0].content"),
    (items({"role": "user", "content": {"text": "hi"}}), "input[0].content"),
    (one_part(5), "input[0].content[0]"),
    (one_part({"type": "input_text"}), "input[0].content[0].text"),
    (one_part({"type": "input_text", "text": 5}), "input[0].content[0].text"),
    (one_part({"type": "input_image", "detail": "huge"}), "input[0].content[0].detail"),
    (one_part({"type": "input_image", "image_url": {"url": "x"}}), "input[0].content[0].image_url"),
    (items({"type": "function_call", "name": "f", "arguments": "{}"}), "input[0].call_id"),
    (
        items({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}),
        "input[0].arguments",
    ),
    (
        items({"type": "function_call_output", "call_id": "c", "output": "lost"}),
        "input[0].call_id",
    ),
    (
        items({"type": "compaction", "encrypted_content": "Zm9yZ2Vk"}),
        "input[0].encrypted_content",
    ),
    (items({"type": "item_reference"}), "input[0].id"),
    (items({"type": "code_interpreter_call"}), "input[0].status"),
    (
        items({"type": "file_search_call", "status": "completed", "queries": "q"}),
        "input[0].queries",
    ),
    (field("model", 5), "model"),
    (field("model", ["scripted"]), "model"),
    (field("instructions", 5), "instructions"),
    (field("temperature", "hot"), "temperature"),
    (field("temperature", 2.5), "temperature"),
    (field("temperature", -1), "temperature"),
    (field("top_p", 1.5), "top_p"),
    (field("top_logprobs", 21), "top_logprobs"),
    (field("top_logprobs", 1.5), "top_logprobs"),
    (field("stream", "yes"), "stream"),
    (field("stream", 1), "stream"),
    (field("store", "no"), "store"),
    (field("stream_options", 5), "stream_options"),
    (field("max_output_tokens", 0), "max_output_tokens"),
    (field("max_output_tokens", "100"), "max_output_tokens"),
    (field("max_output_tokens", 1.0), "max_output_tokens"),
    (field("max_tool_calls", 0), "max_tool_calls"),
    (field("metadata", []), "metadata"),
    (field("metadata", {"a": 5}), "metadata.a"),
    (field("metadata", {"a": None}), "metadata.a"),
    (field("metadata", {str(n): "x" for n in range(17)}), "metadata"),
    (field("metadata", {"k" * 65: "x"}), "metadata"),
    (field("metadata", {"k": "x" * 513}), "metadata"),
    (field("include", "reasoning.encrypted_content"), "include"),
    (field("include", ["everything"]), "include[0]"),
    (field("truncation", "middle"), "truncation"),
    (field("service_tier", "first class"), "service_tier"),
    (field("reasoning", "hard"), "reasoning"),
    (field("reasoning", {"effort": "heroic"}), "reasoning.effort"),
    (field("text", {"format": 5}), "text.format"),
    (field("text", {"format": {"type": "xml"}}), "text.format"),
    (field("text", {"format": {"type": "json_schema", "schema": {}}}), "text.format.name"),
    (
        field("text", {"format": {"type": "json_schema", "name": "x", "schema": 5}}),
        "text.format.schema",
    ),
    (field("text", {"verbosity": "chatty"}), "text.verbosity"),
    (field("safety_identifier", "x" * 65), "safety_identifier"),
    (field("prompt_cache_key", "x" * 65), "prompt_cache_key"),
    (field("prompt", 5), "prompt"),
    (field("conversation", 5), "conversation"),
    (field("tools", 5), "tools"),
    (field("tools", {"type": "function"}), "tools"),
    (tools(5), "tools[0]"),
    (tools({}), "tools[0]"),
    (tools({"type": "function"}), "tools[0].name"),
    (tools({"type": "function", "name": "has space"}), "tools[0].name"),
    (tools({"type": "function", "name": "f", "parameters": 5}), "tools[0].parameters"),
    (
        tools({"type": "file_search", "vector_store_ids": ["v"], "filters": 5}),
        "tools[0].filters",
    ),
    (tools({"type": "file_search", "vector_store_ids": "v"}), "tools[0].vector_store_ids"),
    (
        tools({"type": "file_search", "vector_store_ids": ["v"], "ranking_options": 5}),
        "tools[0].ranking_options",
    ),
    (tools({"type": "web_search", "user_location": 5}), "tools[0].user_location"),
    (tools({"type": "code_interpreter", "container": 5}), "tools[0].container"),
    (
        tools({"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "2g"}}),
        "tools[0].container.memory_limit",
    ),
    (
        tools({"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"] * 51}}),
        "tools[0].container.file_ids",
    ),
    (tools({"type": "mcp", "server_label": "x", "headers": 5}), "tools[0].headers"),
    (tools({"type": "mcp", "server_label": "antiphon"}), "tools[0].server_label"),
    (
        tools(
            {
                "type": "mcp",
                "server_label": "antiphon",
                "connector_id": "antiphon",
                "allowed_tools": ["nothing"],
            }
        ),
        "tools[0]",
    ),
    (tools({"type": "antiphon:function", "name": "nothing"}), "tools[0].name"),
    (
        tools({"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        "tools[1].name",
    ),
    (field("tool_choice", 5), "tool_choice"),
    (field("tool_choice", "sometimes"), "tool_choice"),
    (field("tool_choice", "required"), "tool_choice"),
    (field("tool_choice", {"type": "function", "name": "absent"}), "tool_choice"),
    (field("tool_choice", {"type": "web_search"}), "tool_choice"),
    (field("tool_choice", {"type": "allowed_tools", "tools": []}), "tool_choice.tools"),
    (
        {**tools({"type": "web_search"}), "tool_choice": {"type": "web_search"}},
        "tool_choice",
    ),
    (
        {**tools({"type": "web_search"}), "tool_choice": "required"},
        "tool_choice",
    ),
]


@pytest.mark.parametrize(
    ("body", "param"), WRONG, ids=[f"{n}-{param}" for n, (_, param) in enumerate(WRONG)]
)
async def test_a_wrong_field_is_named(body: dict[str, Any], param: str) -> None:
    error = await refused(body)
    assert error["param"] == param
    assert error["code"]
    assert error["type"] == "invalid_request_error"


RAW: list[tuple[bytes, str | None]] = [
    (b'{"input": "hi", "temperature": NaN}', "temperature"),
    (b'{"input": "hi", "temperature": Infinity}', "temperature"),
    (b'{"input": "hi", "temperature": 1e999}', "temperature"),
    (b'{"input": "hi", "something": NaN}', "something"),
    (b'{"input": "hi", "something": {"deep": [1, -Infinity]}}', "something"),
    (b'{"input": "hi", "max_output_tokens": 1' + b"0" * 5000 + b"}", None),
    (b'{"input": "hi", "something": 1' + b"0" * 5000 + b"}", None),
    (
        b'{"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": '
        b'{"maximum": 1' + b"0" * 5000 + b"}}]}",
        None,
    ),
]


@pytest.mark.parametrize(("body", "param"), RAW, ids=[body[:40].decode() for body, _ in RAW])
async def test_numbers_that_json_cannot_say_again(body: bytes, param: str | None) -> None:
    error = await refused(body)
    if param is not None:
        assert error["param"] == param


@pytest.mark.parametrize("name", ["max_output_tokens", "max_tool_calls"])
async def test_numbers_have_no_upper_bound(name: str) -> None:
    one = await exchange(provider(), {"input": "hi", name: 10**30})
    assert json.loads(one.body)[name] == 10**30


async def test_metadata_at_its_bounds_is_fine() -> None:
    metadata = {f"{n:02}".ljust(64, "k"): "v" * 512 for n in range(16)}
    one = await exchange(provider(), {"input": "hi", "metadata": metadata})
    assert json.loads(one.body)["metadata"] == metadata


# --- what is not here --------------------------------------------------------


async def test_an_unknown_model_lists_the_known() -> None:
    error = await refused({"model": "nobody", "input": "hi"}, 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "scripted" in error["message"]


async def test_an_unknown_previous_response() -> None:
    error = await refused({"previous_response_id": "resp_0", "input": "hi"}, 404)
    assert (error["param"], error["code"]) == (
        "previous_response_id",
        "previous_response_not_found",
    )


async def test_an_unknown_item_reference() -> None:
    error = await refused(items({"type": "item_reference", "id": "msg_0"}), 404)
    assert (error["param"], error["code"]) == ("input[0].id", "item_not_found")


async def test_an_unknown_container() -> None:
    body = tools({"type": "code_interpreter", "container": "cntr_0"})
    error = await refused(body, 404)
    assert (error["param"], error["code"]) == ("tools[0].container", "container_not_found")
