"""Views: what each client sees of one canonical stream."""

import json
from typing import Any

import pytest

from antiphon.items import (
    ITEM,
    AgentCall,
    AgentEvent,
    AgentTool,
    ApprovalRequest,
    ArgumentsDelta,
    CallStatus,
    CodeInterpreterCall,
    CodeOutputDelta,
    Completed,
    Created,
    CreateResponse,
    FunctionTool,
    Item,
    ItemAdded,
    ItemDone,
    McpServerTool,
    Message,
    ProviderFunction,
    ReasoningDelta,
    ReasoningDone,
    Response,
    TextDelta,
    ToolCall,
    ToolProgress,
    UnknownEvent,
)
from antiphon.provider import View, Viewer

PLAIN = View()
FULL = View(extensions=True)
CALL = ToolCall(id="tc_1", status="completed", name="f", arguments="{}", output="done")


def shown(item: Any, view: View = PLAIN) -> dict[str, Any]:
    return json.loads(view.item(item).to_json())


@pytest.mark.parametrize(
    ("given", "field", "include"),
    [
        (
            {
                "type": "code_interpreter_call",
                "status": "completed",
                "container_id": "c",
                "code": "1",
                "outputs": [{"type": "logs", "logs": "1"}],
            },
            "outputs",
            "code_interpreter_call.outputs",
        ),
        (
            {
                "type": "file_search_call",
                "status": "completed",
                "queries": ["q"],
                "results": [{"text": "t"}],
            },
            "results",
            "file_search_call.results",
        ),
        (
            {
                "type": "web_search_call",
                "status": "completed",
                "action": {"type": "search", "query": "q", "sources": [{"url": "u"}]},
            },
            "action.sources",
            "web_search_call.action.sources",
        ),
        (
            {
                "type": "web_search_call",
                "status": "completed",
                "action": {"type": "search", "query": "q"},
                "results": [{"url": "u"}],
            },
            "results",
            "web_search_call.results",
        ),
        (
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            "encrypted_content",
            "reasoning.encrypted_content",
        ),
    ],
)
def test_parts_are_shown_to_those_who_include_them(
    given: dict[str, Any], field: str, include: str
) -> None:
    item = ITEM.validate_python(given)
    before = item.to_json()
    asked = View(include=frozenset([include]))
    assert shown(item, asked) == json.loads(before)
    seen = shown(item)
    place = seen
    for step in field.split(".")[:-1]:
        place = place[step]
    assert place.get(field.split(".")[-1]) is None
    assert item.to_json() == before, "what is stored stays whole"


def test_a_view_is_made_of_a_request() -> None:
    request = CreateResponse(include=["code_interpreter_call.outputs"])
    view = View.of(request, dialect="openai", extensions=True)
    assert view == View("openai", True, frozenset(["code_interpreter_call.outputs"]))


def test_a_provider_run_function_is_an_mcp_call() -> None:
    assert shown(CALL) == {
        "type": "mcp_call",
        "id": "tc_1",
        "status": "completed",
        "server_label": "antiphon",
        "name": "f",
        "arguments": "{}",
        "output": "done",
        "error": None,
        "approval_request_id": None,
    }
    assert FULL.item(CALL) is CALL


def test_parts_that_are_no_text_are_named() -> None:
    parts: Any = [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
    ]
    item = ToolCall.model_validate({**CALL.model_dump(), "output": parts})
    assert shown(item)["output"] == "a\n[input_image]"


def test_an_error_is_in_the_form_of_the_sdk() -> None:
    item = CALL.model_copy(update={"status": "failed", "output": None, "error": "no"})
    assert shown(item)["error"] == {
        "type": "mcp_tool_execution_error",
        "content": [{"type": "text", "text": "no"}],
    }


def test_an_agent_is_an_mcp_call_with_its_last_words() -> None:
    said: list[Item] = [Message(role="assistant", content=words) for words in ("a", "b")]
    item = AgentCall(id="ac_1", status="completed", agent="guide", input="go", output=said)
    seen = shown(item)
    assert (seen["type"], seen["name"], seen["output"]) == ("mcp_call", "guide", "b")
    assert json.loads(seen["arguments"]) == {"input": "go"}
    assert shown(item.model_copy(update={"output": []}))["output"] is None
    assert FULL.item(item) == item


def test_an_approval_is_asked_for_as_mcp_does() -> None:
    item = ApprovalRequest(id="apr_1", name="f", arguments="{}")
    assert shown(item)["type"] == "mcp_approval_request"
    assert FULL.item(item) is item


def test_tools_are_echoed_in_forms_that_sdks_parse() -> None:
    function = FunctionTool(name="f")
    tools: list[Any] = [
        function,
        ProviderFunction(name="g"),
        AgentTool(name="h"),
        McpServerTool(server_label="antiphon", connector_id="antiphon"),
        McpServerTool(server_label="x", connector_id="connector_gmail"),
    ]
    response = Response(id="r", tools=tools)
    seen = [json.loads(tool.to_json()) for tool in PLAIN.response(response).tools]
    assert seen == [
        json.loads(function.to_json()),
        {"type": "mcp", "server_label": "antiphon"},
        {"type": "mcp", "server_label": "x", "connector_id": "connector_gmail"},
        {"type": "mcp", "server_label": "antiphon", "allowed_tools": ["g", "h"]},
    ]
    assert FULL.response(response).tools == tools
    assert response.tools == tools


def stream() -> list[Any]:
    """One canonical stream with every kind of event that views tell apart."""
    at: dict[str, Any] = {"item_id": "tc_1", "output_index": 0}
    response = Response(id="r", output=[CALL])
    events = [
        Created(response=Response(id="r")),
        ItemAdded(output_index=0, item=CALL),
        CallStatus(type="antiphon:tool_call.in_progress", **at),
        ArgumentsDelta(type="antiphon:tool_call_arguments.delta", delta="{}", **at),
        ToolProgress(message="on", **at),
        CallStatus(type="antiphon:tool_call.completed", **at),
        ItemDone(output_index=0, item=CALL),
        CallStatus(type="antiphon:agent_call.completed", **at),
        AgentEvent(event=Created(response=Response(id="r")), **at),
        CodeOutputDelta(stream="stdout", delta="1", **at),
        ReasoningDelta(content_index=0, delta="hm", **at),
        ReasoningDone(content_index=0, text="hm", **at),
        TextDelta(content_index=0, delta="a", **at),
        UnknownEvent(type="antiphon:new"),
        UnknownEvent(type="response.new"),
        Completed(response=response),
    ]
    for number, event in enumerate(events):
        event.sequence_number = 100 + number
    return events


EXTENSIONS = [
    "antiphon:tool_call.progress",
    "antiphon:agent_call.event",
    "antiphon:code_interpreter_call.output",
    "antiphon:new",
]


@pytest.mark.parametrize("dialect", ["openresponses", "openai"])
@pytest.mark.parametrize("extensions", [False, True])
def test_a_view_numbers_last_and_without_gaps(dialect: Any, extensions: bool) -> None:
    viewer = Viewer(View(dialect=dialect, extensions=extensions))
    seen = [told for event in stream() if (told := viewer.show(event)) is not None]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    names = [event.type for event in seen]
    own = [name for name in names if name.startswith("antiphon:")]
    if extensions:
        assert len(seen) == len(stream())
        assert set(EXTENSIONS) < set(own)
    else:
        assert own == []
        assert len(seen) == len(stream()) - len(EXTENSIONS)
        assert names.count("response.mcp_call.completed") == 2
        assert "response.mcp_call_arguments.delta" in names
    assert ("response.reasoning_text.delta" in names) is (dialect == "openai")
    assert ("response.reasoning.done" in names) is (dialect == "openresponses")
    assert "response.new" in names


def test_items_inside_events_are_shared_and_stay_whole() -> None:
    item = CodeInterpreterCall(id="ci", status="completed", container_id="c", code="1", outputs=[])
    event = ItemDone(output_index=0, item=item)
    Viewer(PLAIN).show(event)
    assert event.item is not item
    assert item.outputs == []
