"""The kit's own shapes and the Open Responses schema say the same of what must be there.

The schema file stands beside the checkout, in `../shared/spec`.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from jsonschema import Draft202012Validator

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.provider import shapes
    from testing.provider.shapes_events import EVENTS
else:
    from antiphon.testing.provider import shapes
    from antiphon.testing.provider.shapes_events import EVENTS

FILE = Path(__file__).resolve().parents[3] / "shared/spec/openapi.json"

if not FILE.exists():
    if "CI" in os.environ:
        raise FileNotFoundError(f"expected the Open Responses schema at {FILE}: fetch it first")
    pytest.skip(f"no Open Responses schema at {FILE}", allow_module_level=True)

DOCUMENT: dict[str, Any] = json.loads(FILE.read_bytes())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OF_EVENTS: dict[str, str] = {
    schema["properties"]["type"]["enum"][0]: name
    for name, schema in SCHEMAS.items()
    if name.endswith("StreamingEvent") and schema["properties"]["type"]["enum"] != ["error"]
}
OF_OBJECTS: dict[str, type[shapes.Shape]] = {
    "ResponseResource": shapes.ResponseObject,
    "CompactResource": shapes.CompactionObject,
    "Message": shapes.Message,
    "FunctionCall": shapes.FunctionCall,
    "FunctionCallOutput": shapes.FunctionCallOutput,
    "ReasoningBody": shapes.Reasoning,
    "CompactionBody": shapes.Compaction,
    "OutputTextContent": shapes.OutputText,
    "RefusalContent": shapes.Refusal,
    "UrlCitationBody": shapes.UrlCitation,
    "LogProb": shapes.LogProb,
    "Usage": shapes.Usage,
    "FunctionTool": shapes.FunctionTool,
    "AllowedToolChoice": shapes.AllowedChoice,
    "JsonSchemaResponseFormat": shapes.SchemaFormat,
    "TextField": shapes.TextField,
    "Reasoning": shapes.ReasoningEcho,
    "IncompleteDetails": shapes.IncompleteDetails,
    "Error": shapes.Error,
}


def required(shape: type[shapes.Shape]) -> set[str]:
    return {
        field.alias or name for name, field in shape.model_fields.items() if field.is_required()
    }


def some(schema: dict[str, Any], depth: int = 0) -> Any:
    """A value of a schema, its required fields alone."""
    if "$ref" in schema:
        return some(SCHEMAS[schema["$ref"].rpartition("/")[2]], depth)
    for name in ("oneOf", "anyOf", "allOf"):
        if name in schema:
            return some(schema[name][0], depth)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object" or "properties" in schema:
        fields = cast("dict[str, Any]", schema.get("properties", {}))
        return {name: some(fields.get(name, {}), depth + 1) for name in schema.get("required", [])}
    plain: dict[str, Any] = {
        "string": "x",
        "integer": 1,
        "number": 1.0,
        "boolean": True,
        "array": [],
    }
    return plain.get(schema.get("type", ""))


@pytest.mark.parametrize("name", OF_OBJECTS)
def test_an_object_requires_what_the_schema_requires(name: str) -> None:
    assert required(OF_OBJECTS[name]) == set(SCHEMAS[name]["required"])


@pytest.mark.parametrize("kind", OF_EVENTS)
def test_an_event_requires_what_the_schema_requires(kind: str) -> None:
    assert required(EVENTS[kind]) == set(SCHEMAS[OF_EVENTS[kind]]["required"])


@pytest.mark.parametrize("kind", OF_EVENTS)
def test_an_event_of_the_schema_is_one_of_ours_and_broken_ones_are_not(kind: str) -> None:
    schema = SCHEMAS[OF_EVENTS[kind]]
    event: dict[str, Any] = {**some(schema), "type": kind}
    if "response" in event:
        event["response"] |= {"metadata": {}, "status": "completed"}
    validator: Any = Draft202012Validator({**DOCUMENT, **schema})
    assert [error.message for error in validator.iter_errors(event)] == []
    assert shapes.fault(EVENTS[kind], event) is None
    for name in schema["required"]:
        if name == "type":
            continue
        missing = {key: value for key, value in event.items() if key != name}
        assert shapes.fault(EVENTS[kind], missing) is not None, name
        wrong = {**event, name: {"a": 1} if not isinstance(event[name], dict) else 7}
        assert shapes.fault(EVENTS[kind], wrong) is not None, name


def test_a_fault_says_where_it_is() -> None:
    message: dict[str, Any] = {
        "type": "message",
        "id": "m",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "x"}],
    }
    wrong = shapes.fault(shapes.OneItem, {"item": message})
    assert wrong is not None
    assert wrong.path == "item.content[0].annotations"
    message["content"][0]["annotations"] = []
    assert shapes.fault(shapes.OneItem, {"item": message}) is None


@pytest.mark.parametrize(
    "item",
    [
        {"type": "acme:note", "id": "a", "status": "completed", "x": [1]},
        {"type": "file_search_call", "id": "a", "status": "searching", "queries": []},
        {"type": "mcp_list_tools", "id": "a", "server_label": "x", "tools": []},
        {"type": "reasoning", "id": "a", "summary": [], "x_new": None},
    ],
)
def test_items_that_the_schema_lacks_are_taken(item: dict[str, Any]) -> None:
    assert shapes.fault(shapes.OneItem, {"item": item}) is None
