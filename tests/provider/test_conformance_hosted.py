"""Each rule about tools that the provider runs catches its mutant; the code runs locally."""

from collections.abc import Iterator

import pytest

from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.testing.provider import CHECKS, obliging_model
from antiphon.tools import CodeInterpreter

from .conformance_mutants import (
    Events,
    Json,
    Mutant,
    Switch,
    change_item,
    each,
    end,
    found,
    ignores,
    refuses,
    said,
    told,
    without,
)
from .conformance_reference import KEY, moon_phase
from .conformance_serving import serving_at

pytestmark = pytest.mark.anyio

ADDED, DONE = "response.output_item.added", "response.output_item.done"
CODE, CALL = "response.code_interpreter_call", "response.mcp_call"


@pytest.fixture(scope="module")
def switch() -> Switch:
    interpreter = CodeInterpreter(LocalSandboxes())
    tools = [moon_phase, interpreter]
    return Switch(Provider(models=[obliging_model], tools=tools, api_keys={KEY: "kit"}))


@pytest.fixture(scope="module")
def url(switch: Switch) -> Iterator[str]:
    with serving_at(switch) as base:
        yield base


def early(events: Events) -> None:
    """The code is said to run before it is whole."""
    kinds = [event["type"] for event in events]
    if f"{CODE}.interpreting" in kinds:
        running = events.pop(kinds.index(f"{CODE}.interpreting"))
        events.insert(kinds.index(f"{CODE}_code.done"), running)


def all_at_once(events: Events) -> Events:
    """The code is told in no deltas."""
    return [event for event in events if event["type"] != f"{CODE}_code.delta"]


def also_a_function(response: Json) -> None:
    for item in list(response["output"]):
        if item["type"] == "code_interpreter_call":
            call = {"type": "function_call", "id": "fc_1", "status": "completed"}
            response["output"].append({**call, "call_id": "c", "name": "f", "arguments": "{}"})


def a_function_instead(events: Events) -> Events:
    """The client is to run the code."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "code_interpreter"}
    for event in events:
        items = [event.get("item"), *event.get("response", {}).get("output", [])]
        for item in items:
            if item and item["type"] == "code_interpreter_call":
                item.clear()
                item.update({**call, "arguments": "{}", "status": "completed"})
    return [event for event in events if CODE not in event["type"]]


def shows_outputs(response: Json) -> None:
    for item in response["output"]:
        if item["type"] == "code_interpreter_call":
            item["outputs"] = [{"type": "logs", "logs": "1025"}]


ORDER = "code events: in_progress, code live, code done, interpreting, completed"
HOSTED = [
    Mutant(
        "a code interpreter that is offered runs code, and the response completes",
        after=end(lambda response: response.update(status="failed")),
    ),
    Mutant(ORDER, after=told(early)),
    Mutant(ORDER, after=told(all_at_once), how="no deltas"),
    Mutant(ORDER, after=without(f"{CODE}.interpreting"), how="never interpreting"),
    Mutant(
        "code deltas, joined, are the code of done and of the finished call",
        after=without(f"{CODE}_code.delta", first=True),
    ),
    Mutant(
        "a call is added with its container, no code and no outputs",
        after=change_item(ADDED, "code_interpreter_call", code="print(1)"),
    ),
    Mutant(
        "the receipt holds what the code printed, when include asks for outputs",
        after=change_item(DONE, "code_interpreter_call", outputs=[]),
    ),
    Mutant("without include, outputs are null", after=said(shows_outputs)),
    Mutant("what the provider runs is never shown as a function call", after=end(also_a_function)),
    Mutant(
        "what the provider runs is never shown as a function call",
        after=told(a_function_instead),
        how="instead",
    ),
    Mutant(
        "max_tool_calls: no more calls run than it says, and the response completes",
        before=ignores("max_tool_calls"),
    ),
    Mutant(
        "max_tool_calls: no more calls run than it says, and the response completes",
        after=said(lambda response: response.update(status="incomplete")),
        how="incomplete",
    ),
    Mutant(
        "a receipt goes back as input, and an answer comes",
        before=refuses("code_interpreter_call"),
    ),
    Mutant(
        "mcp_call events: in_progress, arguments, done, completed or failed",
        after=without(f"{CALL}.in_progress"),
    ),
    Mutant(
        "mcp_call events: in_progress, arguments, done, completed or failed",
        after=each(f"{CALL}_arguments.done", lambda event: event.update(arguments="{}")),
        how="other arguments",
    ),
    Mutant(
        "an mcp_call is a receipt: server, name, arguments, and output or error",
        after=change_item(DONE, "mcp_call", output=None),
    ),
]


@pytest.mark.parametrize("mutant", HOSTED, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)


def test_every_rule_of_the_theme_has_a_mutant() -> None:
    rules = {check.name for check in CHECKS if check.theme == "tools that the provider runs"}
    assert rules == {mutant.rule for mutant in HOSTED}
