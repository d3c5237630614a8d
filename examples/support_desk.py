"""A support desk: agents that hand the conversation over, and refunds that a person approves.

python examples/support_desk.py                    a script plays models and customer
python examples/support_desk.py --yes              nobody is asked
python examples/support_desk.py --model ollama:qwen3

What is kept from turn to turn is a JSON file with the list of items. Who has the conversation and
what waits for approval stand in it, so any process could go on: here each turn has a new team.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from antiphon.agents import Agent, AgentInput, Result
from antiphon.items import ApprovalResponse, Handoff, Message, ToolCall
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel
from antiphon.tools import ToolFailed, tool

CUSTOMER = [
    "The app shows a blank page since this morning.",
    "That helped. But order 1042 came with a broken spout: I would like 30 euros back.",
    "And order 977, 80 euros: the whole pot was in pieces.",
]
ORDERS = {977: 80, 1042: 45}


@tool
def known_issues(product: str) -> str:
    """What is wrong with a product today, and what helps."""
    return {"app": "Blank page since the update: sign out and in."}.get(product, "Nothing.")


@tool(needs_approval=lambda amount: amount > 50)
def refund(order: int, amount: float) -> str:
    """Pay back some or all of an order, in euros."""
    if amount > ORDERS.get(order, 0):
        raise ToolFailed(
            f"order {order} was {ORDERS.get(order, 0)} euros: no more can be paid back"
        )
    return f"{amount:.2f} euros of order {order} are on their way back."


def heard(request: ModelRequest) -> str:
    """What a tool said: even a script does not know beforehand whether you will approve."""
    return str(request.items[-1].model_dump()["output"]).removeprefix("Error: ")


def handing(name: str) -> FunctionCall:
    return FunctionCall(f"transfer_to_{name}", {"reason": "Theirs to answer."})


SCRIPTS = {
    "triage": ScriptedModel([handing("technical"), handing("billing")]),
    "technical": ScriptedModel(
        [FunctionCall("known_issues", {"product": "app"}), heard, handing("triage")]
    ),
    "billing": ScriptedModel(
        [
            *(FunctionCall("refund", {"order": 1042, "amount": 30}), heard),
            *(FunctionCall("refund", {"order": 977, "amount": 80}), heard),
        ]
    ),
}


def build(model: str | None) -> Agent[str]:
    """The team, by the agent that is asked first; whoever has the conversation then answers."""
    technical = Agent(
        name="technical",
        model=model or SCRIPTS["technical"],
        instructions="You help with the app. Whatever else it is, hand over to triage.",
        tools=[known_issues],
    )
    billing = Agent(
        name="billing",
        model=model or SCRIPTS["billing"],
        instructions="You pay money back. Whatever else it is, hand over to triage.",
        tools=[refund],
    )
    triage = Agent(
        name="triage",
        model=model or SCRIPTS["triage"],
        instructions="Hand over to whoever can help.",
        handoffs=[technical, billing],
    )
    technical.handoffs = billing.handoffs = [triage]
    return triage


def turn(state: Path, words: AgentInput, model: str | None) -> Result[str]:
    """Go on from the list in the file with what is new, and keep the list that comes of it."""
    items: list[Any] = json.loads(state.read_text("utf-8")) if state.exists() else []
    result = build(model).run_sync([*items, *words])
    kept = [item.model_dump(mode="json") for item in result.items]
    state.write_text(json.dumps(kept, indent=2), "utf-8")
    show(result)
    return result


def show(result: Result[str]) -> None:
    """Print what a turn added."""
    for item in result.response.output:
        if isinstance(item, Handoff):
            print(f"[{item.source} hands over to {item.target}]")
        elif isinstance(item, ToolCall):
            print(f"[{item.name} {item.arguments} -> {item.output or item.error}]")
        elif isinstance(item, Message):
            print(f"desk: {item.text}")


def decided(result: Result[str], *, yes: bool) -> list[ApprovalResponse]:
    """A person's words on all that waits; whatever is not a yes is the reason why not."""
    words: list[ApprovalResponse] = []
    for request in result.approvals:
        print(f"[{request.name} {request.arguments} waits. Approve? y, or why not:]")
        said = "y" if yes else sys.stdin.readline().strip()
        approve = said.lower() in ("y", "yes")
        why = None if approve else said or "nobody said yes"
        asked = request.id or ""
        words.append(ApprovalResponse(approval_request_id=asked, approve=approve, reason=why))
    return words


def main() -> None:
    """Play the customer's part, turn by turn."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--yes", action="store_true", help="approve everything")
    asked = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="antiphon-")) / "conversation.json"
    for words in CUSTOMER:
        print(f"\ncustomer: {words}")
        result = turn(state, [words], asked.model)
        while result.approvals:
            result = turn(state, decided(result, yes=asked.yes), asked.model)
    print(f"\nThe conversation is in {state}")


if __name__ == "__main__":
    main()
