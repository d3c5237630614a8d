"""Budgets and handoffs over HTTP: request fields, prices, and what every client sees of them."""

# The SDK's unions of item classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from openai import AsyncOpenAI

from antiphon.agents import Agent
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Usage, model
from antiphon.provider import Provider
from antiphon.tools import Price, tool

from .serving import BUILT_IN, EXTENDED, Serve, inside, types
from .talking import strictly

pytestmark = pytest.mark.anyio


@tool
def note() -> str:
    """Note something."""
    return "noted"


@model("busy")
async def busy(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Calls in every turn."""
    yield FunctionCall(request.tools[0].name, {"input": "x"} if _inline(request) else {})
    yield Usage(10, 5)


def _inline(request: ModelRequest) -> bool:
    return request.tools[0].name == "child"


def provider(**options: Any) -> Provider:
    billing = Agent(name="billing", model=ScriptedModel(["charged once"], repeat=True))
    handing = ScriptedModel([[FunctionCall("transfer_to_billing", {"reason": "money"})]])
    triage = Agent(name="triage", model=handing, handoffs=[billing])
    return Provider(models=[busy], agents=[triage], tools=[note], **options)


ASK = {"model": "busy", "input": "go", "tools": [BUILT_IN]}


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        ({"turns": 2}, "budget_turns"),
        ({"tool_calls": 2}, "budget_tool_calls"),
        ({"tokens": 20}, "budget_tokens"),
        ({"cost": 0.00001}, "budget_cost"),
    ],
)
async def test_a_request_s_budget_ends_its_run_and_is_named(
    budget: dict[str, Any], reason: str
) -> None:
    app = provider(prices={"busy": Price(input=1, output=1)})
    async with inside(app) as client:
        answer = await client.post("/v1/responses", json={**ASK, "antiphon:budget": budget})
    whole = answer.json()
    assert (whole["status"], whole["incomplete_details"]["reason"]) == ("incomplete", reason)
    (allowed,) = budget.values()
    told = whole["incomplete_details"]["budget"]
    assert (told["owner"], told["resource"]) == ("busy", reason.removeprefix("budget_"))
    assert told["allowed"] == allowed
    assert "mcp_call" in types(whole["output"])


@pytest.mark.parametrize(
    ("budget", "param"),
    [
        ({"turn": 1}, "antiphon:budget.turn"),
        ({"turns": 0}, "antiphon:budget.turns"),
        ({"seconds": "1"}, "antiphon:budget.seconds"),
        (3, "antiphon:budget"),
    ],
)
async def test_a_budget_that_makes_no_sense_is_a_400_that_names_the_field(
    budget: Any, param: str
) -> None:
    async with inside(provider()) as client:
        answer = await client.post("/v1/responses", json={**ASK, "antiphon:budget": budget})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_an_unrelated_key_named_budget_is_ignored_as_any_unknown_key() -> None:
    body = {**ASK, "budget": "none of ours", "max_tool_calls": 1}
    async with inside(provider()) as client:
        answer = await client.post("/v1/responses", json=body)
    assert answer.status_code == 200


async def test_a_cost_without_a_price_fails_and_says_what_to_configure() -> None:
    async with inside(provider()) as client:
        answer = await client.post("/v1/responses", json={**ASK, "antiphon:budget": {"cost": 1.0}})
    assert answer.json()["error"]["code"] == "price_unknown"


async def test_an_agent_composed_inline_has_a_budget_of_its_own() -> None:
    child = {
        "type": "antiphon:agent",
        "name": "child",
        "model": "busy",
        "instructions": "Works.",
        "tools": [{"type": "antiphon:function", "name": "note"}],
        "budget": {"turns": 3},
    }
    body = {"model": "busy", "input": "go", "tools": [child], "antiphon:budget": {"turns": 5}}
    async with inside(provider(), headers=EXTENDED) as client:
        whole = (await client.post("/v1/responses", json=body)).json()
    first = whole["output"][0]
    assert first["error"] == "it ended early: the budget of child is used up: 3 turns"
    assert types(first["output"]) == ["antiphon:tool_call"] * 3
    assert whole["incomplete_details"]["reason"] == "budget_turns"


async def test_a_handoff_is_a_receipt_to_every_client_and_an_item_to_those_who_opted_in() -> None:
    app = provider()
    async with inside(app) as client:
        plain = (await client.post("/v1/responses", json={"model": "triage", "input": "x"})).json()
        later = {"model": "triage", "input": "And?", "previous_response_id": plain["id"]}
        second = (await client.post("/v1/responses", json=later)).json()
        opted = (await client.get(f"/v1/responses/{plain['id']}", headers=EXTENDED)).json()
    receipt, said = plain["output"]
    assert (receipt["type"], receipt["name"]) == ("mcp_call", "transfer_to_billing")
    assert receipt["output"] == "The conversation is now billing's; you are billing."
    assert said["content"][0]["text"] == "charged once"
    assert types(second["output"]) == ["message"]
    handoff = opted["output"][0]
    assert (handoff["type"], handoff["target"]) == ("antiphon:handoff", "billing")


async def test_the_openai_client_reads_a_handoff_and_a_spent_budget(serving: Serve) -> None:
    with serving(provider()) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
            handed: Any = await client.responses.create(model="triage", input="x")
            strictly(handed)
            stream = await client.responses.create(
                model="busy",
                input="go",
                tools=[BUILT_IN],  # type: ignore[list-item]
                extra_body={"antiphon:budget": {"turns": 2}},
                stream=True,
            )
            events = [event async for event in stream]
    assert handed.output_text == "charged once"
    assert events[-1].type == "response.incomplete"
