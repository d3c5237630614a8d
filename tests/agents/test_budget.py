"""Budgets: how much a run and everything inside it may use; what was finished is kept."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import anyio
import pytest

from antiphon.agents import Agent, budget, chain, run, workflow
from antiphon.errors import ConfigurationError, RunError
from antiphon.items import AgentCall, Response, ToolCall, fold
from antiphon.models import FunctionCall, ScriptedModel, Text, Usage
from antiphon.tools import Account, Price, Tool, tool

from .kit import asked, end_of, own, play

pytestmark = pytest.mark.anyio

SkipTime: TypeAlias = Callable[[float], None]

PRICES = {"m": Price(input=1.0, output=2.0, cached_input=0.5)}


@tool
async def note(text: str = "") -> str:
    """Note something."""
    return "noted"


def waiting(skip_time: SkipTime, *, calls: int = 1) -> Tool[[], Any]:
    """A tool that waits for ever; twenty seconds have passed when it was called so often."""
    begun: list[None] = []

    @tool
    async def wait() -> str:
        """Wait for ever."""
        begun.append(None)
        if len(begun) == calls:
            await anyio.wait_all_tasks_blocked()  # what runs beside it comes to its end first
            skip_time(20)
        await anyio.sleep_forever()
        return "never"

    return wait


NOTE = FunctionCall("note", {})


def busy(name: str = "busy", *, tools: Sequence[Any] = (note,), **options: Any) -> Agent[str]:
    """An agent that calls a tool in every turn; each costs 10 input and 5 output tokens."""
    model = ScriptedModel([[NOTE, Usage(10, 5)]], name="m", repeat=True)
    return Agent(name=name, model=model, instructions="Works.", tools=list(tools), **options)


def calm(name: str = "calm", **options: Any) -> Agent[str]:
    return Agent(
        name=name,
        model=ScriptedModel([[Text("ok"), Usage(10, 5)]], name="m", repeat=True),
        instructions="Answers.",
        **options,
    )


def cut(response: Response) -> tuple[str | None, str, float]:
    """What ended a response: the reason, whose budget, and what it allowed."""
    details = response.incomplete_details
    assert response.status == "incomplete"
    assert details is not None
    assert details.budget is not None
    assert details.reason == f"budget_{details.budget.resource}"
    return details.reason, details.budget.owner, details.budget.allowed


# --- what runs out -----------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "reason", "calls"),
    [
        ({"turns": 3}, "budget_turns", 3),
        ({"tool_calls": 2}, "budget_tool_calls", 3),
        ({"tokens": 40}, "budget_tokens", 3),
        ({"cost": 0.00004, "prices": PRICES}, "budget_cost", 2),
    ],
    ids=lambda value: str(value),
)
async def test_a_run_ends_when_one_is_used_up_and_says_which(
    allowed: dict[str, Any], reason: str, calls: int
) -> None:
    response = (await busy(budget=budget(**allowed)).run("go")).response
    value = next(iter(allowed.values()))
    assert cut(response) == (reason, "busy", value)
    assert len(response.output) == calls


async def test_time_stops_a_tool_in_the_middle_and_keeps_what_was_finished(
    skip_time: SkipTime,
) -> None:
    model = ScriptedModel([[NOTE], [FunctionCall("wait", {})]])
    wait = waiting(skip_time)
    slow = Agent(name="slow", model=model, tools=[note, wait], budget=budget(seconds=20))
    with anyio.fail_after(60):
        response = (await slow.run("go")).response
    assert cut(response) == ("budget_seconds", "slow", 20)
    first, second = response.output
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert (first.status, second.status) == ("completed", "incomplete")
    assert second.error == "the budget of slow is used up: 20 seconds"


async def test_time_stops_several_calls_at_once_and_the_events_fold_to_the_end(
    skip_time: SkipTime,
) -> None:
    model = ScriptedModel([[FunctionCall("wait", {}), NOTE, FunctionCall("wait", {})]])
    request = asked(tools=own("note", "wait"), **{"antiphon:budget": {"seconds": 20}})
    with anyio.fail_after(60):
        events = await play(request, model, [note, waiting(skip_time, calls=2)])
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert fold(events) == end_of(events)
    assert cut(end_of(events))[0] == "budget_seconds"
    statuses = [item.status for item in end_of(events).output if isinstance(item, ToolCall)]
    assert statuses == ["incomplete", "completed", "incomplete"]


async def test_a_run_in_time_is_told_as_without_a_limit() -> None:
    script = [[NOTE], [NOTE], "done"]
    plain = await play(asked(tools=own("note")), ScriptedModel(script), [note], clock=lambda: 1.0)
    limits = {"antiphon:budget": {"seconds": 60}}
    timed = await play(
        asked(tools=own("note"), **limits), ScriptedModel(script), [note], clock=lambda: 1.0
    )
    assert [event.to_json() for event in timed] == [event.to_json() for event in plain]


async def test_what_is_left_of_the_tokens_bounds_what_the_model_may_write() -> None:
    agent = busy(budget=budget(tokens=40))
    await agent.run("go")
    model = agent.model
    assert isinstance(model, ScriptedModel)
    assert [request.max_output_tokens for request in model.requests] == [40, 25, 10]


async def test_a_model_without_a_price_fails_a_run_whose_cost_is_counted() -> None:
    with pytest.raises(RunError, match="nobody said what 'm' costs") as caught:
        await busy(budget=budget(cost=1.0)).run("go")
    assert caught.value.response.error.code == "price_unknown"


async def test_cached_tokens_have_their_own_price() -> None:
    usage = Usage(100, 10, cached_tokens=40)
    model = ScriptedModel([[Text("x"), usage]], name="m")
    with budget(cost=1.0, prices=PRICES) as used:
        await Agent(name="a", model=model).run("go")
    assert used.cost == pytest.approx((60 * 1.0 + 40 * 0.5 + 10 * 2.0) / 1e6)


# --- the tree ----------------------------------------------------------------


async def test_a_block_of_code_holds_all_its_runs_together() -> None:
    with budget(turns=3) as used:
        first = await calm().run("one")
        await calm().run("two")
        third = await busy().run("three")
        fourth = await calm().run("four")
    assert first.response.status == "completed"
    assert cut(third.response) == ("budget_turns", "a block of code", 3)
    assert cut(fourth.response)[0] == "budget_turns"
    assert (used.turns, used.tool_calls, used.tokens) == (3, 1, 45)


async def test_blocks_inside_each_other_count_for_both() -> None:
    with budget(turns=10) as outer, budget(turns=1) as inner:
        result = await busy().run("go")
    assert cut(result.response)[2] == 1
    assert (outer.turns, inner.turns) == (1, 1)


async def test_a_sub_agent_that_uses_up_its_own_is_told_to_its_caller_which_goes_on() -> None:
    child = busy("child", budget=budget(turns=2))
    model = ScriptedModel([[FunctionCall("child", {"input": "x"})], "then without"])
    boss = Agent(name="boss", model=model, tools=[child.as_tool()])
    result = await boss.run("go")
    call = result.response.output[0]
    assert isinstance(call, AgentCall)
    assert (call.status, len(call.output)) == ("failed", 2)
    assert call.error == "it ended early: the budget of child is used up: 2 turns"
    assert result.output == "then without"


async def test_what_a_sub_agent_uses_counts_for_its_caller() -> None:
    model = ScriptedModel([[FunctionCall("child", {"input": "x"})], "never"])
    boss = Agent(name="boss", model=model, tools=[busy("child").as_tool()], budget=budget(turns=4))
    result = await boss.run("go")
    assert cut(result.response) == ("budget_turns", "boss", 4)
    call = result.response.output[0]
    assert isinstance(call, AgentCall)
    assert len(call.output) == 3


async def test_a_workflow_s_budget_ends_it_and_keeps_its_runs() -> None:
    line = chain(calm("one"), busy("two"), calm("three"), name="line", budget=budget(turns=3))
    response = (await line.run("go")).response
    assert cut(response) == ("budget_turns", "line", 3)
    assert [item.status for item in response.output if isinstance(item, AgentCall)] == [
        "completed",
        "failed",
    ]


async def test_a_block_inside_a_workflow_ends_a_run_and_the_function_may_go_on() -> None:
    @workflow
    async def careful(text: str) -> str:
        with budget(turns=2):
            try:
                return (await run(busy(), text)).output
            except RunError as error:
                said = str(error)
        return f"{said}; {(await run(calm(), text)).output}"

    result = await careful.run("go")
    assert result.response.status == "completed"
    assert "the budget of a block of code is used up: 2 turns; ok" in result.output


async def test_time_stops_a_workflow_in_the_middle_of_a_run(skip_time: SkipTime) -> None:
    model = ScriptedModel([[FunctionCall("wait", {})]])
    sleeper = Agent(name="sleeper", model=model, tools=[waiting(skip_time)])

    @workflow(budget=budget(seconds=20))
    async def slow(text: str) -> str:
        return (await run(sleeper, text)).output

    with anyio.fail_after(60):
        response = (await slow.run("go")).response
    assert cut(response) == ("budget_seconds", "slow", 20)
    assert [item.status for item in response.output if isinstance(item, AgentCall)] != []


async def test_calls_inside_count_for_a_request_s_own_budget() -> None:
    model = ScriptedModel([[NOTE, NOTE, NOTE], "never"])
    request = asked(tools=own("note"), **{"antiphon:budget": {"tool_calls": 2}})
    response = end_of(await play(request, model, [note]))
    assert cut(response) == ("budget_tool_calls", "scripted", 2)
    assert [item.status for item in response.output if isinstance(item, ToolCall)] == [
        "completed",
        "completed",
        "failed",
    ]


# --- making one --------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{}, {"turns": 0}, {"turns": -1}, {"turns": 1.5}, {"seconds": -1.0}, {"cost": 0.0}]
)
def test_a_budget_that_limits_nothing_or_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="budget: "):
        budget(**wrong)


def test_an_account_says_what_it_is() -> None:
    with budget(turns=1) as used:
        assert repr(used) == "Account('a block of code', turns=0, tokens=0)"
    assert repr(budget(turns=1, seconds=2.5)) == "budget(turns=1, seconds=2.5)"
    assert Account("x").left() is None
