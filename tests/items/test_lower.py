"""Lowering: every item reads to a model as words, call and output, now and when replayed."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from antiphon.items import (
    BUILT_IN,
    ITEM,
    AgentCall,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ApprovalRequest,
    ApprovalResponse,
    CodeInterpreterCall,
    Compaction,
    ComputerCall,
    ComputerCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    FileSearchCall,
    FunctionCall,
    FunctionCallOutput,
    Image,
    ImageGenerationCall,
    InputImage,
    InputText,
    Item,
    ItemReference,
    LocalShellCall,
    LocalShellCallOutput,
    Logs,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Message,
    OutputText,
    PatchOperation,
    Reasoning,
    SearchResult,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellOutcome,
    ShellOutput,
    SummaryText,
    ToolCall,
    UnknownItem,
    WebSearchCall,
    error_text,
    lower,
    tool_name,
)

LAW = settings(deadline=None)
ENDS = ("completed", "failed", "incomplete")
SAFE = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def mcp_error(words: str) -> dict[str, Any]:
    """An error as OpenAI's `mcp_call` has it."""
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": words}]}


def code(status: str, **fields: Any) -> CodeInterpreterCall:
    return CodeInterpreterCall(id="ci", status=status, container_id="c", code="f()", **fields)


def search(status: str, results: list[SearchResult] | None) -> FileSearchCall:
    return FileSearchCall(id="fs", status=status, queries=["q"], results=results)


def ran(status: str, **fields: Any) -> ToolCall:
    return ToolCall(id="tc", status=status, name="f", arguments='{"a":1}', **fields)


SAID = Message(role="assistant", content=[OutputText(text="done")])
PAIRS: list[Item] = [
    *(code(status, outputs=[Logs(logs="1\n")]) for status in ENDS),
    *(code(status, outputs=[]) for status in ENDS),
    *(code(status, outputs=None) for status in ENDS),
    code("completed", outputs=[Logs(logs="1"), Image(url="data:image/png;base64,aGk=")]),
    code("completed", outputs=[Image(url="data:image/png;base64,aGk=")]),
    *(search(status, [SearchResult(file_id="f", score=0.5, text="t")]) for status in ENDS),
    *(search(status, None) for status in ENDS),
    WebSearchCall(id="ws", status="completed", action={"type": "search", "query": "q"}),
    ITEM.validate_python(
        {"type": "web_search_call", "status": "completed", "results": [{"url": "https://a"}]}
    ),
    ImageGenerationCall(id="ig", status="completed", result="aGk="),
    ImageGenerationCall(id="ig", status="failed"),
    ran("completed", output="1"),
    ran("completed", output=[InputText(text="1"), InputImage(image_url="data:,")]),
    ran("failed", error="no such city"),
    ran("incomplete"),
    McpCall(id="mc", status="completed", server_label="s", name="f", arguments="{}", output="1"),
    McpCall(id="mc", status="failed", server_label="s", name="f", arguments="{}", error="gone"),
    McpCall(server_label="a/b", name="f", arguments="{}", error=mcp_error("gone")),
    AgentCall(id="ac", status="completed", agent="helper", input="hi", output=[SAID]),
    AgentCall(id="ac", status="failed", agent="helper", input="hi", error="gone"),
    AgentCall(id="ac", status="incomplete", agent="helper", input=[{"a": 1}], output=[]),
]
CALLS: list[Item] = [
    CustomToolCall(call_id="c", name="f", input="text"),
    ShellCall(call_id="c", action=ShellAction(commands=["ls"])),
    LocalShellCall(call_id="c", action={"type": "exec", "command": ["ls"], "env": {}}),
    ApplyPatchCall(call_id="c", operation=PatchOperation(type="delete_file", path="a")),
    ComputerCall(call_id="c", action={"type": "screenshot"}),
    ComputerCall(call_id="c", actions=[{"type": "wait"}, {"type": "screenshot"}]),
]
SHOWN = {"type": "computer_screenshot", "image_url": "data:image/png;base64,aGk="}
OUTPUTS: list[Item] = [
    CustomToolCallOutput(call_id="c", output="1"),
    CustomToolCallOutput(call_id="c", output=[InputText(text="1")]),
    ShellCallOutput(
        call_id="c",
        output=[ShellOutput(stdout="1", stderr="", outcome=ShellOutcome(type="exit", exit_code=0))],
    ),
    LocalShellCallOutput(id="c", output="1"),
    ApplyPatchCallOutput(call_id="c", status="completed", output="1"),
    ApplyPatchCallOutput(call_id="c", status="failed"),
    ComputerCallOutput(call_id="c", output=SHOWN),
    ComputerCallOutput(call_id="c", output={"type": "other"}),
]
PLAIN: list[Item] = [
    Message(role="user", content="hi"),
    Reasoning(id="rs", summary=[SummaryText(text="s")]),
    FunctionCall(call_id="c", name="f", arguments="{}"),
    FunctionCallOutput(call_id="c", output="1"),
]
SILENT: list[Item] = [
    McpListTools(server_label="s", tools=[]),
    McpApprovalRequest(id="r", server_label="s", name="f", arguments="{}"),
    McpApprovalResponse(approval_request_id="r", approve=True),
    ApprovalRequest(id="r", name="f", arguments="{}"),
    ApprovalResponse(approval_request_id="r", approve=False),
    ItemReference(id="i"),
    Compaction(encrypted_content="x"),
    UnknownItem(type="new:item"),
]


def kind(item: Item) -> str:
    return f"{item.type}-{getattr(item, 'status', '')}"


def pair(item: Item) -> tuple[FunctionCall, FunctionCallOutput]:
    call, output = lower([item])
    assert isinstance(call, FunctionCall)
    assert isinstance(output, FunctionCallOutput)
    return call, output


@pytest.mark.parametrize("item", PAIRS + CALLS + OUTPUTS + PLAIN + SILENT, ids=kind)
def test_a_replayed_item_lowers_to_the_same_context(item: Item) -> None:
    assert lower([item]) == lower([ITEM.validate_json(item.to_json())])


@pytest.mark.parametrize("item", PAIRS, ids=kind)
def test_a_hosted_call_becomes_a_call_and_its_output_under_one_id(item: Item) -> None:
    call, output = pair(item)
    assert call.call_id == output.call_id == (item.id or "antiphon_0")
    assert isinstance(json.loads(call.arguments), dict)
    assert SAFE.fullmatch(call.name)
    assert output.output


@LAW
@given(items=st.lists(st.sampled_from(PAIRS + CALLS + OUTPUTS + PLAIN + SILENT), max_size=8))
def test_no_hosted_call_is_ever_parted_from_its_output(items: list[Item]) -> None:
    lowered = lower(items)
    hosted = [item for item in items if item in PAIRS]
    at = 0
    for item in items:
        if item in PAIRS:
            call, output = lowered[at], lowered[at + 1]
            assert isinstance(call, FunctionCall)
            assert isinstance(output, FunctionCallOutput)
            assert call.call_id == output.call_id
        at += len(lower([item]))
    assert at == len(lowered)
    assert len(lowered) >= 2 * len(hosted)


def test_calls_without_an_id_get_one_each() -> None:
    bare = McpCall(server_label="s", name="f", arguments="{}", output="1")
    first, _, second, _ = lower([bare, bare])
    assert isinstance(first, FunctionCall)
    assert isinstance(second, FunctionCall)
    assert first.call_id != second.call_id


@pytest.mark.parametrize("item", SILENT, ids=kind)
def test_what_says_nothing_to_a_model_gives_nothing(item: Item) -> None:
    assert lower([item]) == []


@pytest.mark.parametrize("item", PLAIN, ids=kind)
def test_what_a_model_knows_stays_itself(item: Item) -> None:
    (same,) = lower([item])
    assert same is item


@pytest.mark.parametrize(("call", "output"), [(c, o) for c in CALLS for o in OUTPUTS])
def test_a_clients_call_and_its_output_keep_their_call_id(call: Item, output: Item) -> None:
    asked, answered = lower([call, output])
    assert isinstance(asked, FunctionCall)
    assert isinstance(answered, FunctionCallOutput)
    assert asked.call_id == answered.call_id == "c"
    assert isinstance(json.loads(asked.arguments), dict)


def test_a_computers_actions_are_all_told() -> None:
    (call,) = lower([CALLS[-1]])
    assert isinstance(call, FunctionCall)
    assert json.loads(call.arguments) == {"actions": [{"type": "wait"}, {"type": "screenshot"}]}


def test_a_function_of_a_namespace_is_known_to_the_model_by_both_names() -> None:
    asked = FunctionCall(call_id="c", name="f", namespace="n", arguments="{}")
    assert lower([asked]) == [FunctionCall(call_id="c", name=tool_name("n", "f"), arguments="{}")]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (code("completed", outputs=[]), "[no output]"),
        (code("failed", outputs=[]), "failed"),
        (code("incomplete", outputs=[]), "interrupted"),
        (code("failed", outputs=None), "failed"),
        (code("completed", outputs=None), "not kept"),
        (search("failed", None), "failed"),
        (search("completed", []), "[]"),
        (ran("failed", error="no such city"), "Error: no such city"),
        (ran("incomplete"), "interrupted"),
        (ImageGenerationCall(status="failed"), "failed"),
        (AgentCall(status="failed", agent="a", error="gone"), "Error: gone"),
    ],
    ids=lambda value: value if isinstance(value, str) else kind(value),
)
def test_the_model_is_told_how_a_call_ended(item: Item, words: str) -> None:
    _, output = pair(item)
    assert isinstance(output.output, str)
    assert words in output.output


def test_images_stay_images() -> None:
    _, output = pair(code("completed", outputs=[Logs(logs="1"), Image(url="data:,")]))
    assert output.output == [InputText(text="1"), InputImage(image_url="data:,")]
    (screen,) = lower([ComputerCallOutput(call_id="c", output=SHOWN)])
    assert isinstance(screen, FunctionCallOutput)
    assert screen.output == [InputImage(image_url=SHOWN["image_url"])]


@LAW
@given(
    status=st.sampled_from(ENDS),
    name=st.from_regex(r"[a-z_]{1,9}", fullmatch=True),
    arguments=st.dictionaries(st.text(max_size=4), st.integers()).map(json.dumps),
    told=st.tuples(st.none(), st.none() | st.text()) | st.tuples(st.text(), st.none()),
)
def test_the_form_that_most_clients_see_lowers_as_the_call_it_stands_for(
    status: str, name: str, arguments: str, told: tuple[str | None, str | None]
) -> None:
    error, output = told
    own = ToolCall(
        id="x", status=status, name=name, arguments=arguments, output=output, error=error
    )
    shown = McpCall(
        id="x",
        status=status,
        server_label=BUILT_IN,
        name=name,
        arguments=arguments,
        output=output,
        error=None if error is None else mcp_error(error),
    )
    assert lower([shown]) == lower([own])
    assert lower([ITEM.validate_json(shown.to_json())]) == lower([own])


@pytest.mark.parametrize(
    "error",
    ["gone", mcp_error("gone"), {"type": "http_error", "code": 502, "message": "gone"}],
    ids=["string", "execution", "http"],
)
def test_the_words_of_an_error_are_found_in_every_form(error: Any) -> None:
    assert error_text(error) == "gone"


NAMES = st.text(min_size=1, max_size=80) | st.from_regex(r"[a_]{1,6}", fullmatch=True)


@settings(deadline=None, max_examples=300)
@given(tools=st.lists(st.tuples(NAMES, NAMES), unique=True, max_size=6))
def test_tool_names_are_safe_short_and_distinct(tools: list[tuple[str, str]]) -> None:
    names = [tool_name(label, tool) for label, tool in tools]
    assert all(SAFE.fullmatch(name) for name in names)
    assert len(set(names)) == len(tools)
    assert names == [tool_name(label, tool) for label, tool in tools]


def test_a_plain_tool_name_stays_readable_and_ambiguous_ones_are_told_apart() -> None:
    assert tool_name("docs", "search") == "docs__search"
    assert tool_name("a", "b__c") == "a__b__c"
    assert tool_name("a__b", "c") != "a__b__c"
    assert len(tool_name("l" * 64, "t" * 64)) == 64
