"""Handoffs: one agent gives the conversation to another; the items say who owns it."""

import json
from typing import Any

import pytest

from antiphon.agents import Agent, budget
from antiphon.errors import ConfigurationError, RunError
from antiphon.items import (
    ApprovalResponse,
    FunctionTool,
    Handoff,
    ItemAdded,
    McpCall,
    fold,
    user,
)
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.tools import Context, tool

from .kit import heard

pytestmark = pytest.mark.anyio


def to(name: str, reason: str = "theirs") -> FunctionCall:
    return FunctionCall(f"transfer_to_{name}", {"reason": reason})


def agent(name: str, *turns: Any, **options: Any) -> Agent[str]:
    return Agent(
        name=name,
        model=ScriptedModel(list(turns), name=f"{name}-model"),
        instructions=f"You are {name}.",
        **options,
    )


def kinds(items: Any) -> list[str]:
    return [item.type.removeprefix("antiphon:") for item in items]


def script(who: Agent[Any]) -> ScriptedModel:
    assert isinstance(who.model, ScriptedModel)
    return who.model


async def test_the_other_agent_answers_in_the_same_response() -> None:
    billing = agent("billing", "You were charged once.")
    triage = agent("triage", [to("billing")], handoffs=[billing])
    result = await triage.run("Why twice?")
    handoff, said = result.response.output
    assert isinstance(handoff, Handoff)
    assert (handoff.source, handoff.target, handoff.status) == ("triage", "billing", "completed")
    assert said.text == result.output == "You were charged once."  # type: ignore[union-attr]


async def test_the_new_owner_has_its_own_instructions_tools_and_the_whole_conversation() -> None:
    @tool
    def charge() -> str:
        """Look at a charge."""
        return "one"

    billing = agent("billing", [FunctionCall("charge", {})], "One.", tools=[charge])
    triage = agent("triage", [to("billing")], handoffs=[billing])
    await triage.run("Why twice?")
    request = script(billing).requests[0]
    assert request.instructions == "You are billing."
    assert [function.name for function in request.tools] == ["charge"]
    assert heard(billing.model, 0)[0]["content"] == "Why twice?"
    assert heard(billing.model, 0)[-1]["output"] == (
        "The conversation is now billing's; you are billing."
    )


async def test_who_owns_the_conversation_is_read_from_the_items() -> None:
    billing = agent("billing", "first", "second")
    triage = agent("triage", [to("billing")], handoffs=[billing])
    first = await triage.run("Why?")
    items: list[Any] = json.loads(json.dumps([i.model_dump(mode="json") for i in first.items]))
    second = await triage.run([*items, "And?"])
    assert second.output == "second"
    assert len(script(triage).requests) == 1


async def test_a_plain_receipt_of_a_handoff_says_it_as_well() -> None:
    billing = agent("billing", "second")
    triage = agent("triage", handoffs=[billing])
    receipt = McpCall(
        id="mcp_1",
        status="completed",
        server_label="antiphon",
        name="transfer_to_billing",
        arguments='{"reason":"x"}',
    )
    assert (await triage.run([user("Why?"), receipt, "And?"])).output == "second"


async def test_agents_may_hand_the_conversation_back() -> None:
    triage = agent("triage", [to("billing")], "back at the desk")
    billing = agent("billing", [to("triage", "done")], handoffs=[triage])
    triage.handoffs = [billing]
    result = await triage.run("Why?")
    assert kinds(result.response.output) == ["handoff", "handoff", "message"]
    assert result.output == "back at the desk"


async def test_of_two_handoffs_in_a_turn_the_first_counts_and_the_other_is_refused() -> None:
    one, two = agent("one", "1"), agent("two", "2")
    triage = agent("triage", [to("one"), to("two")], handoffs=[one, two])
    result = await triage.run("go")
    assert result.output == "1"
    statuses = [item.status for item in result.response.output if isinstance(item, Handoff)]
    assert statuses == ["completed", "failed"]


async def test_other_calls_of_the_turn_run_before_the_other_agent_speaks() -> None:
    done: list[str] = []

    @tool
    def note(context: Context) -> str:
        """Note."""
        done.append("noted")
        return "ok"

    billing = agent("billing", "yes")
    calls = [to("billing"), FunctionCall("note", {})]
    triage = agent("triage", calls, tools=[note], handoffs=[billing])
    result = await triage.run("go")
    assert (kinds(result.response.output), done) == (["handoff", "tool_call", "message"], ["noted"])


async def test_arguments_that_do_not_fit_hand_nothing_over() -> None:
    billing = agent("billing")
    bad = FunctionCall("transfer_to_billing", {"why": 1})
    triage = agent("triage", [bad], "I stay.", handoffs=[billing])
    result = await triage.run("go")
    handoff = result.response.output[0]
    assert isinstance(handoff, Handoff)
    assert handoff.status == "failed"
    assert result.output == "I stay."
    assert (await agent("triage", "Still me.", handoffs=[billing]).run(result.items)).output


async def test_events_are_numbered_and_fold_across_a_handoff() -> None:
    billing = agent("billing", "yes")
    triage = agent("triage", [to("billing")], handoffs=[billing])
    events = [event async for event in triage.stream("go")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.output_index for event in events if isinstance(event, ItemAdded)] == [0, 1]
    assert fold(events).output_text == "yes"


async def test_the_new_owner_s_functions_of_the_client_end_the_response() -> None:
    lookup = FunctionTool(name="lookup", parameters={"type": "object", "properties": {}})
    billing = agent("billing", [FunctionCall("lookup", {})], tools=[lookup])
    triage = agent("triage", [to("billing")], handoffs=[billing])
    assert kinds((await triage.run("go")).response.output) == ["handoff", "function_call"]


async def test_an_approval_asked_by_the_new_owner_is_answered_to_the_first() -> None:
    @tool(needs_approval=True)
    def refund() -> str:
        """Refund."""
        return "refunded"

    billing = agent("billing", [FunctionCall("refund", {})], "Done.", tools=[refund])
    triage = agent("triage", [to("billing")], handoffs=[billing])
    first = await triage.run("go")
    asked = first.approvals[0]
    word = ApprovalResponse(approval_request_id=asked.id or "", approve=True)
    second = await triage.run([*first.items, word])
    assert (kinds(second.response.output), second.output) == (["tool_call", "message"], "Done.")


async def test_the_new_owner_s_budget_holds_from_there_on() -> None:
    @tool
    def note() -> str:
        """Note."""
        return "ok"

    busy = agent("busy", *[[FunctionCall("note", {})]] * 9, tools=[note], budget=budget(turns=2))
    triage = agent("triage", [to("busy")], handoffs=[busy])
    response = (await triage.run("go")).response
    assert response.incomplete_details is not None
    assert response.incomplete_details.budget is not None
    assert response.incomplete_details.budget.owner == "busy"
    assert kinds(response.output) == ["handoff", "tool_call", "tool_call"]


async def test_a_sub_agent_may_hand_over_inside_its_run() -> None:
    expert = agent("expert", "expert says")
    desk = agent("desk", [to("expert")], handoffs=[expert])
    boss = agent("boss", [FunctionCall("desk", {"input": "x"})], "thanks", tools=[desk.as_tool()])
    await boss.run("go")
    assert heard(boss.model)[-1]["output"] == "expert says"


async def test_endless_handing_over_ends_at_max_turns() -> None:
    one = agent("one", *[[to("two")]] * 9)
    two = agent("two", *[[to("one")]] * 9, handoffs=[one])
    one.handoffs, one.max_turns = [two], 4
    response = (await one.run("go")).response
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_turns"
    assert kinds(response.output) == ["handoff"] * 4


async def test_two_agents_of_one_name_are_refused() -> None:
    triage = agent("triage", "x", handoffs=[agent("same"), agent("same")])
    with pytest.raises(ConfigurationError, match="two agents are named 'same'"):
        await triage.run("go")


async def test_a_seat_that_cannot_be_taken_fails_the_response() -> None:
    @tool
    def twice() -> str:
        """Once."""
        return ""

    broken = agent("broken", tools=[twice, twice])
    triage = agent("triage", [to("broken")], handoffs=[broken])
    with pytest.raises(RunError, match="'twice' is declared already"):
        await triage.run("go")
