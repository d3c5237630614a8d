"""The shell over sandboxes that do as they are told: items, events, receipts, containers."""

import json
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from antiphon.errors import ConfigurationError, RequestError, SandboxBusy, SandboxError
from antiphon.items import (
    CodeInterpreterCall,
    Event,
    Fold,
    FunctionCall,
    ItemAdded,
    ItemDone,
    ShellCall,
    ShellCallOutput,
    ShellCommandAdded,
    ShellCommandDelta,
    ShellCommandDone,
    ShellOutputDelta,
    ShellTool,
    ToolDefinition,
    lower,
    parse_event,
)
from antiphon.sandboxes import CellEvent, Display, Finished, Output, Started
from antiphon.tools import ANEW, Call, Scope, Shell, Slot

from .conftest import OK, FakeSandboxes

pytestmark = pytest.mark.anyio

SLOT = Slot("sh_1", 3)
ZERO = Display("text/plain", b"0")
LIST = json.dumps({"commands": ["ls -l"]})


def definition(**environment: Any) -> ToolDefinition:
    adapter: TypeAdapter[ToolDefinition] = TypeAdapter(ToolDefinition)
    return adapter.validate_python({"type": "shell", "environment": environment or None})


def begun(shell: Shell, scope: Scope | None = None, /, **environment: Any) -> Call:
    scope = scope or Scope()
    (offer,) = shell.offers(definition(**environment), scope)
    call = offer.begin(FunctionCall(call_id="c", name="shell", arguments=""), SLOT, scope)
    assert isinstance(call, Call)
    return call


async def played(call: Call, arguments: str, cuts: int = 7) -> list[Event]:
    """One call as the loop drives it, the added item in a place of its own."""
    events = list(call.open())
    for at in range(0, len(arguments), cuts):
        events += call.write(arguments[at : at + cuts])
    events += call.ready(arguments)
    return events + [event async for event in call.run()]


def items_of(events: list[Event]) -> tuple[ShellCall, ShellCallOutput]:
    """The call and its output: each added once, done once, and just what its events say."""
    fold = Fold()
    for event in events:
        assert parse_event(event.to_json()) == event
        fold.add(event)
    added = [(e.output_index, e.item.id) for e in events if isinstance(e, ItemAdded)]
    done = [(e.output_index, e.item.id) for e in events if isinstance(e, ItemDone)]
    assert sorted(added) == sorted(done)
    assert [index for index, _ in added] == [3, ANEW]
    output, call = fold.drafts[ANEW].whole, fold.drafts[3].whole
    assert isinstance(call, ShellCall) and isinstance(output, ShellCallOutput)
    assert call.call_id == output.call_id == "c"
    assert fold.drafts[ANEW].added.model_copy(update={"status": output.status}) == output
    fold.drafts[3].whole = None
    shown = fold.drafts[3].item()
    assert isinstance(shown, ShellCall)
    assert shown.action == call.action.model_copy(
        update={"timeout_ms": None, "max_output_length": None}
    )
    return call, output


async def ran(*script: CellEvent | Exception, arguments: str = LIST) -> ShellCallOutput:
    shell = Shell(FakeSandboxes(*script))
    return items_of(await played(begun(shell), arguments))[1]


@pytest.mark.parametrize("cuts", [1, 4, 100])
async def test_the_events_of_a_call_come_in_order_commands_live(cuts: int) -> None:
    shell = Shell(FakeSandboxes(Started(), Output("stdout", "a\n"), ZERO, OK))
    arguments = '{"timeout_ms": 50, "commands": ["ls \\"x\\"", "", "pwd"], "extra": ["no"]}'
    events = await played(begun(shell), arguments, cuts)
    call, output = items_of(events)
    commands = ['ls "x"', "", "pwd"]
    assert call.action.commands == commands
    for number, command in enumerate(commands):
        told = [e for e in events if getattr(e, "command_index", None) == number]
        deltas = [e.delta for e in told if isinstance(e, ShellCommandDelta)]
        assert isinstance(told[0], ShellCommandAdded) and told[0].command == ""
        assert "".join(deltas) == command
        assert [e.command for e in told if isinstance(e, ShellCommandDone)] == [command]
    if cuts == 1:
        assert sum(isinstance(e, ShellCommandDelta) for e in events) == len('ls "x"pwd')
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[-9:] == [
        "output_item.added",
        "output_item.done",
        *["shell_call_output_content.delta", "shell_call_output_content.done"] * 3,
        "output_item.done",
    ]
    assert [part.stdout for part in output.output] == ["a\n"] * 3
    assert (call.status, output.status) == ("completed", "completed")


async def test_both_streams_are_told_as_they_come_and_kept_apart() -> None:
    script = (Started(), Output("stdout", "o"), Output("stderr", "e"), Output("stdout", "p"))
    shell = Shell(FakeSandboxes(*script, Display("text/plain", b"3"), OK))
    events = await played(begun(shell), LIST)
    deltas = [
        e.delta.model_dump(exclude_none=True) for e in events if isinstance(e, ShellOutputDelta)
    ]
    assert deltas == [{"stdout": "o"}, {"stderr": "e"}, {"stdout": "p"}]
    (part,) = items_of(events)[1].output
    assert (part.stdout, part.stderr) == ("op", "e")
    assert (part.outcome.type, part.outcome.exit_code) == ("exit", 3)


async def test_a_model_reads_call_and_output_as_a_pair() -> None:
    call, output = items_of(await played(begun(Shell(FakeSandboxes(Started(), ZERO, OK))), LIST))
    first, second = lower([call, output])
    assert first.model_dump()["arguments"] == '{"commands":["ls -l"]}'
    assert '"exit_code":0' in second.model_dump()["output"]


async def test_a_command_that_runs_out_of_time_says_so_and_the_next_one_runs() -> None:
    late = Finished("timeout", "The code was interrupted.", True, 2)
    sandboxes = FakeSandboxes(Started(), Output("stdout", "half"), late)
    arguments = json.dumps({"commands": ["a", "b"], "timeout_ms": 1500})
    _, output = items_of(await played(begun(Shell(sandboxes)), arguments))
    assert [part.outcome.type for part in output.output] == ["timeout", "timeout"]
    assert output.output[0].stdout == "half"
    assert "restarted" in output.output[0].stderr
    assert sandboxes.timeouts == [1.5, 1.5]


async def test_state_that_was_lost_is_said_however_little_output_is_wanted() -> None:
    arguments = json.dumps({"commands": ["a"], "max_output_length": 1})
    gone = Finished("timeout", "All variables and all files are lost.", True, 2)
    for script, said in (
        ((Started(), gone), "all files are lost"),
        ((Started(), ZERO, Finished("ok", None, True, 2)), "variables were lost before"),
        ((Started(), Finished("error", "1 / 0\nIt broke", True, 2)), "variables were lost before"),
        ((SandboxError("It has expired."),), "It has expired."),
    ):
        output = await ran(*script, arguments=arguments)
        assert said in output.output[0].stderr, script


async def test_a_call_may_ask_for_less_time_and_output_and_not_for_more() -> None:
    sandboxes = FakeSandboxes(Started(), Output("stdout", "0123456789" * 10), ZERO, OK)
    shell = Shell(sandboxes, timeout=2, output=50)
    for asked, kept in ((10, 10), (80, 50)):
        arguments = {"commands": ["x"], "timeout_ms": 60_000, "max_output_length": asked}
        _, output = items_of(await played(begun(shell), json.dumps(arguments)))
        text = output.output[0].stdout
        assert text.startswith("01234") and text.endswith("56789")
        assert f"[{100 - kept} characters left out]" in text
        assert output.max_output_length == asked
    assert sandboxes.timeouts == [2, 2]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ((Started(), Finished("crashed", "Out of memory.", True, 2)), "Out of memory."),
        ((SandboxBusy("No room.", retry_after=7),), "Try again in 7 seconds."),
        ((SandboxError("It is gone."),), "It is gone."),
        ((ValueError("a bug"),), "a bug"),
        ((Started(),), "fell silent"),
        ((Started(), Finished("ok", None, False, 1)), "not known"),
        ((Started(), Display("text/plain", b"-1"), OK), "not known"),
    ],
)
async def test_what_was_not_run_to_its_end_says_why_and_nothing_more_is_run(
    script: tuple[CellEvent | Exception, ...], said: str
) -> None:
    two = json.dumps({"commands": ["a", "b"]})
    output = await ran(*script, arguments=two)
    assert said in output.output[0].stderr
    assert output.output[0].outcome.exit_code == 126
    stopped = said != "not known"
    assert (output.status, len(output.output)) == (
        ("incomplete", 1) if stopped else ("completed", 2)
    )


@pytest.mark.parametrize(
    "arguments",
    ["", "{", "[]", "{}", '{"commands": []}', '{"commands": [1]}', '{"commands": ["a'],
)
async def test_arguments_that_do_not_fit_end_incomplete_and_say_why(arguments: str) -> None:
    sandboxes = FakeSandboxes()
    call, output = items_of(await played(begun(Shell(sandboxes)), arguments))
    assert (call.status, output.status) == ("incomplete", "incomplete")
    assert "shell" in output.output[0].stderr
    assert sandboxes.opened == {}


async def test_too_many_commands_are_refused() -> None:
    output = await ran(arguments=json.dumps({"commands": ["x"] * 33}))
    assert "32" in output.output[0].stderr


async def test_commands_written_twice_are_not_run() -> None:
    sandboxes = FakeSandboxes()
    arguments = '{"commands": ["a"], "commands": ["b"]}'
    call, output = items_of(await played(begun(Shell(sandboxes)), arguments))
    assert call.action.commands == ["a"]
    assert "twice" in output.output[0].stderr
    assert sandboxes.opened == {}


async def test_one_command_may_come_as_a_text_and_line_breaks_as_they_are() -> None:
    sandboxes = FakeSandboxes(Started(), ZERO, OK)
    call, _ = items_of(await played(begun(Shell(sandboxes)), '{"commands": "cat\n<x"}'))
    assert call.action.commands == ["cat\n<x"]


async def test_a_refused_call_has_an_output_with_the_reason() -> None:
    call = begun(Shell(FakeSandboxes()))
    events = [*call.open(), *call.write(LIST), *call.ready(LIST), *call.refuse("not today")]
    one, output = items_of(events)
    assert (one.status, output.output[0].stderr) == ("incomplete", "not today")


async def test_a_call_cut_in_the_middle_leaves_no_call_without_an_output() -> None:
    started = anyio.Event()
    call = begun(Shell(FakeSandboxes(Started(), started)))
    events = [*call.open(), *call.ready(LIST)]
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cut() -> None:
                await started.wait()
                scope.cancel()

            tasks.start_soon(cut)
            async for event in call.run():
                events.append(event)
    added = {e.item.type for e in events if isinstance(e, ItemAdded)}
    assert added == {"shell_call", "shell_call_output"}
    assert [e.item.type for e in events if isinstance(e, ItemDone)] == ["shell_call"]


# --- containers


async def test_calls_go_on_in_the_last_live_container_whoever_used_it() -> None:
    sandboxes = FakeSandboxes(Started(), ZERO, OK)
    mine = sandboxes.mint(principal="local")
    foreign = sandboxes.mint(principal="eve")
    items = [
        CodeInterpreterCall(status="completed", container_id=mine, code="", outputs=[]),
        CodeInterpreterCall(status="completed", container_id=foreign, code="", outputs=[]),
    ]
    scope = Scope(items=items)
    call, _ = items_of(await played(begun(Shell(sandboxes), scope), LIST))
    assert call.environment == {"type": "container_reference", "container_id": mine}
    again = Scope(items=[call])
    call, _ = items_of(await played(begun(Shell(sandboxes), again), LIST))
    assert (call.environment or {})["container_id"] == mine


async def test_a_named_container_is_used_and_a_foreign_one_is_a_404() -> None:
    sandboxes = FakeSandboxes(Started(), ZERO, OK)
    mine, foreign = sandboxes.mint(principal="local"), sandboxes.mint(principal="eve")
    where = {"type": "container_reference", "container_id": mine}
    call, _ = items_of(await played(begun(Shell(sandboxes), **where), LIST))
    assert call.environment == where
    for wrong in (foreign, "absent", 7, None):
        with pytest.raises(RequestError) as caught:
            begun(Shell(sandboxes), type="container_reference", container_id=wrong)
        assert (caught.value.status, caught.value.code) == (404, "container_not_found")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"type": "cloud"}, "environment.type"),
    ({"type": "container_auto", "file_ids": ["f"]}, "environment.file_ids"),
    ({"type": "container_auto", "skills": [{}]}, "environment.skills"),
    ({"type": "container_auto", "memory_limit": "2g"}, "environment.memory_limit"),
    ({"type": "container_auto", "expires_after": {"minutes": 5}}, "environment.expires_after"),
    (
        {"type": "container_auto", "network_policy": {"type": "allowlist"}},
        "environment.network_policy",
    ),
]


@pytest.mark.parametrize(("environment", "param"), WRONG)
def test_an_environment_that_cannot_be_given_is_refused(
    environment: dict[str, Any], param: str
) -> None:
    with pytest.raises(RequestError) as caught:
        begun(Shell(FakeSandboxes()), **environment)
    assert caught.value.param == param


async def test_memory_and_time_are_asked_for_and_a_disabled_network_is_what_there_is() -> None:
    sandboxes = FakeSandboxes(Started(), ZERO, OK)
    policy = {"type": "disabled"}
    where: dict[str, Any] = {"type": "container_auto", "memory_limit": "4g"}
    where["network_policy"] = policy
    where["expires_after"] = {"anchor": "last_active_at", "minutes": 2}
    items_of(await played(begun(Shell(sandboxes), **where), LIST))
    assert (sandboxes.limits, sandboxes.idle) == (["4g"], {"cntr_0": 120})


async def test_files_are_there_before_the_first_command() -> None:
    sandboxes = FakeSandboxes(Started(), ZERO, OK)
    await played(begun(Shell(sandboxes, files=[("a.csv", b"1")])), LIST)
    (sandbox,) = sandboxes.opened.values()
    assert sandbox.held == {"a.csv": b"1"}


async def test_a_policy_may_look_at_the_commands() -> None:
    shell = Shell(
        FakeSandboxes(), needs_approval=lambda commands: any("rm" in one for one in commands)
    )
    (offer,) = shell.offers(ShellTool(), Scope())
    assert offer.gate is not None
    assert await offer.gate('{"commands": ["rm -r x"]}')
    assert not await offer.gate(LIST)


def test_bounds_are_above_zero() -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        Shell(FakeSandboxes(), timeout=0)
    with pytest.raises(ConfigurationError, match="above 0"):
        Shell(FakeSandboxes(), output=0)
