"""The conformance kit of tools sees what it is there to see."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from antiphon.items import Event, FunctionCall, ItemAdded, ItemDone, ToolCall
from antiphon.testing.tool import SLOT, check_call_events, check_offer, play
from antiphon.tools import Call, Offer, Scope, Slot, Tool, tool

pytestmark = pytest.mark.anyio


@tool
async def greet(name: str) -> str:
    return f"hello {name}"


ARGUMENTS = '{"name": "Ada"}'


async def good() -> list[Event]:
    return await play(greet, ARGUMENTS)


def changed(event: Event, **fields: Any) -> Event:
    return event.model_copy(update=fields)


def with_item(event: Event, **fields: Any) -> Event:
    item: Any = event.item if isinstance(event, ItemAdded | ItemDone) else None
    return event.model_copy(update={"item": item.model_copy(update=fields)})


async def test_the_events_of_a_good_call_pass_and_give_the_receipt() -> None:
    item = check_call_events(await good())
    assert isinstance(item, ToolCall) and item.output == "hello Ada"


def broken(events: list[Event]) -> dict[str, list[Event]]:
    *head, last = events
    first, step, *rest = events
    end = events[-2]
    return {
        "added is missing": events[1:],
        "done is missing": head,
        "done comes twice": [*events, last],
        "an event follows done": [*events, end],
        "another item id": [first, changed(step, item_id="item_2"), *rest],
        "another output index": [*head, changed(last, output_index=4)],
        "another item at the end": [*head, with_item(last, id="item_2")],
        "added is not in progress": [with_item(first, status="completed"), step, *rest],
        "the receipt is not terminal": [*head, with_item(last, status="in_progress")],
        "the status disagrees": [*head, with_item(last, status="failed", error="x")],
        "no step": [first, *rest],
        "a step twice": [first, step, *events[1:]],
        "completed without a step": [*events[:-2], last],
        "a step after the end": [*events[:-2], end, step, last],
        "the arguments of the receipt differ": [*head, with_item(last, arguments="{}")],
        "the deltas differ": [first, step, *rest[1:]],
        "an event that is not of an item": [first, Event(type="x.y"), *rest],
    }


@pytest.mark.parametrize(
    "fault",
    [
        "added is missing",
        "done is missing",
        "done comes twice",
        "an event follows done",
        "another item id",
        "another output index",
        "another item at the end",
        "added is not in progress",
        "the receipt is not terminal",
        "the status disagrees",
        "no step",
        "a step twice",
        "completed without a step",
        "a step after the end",
        "the arguments of the receipt differ",
        "the deltas differ",
        "an event that is not of an item",
    ],
)
async def test_a_broken_call_is_seen(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_call_events(broken(await good())[fault])


class Deaf:
    """A call that does not say why it was refused."""

    def __init__(self, inner: Call) -> None:
        self.inner = inner
        self.open = inner.open
        self.write = inner.write
        self.ready = inner.ready

    def run(self) -> AsyncIterator[Event]:
        return self.inner.run()

    def refuse(self, reason: str) -> Iterable[Event]:
        return self.inner.refuse("no")


class DeafOffer:
    def __init__(self, inner: Tool[..., Any]) -> None:
        self.function = inner.function
        self.parallel = True
        self.item_type = inner.item_type
        self.inner = inner

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> Call:
        return Deaf(self.inner.begin(call, slot, scope))


async def test_a_refusal_that_does_not_reach_the_model_is_seen() -> None:
    offer: Offer = DeafOffer(greet)
    with pytest.raises(AssertionError, match="the reason to reach the model"):
        await check_offer(offer, ARGUMENTS)


async def test_an_offer_that_fails_or_has_another_type_is_seen() -> None:
    with pytest.raises(AssertionError, match="expected a completed call"):
        await check_offer(greet, '{"name": 3}')
    wrong = DeafOffer(greet)
    wrong.item_type = "mcp_call"
    with pytest.raises(AssertionError, match="expected a mcp_call"):
        await check_offer(wrong, ARGUMENTS)
    assert SLOT.output_index == 3
