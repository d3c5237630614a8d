"""What goes out is what the Open Responses schema says: every event, every response.

The schema file stands beside the checkout, in `../shared/spec`.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from antiphon.models import (
    Failure,
    FunctionCall,
    Reasoning,
    Refusal,
    ScriptedModel,
    Stop,
    Text,
    Usage,
)
from antiphon.provider import Provider

from .serving import events_of, exchange

pytestmark = pytest.mark.anyio

FILE = Path(__file__).resolve().parents[3] / "shared/spec/openapi.json"

if not FILE.exists():
    if "CI" in os.environ:
        raise FileNotFoundError(f"expected the Open Responses schema at {FILE}: fetch it first")
    pytest.skip(f"no Open Responses schema at {FILE}", allow_module_level=True)

DOCUMENT: dict[str, Any] = json.loads(FILE.read_bytes())


def validator(name: str) -> Any:
    """Of one schema of the document."""
    return Draft202012Validator({**DOCUMENT, "$ref": f"#/components/schemas/{name}"})


EVENTS: dict[str, Any] = {
    schema["properties"]["type"]["enum"][0]: validator(name)
    for name, schema in DOCUMENT["components"]["schemas"].items()
    if name.endswith("StreamingEvent") and "enum" in schema.get("properties", {}).get("type", {})
}
RESPONSE = validator("ResponseResource")

FUNCTION = {
    "type": "function",
    "name": "f",
    "description": None,
    "parameters": None,
    "strict": None,
}
FORM = {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "description": None}
TURNS: dict[str, list[Any]] = {
    "text": [Text("a"), Text("b"), Usage(1, 2)],
    "reasoning": [Reasoning("raw"), Reasoning("short", summary=True), Text("a")],
    "refusal": [Refusal("no")],
    "calls": [FunctionCall("f", {"a": 1}), FunctionCall("f", "{}")],
    "cut": [Text("a"), Stop("max_output_tokens")],
    "failed": [Text("a"), Failure("server_error", "it broke")],
    "nothing": [],
}
FIELDS: dict[str, dict[str, Any]] = {
    "bare": {},
    "full": {
        "instructions": "x",
        "temperature": 0.5,
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
        "top_logprobs": 2,
        "metadata": {"a": "b"},
        "max_output_tokens": 100,
        "max_tool_calls": 3,
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": FORM, "verbosity": "low"},
        "tool_choice": {
            "type": "allowed_tools",
            "tools": [{"type": "function", "name": "f"}],
        },
        "service_tier": "priority",
        "safety_identifier": "u",
        "prompt_cache_key": "k",
        "truncation": "disabled",
    },
}


def test_the_schema_has_the_events_that_we_know() -> None:
    assert len(EVENTS) > 20


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("turn", TURNS)
async def test_every_event_and_every_response_validates(turn: str, fields: str) -> None:
    app = Provider(models=[ScriptedModel([TURNS[turn]], repeat=True)])
    body = {"input": "hi", "tools": [FUNCTION], **FIELDS[fields]}
    one = await exchange(app, {**body, "stream": True})
    for event in events_of(one.body):
        problems = [str(error) for error in EVENTS[event["type"]].iter_errors(event)]
        assert problems == [], event["type"]
    whole = await exchange(app, body)
    said = json.loads(whole.body)
    RESPONSE.validate(said)
    kept = await exchange(app, method="GET", path=f"/v1/responses/{said['id']}")
    RESPONSE.validate(json.loads(kept.body))
