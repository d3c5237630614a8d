"""Requests to tolerate (wire.md 5): every one is sent by a real client."""

import json
from typing import Any

import pytest

from antiphon.models import ScriptedModel
from antiphon.provider import Provider

from .serving import exchange

pytestmark = pytest.mark.anyio

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done"}
CODE = {
    "type": "code_interpreter_call",
    "id": "ci_1",
    "status": "completed",
    "container_id": "cntr_gone",
    "code": "print(1)",
    "outputs": [{"type": "logs", "logs": "1\n"}],
}
SEARCH = {
    "type": "file_search_call",
    "id": "fs_1",
    "status": "completed",
    "queries": ["q"],
    "results": [
        {"file_id": "f", "filename": "a.txt", "score": 0.5, "text": "t", "attributes": {"a": 1.0}}
    ],
}
LISTED = {
    "type": "mcp_list_tools",
    "id": "mcpl_1",
    "server_label": "x",
    "tools": [{"name": "t", "input_schema": {"type": "object"}, "annotations": None}],
    "error": None,
}
ASKED = {
    "type": "mcp_approval_request",
    "id": "mcpr_1",
    "server_label": "x",
    "name": "t",
    "arguments": "{}",
}
MCP = {
    "type": "mcp_call",
    "id": "mcp_1",
    "server_label": "x",
    "name": "t",
    "arguments": "{}",
    "output": "o",
    "error": None,
}
HI = {"role": "user", "content": "hi"}
PAIR = ["function_call", "function_call_output"]

INPUTS: list[tuple[str, Any, list[str]]] = [
    ("a text", "hi", ["message"]),
    ("an empty text", "", ["message"]),
    ("no items", [], []),
    ("a message without type", [HI], ["message"]),
    ("a message with type", [{**HI, "type": "message"}], ["message"]),
    (
        "string content in every role",
        [{"role": role, "content": role} for role in ("system", "developer", "user", "assistant")],
        ["message"] * 4,
    ),
    (
        "parts",
        [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        ["message"],
    ),
    (
        "an assistant's parts as input text",
        [{"role": "assistant", "content": [{"type": "input_text", "text": "hi"}]}],
        ["message"],
    ),
    ("client-made ids", [{**HI, "id": "msg_mine"}], ["message"]),
    ("a null id", [{**HI, "id": None}], ["message"]),
    (
        "an assistant message with status and no id",
        [{"role": "assistant", "status": "completed", "content": "hi"}],
        ["message"],
    ),
    (
        "an output text without annotations",
        [{"role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
        ["message"],
    ),
    (
        "an output text with everything",
        [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "final_answer",
                "content": [
                    {
                        "type": "output_text",
                        "text": "hi",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://example.com",
                                "title": "t",
                                "start_index": 0,
                                "end_index": 1,
                            },
                            {"type": "new_citation", "x": 1},
                        ],
                        "logprobs": [],
                    }
                ],
            }
        ],
        ["message"],
    ),
    (
        "a refusal",
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
        ["message"],
    ),
    ("a call without id or status", [CALL, OUTPUT], PAIR),
    (
        "a call with both, and nulls",
        [{**CALL, "id": "fc_1", "status": "completed", "namespace": None}, {**OUTPUT, "id": None}],
        PAIR,
    ),
    (
        "an output of parts",
        [CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "x"}]}],
        PAIR,
    ),
    ("a call without an output", [CALL, HI], [*PAIR, "message"]),
    (
        "outputs in another order",
        [CALL, {**CALL, "call_id": "c2"}, {**OUTPUT, "call_id": "c2"}, OUTPUT],
        ["function_call", "function_call", "function_call_output", "function_call_output"],
    ),
    ("code with outputs", [CODE], PAIR),
    ("code without outputs", [{**CODE, "outputs": None}], PAIR),
    ("a file search with results", [SEARCH], PAIR),
    ("a file search without", [{**SEARCH, "results": None}], PAIR),
    ("a list of tools", [LISTED, HI], ["message"]),
    ("a call of an MCP server", [MCP], PAIR),
    (
        "a failed call of an MCP server, as text",
        [{**MCP, "output": None, "error": "no", "status": "failed"}],
        PAIR,
    ),
    ("a request for approval", [ASKED, HI], ["message"]),
    ("a web search", [{"type": "web_search_call", "id": "ws_1", "status": "completed"}], PAIR),
    (
        "an image",
        [{"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AA=="}],
        PAIR,
    ),
    (
        "a custom tool's call",
        [
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        ],
        PAIR,
    ),
    (
        "a local shell's call",
        [
            {
                "type": "local_shell_call",
                "call_id": "c1",
                "action": {"type": "exec", "command": ["ls"]},
            },
            {"type": "local_shell_call_output", "id": "x", "call_id": "c1", "output": "a"},
        ],
        PAIR,
    ),
    (
        "reasoning without content",
        [{"type": "reasoning", "id": "rs_1", "summary": []}, HI],
        ["reasoning", "message"],
    ),
    (
        "reasoning whose content is null",
        [{"type": "reasoning", "summary": [], "content": None}, HI],
        ["reasoning", "message"],
    ),
    (
        "reasoning that is encrypted",
        [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA", "status": None}, HI],
        ["reasoning", "message"],
    ),
    ("an unknown item", [{"type": "vendor:thing", "x": {"y": [1]}}, HI], ["message"]),
    ("an unknown status", [{**HI, "status": "vendor:odd"}], ["message"]),
    (
        "an unknown part",
        [{"role": "user", "content": [{"type": "vendor:part", "x": 1}]}],
        ["message"],
    ),
    (
        "our own items",
        [
            {
                "type": "antiphon:tool_call",
                "id": "tc_1",
                "status": "completed",
                "name": "f",
                "arguments": "{}",
                "output": "x",
            }
        ],
        PAIR,
    ),
]


@pytest.mark.parametrize(
    ("given", "read"), [(i, r) for _, i, r in INPUTS], ids=[n for n, _, _ in INPUTS]
)
async def test_input(given: Any, read: list[str]) -> None:
    script = ScriptedModel(["ok"])
    one = await exchange(Provider(models=[script]), {"input": given})
    assert one.status == 200, one.body
    assert json.loads(one.body)["status"] == "completed"
    assert [item.type for item in script.requests[0].items] == read


FIELDS: list[dict[str, Any]] = [
    {"include": []},
    {"include": None},
    {"tools": []},
    {"tools": None},
    {"reasoning": {"summary": "auto"}},
    {"reasoning": {}},
    {"reasoning": None},
    {"reasoning": {"effort": None}},
    {"text": {}},
    {"text": None},
    {"text": {"format": None}},
    {"text": {"verbosity": None}},
    {"metadata": {}},
    {"metadata": None},
    {"stream_options": None},
    {"stream_options": {}},
    {"store": None},
    {"background": None},
    {"background": False},
    {"truncation": None},
    {"tool_choice": None},
    {"tool_choice": "auto"},
    {"tool_choice": "none"},
    {"prompt": None},
    {"conversation": None},
    {"temperature": 1},
    {"temperature": 0},
    {"temperature": None},
    {"max_output_tokens": None},
    {"parallel_tool_calls": None},
    {"instructions": ""},
    {"instructions": None},
    {"previous_response_id": None},
    {"stream": None},
    {"stream": False},
    {"anything": {"else": [1, None]}, "logit_bias": {}, "n": 1, "messages": []},
    {"client_metadata": {"x": "y"}, "generate": True, "type": "response.create"},
]


@pytest.mark.parametrize("fields", FIELDS, ids=json.dumps)
async def test_fields(fields: dict[str, Any]) -> None:
    one = await exchange(Provider(models=[ScriptedModel(["ok"])]), {"input": "hi", **fields})
    assert one.status == 200, one.body
    assert json.loads(one.body)["status"] == "completed"


async def test_a_schema_keeps_its_dollar_schema() -> None:
    script = ScriptedModel(["ok"])
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"type": ["string", "null"]}},
    }
    form = {"type": "json_schema", "name": "x", "schema": schema}
    function = {"type": "function", "name": "f", "parameters": schema}
    body = {"input": "hi", "text": {"format": form}, "tools": [function]}
    one = await exchange(Provider(models=[script]), body)
    said = json.loads(one.body)
    assert script.requests[0].tools[0].parameters == schema
    assert said["tools"][0]["parameters"] == schema
    assert said["text"]["format"]["schema"] is None
    asked = json.loads(script.requests[0].original.to_json())
    assert asked["text"]["format"]["schema"] == schema
