"""Approvals asked inside sub-agents and workflows: shown outside, and gone on with inside."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, Runnable, parallel, run, workflow
from antiphon.errors import RequestError, RunError
from antiphon.items import AgentCall, ApprovalResponse, Item, Message, ToolCall, user
from antiphon.models import Failure, FunctionCall, ScriptedModel
from antiphon.tools import tool

from .kit import heard

pytestmark = pytest.mark.anyio

DONE: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


@tool(needs_approval=True)
def send(to: str) -> str:
    """Send a mail."""
    DONE.append(to)
    return f"sent to {to}"


@tool
def note(text: str) -> str:
    """Note something."""
    DONE.append(text)
    return "noted"


def mail(to: str = "ann") -> FunctionCall:
    return FunctionCall("send", {"to": to})


def ask(agent: str, given: str = "write") -> FunctionCall:
    return FunctionCall(agent, {"input": given})


def agent(name: str, *turns: Any, tools: Sequence[Any] = (send,)) -> Agent[str]:
    return Agent(
        name=name,
        model=ScriptedModel(list(turns), name=f"{name}-model"),
        instructions="Works.",
        tools=list(tools),
    )


def words(result: Any, *, approve: bool = True) -> list[ApprovalResponse]:
    return [
        ApprovalResponse(approval_request_id=each.id, approve=approve) for each in result.approvals
    ]


def again(items: Sequence[Item]) -> list[dict[str, Any]]:
    """The items as another process reads them."""
    return [json.loads(item.to_json()) for item in items]


def kinds(items: Sequence[Item]) -> list[str]:
    return [str(item.type).removeprefix("antiphon:") for item in items]


def call_of(item: Item) -> AgentCall:
    assert isinstance(item, AgentCall)
    return item


async def go_on(who: Runnable[Any], result: Any, *, approve: bool = True) -> Any:
    return await who.run([*again(result.items), *words(result, approve=approve)])


# --- inside a sub-agent ------------------------------------------------------


def boss_of(*turns: Any) -> tuple[Agent[str], Agent[str]]:
    child = agent("mailer", *turns)
    return agent("boss", [ask("mailer")], "All done.", tools=[child.as_tool()]), child


async def test_a_request_inside_is_shown_outside_and_both_runs_end_completed() -> None:
    boss, _ = boss_of([mail()])
    result = await boss.run("go")
    inner, request = result.response.output
    child = call_of(inner)
    assert child.status == result.response.status == "completed"
    assert child.awaiting == [request.id]
    assert kinds(child.output) == ["approval_request"]
    assert result.approvals == [request]
    assert result.approvals[0].agent == "mailer"  # type: ignore[union-attr]
    assert DONE == []


async def test_the_word_lets_the_sub_agent_go_on_as_a_new_item_that_continues_the_first() -> None:
    boss, child = boss_of([mail()], "It is out.")
    first = await boss.run("go")
    second = await go_on(boss, first)
    inner, said = second.response.output
    run_on = call_of(inner)
    assert run_on.continues == first.response.output[0].id
    assert (run_on.input, run_on.awaiting) == ("write", None)
    assert kinds(run_on.output) == ["tool_call", "message"]
    assert (said.text, DONE) == ("All done.", ["ann"])
    assert [item["type"] for item in heard(child.model)] == [
        "message",
        "function_call",
        "function_call_output",
    ]


async def test_the_caller_s_model_sees_one_call_of_the_agent_with_its_answer() -> None:
    boss, _ = boss_of([mail()], "It is out.")
    await go_on(boss, await boss.run("go"))
    seen = [item for item in heard(boss.model) if item["type"] != "message"]
    assert [item["type"] for item in seen] == ["function_call", "function_call_output"]
    assert seen[1]["output"] == "It is out."


async def test_a_refusal_inside_is_told_to_the_model_that_called() -> None:
    boss, child = boss_of([mail()], "Then not.")
    await go_on(boss, await boss.run("go"), approve=False)
    assert heard(child.model)[-1]["output"] == "Error: the user did not approve this call"
    assert DONE == []


async def test_a_sub_agent_may_wait_several_times() -> None:
    boss, _ = boss_of([mail("ann")], [mail("bob")], "Both out.")
    first = await boss.run("go")
    second = await go_on(boss, first)
    assert kinds(second.response.output) == ["agent_call", "approval_request"]
    third = await go_on(boss, second)
    assert (third.output, DONE) == ("All done.", ["ann", "bob"])
    assert call_of(third.response.output[0]).continues == second.response.output[0].id


async def test_two_requests_inside_may_be_answered_one_after_the_other() -> None:
    boss, _ = boss_of([mail("ann"), mail("bob")], "Both out.")
    first = await boss.run("go")
    ann, bob = words(first)
    second = await boss.run([*again(first.items), ann])
    assert kinds(second.response.output) == ["agent_call"]
    assert call_of(second.response.output[0]).awaiting == [bob.approval_request_id]
    third = await boss.run([*again(second.items), bob])
    assert (third.output, DONE) == ("All done.", ["ann", "bob"])


async def test_a_request_two_runs_deep_comes_out_and_its_word_goes_in() -> None:
    inner = agent("mailer", [mail()], "out")
    middle = agent("office", [ask("mailer")], "office done", tools=[inner.as_tool()])
    boss = agent("boss", [ask("office")], "boss done", tools=[middle.as_tool()])
    first = await boss.run("go")
    assert kinds(first.response.output) == ["agent_call", "approval_request"]
    second = await go_on(boss, first)
    assert (second.output, DONE) == ("boss done", ["ann"])


async def test_sub_agents_beside_each_other_wait_each_for_their_own() -> None:
    one, two = agent("one", [mail("ann")], "1"), agent("two", [mail("bob")], "2")
    boss = agent("boss", [ask("one"), ask("two")], "done", tools=[one.as_tool(), two.as_tool()])
    first = await boss.run("go")
    assert len(first.approvals) == 2
    second = await go_on(boss, first)
    assert (second.output, sorted(DONE)) == ("done", ["ann", "bob"])


async def test_a_run_of_an_agent_may_itself_need_approval() -> None:
    child = agent("mailer", "hello")
    boss = agent("boss", [ask("mailer")], "done", tools=[child.as_tool(needs_approval=True)])
    first = await boss.run("go")
    assert first.approvals[0].name == "mailer"
    second = await go_on(boss, first)
    assert call_of(second.response.output[0]).approval_request_id == first.approvals[0].id
    assert second.output == "done"


async def test_usage_of_a_run_that_goes_on_is_that_of_the_new_part() -> None:
    boss, _ = boss_of([mail()], "out")
    second = await go_on(boss, await boss.run("go"))
    part = call_of(second.response.output[0])
    assert part.usage is not None
    assert second.usage.total_tokens >= part.usage.total_tokens


# --- inside a workflow -------------------------------------------------------

FINDER = agent("finder", "found it", tools=())
FUNCTION_RAN: list[str] = []


def flow_of(*turns: Any) -> Any:
    finder = agent("finder", [FunctionCall("note", {"text": "looked"})], "found", tools=[note])
    mailer = agent("mailer", *turns)

    @workflow
    async def report(question: str) -> str:
        FUNCTION_RAN.append(question)
        found = await run(finder, question)
        out = await run(mailer, found.output)
        return f"{found.output}, {out.output}"

    return report


async def test_a_workflow_ends_where_a_run_waits_and_goes_on_from_the_items() -> None:
    report = flow_of([mail()], "it is out")
    first = await report.run("tides")
    assert kinds(first.response.output) == ["agent_call", "agent_call", "approval_request"]
    assert first.response.status == "completed"
    second = await go_on(report, first)
    assert kinds(second.response.output) == ["agent_call", "message"]
    assert second.output == "found, it is out"
    assert DONE == ["looked", "ann"]


async def test_a_workflow_may_wait_several_times_and_runs_nothing_twice() -> None:
    report = flow_of([mail("ann")], [mail("bob")], "both out")
    second = await go_on(report, await report.run("tides"))
    third = await go_on(report, second)
    assert third.output == "found, both out"
    assert DONE == ["looked", "ann", "bob"]


async def test_runs_beside_the_one_that_waits_come_to_their_end_first() -> None:
    gate = anyio.Event()

    @tool
    async def wait(text: str) -> str:
        """Wait."""
        with anyio.fail_after(60):
            await gate.wait()
        DONE.append(text)
        return "ok"

    @tool(needs_approval=lambda to: gate.set() is None)
    def post(to: str) -> str:
        """Post."""
        DONE.append(to)
        return "posted"

    slow = agent("slow", [FunctionCall("wait", {"text": "slow"})], "slow done", tools=[wait])
    mailer = agent("mailer", [FunctionCall("post", {"to": "ann"})], "out", tools=[post])
    both = parallel(mailer, slow, name="both")
    first = await both.run("go")
    assert DONE == ["slow"]
    assert kinds(first.response.output) == ["agent_call", "agent_call", "approval_request"]
    second = await go_on(both, first)
    assert second.output == "mailer:\nout\n\nslow:\nslow done"
    assert DONE == ["slow", "ann"]


async def test_two_runs_of_a_workflow_that_wait_are_asked_about_together() -> None:
    one, two = agent("one", [mail("ann")], "1"), agent("two", [mail("bob")], "2")
    both = parallel(one, two, name="both")
    first = await both.run("go")
    assert len(first.approvals) == 2
    ann, bob = words(first)
    second = await both.run([*again(first.items), ann])
    assert second.approvals != []
    third = await both.run([*again(second.items), bob])
    assert (third.output, sorted(DONE)) == ("one:\n1\n\ntwo:\n2", ["ann", "bob"])


async def test_a_failure_before_the_request_fails_again_for_the_function_when_it_goes_on() -> None:
    bad = Agent(name="bad", model=ScriptedModel([[Failure("x", "no room")]]))
    mailer = agent("mailer", [mail()], "out")

    @workflow
    async def careful(text: str) -> str:
        try:
            await run(bad, text)
        except RunError as error:
            return f"{error}; {(await run(mailer, text)).output}"
        return "never"

    first = await careful.run("go")
    second = await go_on(careful, first)
    assert second.output == "bad failed: no room; out"
    assert kinds(second.response.output) == ["agent_call", "message"]


async def test_a_function_that_does_not_come_back_to_the_run_fails_and_says_so() -> None:
    mailer = agent("mailer", [mail()], "out")
    texts = iter(["one", "another"])

    @workflow
    async def fickle(text: str) -> str:
        return (await run(mailer, next(texts))).output

    first = await fickle.run("go")
    with pytest.raises(RunError, match="did not come back to the run that was approved"):
        await go_on(fickle, first)
    assert DONE == []


async def test_a_message_beside_the_word_is_refused_by_a_workflow() -> None:
    report = flow_of([mail()])
    first = await report.run("tides")
    with pytest.raises(RequestError, match="expected nothing beside the approval responses"):
        await report.run([*first.items, *words(first), "and hurry"])


async def test_a_workflow_of_a_workflow_waits_and_goes_on() -> None:
    report = flow_of([mail()], "it is out")

    @workflow
    async def outer(question: str) -> str:
        return f"outer: {(await run(report, question)).output}"

    first = await outer.run("tides")
    second = await go_on(outer, first)
    assert second.output == "outer: found, it is out"
    assert DONE == ["looked", "ann"]


async def test_a_workflow_is_a_tool_that_waits() -> None:
    report = flow_of([mail()], "it is out")
    report.description = "Reports."
    boss = agent("boss", [ask("report", "tides")], "done", tools=[report.as_tool()])
    second = await go_on(boss, await boss.run("go"))
    assert (second.output, DONE) == ("done", ["looked", "ann"])


async def test_a_list_workflow_reads_what_it_read_the_first_time() -> None:
    mailer = agent("mailer", [mail()], "out")
    read: list[int] = []

    @workflow
    async def count(items: list[Item]) -> str:
        read.append(len(items))
        return (await run(mailer, items)).output

    first = await count.run(["a", Message(role="assistant", content="b"), user("c")])
    second = await go_on(count, first)
    assert (read, second.output) == ([3, 3], "out")
    inner = call_of(second.response.output[0])
    assert isinstance(inner.output[0], ToolCall)
