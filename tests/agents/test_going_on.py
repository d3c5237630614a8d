"""A run whose process ended goes on in another: from what was told of it, wherever it broke off."""

from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from antiphon.agents import (
    Agent,
    Before,
    Runnable,
    Setting,
    budget,
    run,
    turn_told,
    workflow,
)
from antiphon.errors import RunError
from antiphon.items import (
    AgentCall,
    ApprovalResponse,
    Event,
    Fold,
    Item,
    Response,
    ToolCall,
    fold,
)
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text, Usage, model
from antiphon.tools import tool

from .kit import asked, end_of

pytestmark = pytest.mark.anyio

RAN: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


@tool
def note(text: str) -> str:
    """Note something."""
    RAN[text] += 1
    return f"noted {text}"


@tool(needs_approval=True)
def send(text: str) -> str:
    """Send something."""
    RAN[text] += 1
    return "sent"


@model("worker")
async def worker(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Notes a, then b and c at a time, then answers; it goes by what it reads."""
    said = str([item.model_dump() for item in request.items])
    if "noted a" not in said:
        yield FunctionCall("note", {"text": "a"})
    elif missing := [text for text in "bc" if f"noted {text}" not in said]:
        for text in missing:
            yield FunctionCall("note", {"text": text})
    else:
        yield Text("All ")
        yield Text("noted.")


def agent() -> Agent[str]:
    return Agent(name="worker", model=worker, instructions="Notes.", tools=[note])


def report() -> Any:
    writer = Agent(name="writer", model=ScriptedModel(["written"], repeat=True))

    @workflow
    async def both(text: str) -> str:
        return f"{(await run(agent(), text)).output} {(await run(writer, text)).output}"

    return both


async def told(who: Runnable[Any], setting: Setting, given: Any = "go") -> list[Event]:
    return [event async for event in who.serve(asked(given), setting)]


def before(events: list[Event]) -> Before:
    kept = Fold()
    for event in events:
        kept.add(event.model_copy(deep=True))
    turns = [turn for event in events if (turn := turn_told(event)) is not None]
    return Before(kept, len(events), turns)


def calls(items: list[Item]) -> list[ToolCall]:
    found = [item for item in items if isinstance(item, ToolCall)]
    inner = [call for item in items if isinstance(item, AgentCall) for call in calls(item.output)]
    return [*found, *inner]


def check_whole(events: list[Event]) -> Response:
    """The laws of a whole stream."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    end = end_of(events)
    assert fold(events) == end
    assert end.status == "completed"
    ids = [item.id for item in end.output]
    assert len(ids) == len(set(ids))
    terminal = ("completed", "incomplete", "failed")
    assert all(call.status in terminal for call in calls(end.output))
    assert [event.type for event in events].count("response.created") == 1
    return end


@pytest.mark.parametrize("who", [agent, report])
async def test_wherever_it_broke_off_it_ends_and_what_was_finished_ran_once(who: Any) -> None:
    whole = await told(who(), Setting())
    for cut in range(1, len(whole)):
        RAN.clear()
        first = whole[:cut]
        finished = {call.arguments for call in calls(before(first).fold.output) if call.output}
        rest = await told(who(), Setting(before=before(first)))
        end = check_whole([*first, *rest])
        assert end.id == end_of(whole).id
        again = {f'{{"text":"{text}"}}' for text in RAN}
        if who is agent:  # a child that broke off is made anew, as a whole
            assert not again & finished, (cut, again, finished)
        assert end.output_text.endswith(("All noted.", "All noted. written"))


async def test_a_finished_child_of_a_workflow_is_not_made_again() -> None:
    whole = await told(report(), Setting())
    done = next(
        at
        for at, event in enumerate(whole)
        if event.type == "response.output_item.done" and event.item.type == "antiphon:agent_call"  # type: ignore[attr-defined]
    )
    for cut in range(done + 1, len(whole)):
        RAN.clear()
        await told(report(), Setting(before=before(whole[:cut])))
        assert RAN == Counter()


async def test_what_was_used_before_counts_wherever_it_breaks_off() -> None:
    @model("counted")
    async def counted(request: ModelRequest) -> AsyncGenerator[Any, None]:
        yield FunctionCall("note", {"text": "a"})
        yield Usage(100, 50)

    def anew() -> Agent[str]:
        limits = budget(turns=4)
        return Agent(name="worker", model=counted, tools=[note], budget=limits)

    async def run_on(setting: Setting) -> list[Event]:
        request = asked(background=True, max_output_tokens=1000)
        return [event async for event in anew().serve(request, setting)]

    whole = await run_on(Setting())
    turns = [at for at, event in enumerate(whole) if turn_told(event) is not None]
    assert len(turns) == 4
    for done, cut in enumerate(turns, start=1):
        rest = await run_on(Setting(before=before(whole[: cut + 1])))
        end = end_of(rest)
        assert end.incomplete_details is not None
        assert end.incomplete_details.reason == "budget_turns"
        assert end.usage is not None
        assert end.usage.total_tokens == 600
        assert sum(turn_told(event) is not None for event in rest) == 4 - done


async def test_what_a_person_approved_runs_at_most_once_wherever_it_breaks_off() -> None:
    clerk = Agent(
        name="clerk",
        model=ScriptedModel([[FunctionCall("send", {"text": "x"})]]),
        tools=[send],
    )
    first = await clerk.run("go")
    word = ApprovalResponse(approval_request_id=first.approvals[0].id or "", approve=True)
    items = [*first.items, word]

    def anew() -> Agent[str]:
        return Agent(name="clerk", model=ScriptedModel(["done"], repeat=True), tools=[send])

    whole = await told(anew(), Setting(), items)
    assert RAN["x"] == 1
    for cut in range(1, len(whole)):
        RAN.clear()
        rest = await told(anew(), Setting(before=before(whole[:cut])), items)
        check_whole([*whole[:cut], *rest])
        assert RAN["x"] == 0  # it may have run before: nobody can know


async def test_what_a_person_approved_inside_a_workflow_runs_at_most_once() -> None:
    def anew(*turns: Any) -> Any:
        clerk = Agent(name="clerk", model=ScriptedModel([*turns], repeat=True), tools=[send])

        @workflow
        async def errand(question: str) -> str:
            """Sends what was asked for."""
            try:
                return (await run(clerk, question)).output_text
            except RunError:
                return "Nobody knows."

        return errand

    first = await anew([FunctionCall("send", {"text": "x"})]).run("go")
    word = ApprovalResponse(approval_request_id=first.approvals[0].id or "", approve=True)
    items = [*first.items, word]
    whole = await told(anew("done"), Setting(), items)
    assert RAN["x"] == 1
    for cut in range(1, len(whole)):
        RAN.clear()
        rest = await told(anew("done"), Setting(before=before(whole[:cut])), items)
        check_whole([*whole[:cut], *rest])
        assert RAN["x"] == 0
