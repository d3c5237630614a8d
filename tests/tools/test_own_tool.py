"""Hosted tools of types that no SDK knows, by the public door alone."""

import json
from datetime import date
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, ConfigDict

from antiphon.agents import Agent
from antiphon.errors import RequestError, ToolDefinitionError
from antiphon.items import (
    ITEM,
    ArgumentsDelta,
    ArgumentsDone,
    CallStatus,
    Event,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ToolCall,
    ToolProgress,
    UnknownItem,
    UnknownTool,
    lower_one,
    parse_event,
)
from antiphon.models import FunctionCall as Call, ScriptedModel
from antiphon.testing.tool import SLOT, check_call_events, check_hosted_tool, play
from antiphon.tools import BaseCall, ReceiptCall, Scope, Slot, hosted_tool

from .own_tools import Held, Options, Tally, units

pytestmark = pytest.mark.anyio

MARATHON = json.dumps({"value": 26.2, "source": "mi", "target": "km"})
LINES = json.dumps({"text": "a b\na c"})


def defined(type: str, **fields: Any) -> UnknownTool:  # noqa: A002
    return UnknownTool.model_validate({"type": type, **fields})


def names(events: list[Event]) -> list[str]:
    return [event.type for event in events]


async def converted(arguments: str = MARATHON, **fields: Any) -> tuple[list[Event], ToolCall]:
    (offer,) = units.offers(defined("acme:units", **fields), Scope())
    events = await play(offer, arguments)
    item = check_call_events(events)
    assert isinstance(item, ToolCall)
    return events, item


# --- a function under a type of one's own ------------------------------------


async def test_a_function_and_a_call_by_hand_keep_the_conformance_of_hosted_tools() -> None:
    await check_hosted_tool(units, defined("acme:units"), MARATHON)
    await check_hosted_tool(Tally(), defined("acme:tally"), LINES)


async def test_a_call_is_a_receipt_of_its_own_type_and_its_events_begin_with_that() -> None:
    events, item = await converted()
    assert (item.type, item.name, item.status) == ("acme:units_call", "acme__units", "completed")
    assert (item.arguments, item.output, item.error) == (MARATHON, "42.165 km", None)
    told = [name for name in dict.fromkeys(names(events)) if name.startswith("acme:")]
    assert told == [
        "acme:units_call.in_progress",
        "acme:units_call_arguments.delta",
        "acme:units_call_arguments.done",
        "acme:units_call.progress",
        "acme:units_call.completed",
    ]


async def test_what_a_definition_says_reaches_the_function() -> None:
    assert (await converted(digits=1))[1].output == "42.2 km"
    assert (await converted(digits=0))[1].output == "42.0 km"


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"digits": "few"}, "digits"), ({"digits": 13}, "digits"), ({"x": 1}, "x")],
)
def test_what_is_no_option_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        units.offers(defined("acme:units", **fields), Scope())
    assert (caught.value.param, caught.value.status) == (param, 400)


def test_a_tool_without_options_takes_none() -> None:
    async def nothing() -> None:
        """Nothing."""

    made = hosted_tool("acme:nothing")(nothing)
    with pytest.raises(RequestError, match="x: there is no such option"):
        made.offers(defined("acme:nothing", x=1), Scope())
    with pytest.raises(RequestError, match="of type acme:nothing, got 'acme:units'"):
        made.offers(defined("acme:units"), Scope())


async def test_what_the_function_raises_is_a_failed_receipt_that_the_model_reads() -> None:
    _, item = await converted(json.dumps({"value": -1.0, "source": "m", "target": "km"}))
    assert (item.status, item.output) == ("failed", None)
    read = lower_one(item, "call")[-1]
    assert isinstance(read, FunctionCallOutput)
    assert read.output == "Error: a length is not below 0"


def test_called_it_is_still_the_function() -> None:
    async def half(value: float) -> float:
        """Halve."""
        return value / 2

    made = hosted_tool("acme:half")(half)
    assert anyio.run(made, 5.0) == 2.5
    assert (made.__name__, made.__doc__, repr(made)) == ("half", "Halve.", "OwnTool('acme:half')")


@pytest.mark.parametrize("type", ["units", "antiphon:units", "a b:c", ":units", "acme:", "a:b:c"])
def test_a_type_stands_under_a_slug_of_one_s_own(type: str) -> None:  # noqa: A002
    with pytest.raises(ToolDefinitionError, match="under a slug of your own, such as 'acme:units'"):
        hosted_tool(type)


def test_options_want_one_parameter() -> None:
    async def lonely(value: float) -> None:
        """Has no place for them."""

    with pytest.raises(ToolDefinitionError, match="one parameter annotated `Options`"):
        hosted_tool("acme:lonely", options=Options)(lonely)


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    since: date


async def test_options_are_read_as_json_is() -> None:
    async def age(on: date, options: Strict) -> int:
        """Days since."""
        return (on - options.since).days

    made = hosted_tool("acme:age", options=Strict)(age)
    (offer,) = made.offers(defined("acme:age", since="2026-01-01"), Scope())
    item: Any = check_call_events(await play(offer, '{"on": "2026-01-31"}'))
    assert item.output == "30"


class Needy(BaseModel):
    place: str


def test_the_function_alone_is_offered_where_a_definition_may_say_nothing() -> None:
    async def look(needy: Needy) -> str:
        """Look."""
        return needy.place

    assert units.tool.function.name == "acme__units"
    with pytest.raises(ToolDefinitionError, match="acme:look: place: Field required"):
        _ = hosted_tool("acme:look", options=Needy)(look).tool


# --- a call by hand ----------------------------------------------------------


async def test_a_call_may_tell_more_in_steps_of_its_own_and_keep_more_in_its_receipt() -> None:
    (offer,) = Tally().offers(defined("acme:tally"), Scope())
    events = await play(offer, LINES)
    item = check_call_events(events)
    told = [event.model_extra for event in events if event.type == "acme:tally_call.counted"]
    assert told == [{"counts": {"a": 1, "b": 1}}, {"counts": {"a": 2, "b": 1, "c": 1}}]
    assert item.model_extra == {"counts": {"a": 2, "b": 1, "c": 1}}
    read = [part.to_json() for part in lower_one(item, "call")]
    assert b'"output":"a 2, b 1, c 1"' in read[1] and b"counts" not in read[1]


class Mute(BaseCall):
    """A call whose item no model could read."""

    steps = "acme:mute_call"

    def item(self, status: str) -> Item:
        return UnknownItem(type="acme:mute_call", id=self.slot.item_id, status=status)

    def write(self, delta: str) -> tuple[Event, ...]:
        return ()

    def ready(self, arguments: str) -> tuple[Event, ...]:
        return ()

    def fail(self, reason: str) -> Any:
        return self.end("failed")

    def run(self) -> Any:
        raise NotImplementedError


def test_a_receipt_that_no_model_can_read_is_refused_where_it_is_made() -> None:
    with pytest.raises(ToolDefinitionError, match="make it a ToolCall of that type"):
        Mute(SLOT).refuse("not today")


# --- the receipt, where the tool is unknown ----------------------------------


async def test_a_receipt_reads_the_same_in_a_process_that_never_heard_of_the_tool() -> None:
    _, item = await converted()
    data = item.to_json().replace(b"acme", b"nobody")
    again = ITEM.validate_json(data)
    assert again.to_json() == data
    call, output = lower_one(again, "call")
    assert isinstance(call, FunctionCall) and isinstance(output, FunctionCallOutput)
    assert (call.name, call.arguments) == ("nobody__units", MARATHON)
    assert (call.call_id, output.call_id, output.output) == ("item_1", "item_1", "42.165 km")


RECEIPT: dict[str, Any] = {
    "type": "acme:units_call",
    "status": "completed",
    "name": "acme__units",
    "arguments": "{}",
    "output": [{"type": "input_text", "text": "a"}, {"type": "acme:part"}],
}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "acme:units"},
        {"type": "units_call"},
        {"type": "a:b:units_call"},
        {"name": None},
        {"name": ""},
        {"name": "two words"},
        {"arguments": {"value": 1}},
        {"output": {"value": 1}},
        {"output": [1]},
        {"output": [{"text": "a"}]},
        {"error": {"message": "no"}},
    ],
    ids=str,
)
def test_what_only_looks_like_a_receipt_is_kept_as_it_came(fields: dict[str, Any]) -> None:
    assert isinstance(ITEM.validate_python(RECEIPT), ToolCall)
    item = ITEM.validate_python({**RECEIPT, **fields})
    assert isinstance(item, UnknownItem)
    assert json.loads(item.to_json()) == {**RECEIPT, **fields}
    assert lower_one(item, "call") == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("acme:units_call.in_progress", CallStatus),
        ("acme:units_call.counted", CallStatus),
        ("acme:units_call.progress", ToolProgress),
        ("acme:units_call_arguments.delta", ArgumentsDelta),
        ("acme:units_call_arguments.done", ArgumentsDone),
    ],
)
def test_an_event_of_one_s_own_is_read_as_the_same_event_of_any_tool(
    name: str, kind: type[Event]
) -> None:
    fields: dict[str, Any] = {"item_id": "item_1", "output_index": 0, "x": [1]}
    more = {"message": "m", "delta": "d", "arguments": "{}"}
    event = parse_event(json.dumps({"type": name, **fields, **more}).encode())
    assert type(event) is kind
    assert json.loads(event.to_json())["x"] == [1]
    strange = parse_event(json.dumps({"type": name, "item_id": 7}).encode())
    assert strange.type == name and not isinstance(strange, kind)  # kept, and no error


# --- in an agent's run -------------------------------------------------------


async def test_an_agent_has_it_like_any_other_tool() -> None:
    script = ScriptedModel([Call("acme__units", json.loads(MARATHON)), "Far."])
    guide = Agent(name="guide", model=script, tools=[units, Tally()])
    result = await guide.run("How far?")
    assert [item.type for item in result.response.output] == ["acme:units_call", "message"]
    again = ScriptedModel(["As I said."])
    await Agent(name="guide", model=again).run([*result.items, "Again?"])
    read = [item.to_json() for item in script.requests[1].items]
    assert [item.to_json() for item in again.requests[0].items][: len(read)] == read


async def test_a_cancelled_call_is_closed_with_what_was_written() -> None:
    held = Held()
    script = ScriptedModel([Call("acme__held", {"minutes": 3})])
    events: list[Event] = []

    async def run() -> None:
        async for event in Agent(name="guide", model=script, tools=[held.tool]).stream("Wait."):
            events.append(event)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await held.begun.wait()
            tasks.cancel_scope.cancel()
    assert held.ended.is_set()
    assert events[-1].type == "response.incomplete"
    done = next(event for event in events if event.type == "response.output_item.done")
    item: Any = getattr(done, "item")  # noqa: B009
    assert (item.type, item.status) == ("acme:held_call", "incomplete")
    assert item.arguments == '{"minutes":3}'


def test_a_receipt_call_without_a_type_of_its_own_is_any_function_s() -> None:
    class Plain(ReceiptCall):
        def run(self) -> Any:
            raise NotImplementedError

    item = Plain(Slot("tc_1", 0), name="f").item("completed")
    assert item.type == "antiphon:tool_call"
