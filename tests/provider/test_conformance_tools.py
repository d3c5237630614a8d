"""Each rule about functions, and about many requests at once, catches its mutant."""

import pytest

from antiphon.testing.provider import CHECKS

from .conformance_mutants import (
    Events,
    Exchange,
    Mutant,
    Switch,
    found,
    ignores,
    refuses,
    told,
)
from .conformance_reference import KEY
from .conformance_serving import switch as switch, url as url

pytestmark = pytest.mark.anyio

FUNCTION_OUTPUT = "function_call_output"


def no_tools(one: Exchange) -> None:
    if one.asked.get("tools"):
        one.refuse(500)


def other_argument(events: Events) -> None:
    for item in events[-1]["response"]["output"]:
        if item["type"] == "function_call":
            item["arguments"] = '{"place": "Oslo"}'


def one_call_id(events: Events) -> None:
    for item in events[-1]["response"]["output"]:
        if item["type"] == "function_call":
            item["call_id"] = "call_same"


def always_tools(one: Exchange) -> None:
    weather = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
    if one.creates and "tools" not in one.asked:
        one.asked["tools"] = [weather]


def grants(one: Exchange) -> None:
    """Whatever would be refused is answered as if it had asked for nothing in particular."""
    if one.creates and "get_nothing" in str(one.asked.get("tool_choice")):
        del one.asked["tool_choice"]


def crowded(one: Exchange) -> None:
    """Every third stream is refused."""
    if one.creates and one.asked.get("stream"):
        one.state["streams"] = one.state.get("streams", 0) + 1
        if one.state["streams"] % 3 == 0:
            one.refuse(429)


def one_id(events: Events) -> None:
    for event in events:
        if "response" in event:
            event["response"]["id"] = "resp_same"


TOOLS = [
    Mutant("asked for the weather, a model with get_weather calls it", before=no_tools),
    Mutant(
        "the call's arguments are the function's: a location",
        after=told(other_argument),
    ),
    Mutant(
        "a call's output goes back with the whole history, and an answer comes",
        before=refuses(FUNCTION_OUTPUT),
    ),
    Mutant("two calls in one turn have call_ids of their own", after=told(one_call_id)),
    Mutant(
        "parallel_tool_calls: false gives at most one call a turn",
        before=ignores("parallel_tool_calls"),
    ),
    Mutant("tool_choice none: nothing is called", before=ignores("tool_choice")),
    Mutant("tool_choice required: something is called", before=ignores("tool_choice")),
    Mutant(
        "tool_choice of one function: it is called, and no other", before=ignores("tool_choice")
    ),
    Mutant("allowed_tools: no other function is called", before=ignores("tool_choice")),
    Mutant("allowed_tools in mode required: one of them is called", before=ignores("tool_choice")),
    Mutant("a tool_choice of a function that is not declared is a 400", before=grants),
    Mutant("without tools nothing is called", before=always_tools),
    Mutant("requests that come at once are all answered", before=crowded),
    Mutant("streams that run at once keep apart: ids, numbers, ends", after=told(one_id)),
]


@pytest.mark.parametrize("mutant", TOOLS, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert result.why and KEY not in result.why + result.evidence


def test_every_rule_of_the_themes_has_a_mutant() -> None:
    themes = ("functions and tool_choice", "many at once")
    rules = {check.name for check in CHECKS if check.theme in themes}
    assert rules == {mutant.rule for mutant in TOOLS}
