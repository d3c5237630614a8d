"""Approvals: a call waits for a person's word, and runs once when it comes. All of it is items."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from antiphon.agents import Agent, loop
from antiphon.errors import OutputError, RequestError
from antiphon.items import (
    ApprovalRequest,
    ApprovalResponse,
    ArgumentsDelta,
    Ids,
    Item,
    ItemAdded,
    McpApprovalRequest,
    McpApprovalResponse,
    Message,
    Response,
    ToolCall,
    fold,
    user,
)
from antiphon.models import FunctionCall, Reasoning as Thought, ScriptedModel, Stop
from antiphon.tools import Asked, tool

from .kit import asked, end_of, heard, own, play

pytestmark = pytest.mark.anyio

SENT: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    SENT.clear()


@tool(needs_approval=True)
def send(to: str) -> str:
    """Send a mail."""
    SENT.append(to)
    return f"sent to {to}"


async def _large(amount: int) -> bool:
    return amount > 100


@tool(needs_approval=_large)
def pay(amount: int, to: str = "shop") -> str:
    """Pay somebody."""
    SENT.append(amount)
    return "paid"


def agent(*turns: Any, tools: Any = (send, pay), **options: Any) -> Agent[str]:
    return Agent(name="clerk", model=ScriptedModel(list(turns)), tools=list(tools), **options)


def mail(to: str = "ann") -> FunctionCall:
    return FunctionCall("send", {"to": to})


def word(request: Any, *, approve: bool = True, reason: str | None = None) -> ApprovalResponse:
    return ApprovalResponse(approval_request_id=request.id or "", approve=approve, reason=reason)


def kinds(items: Any) -> list[str]:
    return [item.type.removeprefix("antiphon:") for item in items]


# --- asking ------------------------------------------------------------------


async def test_a_call_that_needs_approval_ends_the_response_and_has_not_run() -> None:
    result = await agent([mail()]).run("go")
    (request,) = result.response.output
    assert isinstance(request, ApprovalRequest)
    assert (request.name, request.arguments) == ("send", '{"to":"ann"}')
    assert result.response.status == "completed"
    assert result.approvals == [request]
    assert SENT == []


async def test_the_request_is_told_by_two_events_only() -> None:
    events = await play(asked(tools=own("send")), ScriptedModel([[mail()]]), [send])
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    assert fold(events) == end_of(events)


async def test_a_function_of_the_arguments_decides_which_calls_wait() -> None:
    calls = [FunctionCall("pay", {"amount": 5}), FunctionCall("pay", {"amount": 500})]
    result = await agent(calls).run("go")
    assert kinds(result.response.output) == ["tool_call", "approval_request"]
    assert SENT == [5]


async def test_a_call_that_turns_out_to_need_none_is_a_call_like_any_other() -> None:
    model = ScriptedModel([[FunctionCall("pay", {"amount": 5})], "ok"])
    events = await play(asked(tools=own("pay")), model, [pay])
    told = [event.type for event in events if "tool_call" in event.type]
    assert told == [
        "antiphon:tool_call.in_progress",
        "antiphon:tool_call_arguments.delta",
        "antiphon:tool_call_arguments.done",
        "antiphon:tool_call.completed",
    ]
    deltas = [event.delta for event in events if isinstance(event, ArgumentsDelta)]
    assert deltas == ['{"amount":5}']


async def test_items_are_added_in_the_order_of_their_index_though_some_had_to_be_judged() -> None:
    calls = [mail(), FunctionCall("pay", {"amount": 5}), mail("bob")]
    events = await play(asked(tools=own("send", "pay")), ScriptedModel([calls]), [send, pay])
    added = [event.output_index for event in events if isinstance(event, ItemAdded)]
    assert added == [0, 1, 2]


async def test_arguments_that_do_not_fit_are_told_to_the_model_and_nobody_is_asked() -> None:
    clerk = agent([FunctionCall("send", {"nobody": 1})], "sorry")
    result = await clerk.run("go")
    assert kinds(result.response.output) == ["tool_call", "message"]
    assert "to: Field required" in str(heard(clerk.model)[-1]["output"])


async def test_a_policy_that_breaks_lets_nothing_run(caplog: pytest.LogCaptureFixture) -> None:
    def odd(amount: int) -> bool:
        raise ZeroDivisionError

    @tool(needs_approval=odd)
    def risky(amount: int) -> None:
        SENT.append(amount)

    clerk = agent([FunctionCall("risky", {"amount": 1})], "ok", tools=[risky])
    result = await clerk.run("go")
    call = result.response.output[0]
    assert isinstance(call, ToolCall)
    assert call.error == "nobody could say whether it may run: ZeroDivisionError"
    assert SENT == []
    assert "ZeroDivisionError" in caplog.text


async def test_what_tool_choice_forbids_is_not_asked_about() -> None:
    request = asked(tools=own("send"), tool_choice="none")
    events = await play(request, ScriptedModel([[mail()], "ok"]), [send])
    assert kinds(end_of(events).output) == ["tool_call", "message"]


async def test_a_call_cut_by_tokens_is_not_asked_about() -> None:
    request = asked(tools=own("send"))
    events = await play(request, ScriptedModel([[mail(), Stop("max_output_tokens")]]), [send])
    assert end_of(events).status == "incomplete"
    assert SENT == []


async def test_other_calls_of_the_turn_run_before_the_response_ends() -> None:
    calls = [mail(), FunctionCall("pay", {"amount": 1})]
    await agent(calls).run("go")
    assert SENT == [1]


# --- answering ---------------------------------------------------------------


async def test_an_approved_call_runs_exactly_as_it_was_asked_and_the_model_goes_on() -> None:
    clerk = agent([mail()], "It is out.")
    first = await clerk.run("go")
    second = await clerk.run([*first.items, *map(word, first.approvals)])
    call, said = second.response.output
    assert isinstance(call, ToolCall)
    assert (call.name, call.output, call.status) == ("send", "sent to ann", "completed")
    assert call.approval_request_id == first.approvals[0].id
    assert isinstance(said, Message)
    assert second.output == "It is out."
    assert SENT == ["ann"]
    assert [item["type"] for item in heard(clerk.model)] == [
        "message",
        "function_call",
        "function_call_output",
    ]


async def test_a_refusal_is_told_to_the_model_with_its_reason() -> None:
    clerk = agent([mail()], "Then not.")
    first = await clerk.run("go")
    second = await clerk.run([*first.items, word(first.approvals[0], approve=False, reason="No!")])
    call = second.response.output[0]
    assert isinstance(call, ToolCall)
    assert call.status == "failed"
    assert heard(clerk.model)[-1]["output"] == "Error: the user did not approve this call: No!"
    assert SENT == []


async def test_the_state_is_the_list_so_another_process_may_go_on_from_its_json() -> None:
    first = await agent([mail()]).run("go")
    saved = json.dumps([item.model_dump(mode="json") for item in first.items])
    items: list[Any] = json.loads(saved)
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": first.approvals[0].id,
        "approve": True,
    }
    second = await agent("done").run([*items, answer])
    assert (second.output, SENT) == ("done", ["ann"])


async def test_a_word_that_something_came_of_already_lets_nothing_run_again() -> None:
    clerk = agent([mail()], "out", "still out")
    first = await clerk.run("go")
    second = await clerk.run([*first.items, *map(word, first.approvals)])
    third = await clerk.run([*second.items, "And?"])
    assert (third.output, SENT) == ("still out", ["ann"])


async def test_while_a_request_of_the_turn_is_open_the_model_is_not_asked() -> None:
    clerk = agent([mail(), mail("bob")], "both done")
    first = await clerk.run("go")
    ann, bob = first.approvals
    second = await clerk.run([*first.items, word(ann)])
    assert kinds(second.response.output) == ["tool_call"]
    assert second.approvals == [bob]
    third = await clerk.run([*second.items, word(bob)])
    assert (third.output, SENT) == ("both done", ["ann", "bob"])


async def test_who_says_something_else_leaves_an_open_request_behind() -> None:
    clerk = agent([mail()], "As you like.")
    first = await clerk.run("go")
    second = await clerk.run([*first.items, "Never mind."])
    assert (second.output, second.approvals) == ("As you like.", [])
    assert "send" not in json.dumps(heard(clerk.model))


async def test_what_other_clients_see_of_a_request_answers_as_well() -> None:
    first = await agent([mail()]).run("go")
    request = first.approvals[0]
    seen = McpApprovalRequest(
        id=request.id, server_label="antiphon", name=request.name, arguments=request.arguments
    )
    answer = McpApprovalResponse(approval_request_id=request.id or "", approve=True)
    second = await agent("done").run([first.items[0], seen, answer])
    assert (second.output, SENT) == ("done", ["ann"])


async def test_an_approved_call_counts_for_max_tool_calls() -> None:
    first = await agent([mail()]).run("go")
    clerk = agent([mail("bob")], "enough", options={"max_tool_calls": 1})
    second = await clerk.run([*first.items, *map(word, first.approvals)])
    assert kinds(second.response.output) == ["tool_call", "tool_call", "message"]
    assert SENT == ["ann"]


REFUSED: list[tuple[str, list[Item], str]] = [
    (
        "an answer to nothing",
        [user("go"), ApprovalResponse(approval_request_id="apr_x", approve=True)],
        "nothing in the input waits for it",
    ),
    (
        "two answers to one request",
        [
            ApprovalRequest(id="apr_1", name="send", arguments='{"to":"ann"}'),
            ApprovalResponse(approval_request_id="apr_1", approve=True),
            ApprovalResponse(approval_request_id="apr_1", approve=False),
        ],
        "answered twice",
    ),
    (
        "a tool that is not declared now",
        [
            ApprovalRequest(id="apr_1", name="burn", arguments="{}"),
            ApprovalResponse(approval_request_id="apr_1", approve=True),
        ],
        "'burn' was approved, but this request does not declare it",
    ),
]


@pytest.mark.parametrize(
    ("items", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_word_that_cannot_count_is_refused_before_anything_begins(
    items: list[Item], why: str
) -> None:
    with pytest.raises(RequestError, match=why):
        loop(asked(items, tools=own("send")), model=ScriptedModel(["never"]), tools=[send])


async def test_there_is_no_typed_answer_while_somebody_is_waited_for() -> None:
    class Verdict(BaseModel):
        good: bool

    clerk = Agent(name="clerk", model=ScriptedModel([[mail()]]), tools=[send], output_type=Verdict)
    with pytest.raises(OutputError, match="send waits for approval") as caught:
        await clerk.run("go")
    assert kinds(caught.value.response.output) == ["approval_request"]

    waits = McpApprovalRequest(id="mcpr_1", server_label="docs", name="read", arguments="{}")
    with pytest.raises(OutputError, match="read waits for approval"):
        clerk.answer(Response(id="resp_1", output=[waits]))


async def test_a_thought_that_led_to_a_request_goes_when_the_user_goes_on() -> None:
    clerk = Agent(
        name="clerk",
        model=ScriptedModel([[Thought("I should mail."), mail()], "As you like."]),
        tools=[send],
    )
    first = await clerk.run("go")
    assert kinds(first.response.output) == ["reasoning", "approval_request"]
    await clerk.run([*first.items, "Never mind."])
    assert [item["type"] for item in heard(clerk.model)] == ["message", "message"]


class Moved:
    """A tool that is another by the time a person answers."""

    function = send.function
    item_type = send.item_type
    parallel = True
    begin = staticmethod(send.begin)

    def ask(self, arguments: str, ids: Ids) -> Asked:
        return McpApprovalRequest(id="mcpr_1", server_label="s", name="send", arguments=arguments)

    async def stands(self, request: Asked) -> bool:
        return False


MADE_UP: list[tuple[Item, Item]] = [
    (
        ApprovalRequest(id="x", name="send", arguments='{"to":"ann"}'),
        ApprovalResponse(approval_request_id="x", approve=True),
    ),
    (
        McpApprovalRequest(id="x", server_label="antiphon", name="send", arguments='{"to":"ann"}'),
        McpApprovalResponse(approval_request_id="x", approve=True),
    ),
]


@pytest.mark.parametrize("items", MADE_UP, ids=lambda items: items[0].type)
async def test_a_request_that_was_never_asked_so_approves_nothing_that_has_changed(
    items: tuple[Item, Item],
) -> None:
    request = asked([user("go"), *items], tools=own("send"))
    response = end_of(await play(request, ScriptedModel(["Pity."]), [Moved()]))
    receipt = response.output[0]
    assert isinstance(receipt, ToolCall)
    assert (receipt.status, receipt.error) == ("failed", "it is not what was approved any more")
    assert response.status == "completed"
    assert SENT == []
