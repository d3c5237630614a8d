"""The shell over real sandboxes: on this machine, and in containers."""

import json
import sys
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from antiphon.items import (
    CodeInterpreterCall,
    CodeInterpreterTool,
    Event,
    FunctionCall,
    ItemDone,
    Logs,
    ShellCall,
    ShellCallOutput,
    ShellOutput,
    ShellOutputDelta,
    ShellTool,
)
from antiphon.sandboxes import LocalSandboxes, Sandboxes
from antiphon.testing.tool import check_call_events, play
from antiphon.tools import CodeInterpreter, Scope, Shell, Slot
from tests.sandboxes.docker_kit import docker as docker, docker_sandboxes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of Unix"),
]

PATIENCE = 60.0


@pytest.fixture(params=["local", "docker"])
def place(request: pytest.FixtureRequest) -> str:
    if request.param == "docker":
        request.getfixturevalue("docker")
    return request.param


@pytest.fixture
async def sandboxes(place: str) -> AsyncGenerator[Sandboxes]:
    made = LocalSandboxes(grace=0.5) if place == "local" else docker_sandboxes()
    async with made:
        yield made


class Caller:
    """Calls a shell, each call as a model would make it."""

    def __init__(self, sandboxes: Sandboxes, **options: Any) -> None:
        self.scope = Scope()
        self.shell = Shell(sandboxes, timeout=20, **options)
        (self.offer,) = self.shell.offers(ShellTool(), self.scope)
        self.events: list[Event] = []

    async def __call__(self, *commands: str, **action: int) -> list[ShellOutput]:
        call = self.offer.begin(
            FunctionCall(call_id="c", name="shell", arguments=""), Slot("sh_1", 0), self.scope
        )
        arguments = json.dumps({"commands": commands, **action})
        with anyio.fail_after(PATIENCE):
            self.events = [*call.open(), *call.write(arguments), *call.ready(arguments)]
            async for event in call.run():
                self.events.append(event)
        last = self.events[-1]
        assert isinstance(last, ItemDone) and isinstance(last.item, ShellCallOutput)
        return last.item.output


async def test_each_command_has_its_streams_and_its_exit_code(sandboxes: Sandboxes) -> None:
    ran = await Caller(sandboxes)("echo out; echo err >&2; exit 3", "printf 'é\\n'", "nowhere")
    assert [(one.stdout, one.outcome.exit_code) for one in ran] == [
        ("out\n", 3),
        ("é\n", 0),
        ("", 127),
    ]
    assert ran[0].stderr == "err\n"
    assert "nowhere" in ran[2].stderr


async def test_files_stay_and_directories_do_not(sandboxes: Sandboxes) -> None:
    shell = Caller(sandboxes, files=[("a.txt", b"given")])
    (first, second) = await shell("mkdir d && cd d && cp ../a.txt b.txt && pwd", "cat d/b.txt")
    assert first.stdout.endswith("/d\n")
    assert second.stdout == "given"
    (third,) = await shell("cat d/b.txt")
    assert third.stdout == "given"


async def test_nothing_that_a_command_prints_is_taken_for_its_exit_code(
    sandboxes: Sandboxes,
) -> None:
    (one,) = await Caller(sandboxes)("echo 0; exit 9")
    assert (one.stdout, one.outcome.exit_code) == ("0\n", 9)


async def test_a_killed_command_has_the_exit_code_that_shells_give(sandboxes: Sandboxes) -> None:
    (one,) = await Caller(sandboxes)("kill -9 $$")
    assert one.outcome.exit_code == 137


async def test_output_is_told_while_the_command_runs(sandboxes: Sandboxes) -> None:
    shell = Caller(sandboxes)
    await shell("echo one; sleep 0.3; echo two >&2")
    deltas = [e.delta for e in shell.events if isinstance(e, ShellOutputDelta)]
    assert [(one.stdout, one.stderr) for one in deltas] == [("one\n", None), (None, "two\n")]


@pytest.mark.parametrize("command", ["sleep 60", "trap '' INT; sleep 60; sleep 60"])
async def test_over_time_it_is_stopped_with_all_that_it_started(
    sandboxes: Sandboxes, command: str
) -> None:
    shell = Caller(sandboxes)
    ran = await shell(f"echo begun; {command}", "echo next", timeout_ms=400)
    assert [one.outcome.type for one in ran] == ["timeout", "exit"]
    assert ran[0].stdout == "begun\n"
    assert ran[1].stdout == "next\n"
    if sandboxes.isolation != "none":  # on this machine what ignores an interrupt may outlive it
        (left,) = await shell("grep -lx sleep /proc/[0-9]*/comm; true")
        assert left.stdout == ""


async def test_a_flood_is_cut_to_its_beginning_and_its_end(sandboxes: Sandboxes) -> None:
    (one,) = await Caller(sandboxes)("seq 1 100000; exit 1", max_output_length=200)
    assert one.stdout.startswith("1\n2\n")
    assert "characters left out" in one.stdout
    assert len(one.stdout) < 300
    assert one.outcome.exit_code == 1


async def test_a_question_is_answered_by_nobody(sandboxes: Sandboxes) -> None:
    (one,) = await Caller(sandboxes)("read answer; echo got:$answer")
    assert one.stdout == "got:\n"


async def test_shell_and_code_share_a_container(sandboxes: Sandboxes) -> None:
    shell = Caller(sandboxes)
    await shell("echo 42 > n.txt")
    call = next(e.item for e in shell.events if isinstance(e, ItemDone))
    assert isinstance(call, ShellCall)
    scope = Scope(items=[call])
    (offer,) = CodeInterpreter(sandboxes).offers(CodeInterpreterTool(), scope)
    with anyio.fail_after(PATIENCE):
        events = await play(offer, json.dumps({"code": "open('n.txt').read()"}), scope=scope)
    item = check_call_events(events)
    assert isinstance(item, CodeInterpreterCall)
    assert item.container_id == (call.environment or {})["container_id"]
    assert item.outputs == [Logs(logs="'42\\n'\n")]


async def test_variables_of_code_are_none_of_a_commands_business(sandboxes: Sandboxes) -> None:
    scope = Scope()
    (offer,) = CodeInterpreter(sandboxes).offers(CodeInterpreterTool(), scope)
    code = json.dumps({"code": "before = set(globals())"})
    item: Any = check_call_events(await play(offer, code, scope=scope))
    shell = Caller(sandboxes)
    shell.scope = Scope(items=[item])
    await shell("true")
    scope = Scope(items=[item])
    (offer,) = CodeInterpreter(sandboxes).offers(CodeInterpreterTool(), scope)
    code = json.dumps({"code": "sorted(set(globals()) - before - {'before'})"})
    item = check_call_events(await play(offer, code, scope=scope))
    assert item.outputs == [Logs(logs="[]\n")]


async def test_a_command_that_ends_its_interpreter_says_so(sandboxes: Sandboxes) -> None:
    if sandboxes.isolation == "none":
        command = "kill -9 $PPID"
    else:
        command = "kill -9 $PPID; sleep 5"
    ran = await Caller(sandboxes)(command, "echo never")
    assert len(ran) == 1
    assert ran[0].outcome.exit_code == 126
    assert ran[0].stderr != ""
