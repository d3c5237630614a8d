"""The Open Responses schema and our classes say the same, in both directions.

The schema file stands beside the checkout, in `../shared/spec`.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from antiphon.items import (
    ITEM,
    KINDS,
    Annotation,
    Compaction,
    CreateResponse,
    Fault,
    Format,
    FunctionCall,
    FunctionCallOutput,
    IncompleteDetails,
    InputImage,
    InputText,
    InputTokensDetails,
    Item,
    LogProb,
    Message,
    OutputText,
    OutputTokensDetails,
    Part,
    Reasoning,
    ReasoningOptions,
    ReasoningText,
    Refusal,
    Response,
    StreamOptions,
    SummaryText,
    TextEcho,
    TextOptions,
    ToolChoice,
    ToolDefinition,
    TopLogProb,
    UnknownAnnotation,
    UnknownEvent,
    UnknownItem,
    UnknownPart,
    UnknownTool,
    UrlCitation,
    Usage,
    Wire,
    opening,
    parse_event,
)

FILE = Path(__file__).resolve().parents[3] / "shared/spec/openapi.json"

if not FILE.exists():
    if "CI" in os.environ:
        raise FileNotFoundError(f"expected the Open Responses schema at {FILE}: fetch it first")
    pytest.skip(f"no Open Responses schema at {FILE}", allow_module_level=True)

DOCUMENT: dict[str, Any] = json.loads(FILE.read_bytes())
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
LAW = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])

Instances = Callable[[Mapping[str, Any], Mapping[str, Any]], st.SearchStrategy[Any]]
Lost = Callable[[Any, Any], str | None]
UNKNOWN = (UnknownItem, UnknownPart, UnknownAnnotation, UnknownTool, UnknownEvent)

PART: TypeAdapter[Any] = TypeAdapter(Part)
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    **dict.fromkeys(
        [
            *("ItemReferenceParam", "ReasoningItemParam", "UserMessageItemParam", "ItemParam"),
            *("SystemMessageItemParam", "DeveloperMessageItemParam", "AssistantMessageItemParam"),
            *("FunctionCallItemParam", "FunctionCallOutputItemParam", "CompactionSummaryItemParam"),
            *("Message", "FunctionCall", "FunctionCallOutput", "ReasoningBody", "CompactionBody"),
            "ItemField",
        ],
        ITEM,
    ),
    **dict.fromkeys(
        [
            *("ReasoningSummaryContentParam", "InputTextContentParam", "InputFileContentParam"),
            *("InputImageContentParamAutoParam", "OutputTextContentParam", "RefusalContentParam"),
            *("InputTextContent", "OutputTextContent", "TextContent", "SummaryTextContent"),
            *("ReasoningTextContent", "RefusalContent", "InputImageContent", "InputFileContent"),
            "InputVideoContent",
        ],
        PART,
    ),
    **dict.fromkeys(["UrlCitationParam", "UrlCitationBody", "Annotation"], TypeAdapter(Annotation)),
    **dict.fromkeys(
        ["FunctionToolParam", "ResponsesToolParam", "FunctionTool", "Tool"],
        TypeAdapter(ToolDefinition),
    ),
    **dict.fromkeys(
        [
            *("SpecificFunctionParam", "SpecificToolChoiceParam", "AllowedToolsParam"),
            *("ToolChoiceParam", "FunctionToolChoice", "AllowedToolChoice", "ToolChoiceValueEnum"),
        ],
        TypeAdapter(ToolChoice),
    ),
    **dict.fromkeys(
        [
            *("JsonSchemaResponseFormatParam", "TextFormatParam", "TextResponseFormat"),
            *("JsonObjectResponseFormat", "JsonSchemaResponseFormat"),
        ],
        TypeAdapter(Format),
    ),
    **dict.fromkeys(
        ["CreateResponseBody", "WebSocketResponseCreateEvent", "CompactResponseMethodPublicBody"],
        TypeAdapter(CreateResponse),
    ),
    "TextParam": TypeAdapter(TextOptions),
    "TextField": TypeAdapter(TextEcho),
    "StreamOptionsParam": TypeAdapter(StreamOptions),
    **dict.fromkeys(["ReasoningParam", "Reasoning"], TypeAdapter(ReasoningOptions)),
    "IncompleteDetails": TypeAdapter(IncompleteDetails),
    "Error": TypeAdapter(Fault),
    "TopLogProb": TypeAdapter(TopLogProb),
    "LogProb": TypeAdapter(LogProb),
    "InputTokensDetails": TypeAdapter(InputTokensDetails),
    "OutputTokensDetails": TypeAdapter(OutputTokensDetails),
    "Usage": TypeAdapter(Usage),
    "ResponseResource": TypeAdapter(Response),
}
EVENTS = [name for name in SCHEMAS if name.endswith("StreamingEvent")] + ["WebSocketErrorEvent"]
READ_INSIDE_OTHERS = {
    *("EmptyModelParam", "MetadataParam", "ErrorPayload"),
    *(name for name, schema in SCHEMAS.items() if "enum" in schema),
}
THE_PROVIDERS = {"CompactResource"}  # the answer of /responses/compact: items and usage inside

# Where we ask for more than the schema does: a format says its type and name, numbers stay in the
# ranges that the schema tells in words, what has a name or a call id has it in output as
# in input, an event about an item or a citation has one, and `metadata` (of no type in the
# response) is what the request's is.
REQUIRED = {"JsonSchemaResponseFormatParam": ["type", "name"]}
SAID = {"type": "string", "minLength": 1}
PROPERTIES: dict[tuple[str, str], dict[str, Any]] = {
    ("CreateResponseBody", "temperature"): {"type": "number", "minimum": 0, "maximum": 2},
    ("CreateResponseBody", "top_p"): {"type": "number", "minimum": 0, "maximum": 1},
    ("FunctionCall", "call_id"): SAID,
    ("FunctionCall", "name"): SAID,
    ("FunctionCallOutput", "call_id"): SAID,
    ("FunctionTool", "name"): SCHEMAS["FunctionToolParam"]["properties"]["name"],
    ("JsonSchemaResponseFormatParam", "name"): SAID,
    ("JsonSchemaResponseFormat", "name"): SAID,
    ("AllowedToolChoice", "tools"): SCHEMAS["AllowedToolsParam"]["properties"]["tools"],
    ("ResponseOutputItemAddedStreamingEvent", "item"): SCHEMAS["ItemField"],
    ("ResponseOutputItemDoneStreamingEvent", "item"): SCHEMAS["ItemField"],
    ("ResponseOutputTextAnnotationAddedStreamingEvent", "annotation"): SCHEMAS["Annotation"],
    ("ResponseResource", "metadata"): SCHEMAS["MetadataParam"],
}


def narrowed() -> dict[str, Any]:
    """The document from which instances are made: the schema, narrowed as told above."""
    document = json.loads(FILE.read_bytes())
    schemas = document["components"]["schemas"]
    for name, required in REQUIRED.items():
        schemas[name]["required"] = required
    for (name, field), schema in PROPERTIES.items():
        schemas[name]["properties"][field] = schema
    return document


NARROWED = narrowed()


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DOCUMENT, "$ref": f"#/components/schemas/{name}"})


def complaint(name: str, instance: Any) -> str | None:
    """What the schema of this name has against an instance, if anything."""
    faults: Any = validator(name).iter_errors(instance)  # pyright: ignore[reportUnknownMemberType]
    return next((f"{fault.json_path}: {fault.message}" for fault in faults), None)


def read(name: str, instance: Any) -> Any:
    """What our classes make of an instance, from its bytes."""
    data = json.dumps(instance).encode()
    return parse_event(data) if name in EVENTS else ADAPTERS[name].validate_json(data)


def written(name: str, value: Any) -> Any:
    if isinstance(value, Wire):
        return json.loads(value.to_json())
    return json.loads(ADAPTERS[name].dump_json(value))


def asked(name: str, back: Any) -> Any:
    """A request as adapters send it: a response must show these nulls, a request must not."""
    if name not in {"CreateResponseBody", "FunctionToolParam", "ResponsesToolParam"} | {
        *("TextParam", "TextFormatParam", "JsonSchemaResponseFormatParam"),
        "WebSocketResponseCreateEvent",
    }:
        return back
    tools: list[Any] = [back] if name.endswith("ToolParam") else back.get("tools") or []
    text: Any = back if name == "TextParam" else back.get("text") or {}
    form: Any = back if name.endswith("FormatParam") else text.get("format") or {}
    for each in [*tools, form]:
        for field in ("strict", "description", "parameters", "schema"):
            if each.get(field, "") is None:
                del each[field]
    return back


def test_every_schema_has_a_class_here_or_a_reason() -> None:
    known = {*ADAPTERS, *EVENTS, *READ_INSIDE_OTHERS, *THE_PROVIDERS}
    assert set(SCHEMAS) - known == set()
    assert known - set(SCHEMAS) == set()


def test_every_streaming_event_has_a_class() -> None:
    types = {name: SCHEMAS[name]["properties"]["type"]["enum"] for name in EVENTS}
    assert {name: t for name, t in types.items() if not set(t) <= set(KINDS)} == {}
    answer = DOCUMENT["paths"]["/responses"]["post"]["responses"]["200"]["content"]
    listed = {
        each["$ref"].split("/")[-1] for each in answer["text/event-stream"]["schema"]["oneOf"]
    }
    assert listed <= set(EVENTS)


@pytest.mark.parametrize("union", ["ItemParam", "ItemField"])
def test_every_item_type_of_the_schema_is_known(union: str) -> None:
    for each in SCHEMAS[union]["oneOf"]:
        kind = SCHEMAS[each["$ref"].split("/")[-1]]["properties"]["type"]
        name = kind.get("enum", kind.get("anyOf", [{}])[0].get("enum"))[0]
        try:
            item = ITEM.validate_python({"type": name, "id": 5})
        except ValidationError:
            continue  # a known type is checked; an unknown one is not refused for its fields
        assert not isinstance(item, UnknownItem), name


@pytest.mark.parametrize("name", [*ADAPTERS, *EVENTS])
@LAW
@given(data=st.data())
def test_an_instance_of_the_schema_is_read_and_written_back(
    name: str, data: st.DataObject, instances: Instances, lost: Lost
) -> None:
    schema = {"$ref": f"#/components/schemas/{name}"}
    instance = data.draw(instances(schema, NARROWED))
    assert complaint(name, instance) is None
    value = read(name, instance)
    assert not isinstance(value, UNKNOWN)
    back = written(name, value)
    assert lost(instance, back) is None
    assert read(name, back) == value
    assert complaint(name, asked(name, back)) is None


SHOWN = {
    "model": "m",
    "tools": [{"type": "function", "name": "f"}],
    "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]},
    "reasoning": {"effort": "low"},
}
FORMATS = [
    None,
    {"type": "text"},
    {"type": "json_object"},
    {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
]


@pytest.mark.parametrize("form", FORMATS)
def test_the_opening_response_has_all_required_keys_and_validates(form: Any) -> None:
    body = {**SHOWN, "text": {"format": form, "verbosity": "low"}} if form else SHOWN
    request = CreateResponse.parse(json.dumps(body).encode())
    response = json.loads(opening(request, id="resp_1", created_at=1).to_json())
    assert complaint("ResponseResource", response) is None
    required = SCHEMAS["ResponseResource"]["required"]
    assert len(required) == 31
    assert set(required) <= set(response)


OURS: list[Item] = [
    Message(id="i", status="completed", role="assistant", content=[OutputText(text="hi")]),
    Message(id="i", status="in_progress", role="assistant", content=[]),
    Message(id="i", status="completed", role="assistant", content=[Refusal(refusal="no")]),
    Message(id="i", status="completed", role="user", content=[InputText(text="hi"), InputImage()]),
    Reasoning(id="i", status="completed", summary=[SummaryText(text="s")]),
    Reasoning(id="i", status="completed", content=[ReasoningText(text="t")]),
    FunctionCall(id="i", status="completed", call_id="c", name="f", arguments="{}"),
    FunctionCallOutput(id="i", status="completed", call_id="c", output="1"),
    Compaction(id="i", encrypted_content="x"),
]


@pytest.mark.parametrize("item", OURS, ids=lambda item: item.type)
def test_an_item_made_in_python_validates_as_output(item: Item) -> None:
    assert complaint("ItemField", json.loads(item.to_json())) is None


SAMPLE: dict[str, Any] = {
    "response": Response(id="resp_1", usage=Usage(), metadata={"a": "b"}, output=OURS),
    "item": OURS[0],
    "part": OutputText(text="hi"),
    "annotation": UrlCitation(url="https://a", start_index=0, end_index=1, title="a"),
    "error": {"type": "server_error", "code": None, "message": "gone", "param": None},
    **dict.fromkeys(["item_id", "delta", "text", "refusal", "arguments"], "x"),
    **dict.fromkeys(["output_index", "content_index", "summary_index", "annotation_index"], 0),
}


@pytest.mark.parametrize("name", [name for name in EVENTS if name != "WebSocketErrorEvent"])
def test_an_event_made_in_python_validates(name: str) -> None:
    (kind,) = SCHEMAS[name]["properties"]["type"]["enum"]
    fields: Any = {each: SAMPLE[each] for each in KINDS[kind].model_fields if each in SAMPLE}
    event = KINDS[kind](type=kind, **fields)
    assert complaint(name, json.loads(event.to_json())) is None


def test_a_request_made_in_python_writes_only_what_it_asks() -> None:
    request = CreateResponse(model="m", input=[Message(role="user", content="hi")])
    body = json.loads(request.to_json())
    assert set(body) == {"model", "input"}
    assert complaint("CreateResponseBody", body) is None
