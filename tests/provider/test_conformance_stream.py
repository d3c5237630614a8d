"""Each rule about streams catches the mutant that breaks it."""

import pytest

from antiphon.testing.provider import CHECKS

from .conformance_mutants import (
    Events,
    Exchange,
    Mutant,
    Switch,
    each,
    end,
    field_of,
    found,
    parts,
    raw,
    said,
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


def id_lines(one: Exchange) -> None:
    if one.streams:
        one.body = b"id: 1\n" + one.body.replace(b"\n\nevent", b"\n\nid: 1\nevent")


def odd_event(events: Events) -> Events:
    return [*events[:2], {"type": "response.progress"}, *events[2:]]


def full_from_the_start(events: Events) -> None:
    events[0]["response"]["output"] = events[-1]["response"]["output"]


def other_id(events: Events) -> None:
    events[1]["response"] = {**events[1]["response"], "id": "resp_other"}


def ends_twice(events: Events) -> Events:
    return [*events, events[-1]]


def late_part(events: Events) -> Events:
    """The part of the first message is finished after the message."""
    at = next((n for n, e in enumerate(events) if e["type"] == "response.content_part.done"), None)
    if at is not None:
        events.insert(at + 1, events.pop(at))
    return events


def gap(events: Events) -> None:
    for event in events[3:]:
        event["sequence_number"] += 1


def only_json(one: Exchange) -> None:
    said(lambda r: r.pop("background"))(one)


STREAMS = [
    Mutant(
        "stream: true is answered with 200, text/event-stream and events",
        after=lambda one: one.told.update({"content-type": "text/plain"}),
    ),
    Mutant(
        "a frame is one event line, one data line of JSON and a blank line, \\n only",
        after=raw(b"\ndata: {", b"\r\ndata: {"),
    ),
    Mutant(
        "a frame is one event line, one data line of JSON and a blank line, \\n only",
        after=raw(b"event: response.created\n", b""),
        how="no event line",
    ),
    Mutant(
        "the event line says the event's type",
        after=raw(b"event: response.created", b"event: message"),
    ),
    Mutant("no frame has an id", after=id_lines),
    Mutant(
        "the stream ends with data: [DONE], said once, and then it is closed",
        after=raw(b"data: [DONE]\n\n", b""),
    ),
    Mutant(
        "the stream ends with data: [DONE], said once, and then it is closed",
        after=raw(b"data: [DONE]\n\n", b"data: [DONE]\n\n" * 2),
        how="twice",
    ),
    Mutant(
        "every event has its fields, each of its type",
        after=each(f"{TEXT}.delta", lambda event: event.pop("content_index")),
    ),
    Mutant("sequence_number counts 0, 1, 2 ... without gaps", after=told(gap, number=False)),
    Mutant(
        "sequence_number counts 0, 1, 2 ... without gaps",
        after=told(
            lambda events: [{**e, "sequence_number": n + 1} for n, e in enumerate(events)],
            number=False,
        ),
        how="from 1",
    ),
    Mutant("event types that the standard lacks bear a provider's prefix", after=told(odd_event)),
    Mutant("response.created comes first, and once", after=without("response.created")),
    Mutant("response.created comes first, and once", after=twice("response.created"), how="twice"),
    Mutant(
        "response.in_progress comes next, before any item", after=without("response.in_progress")
    ),
    Mutant(
        "the response is begun with empty output, queued or in_progress",
        after=told(full_from_the_start),
    ),
    Mutant(
        "events of the response carry it whole",
        after=each("response.created", lambda event: event["response"].pop("tools")),
    ),
    Mutant("the response's id is the same from first to last", after=told(other_id)),
    Mutant("exactly one terminal event comes, and it comes last", after=told(ends_twice)),
    Mutant(
        "exactly one terminal event comes, and it comes last",
        after=told(lambda events: events[:-1]),
        how="none",
    ),
    Mutant(
        "the terminal event's name is its response's status",
        after=end(lambda r: r.update(status="in_progress")),
    ),
    Mutant(
        "the terminal response's output is every finished item, in order",
        after=end(lambda r: r.update(output=[])),
    ),
    Mutant(
        "the terminal response's output is every finished item, in order",
        after=end(lambda r: r["output"].reverse()),
        how="in another order",
    ),
    Mutant(
        "fold(events) is the terminal response",
        after=end(lambda r: [part.update(text="other") for part in parts(r)]),
    ),
    Mutant("the JSON answer and the streamed one have the same fields", after=only_json),
    Mutant("each item is added before it is finished, and nothing else is", after=told(late_part)),
    Mutant("each item is added before it is finished, and nothing else is", after=without(ADDED)),
    Mutant("stream: false is one JSON answer", before=field_of({"stream": True})),
]


@pytest.mark.parametrize("mutant", STREAMS, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert result.why and KEY not in result.why + result.evidence


def test_every_rule_of_the_theme_has_a_mutant() -> None:
    rules = {check.name for check in CHECKS if check.theme == "the stream"}
    assert rules == {mutant.rule for mutant in STREAMS}
