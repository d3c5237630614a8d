"""Hosted items and events are those of the `openai` SDK, whose classes are validated strictly."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from openai.types.responses import Response as SdkResponse
from openai.types.responses.response_input_item import ResponseInputItem
from openai.types.responses.response_output_item import ResponseOutputItem
from openai.types.responses.response_stream_event import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from antiphon.items import (
    ITEM,
    KINDS,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    Compaction,
    ComputerCall,
    ComputerCallOutput,
    ContainerFileCitation,
    CreateResponse,
    CustomToolCall,
    CustomToolCallOutput,
    FileCitation,
    FilePath,
    FileSearchCall,
    FunctionCall,
    FunctionCallOutput,
    Image,
    ImageGenerationCall,
    Item,
    LocalShellCall,
    LocalShellCallOutput,
    Logs,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpTool,
    Message,
    OutputText,
    PatchOperation,
    Reasoning,
    ReasoningText,
    Refusal,
    Response,
    SearchResult,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellOutcome,
    ShellOutput,
    SummaryText,
    UnknownEvent,
    UnknownItem,
    UrlCitation,
    Usage,
    WebSearchCall,
    opening,
    parse_event,
)

LAW = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
Instances = Callable[[Mapping[str, Any], Mapping[str, Any]], st.SearchStrategy[Any]]
Lost = Callable[[Any, Any], str | None]


def members(union: Any) -> dict[str, list[type[BaseModel]]]:
    """The classes of an SDK union by the `type` they have."""
    found: dict[str, list[type[BaseModel]]] = {}
    for kind in get_args(get_args(union)[0]):
        literal: Any = kind.model_fields["type"].annotation
        for name in {get_args(each)[0] if get_args(each) else each for each in [literal]}:
            names = get_args(name) or [name]
            found.setdefault(names[0], []).append(kind)
    return found


OUTPUT, INPUT, EVENTS = (
    members(union) for union in (ResponseOutputItem, ResponseInputItem, ResponseStreamEvent)
)
OUTPUT_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseOutputItem)
INPUT_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseInputItem)
STREAM_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

# What the SDK knows and we pass on as unknown.
FOREIGN_ITEMS = {
    *("program", "program_output", "tool_search_call", "tool_search_output", "additional_tools"),
    *("configuration_update", "compaction_trigger"),
}
FOREIGN_EVENTS = {name for name in EVENTS if name.startswith("response.audio.")} | {
    *("response.shell_call_command.added", "response.shell_call_command.delta"),
    *("response.shell_call_command.done", "response.shell_call_output_content.delta"),
    *("response.shell_call_output_content.done", "response.compaction.compacting"),
}
TEXT = OutputText(
    text="hi",
    annotations=[
        UrlCitation(url="https://a", start_index=0, end_index=1, title="a"),
        FileCitation(file_id="f", filename="a.md", index=0),
        ContainerFileCitation(
            container_id="c", file_id="f", filename="a.png", start_index=0, end_index=1
        ),
        FilePath(file_id="f", index=0),
    ],
)
END: Any = {"id": "i", "status": "completed"}
ASKED: Any = {**END, "call_id": "c"}
SAMPLES: list[Item] = [
    Message(**END, role="assistant", content=[TEXT, Refusal(refusal="no")]),
    Reasoning(**END, summary=[SummaryText(text="s")], content=[ReasoningText(text="t")]),
    Compaction(id="i", encrypted_content="x"),
    FunctionCall(**ASKED, name="f", arguments="{}"),
    FunctionCallOutput(**ASKED, output="1"),
    CustomToolCall(id="i", call_id="c", name="f", input="x"),
    CustomToolCallOutput(**ASKED, output="1"),
    CodeInterpreterCall(**END, container_id="c", code="1", outputs=None),
    CodeInterpreterCall(
        **END, container_id="c", code="1", outputs=[Logs(logs="1"), Image(url="data:,")]
    ),
    FileSearchCall(**END, queries=["q"], results=None),
    FileSearchCall(
        **END,
        queries=["q"],
        results=[SearchResult(file_id="f", score=0.5, text="t", attributes={"a": 1.0, "b": True})],
    ),
    WebSearchCall(**END, action={"type": "search", "query": "q"}),
    WebSearchCall(**END, action={"type": "open_page", "url": "https://a"}),
    WebSearchCall(**END, action={"type": "find_in_page", "url": "https://a", "pattern": "p"}),
    ImageGenerationCall(**END, result="aGk="),
    ComputerCall(**ASKED, action={"type": "screenshot"}),
    ComputerCallOutput(**ASKED, output={"type": "computer_screenshot", "image_url": "data:,"}),
    McpListTools(id="i", server_label="s", tools=[McpTool(name="t", input_schema={})]),
    McpCall(**END, server_label="s", name="t", arguments="{}", output="1"),
    McpApprovalRequest(id="i", server_label="s", name="t", arguments="{}"),
    McpApprovalResponse(id="i", approval_request_id="r", approve=True),
    ShellCall(**ASKED, action=ShellAction(commands=["ls"]), environment={"type": "local"}),
    ShellCallOutput(
        **ASKED,
        output=[
            ShellOutput(stdout="", stderr="", outcome=ShellOutcome(type="exit", exit_code=0)),
            ShellOutput(stdout="", stderr="", outcome=ShellOutcome(type="timeout")),
        ],
    ),
    LocalShellCall(**ASKED, action={"type": "exec", "command": ["ls"], "env": {}}),
    LocalShellCallOutput(**END, output="{}"),
    ApplyPatchCall(**ASKED, operation=PatchOperation(type="delete_file", path="a")),
    ApplyPatchCall(**ASKED, operation=PatchOperation(type="create_file", path="a", diff="+a")),
    ApplyPatchCallOutput(**ASKED, output=None),
]


def written(value: Any) -> Any:
    return json.loads(value.to_json())


def response(output: list[Item]) -> Response:
    body = {"model": "m", "instructions": "i", "tools": [{"type": "function", "name": "f"}]}
    request = CreateResponse.parse(json.dumps(body).encode())
    begun = opening(request, id="resp_1", created_at=1)
    ended: dict[str, Any] = {"output": output, "status": "completed", "usage": Usage()}
    return begun.model_copy(update=ended)


def test_every_item_type_of_the_sdk_is_ours_or_listed_as_foreign() -> None:
    ours = {item.type for item in SAMPLES}
    assert set(OUTPUT) - FOREIGN_ITEMS == ours
    assert set(INPUT) - FOREIGN_ITEMS - {"item_reference"} == ours


def test_every_event_type_of_the_sdk_is_ours_or_listed_as_foreign() -> None:
    assert set(EVENTS) - FOREIGN_EVENTS <= set(KINDS)
    standards_own = {"response.reasoning.delta", "response.reasoning.done"}
    ours = {name for name in KINDS if not name.startswith("antiphon:")} - standards_own
    assert ours <= set(EVENTS)


@pytest.mark.parametrize("item", SAMPLES, ids=lambda item: item.type)
def test_the_sdk_takes_our_items_as_output_and_as_input(item: Item) -> None:
    for adapter, kinds in ((OUTPUT_ITEM, OUTPUT), (INPUT_ITEM, INPUT)):
        theirs = adapter.validate_python(written(item))
        assert type(theirs) in kinds[item.type or ""]
        assert ITEM.validate_json(theirs.model_dump_json(by_alias=True, exclude_unset=True)) == item


def narrow(schema: dict[str, Any]) -> None:
    """Make a class say what its servers always say, where its fields are more lenient."""
    properties, required = schema.get("properties", {}), schema.setdefault("required", [])
    said = {"type": "string", "minLength": 1}
    if "call_id" in properties:
        required.append("call_id")
        properties["call_id"] = said
    if "name" in required:
        properties["name"] = said
    for name in ("annotation", "top_logprobs", "token", "logprob"):
        if name in properties:
            required.append(name)
            properties[name] = properties[name].get("anyOf", [properties[name]])[0]
    if "role" in properties and "content" in properties:
        properties["type"] = {"const": "message"}
    if "response" in properties:
        properties["response"] = {"const": written(response([]))}


@cache
def document(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of an SDK class, narrowed."""
    schema = TypeAdapter(kind).json_schema(by_alias=True)
    for each in [schema, *schema.get("$defs", {}).values()]:
        narrow(each)
    return schema


def kinds_of(union: Mapping[str, list[type[BaseModel]]], foreign: set[str]) -> list[Any]:
    return [
        pytest.param(kind, id=f"{name}-{kind.__name__}")
        for name, kinds in union.items()
        if name not in foreign
        for kind in kinds
    ]


@pytest.mark.parametrize("kind", kinds_of(OUTPUT, FOREIGN_ITEMS) + kinds_of(INPUT, FOREIGN_ITEMS))
@LAW
@given(data=st.data())
def test_any_item_of_the_sdk_is_read_as_ours_and_written_back(
    kind: type[BaseModel], data: st.DataObject, instances: Instances, lost: Lost
) -> None:
    theirs = kind.model_validate(data.draw(instances(document(kind), document(kind))))
    told = theirs.model_dump(mode="json", by_alias=True, exclude_unset=True)
    ours = ITEM.validate_json(json.dumps(told))
    assert not isinstance(ours, UnknownItem)
    assert lost(told, written(ours)) is None
    assert kind.model_validate(written(ours))


@pytest.mark.parametrize("kind", kinds_of(EVENTS, FOREIGN_EVENTS))
@LAW
@given(data=st.data())
def test_any_event_of_the_sdk_is_read_as_ours_and_written_back(
    kind: type[BaseModel], data: st.DataObject, instances: Instances, lost: Lost
) -> None:
    theirs = kind.model_validate(data.draw(instances(document(kind), document(kind))))
    told = theirs.model_dump(mode="json", by_alias=True, exclude_unset=True)
    ours = parse_event(json.dumps(told).encode())
    assert not isinstance(ours, UnknownEvent)
    assert lost(told, written(ours)) is None
    assert kind.model_validate(written(ours))


VALUES: dict[str, Any] = {
    "response": response([]),
    "item": SAMPLES[0],
    "part": OutputText(text="hi"),
    "annotation": FileCitation(file_id="f", filename="a.md", index=0),
    **dict.fromkeys(["item_id", "delta", "text", "refusal", "arguments", "input", "code"], "x"),
    **dict.fromkeys(["output_index", "content_index", "summary_index", "annotation_index"], 0),
    **{"partial_image_b64": "aGk=", "partial_image_index": 0},
}


@pytest.mark.parametrize("name", sorted(set(EVENTS) - FOREIGN_EVENTS))
def test_the_sdk_takes_our_events(name: str) -> None:
    kind = KINDS[name]
    fields: dict[str, Any] = {each: VALUES[each] for each in kind.model_fields if each in VALUES}
    if name == "error":
        fields = {"code": "server_error", "message": "gone", "param": None}
    if name.startswith("response.reasoning_summary_part"):
        fields["part"] = SummaryText(text="s")
    event = kind(type=name, sequence_number=4, **fields)
    theirs = STREAM_EVENT.validate_python(written(event))
    assert [type(theirs)] == EVENTS[name]
    assert theirs.sequence_number == 4


@pytest.mark.parametrize("item", SAMPLES, ids=lambda item: item.type)
@pytest.mark.parametrize("name", ["response.output_item.added", "response.output_item.done"])
def test_the_sdk_takes_every_item_inside_an_event(name: str, item: Item) -> None:
    event = KINDS[name].model_validate({"type": name, "output_index": 0, "item": item})
    theirs: Any = STREAM_EVENT.validate_python(written(event))
    assert type(theirs.item) in OUTPUT[item.type or ""]


def test_the_sdk_takes_a_whole_response_with_every_kind_of_item() -> None:
    ours = response(SAMPLES)
    theirs = TypeAdapter(SdkResponse).validate_python(written(ours))
    assert [item.type for item in theirs.output] == [item.type for item in SAMPLES]
    assert theirs.output_text == "hi"
    back = theirs.model_dump_json(by_alias=True, exclude_unset=True)
    assert Response.model_validate_json(back) == ours


def test_a_foreign_response_with_nulls_is_read_with_the_defaults() -> None:
    told = {
        "id": "r",
        "temperature": None,
        "top_p": None,
        "metadata": None,
        "tool_choice": None,
        "truncation": None,
        "text": None,
        "service_tier": None,
    }
    ours = Response.model_validate_json(json.dumps(told))
    assert ours == Response(id="r")
    assert None not in {written(ours)[name] for name in ("temperature", "top_p", "truncation")}
