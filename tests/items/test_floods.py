"""A body of a million faults: the first is told, and the others are never collected."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from antiphon.errors import RequestError
from antiphon.items import CreateResponse

MANY = 3_000
FEW = 8
BAD: list[Any] = [True] * MANY
WRONG: dict[str, Any] = {str(number): 1 for number in range(MANY)}


def said(part: dict[str, Any]) -> dict[str, Any]:
    return {"input": [{"role": "assistant", "content": [part]}]}


def output_text(**fields: Any) -> dict[str, Any]:
    return said({"type": "output_text", "text": "", **fields})


def declared(**tool: Any) -> dict[str, Any]:
    return {"input": "x", "tools": [tool]}


def token(**fields: Any) -> dict[str, Any]:
    return output_text(logprobs=[{"token": "a", "logprob": 0.0, **fields}])


MCP = {"type": "mcp", "server_label": "x", "server_url": "https://x.example"}
ITEM = "input[0]"
PART = f"{ITEM}.content[0]"
TOOL = "tools[0]"

FLOODS: list[tuple[str, dict[str, Any]]] = [
    ("input[0]", {"input": BAD}),
    (f"{ITEM}.content[0]", {"input": [{"role": "user", "content": BAD}]}),
    (
        f"{ITEM}.output[0]",
        {"input": [{"type": "function_call_output", "call_id": "c", "output": BAD}]},
    ),
    (f"{ITEM}.summary[0]", {"input": [{"type": "reasoning", "summary": BAD}]}),
    (f"{ITEM}.content[0]", {"input": [{"type": "reasoning", "summary": [], "content": BAD}]}),
    (f"{PART}.annotations[0]", output_text(annotations=BAD)),
    (f"{PART}.logprobs[0]", output_text(logprobs=BAD)),
    (f"{PART}.logprobs[0].bytes[0]", token(bytes=BAD)),
    (f"{PART}.logprobs[0].top_logprobs[0]", token(top_logprobs=BAD)),
    ("include[0]", {"input": "x", "include": BAD}),
    ("metadata", {"input": "x", "metadata": WRONG}),
    ("tools[0]", {"input": "x", "tools": BAD}),
    (f"{TOOL}.tools[0]", declared(type="antiphon:agent", name="a", tools=BAD)),
    (f"{TOOL}.tools[0]", declared(type="namespace", name="a", tools=BAD)),
    (f"{TOOL}.vector_store_ids[0]", declared(type="file_search", vector_store_ids=BAD)),
    (
        f"{TOOL}.container.file_ids[0]",
        declared(type="code_interpreter", container={"type": "auto", "file_ids": BAD}),
    ),
    (f"{TOOL}.allowed_tools[0]", declared(**MCP, allowed_tools=BAD)),
    (f"{TOOL}.headers", declared(**MCP, headers=WRONG)),
    (
        "tool_choice.tools",
        {"input": "x", "tool_choice": {"type": "allowed_tools", "tools": BAD}},
    ),
]


@pytest.mark.parametrize(("param", "body"), FLOODS, ids=[param for param, _ in FLOODS])
def test_every_list_ends_at_its_first_fault(param: str, body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        CreateResponse.model_validate_json(json.dumps(body))
    assert caught.value.error_count() <= FEW
    with pytest.raises(RequestError) as refused:
        CreateResponse.parse(json.dumps(body).encode())
    assert (refused.value.param or "").startswith(param)


def test_faults_that_are_too_many_are_counted_and_not_listed() -> None:
    body = b'{"input":"x",' + b",".join(b'"%d":1e999' % number for number in range(MANY)) + b"}"
    with pytest.raises(RequestError) as refused:
        CreateResponse.parse(body)
    assert refused.value.message == f"body: expected a request, got {MANY:,} faults"
    assert (refused.value.status, refused.value.param) == (400, None)


def test_a_few_pairs_too_many_are_refused_before_their_values_are_looked_at() -> None:
    body = {"input": "x", "metadata": {str(number): 1 for number in range(17)}}
    with pytest.raises(RequestError, match="at most 16 pairs, got 17"):
        CreateResponse.parse(json.dumps(body).encode())
