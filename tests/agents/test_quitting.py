"""Code of an agent's that ends the program, or tries to: it ends its own run and no more."""

import sys
from collections.abc import Sequence

import pytest

from antiphon.agents import Agent, workflow
from antiphon.items import Item, ToolCall
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.tools import tool

from .kit import end_of

pytestmark = pytest.mark.anyio


async def test_a_workflow_that_exits_fails() -> None:
    @workflow
    async def quits(text: str) -> str:
        sys.exit(3)

    response = end_of([event async for event in quits.stream("go")])
    assert response.error is not None
    assert response.error.message == "internal error: SystemExit"


async def test_a_call_about_which_the_question_for_approval_exits_does_not_run() -> None:
    async def ask(to: str) -> bool:
        sys.exit(3)

    @tool(needs_approval=ask)
    async def pay(to: str) -> str:
        """Pay."""
        return f"paid {to}"

    turns = [FunctionCall("pay", {"to": "ann"}), "Done."]
    agent = Agent(name="a", model=ScriptedModel(turns), tools=[pay])
    receipt = (await agent.run("go")).response.output[0]
    assert isinstance(receipt, ToolCall)
    assert (receipt.status, receipt.output) == ("failed", None)


async def test_a_choice_of_what_a_child_reads_that_exits_fails_the_call() -> None:
    def read(items: Sequence[Item], given: str) -> Sequence[Item]:
        sys.exit(3)

    child = Agent(name="child", model=ScriptedModel([]), instructions="Speak.")
    turns = [FunctionCall("child", {"input": "x"}), "Done."]
    agent = Agent(name="a", model=ScriptedModel(turns), tools=[child.as_tool(context=read)])
    assert (await agent.run("go")).output == "Done."
