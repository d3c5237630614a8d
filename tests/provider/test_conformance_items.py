"""Each rule about items catches the mutant that breaks it."""

from typing import Any

import pytest

from antiphon.testing.provider import CHECKS

from .conformance_mutants import (
    Events,
    Json,
    Mutant,
    Switch,
    change_item,
    each,
    found,
    told,
    twice,
    without,
)
from .conformance_reference import KEY
from .conformance_serving import switch as switch, url as url

pytestmark = pytest.mark.anyio

ADDED, DONE = "response.output_item.added", "response.output_item.done"
TEXT, ARGUMENTS = "response.output_text", "response.function_call_arguments"
SUMMARY = "response.reasoning_summary"


def moved_on(events: Events) -> None:
    for event in events:
        if "output_index" in event:
            event["output_index"] += 1


def speaks_again(events: Events) -> Events:
    """Every text has one delta more, after its message was finished."""
    last: Json = {}
    told: Events = []
    for event in events:
        told.append(event)
        last = event if event["type"] == f"{TEXT}.delta" else last
        if event["type"] == DONE and last.get("item_id") == event["item"]["id"]:
            told.append(dict(last))
    return told


def renamed(events: Events) -> None:
    for event in events:
        items = [event.get("item"), *event.get("response", {}).get("output", [])]
        for item in items:
            if item and item["type"] == "message":
                item["type"] = "speech"


def cites(events: Events) -> Events:
    """An annotation is told that does not stand in the text."""
    citation = {"type": "url_citation", "url": "u", "start_index": 0, "end_index": 1, "title": "t"}
    told: Events = []
    for event in events:
        if event["type"] == f"{TEXT}.done":
            about = {key: event[key] for key in ("item_id", "output_index", "content_index")}
            added: Json = {"annotation_index": 0, "annotation": citation, **about}
            told.append({"type": f"{TEXT}.annotation.added", **added})
        told.append(event)
    return told


def swapped(first: str, second: str) -> Any:
    """Two neighbours change places."""

    def events(given: Events) -> None:
        for at in range(len(given) - 1):
            if (given[at]["type"], given[at + 1]["type"]) == (first, second):
                given[at], given[at + 1] = given[at + 1], given[at]

    return told(events)


def not_json(events: Events) -> None:
    for event in events:
        for item in [event.get("item"), *event.get("response", {}).get("output", [])]:
            if item and item["type"] == "function_call" and item["arguments"]:
                item["arguments"] = item["arguments"][:-1]


MESSAGE = "a message's text lives in parts: part added, deltas, text done, part done"
ITEMS = [
    Mutant("every item is added once and finished once", after=twice(DONE)),
    Mutant("items are added in the order of output_index, from 0 on", after=told(moved_on)),
    Mutant(
        "an item's id is the same in all of its events, and no other item's",
        after=change_item(DONE, id="item_other"),
    ),
    Mutant(
        "an item's id is the same in all of its events, and no other item's",
        after=each(f"{TEXT}.done", lambda event: event.update(item_id="item_other")),
        how="inside",
    ),
    Mutant(
        "an added item is in progress, with zero values where nothing is known",
        after=change_item(ADDED, status="completed"),
    ),
    Mutant(
        "an added item is in progress, with zero values where nothing is known",
        after=change_item(ADDED, "function_call", arguments="{}"),
        how="arguments",
    ),
    Mutant(
        "type, role, name and call_id of an item never change",
        after=change_item(DONE, "function_call", call_id="call_other"),
    ),
    Mutant("a finished item is never touched again", after=told(speaks_again)),
    Mutant(
        "a finished item has an end: completed, incomplete or failed",
        after=change_item(DONE, status="in_progress"),
    ),
    Mutant(
        "id, type and status stand on every item, added and done",
        after=each(DONE, lambda event: event["item"].pop("status", None)),
    ),
    Mutant(
        "every item has its fields, each of its type", after=change_item(DONE, "message", role="me")
    ),
    Mutant("item types that no client knows bear a provider's prefix", after=told(renamed)),
    Mutant(MESSAGE, after=without("response.content_part.added")),
    Mutant(MESSAGE, after=without("response.content_part.done"), how="part not done"),
    Mutant(MESSAGE, after=without(f"{TEXT}.done"), how="text not done"),
    Mutant(
        MESSAGE, after=swapped(f"{TEXT}.done", "response.content_part.done"), how="order of ends"
    ),
    Mutant(
        "a message's deltas, joined, are the text of its done event",
        after=without(f"{TEXT}.delta", first=True),
    ),
    Mutant(
        "a finished message holds its parts as they were finished",
        after=each("response.content_part.done", lambda event: event["part"].update(text="x")),
    ),
    Mutant(
        "text events carry a list of logprobs",
        after=each(f"{TEXT}.delta", lambda event: event.pop("logprobs")),
    ),
    Mutant("annotations are told one by one as they stand in the finished text", after=told(cites)),
    Mutant(
        "a function call is added with its name and call_id, arguments empty",
        after=change_item(ADDED, "function_call", name=""),
    ),
    Mutant(
        "a function call's events: argument deltas, then arguments.done, once",
        after=without(f"{ARGUMENTS}.done"),
    ),
    Mutant(
        "a function call's events: argument deltas, then arguments.done, once",
        after=swapped(f"{ARGUMENTS}.delta", f"{ARGUMENTS}.done"),
        how="done early",
    ),
    Mutant(
        "argument deltas, joined, are the arguments of done and of the finished call",
        after=without(f"{ARGUMENTS}.delta", first=True),
    ),
    Mutant(
        "arguments.done names the function",
        after=each(f"{ARGUMENTS}.done", lambda event: event.pop("name")),
    ),
    Mutant("a finished call's arguments are a JSON object", after=told(not_json)),
    Mutant(
        "raw reasoning lives in parts: part added, deltas, done, part done",
        after=without("response.reasoning.done"),
    ),
    Mutant(
        "raw reasoning's deltas, joined, are its done event and the finished part",
        after=without("response.reasoning.delta", first=True),
    ),
    Mutant(
        "a reasoning summary's events: part added, deltas, text done, part done",
        after=without(f"{SUMMARY}_text.done"),
    ),
    Mutant(
        "a reasoning summary's events: part added, deltas, text done, part done",
        after=without(f"{SUMMARY}_part.done"),
        how="part not done",
    ),
]


@pytest.mark.parametrize("mutant", ITEMS, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert result.why and KEY not in result.why + result.evidence


def test_every_rule_of_the_theme_has_a_mutant() -> None:
    rules = {check.name for check in CHECKS if check.theme == "items"}
    assert rules == {mutant.rule for mutant in ITEMS}
