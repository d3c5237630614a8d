"""Tools that clients run and that are no functions: their items, checks, and replays."""

import json
from typing import Any

import pytest

from antiphon.errors import RequestError
from antiphon.items import (
    ApplyPatchCall,
    ComputerCall,
    CustomInputDelta,
    CustomInputDone,
    CustomToolCall,
    Fold,
    FunctionCall as FunctionCallItem,
    Item,
    ItemAdded,
    ItemDone,
    LocalShellCall,
    ShellCall,
    ToolCall,
)
from antiphon.models import FunctionCall, ScriptedModel, Stop
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import Shell, tool

from .kit import asked, end_of, heard, own, play

pytestmark = pytest.mark.anyio

SHELL = {"type": "shell", "environment": {"type": "local"}}
PATCH = {"type": "apply_patch"}
LOCAL = {"type": "local_shell"}
SCREEN = {"type": "computer"}
PREVIEW = {
    "type": "computer_use_preview",
    "display_width": 800,
    "display_height": 600,
    "environment": "browser",
}
NOTE = {"type": "custom", "name": "note", "description": "Takes notes."}
DIFF = {"type": "update_file", "path": "a.py", "diff": "@@\n-a\n+b"}
CLICK = {"type": "click", "button": "left", "x": 1, "y": 2}


def custom(syntax: str, definition: str) -> dict[str, Any]:
    form = {"type": "grammar", "syntax": syntax, "definition": definition}
    return {"type": "custom", "name": "sums", "format": form}


SUMS = custom("regex", r"\d+(\+\d+)*")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grammars are looked at by a process, which takes its time to start."""
    monkeypatch.setattr("antiphon.agents.grammar.SECONDS", 60.0)


async def called(tool: dict[str, Any], call: FunctionCall, *then: Any, **how: Any) -> list[Item]:
    """The output of a run in which the model makes this call."""
    model = ScriptedModel([call, *then], fragment=4)
    events = await play(asked(tools=[tool]), model, **how)
    model.assert_complete()
    fold = Fold()
    for event in events:
        fold.add(event)
    response = end_of(events)
    assert fold.output == response.output
    return response.output


CALLS: list[tuple[dict[str, Any], str, dict[str, Any], type[Any], str, Any]] = [
    (PATCH, "apply_patch", DIFF, ApplyPatchCall, "operation", DIFF),
    (
        PATCH,
        "apply_patch",
        {"type": "delete_file", "path": "a.py"},
        ApplyPatchCall,
        "operation",
        {"type": "delete_file", "path": "a.py"},
    ),
    (
        LOCAL,
        "local_shell",
        {"command": ["ls", "-l"]},
        LocalShellCall,
        "action",
        {"type": "exec", "command": ["ls", "-l"], "env": {}},
    ),
    (
        SHELL,
        "shell",
        {"commands": ["ls"], "timeout_ms": 5},
        ShellCall,
        "action",
        {"commands": ["ls"], "timeout_ms": 5},
    ),
    (PREVIEW, "computer", CLICK, ComputerCall, "action", CLICK),
    (SCREEN, "computer", {"actions": [CLICK]}, ComputerCall, "actions", [CLICK]),
    (
        SCREEN,
        "computer",
        {"actions": [{"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}]},
        ComputerCall,
        "actions",
        [{"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}],
    ),
    (NOTE, "note", {"input": "milk"}, CustomToolCall, "input", "milk"),
    (SUMS, "sums", {"input": "1+2"}, CustomToolCall, "input", "1+2"),
]


@pytest.mark.parametrize(("tool", "name", "given", "kind", "field", "value"), CALLS)
async def test_a_call_is_the_item_that_its_client_knows_and_ends_the_response(
    tool: dict[str, Any], name: str, given: Any, kind: type[Any], field: str, value: Any
) -> None:
    (item,) = await called(tool, FunctionCall(name, given, call_id="call_7"))
    assert type(item) is kind
    data = item.model_dump(exclude_none=True)
    assert data[field] == value
    assert data["call_id"] == "call_7"
    assert data.get("status", "completed") == "completed"


@pytest.mark.parametrize(("tool", "name", "given", "kind", "field", "value"), CALLS)
async def test_its_replay_with_an_output_reads_as_the_model_wrote_it(
    tool: dict[str, Any], name: str, given: Any, kind: type[Any], field: str, value: Any
) -> None:
    (item,) = await called(tool, FunctionCall(name, given, call_id="call_7"))
    output: dict[str, Any] = {
        "type": f"{item.type}_output",
        "call_id": "call_7",
        "output": "done",
    }
    if kind is ShellCall:
        outcome = {"type": "exit", "exit_code": 0}
        output["output"] = [{"stdout": "done", "stderr": "", "outcome": outcome}]
    elif kind is ComputerCall:
        url = "data:image/png;base64,AA=="
        output["output"] = {"type": "computer_screenshot", "image_url": url}
    elif kind is ApplyPatchCall:
        output["status"] = "completed"
    model = ScriptedModel(["ok"])
    given_items = [item.model_dump(exclude_none=True), output]
    await play(asked(given_items, tools=[tool]), model)
    call, answer = heard(model)
    assert (call["name"], call["call_id"], answer["call_id"]) == (name, "call_7", "call_7")
    assert json.loads(call["arguments"]).items() >= given.items()
    assert "done" in str(answer["output"]) or kind is ComputerCall
    assert name in {one.name for one in model.requests[0].tools}


@pytest.mark.parametrize(
    ("tool", "name", "arguments"),
    [
        (PATCH, "apply_patch", '{"type": "update_file", "path": "a"}'),
        (PATCH, "apply_patch", '{"type": "create_file", "path": "", "diff": ""}'),
        (PATCH, "apply_patch", "*** Begin Patch"),
        (LOCAL, "local_shell", '{"command": "ls"}'),
        (SHELL, "shell", '{"commands": []}'),
        (PREVIEW, "computer", '{"type": "dance"}'),
        (SCREEN, "computer", '{"actions": [{"type": "click", "x": "1", "y": 2}]}'),
        (SUMS, "sums", '{"input": "1+"}'),
    ],
)
async def test_what_does_not_fit_never_reaches_the_client_and_the_model_reads_why(
    tool: dict[str, Any], name: str, arguments: str
) -> None:
    item, message = await called(tool, FunctionCall(name, arguments), "sorry")
    assert isinstance(item, ToolCall)
    assert (item.status, item.name, item.arguments) == ("failed", name, arguments)
    assert name in (item.error or "") or "grammar" in (item.error or "")
    assert message.type == "message"


async def test_a_free_text_streams_as_it_is_written() -> None:
    model = ScriptedModel([FunctionCall("note", {"input": 'a "quoted" ß'})], fragment=3)
    events = await play(asked(tools=[NOTE]), model)
    deltas = [event.delta for event in events if isinstance(event, CustomInputDelta)]
    assert len(deltas) > 3 and "".join(deltas) == 'a "quoted" ß'
    (done,) = [event for event in events if isinstance(event, CustomInputDone)]
    assert done.input == 'a "quoted" ß'
    (added,) = [event for event in events if isinstance(event, ItemAdded)]
    assert isinstance(added.item, CustomToolCall) and added.item.input == ""


async def test_a_text_of_a_grammar_is_shown_only_when_it_was_checked() -> None:
    model = ScriptedModel([FunctionCall("sums", {"input": "1+23"})], fragment=3)
    events = await play(asked(tools=[SUMS]), model)
    kinds = [event.type for event in events]
    at = kinds.index("response.output_item.added")
    assert kinds[at : at + 4] == [
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]


@pytest.mark.parametrize("arguments", ["plain words", '"plain words"', '{"text": "x"}', '{"inp'])
async def test_a_model_that_writes_no_json_is_taken_at_its_word(arguments: str) -> None:
    (item,) = await called(NOTE, FunctionCall("note", arguments))
    assert isinstance(item, CustomToolCall) and item.input == arguments


async def test_a_model_is_shown_the_grammar() -> None:
    model = ScriptedModel(["ok"])
    await play(asked(tools=[SUMS]), model)
    (function,) = model.requests[0].tools
    assert r"\d+(\+\d+)*" in json.dumps(function.parameters).replace("\\\\", "\\")


async def test_a_grammar_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hard = custom("regex", "(a|a|b?)*c")
    await called(hard, FunctionCall("sums", {"input": "c"}))  # its definition is known from now on
    monkeypatch.setattr("antiphon.agents.grammar.SECONDS", 0.5)
    item, _ = await called(hard, FunctionCall("sums", {"input": "a" * 40}), "sorry")
    assert isinstance(item, ToolCall)
    assert "more than 0.5 seconds" in (item.error or "")


LARK = 'start: NUMBER ("+" NUMBER)*\nNUMBER: /[0-9]+/'


@pytest.mark.parametrize(("text", "fits"), [("1+2+3", True), ("1++2", False), ("", False)])
async def test_a_lark_grammar_is_checked_where_lark_is_installed(text: str, fits: bool) -> None:
    pytest.importorskip("lark", reason="the library lark is not installed")
    call = FunctionCall("sums", {"input": text})
    item, *_ = await called(custom("lark", LARK), call, *(() if fits else ("sorry",)))
    assert isinstance(item, CustomToolCall if fits else ToolCall)
    if isinstance(item, ToolCall):
        assert "lark grammar" in (item.error or "")


async def test_without_the_library_texts_of_a_lark_grammar_pass(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("antiphon.agents.grammar._lark", lambda: None)
    (item,) = await called(custom("lark", LARK), FunctionCall("sums", {"input": "x"}))
    assert isinstance(item, CustomToolCall)
    assert "not checked" in caplog.text


BAD: list[tuple[dict[str, Any], str]] = [
    (custom("regex", "("), "format.definition"),
    (custom("regex", ""), "format.definition"),
    (custom("regex", "a" * 70_000), "format.definition"),
    (custom("bnf", "a"), "format.syntax"),
    ({**NOTE, "format": {"type": "poem"}}, "format.type"),
]


@pytest.mark.parametrize(("definition", "param"), BAD)
async def test_a_format_that_is_none_is_a_400(definition: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        await play(asked(tools=[definition]), ScriptedModel(["ok"]))
    assert caught.value.param == f"tools[0].{param}"


async def test_a_lark_grammar_that_is_none_is_a_400() -> None:
    pytest.importorskip("lark", reason="the library lark is not installed")
    with pytest.raises(RequestError) as caught:
        await play(asked(tools=[custom("lark", "start: (")]), ScriptedModel(["ok"]))
    assert caught.value.param == "tools[0].format.definition"


OPTIONAL = "start: x\nx: " + "[a] " * 24 + '\na: "a"'
RANGES = "(?i)" + "[\\0-\uffff]" * 7000


@pytest.mark.parametrize(("syntax", "definition"), [("lark", OPTIONAL), ("regex", RANGES)])
async def test_a_definition_that_takes_for_ever_is_a_400(
    syntax: str, definition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if syntax == "lark":
        pytest.importorskip("lark", reason="the library lark is not installed")
    monkeypatch.setattr("antiphon.agents.grammar.SECONDS", 0.5)
    with pytest.raises(RequestError, match=r"more than 0\.5 seconds"):
        await play(asked(tools=[custom(syntax, definition)]), ScriptedModel(["ok"]))


async def test_a_custom_tool_in_a_namespace_keeps_it() -> None:
    group = {"type": "namespace", "name": "crm", "tools": [NOTE]}
    (item,) = await called(group, FunctionCall("crm__note", {"input": "x"}))
    assert isinstance(item, CustomToolCall)
    assert (item.namespace, item.name) == ("crm", "note")
    model = ScriptedModel(["ok"])
    await play(asked([item.model_dump(exclude_none=True)], tools=[group]), model)
    assert heard(model)[0]["name"] == "crm__note"


async def test_a_cut_call_is_told_as_far_as_it_is_an_item() -> None:
    for definition, name, kind in (
        (NOTE, "note", CustomToolCall),
        (PATCH, "apply_patch", ApplyPatchCall),
    ):
        call = FunctionCall(name, '{"input": "half')
        model = ScriptedModel([[call, Stop("max_output_tokens")]], fragment=4)
        events = await play(asked(tools=[definition]), model)
        response = end_of(events)
        assert response.status == "incomplete"
        assert all(isinstance(item, kind) for item in response.output)
        done = [event for event in events if isinstance(event, ItemDone)]
        assert len(done) == len(response.output)


@tool
async def weather(city: str) -> str:
    """Today's weather."""
    return "sunny"


async def test_what_runs_here_runs_before_the_client_gets_its_calls() -> None:
    calls = [FunctionCall("apply_patch", DIFF), FunctionCall("weather", {"city": "Oslo"})]
    model = ScriptedModel([calls])
    events = await play(asked(tools=[PATCH, *own("weather")]), model, [weather])
    output = end_of(events).output
    assert sorted(str(item.type) for item in output) == ["antiphon:tool_call", "apply_patch_call"]
    assert end_of(events).status == "completed"
    added = [event.output_index for event in events if isinstance(event, ItemAdded)]
    assert added == sorted(added)


async def test_a_forbidden_call_does_not_reach_the_client() -> None:
    model = ScriptedModel([FunctionCall("apply_patch", DIFF), "ok"])
    events = await play(asked(tools=[PATCH, NOTE], tool_choice="none"), model)
    assert isinstance(end_of(events).output[0], ToolCall)


async def test_such_a_tool_can_be_demanded_by_its_type() -> None:
    choice = {"type": "apply_patch"}
    model = ScriptedModel([FunctionCall("apply_patch", DIFF)])
    events = await play(asked(tools=[PATCH, NOTE], tool_choice=choice), model)
    assert isinstance(end_of(events).output[0], ApplyPatchCall)
    choice = {"type": "custom", "name": "note"}
    calls = [FunctionCall("sums", {"input": "1"}), FunctionCall("note", {"input": "x"})]
    model = ScriptedModel(calls)
    events = await play(asked(tools=[SUMS, NOTE], tool_choice=choice), model)
    assert [item.type for item in end_of(events).output] == [
        "antiphon:tool_call",
        "custom_tool_call",
    ]


async def test_a_shell_with_a_container_runs_here_and_a_local_one_at_the_client() -> None:
    async with LocalSandboxes() as sandboxes:
        shell = Shell(sandboxes)
        call = FunctionCall("shell", {"commands": ["echo here"]})
        output = await called({"type": "shell"}, call, "ok", tools=[shell])
        assert [item.type for item in output] == ["shell_call", "shell_call_output", "message"]
        (item,) = await called(SHELL, call, tools=[shell])
    assert isinstance(item, ShellCall)
    assert item.environment == {"type": "local"}


async def test_what_the_models_own_server_runs_is_left_to_it() -> None:
    model = ScriptedModel(["ok"])
    model.native = {"local_shell"}  # pyright: ignore[reportAttributeAccessIssue]
    await play(asked(tools=[LOCAL]), model)
    assert model.requests[0].tools == []


async def test_a_function_call_stays_one() -> None:
    function = {"type": "function", "name": "f"}
    (item,) = await called(function, FunctionCall("f", {"a": 1}))
    assert isinstance(item, FunctionCallItem)
