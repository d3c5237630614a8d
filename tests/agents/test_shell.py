"""The shell inside the loop: two items a call, in their places, whatever runs beside or cuts it."""

from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, loop
from antiphon.items import (
    ApprovalRequest,
    ApprovalResponse,
    CodeInterpreterCall,
    Event,
    Fold,
    Ids,
    Item,
    ItemAdded,
    ItemDone,
    ShellCall,
    ShellCallOutput,
    ShellCommandDone,
    ShellOutputDelta,
    lower,
)
from antiphon.models import FunctionCall, Reasoning, ScriptedModel, Stop
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, Shell, tool

from .kit import asked, end_of, heard, own, play

pytestmark = pytest.mark.anyio

DECLARED: list[dict[str, Any]] = [{"type": "shell"}, {"type": "code_interpreter"}]


def run(*commands: str, call_id: str | None = None) -> FunctionCall:
    return FunctionCall("shell", {"commands": commands}, call_id=call_id)


@tool
async def weather(city: str) -> str:
    """Today's weather."""
    return f"sunny in {city}"


def folded(events: list[Event]) -> list[Item]:
    fold = Fold()
    for event in events:
        fold.add(event)
    assert fold.output == end_of(events).output
    return fold.output


def types(items: list[Item]) -> list[str]:
    return [str(item.type) for item in items]


async def test_items_are_added_in_the_order_of_their_indexes_whatever_runs_beside() -> None:
    calls = [run("echo a"), FunctionCall("weather", {"city": "Oslo"}), run("echo b")]
    model = ScriptedModel([[Reasoning("hm"), *calls], "done"], fragment=5)
    async with LocalSandboxes() as sandboxes:
        tools = [Shell(sandboxes), weather]
        events = await play(asked(tools=[DECLARED[0], *own("weather")]), model, tools)
    output = folded(events)
    added = [event.output_index for event in events if isinstance(event, ItemAdded)]
    assert added == list(range(len(output)))
    assert types(output)[:4] == [
        "reasoning",
        "shell_call",
        "antiphon:tool_call",
        "shell_call",
    ]
    assert types(output)[4:] == ["shell_call_output", "shell_call_output", "message"]
    texts = {
        item.call_id: item.output[0].stdout for item in output if isinstance(item, ShellCallOutput)
    }
    first, second = [item for item in output if isinstance(item, ShellCall)]
    assert texts == {first.call_id: "a\n", second.call_id: "b\n"}


async def test_a_replay_gives_the_model_the_same_context() -> None:
    calls = [run("echo a"), FunctionCall("weather", {"city": "Oslo"}), run("exit 3", "echo b")]
    model = ScriptedModel([calls, run("echo c"), "done"])
    declared = [DECLARED[0], *own("weather")]
    async with LocalSandboxes() as sandboxes:
        tools = [Shell(sandboxes), weather]
        events = await play(asked(tools=declared), model, tools)
        lived = heard(model)
        given = [item.model_dump() for item in end_of(events).output[:-1]]
        again = ScriptedModel(["done"])
        question = {"role": "user", "content": "go"}
        await play(asked([question, *given], tools=declared), again, tools)
    replayed = heard(again)
    assert [_plain(item) for item in replayed] == [_plain(item) for item in lived]


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in ("id", "status")}


async def test_a_call_over_the_count_is_refused_with_an_output_that_says_so() -> None:
    model = ScriptedModel([[run("echo a"), run("echo b")], "done"])
    async with LocalSandboxes() as sandboxes:
        events = await play(asked(tools=DECLARED[:1], max_tool_calls=1), model, [Shell(sandboxes)])
    output = folded(events)
    ends = [item for item in output if isinstance(item, ShellCallOutput)]
    assert sorted(str(item.status) for item in ends) == ["completed", "incomplete"]
    refused = next(item for item in ends if item.status == "incomplete")
    assert "max_tool_calls" in refused.output[0].stderr
    assert "max_tool_calls" in str(heard(model))


async def test_cancelled_in_the_middle_every_call_has_its_output_and_nothing_is_open() -> None:
    model = ScriptedModel([run("echo begun; sleep 60", "echo never")])
    events: list[Event] = []
    async with LocalSandboxes(grace=0.3) as sandboxes:
        with anyio.fail_after(60), anyio.CancelScope() as scope:
            running = loop(
                asked(tools=DECLARED[:1]), model=model, tools=[Shell(sandboxes)], ids=Ids(seed=1)
            )
            async for event in running:
                events.append(event)
                if isinstance(event, ShellOutputDelta):
                    scope.cancel()
    output = folded(events)
    assert types(output) == ["shell_call", "shell_call_output"]
    assert end_of(events).status == "cancelled"
    call, answer = output
    assert isinstance(answer, ShellCallOutput) and isinstance(call, ShellCall)
    assert (call.status, answer.status, answer.output) == ("completed", "incomplete", [])
    assert len(lower(output)) == 2
    done = [event.item.id for event in events if isinstance(event, ItemDone)]
    assert sorted(map(str, done)) == sorted(str(item.id) for item in output)


async def test_code_goes_on_where_the_shell_was_and_the_other_way_round() -> None:
    code = FunctionCall("code_interpreter", {"code": "print(open('n').read())"})
    model = ScriptedModel([run("echo 7 > n"), code, run("cat n"), "done"])
    async with LocalSandboxes() as sandboxes:
        tools = [Shell(sandboxes), CodeInterpreter(sandboxes)]
        output = folded(await play(asked(tools=DECLARED), model, tools))
    cell = next(item for item in output if isinstance(item, CodeInterpreterCall))
    assert "7" in str(cell.outputs)
    calls = [item for item in output if isinstance(item, ShellCall)]
    places = {(call.environment or {})["container_id"] for call in calls}
    assert places == {cell.container_id}
    last = [item for item in output if isinstance(item, ShellCallOutput)][-1]
    assert last.output[0].stdout == "7\n"


async def test_an_approved_call_runs_with_the_receipt_of_its_approval() -> None:
    model = ScriptedModel([run("echo a"), "done"])
    async with LocalSandboxes() as sandboxes:
        shell = Shell(sandboxes, needs_approval=lambda commands: bool(commands))
        agent = Agent(name="ops", model=model, tools=[shell])
        first = await agent.run("go")
        (request,) = first.approvals
        assert isinstance(request, ApprovalRequest) and request.id is not None
        word = ApprovalResponse(approval_request_id=request.id, approve=True)
        second = await agent.run([*first.items, word])
    call, answer, _ = second.response.output
    assert isinstance(call, ShellCall) and isinstance(answer, ShellCallOutput)
    assert (call.model_extra or {})["approval_request_id"] == request.id
    assert call.call_id == answer.call_id
    assert answer.output[0].stdout == "a\n"
    assert "a\\n" in str(heard(model)[-1]["output"]) or "a\n" in str(heard(model)[-1]["output"])


async def test_a_refused_one_does_not_run_and_the_model_reads_why() -> None:
    model = ScriptedModel([run("echo a"), "done"])
    async with LocalSandboxes() as sandboxes:
        shell = Shell(sandboxes, needs_approval=True)
        agent = Agent(name="ops", model=model, tools=[shell])
        first = await agent.run("go")
        id_ = str(first.approvals[0].id)
        word = ApprovalResponse(approval_request_id=id_, approve=False, reason="too loud")
        second = await agent.run([*first.items, word])
    _, answer, _ = second.response.output
    assert isinstance(answer, ShellCallOutput)
    assert "too loud" in answer.output[0].stderr
    assert "too loud" in str(heard(model)[-1])


async def test_a_sub_agents_shell_is_folded_inside_its_call() -> None:
    inner = ScriptedModel([run("echo deep"), "inner done"])
    outer = ScriptedModel([FunctionCall("hands", {"input": "do"}), "done"])
    async with LocalSandboxes() as sandboxes:
        hands = Agent(name="hands", model=inner, tools=[Shell(sandboxes)])
        boss = Agent(name="boss", model=outer, tools=[hands.as_tool(description="Does things.")])
        events = [event async for event in boss.stream("go")]
    call: Any = folded(events)[0]
    assert types(call.output) == ["shell_call", "shell_call_output", "message"]
    assert call.output[1].output[0].stdout == "deep\n"


async def test_cut_while_it_is_written_a_call_keeps_what_was_written() -> None:
    call = FunctionCall("shell", '{"commands": ["ls", "cat /etc/pa')
    model = ScriptedModel([[call, Stop("max_output_tokens")]], fragment=4)
    async with LocalSandboxes() as sandboxes:
        events = await play(asked(tools=DECLARED[:1]), model, [Shell(sandboxes)])
    (item,) = folded(events)
    assert isinstance(item, ShellCall)
    assert (item.status, item.action.commands) == ("incomplete", ["ls", "cat /etc/pa"])
    done = [event.command for event in events if isinstance(event, ShellCommandDone)]
    assert done == ["ls", "cat /etc/pa"]
