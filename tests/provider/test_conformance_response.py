"""Each rule about the response object catches the mutant that breaks it."""

from typing import Any

import pytest

from antiphon.testing.provider import CHECKS

from .conformance_mutants import (
    Exchange,
    Json,
    Mutant,
    Switch,
    end,
    found,
    parts,
    said,
)
from .conformance_reference import KEY
from .conformance_serving import switch as switch, url as url

pytestmark = pytest.mark.anyio


def typed(kind: str) -> Any:
    def after(one: Exchange) -> None:
        one.told["content-type"] = kind

    return after


def no_request_id(one: Exchange) -> None:
    one.told.pop("x-request-id", None)


def no_annotations(response: Json) -> None:
    for part in parts(response):
        del part["annotations"]


def repeats(rule: str) -> Mutant:
    """What breaks `the response repeats FIELD as it was given`."""
    field = rule.split()[3]
    return Mutant(rule, after=said(lambda r: r.update({field: "x"})))


def with_secret(response: Json) -> None:
    for tool in response["tools"]:
        if tool["type"] == "mcp":
            tool["authorization"] = "kit-secret-4711"


def forgets_mode(response: Json) -> None:
    if isinstance(response["tool_choice"], dict):
        del response["tool_choice"]["mode"]


def tells_schema(response: Json) -> None:
    if response["text"]["format"]["type"] == "json_schema":
        response["text"]["format"]["schema"] = {"type": "object"}


RESPONSES = [
    Mutant(
        "a text as input is answered with 200, application/json and a response object",
        after=typed("text/plain"),
    ),
    Mutant("all 31 required fields are there", after=said(lambda r: r.pop("service_tier"))),
    Mutant(
        "every field is of its type, down to items, parts and tools",
        after=said(lambda r: r.update(truncation="never")),
    ),
    Mutant(
        "every field is of its type, down to items, parts and tools",
        after=said(lambda r: r["output"][-1]["content"][0].update(text=7)),
        how="in a part",
    ),
    Mutant(
        "created_at and completed_at are whole seconds",
        after=said(lambda r: r.update(created_at=r["created_at"] + 0.5)),
    ),
    Mutant(
        "temperature, top_p, penalties and top_logprobs are numbers, never null",
        after=said(lambda r: r.update(temperature=None)),
    ),
    Mutant(
        "usage counts tokens, with both details, and adds up",
        after=said(lambda r: r["usage"].update(total_tokens=r["usage"]["total_tokens"] + 1)),
    ),
    Mutant(
        "usage counts tokens, with both details, and adds up",
        after=said(lambda r: r["usage"].pop("output_tokens_details")),
        how="no details",
    ),
    Mutant(
        "a completed response has output, no error and no incomplete_details",
        after=said(lambda r: r.update(output=[])),
    ),
    Mutant(
        "every item of the output has an id of its own, a type and a status",
        after=said(lambda r: r["output"][-1].pop("status")),
    ),
    Mutant(
        "a text part has its list of annotations, empty or not",
        after=said(no_annotations),
    ),
    Mutant(
        "what is not known is left out, not null: text.verbosity, logprobs, reasoning content",
        after=said(lambda r: r["text"].update(verbosity=None)),
    ),
    Mutant("an answer bears x-request-id", after=no_request_id),
    Mutant(
        "what nobody asked for is told as it stands: store, background, tools and the rest",
        after=said(lambda r: r.update(background=True)),
    ),
    Mutant(
        "an echoed function has description, parameters and strict, null allowed",
        after=said(lambda r: [tool.pop("strict", None) for tool in r["tools"]]),
    ),
    Mutant("an echoed allowed_tools has its mode and its tools", after=said(forgets_mode)),
    Mutant(
        "an echoed JSON schema is null, with its name and strict",
        after=said(tells_schema),
    ),
    Mutant(
        "a response cut by max_output_tokens is incomplete, and so is its last item",
        after=end(lambda r: r.update(incomplete_details=None)),
    ),
    Mutant(
        "a response cut by max_output_tokens is incomplete, and so is its last item",
        after=end(lambda r: r["output"][-1].update(status="completed")),
        how="item completed",
    ),
    Mutant(
        "a response cut by max_output_tokens is incomplete, and so is its last item",
        after=end(lambda r: r.update(status="completed")),
        how="completed",
    ),
    Mutant("a secret in a tool's definition is not repeated", after=said(with_secret)),
    Mutant(
        "tools that were declared are repeated in their order",
        after=said(lambda r: r["tools"].reverse()),
    ),
    *(repeats(check.name) for check in CHECKS if check.name.startswith("the response repeats ")),
]


@pytest.mark.parametrize("mutant", RESPONSES, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert result.why and KEY not in result.why + result.evidence


def test_every_rule_of_the_theme_has_a_mutant() -> None:
    rules = {check.name for check in CHECKS if check.theme == "the response object"}
    assert rules == {mutant.rule for mutant in RESPONSES}
