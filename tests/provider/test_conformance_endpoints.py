"""Each rule about dialects and the other endpoints catches its mutant."""

from collections.abc import Callable
from typing import Any

import pytest

from antiphon.testing.provider import CHECKS

from .conformance_mutants import (
    Change,
    Events,
    Exchange,
    Json,
    Mutant,
    Switch,
    each,
    field_of,
    found,
    ignores,
    said,
    told,
    value_of,
)
from .conformance_reference import KEY
from .conformance_serving import switch as switch, url as url

pytestmark = pytest.mark.anyio


def no_versions(one: Exchange) -> None:
    if one.headers.get("openresponses-version") == "2026-01-15":
        one.refuse()


def any_version(one: Exchange) -> None:
    one.headers.pop("openresponses-version", None)


def speaks(old: str, new: str, what: str = "") -> Any:
    """Reasoning events bear another name."""

    def change(event: Json) -> None:
        if event["type"].endswith(what):
            event["type"] = event["type"].replace(old, new)

    return each(f"{old}*", change)


def slugged(events: Events) -> Events:
    return [*events[:3], {"type": "antiphon:note"}, *events[3:]]


def extended(one: Exchange) -> None:
    """Clients that opt in get events counted from 1."""
    if "openresponses-extensions" in one.headers and one.streams:
        one.body = one.body.replace(b'"sequence_number": ', b'"sequence_number": 1')
        one.body = one.body.replace(b'"sequence_number":', b'"sequence_number":1')


def no_opting_in(one: Exchange) -> None:
    one.headers.pop("openresponses-extensions", None)


def row(change: Callable[[Json], object]) -> Change:
    return value_of("/models", lambda listed: [change(each) for each in listed["data"]])


def no_compaction(one: Exchange) -> None:
    given: Any = one.asked.get("input")
    if one.creates and not isinstance(given, str):
        one.asked["input"] = [item for item in given if item.get("type") != "compaction"]


def any_model(one: Exchange) -> None:
    if one.path.endswith("/compact"):
        one.asked.setdefault("model", "obliging")


def keeps(one: Exchange) -> None:
    if one.method == "DELETE":
        one.answer(200, {"id": one.path.rpartition("/")[2], "deleted": True})


def forgives(one: Exchange) -> None:
    if one.status >= 400:
        one.answer(200, {"id": "resp_x", "object": "response", "output": []})


def empty_file(one: Exchange) -> None:
    if one.path.endswith("/content"):
        one.body = b""


REASONING, REASONING_TEXT = "response.reasoning.", "response.reasoning_text."
TALKS = "what was said in a conversation is known there, and nowhere else"
ENDPOINTS = [
    Mutant(
        "OpenResponses-Version: latest, 2026-01-15 and 2026-04-24 are spoken", before=no_versions
    ),
    Mutant("any other OpenResponses-Version is a 400 that lists them", before=any_version),
    Mutant(
        "a client that says OpenResponses-Version reads response.reasoning.*",
        after=speaks(REASONING, REASONING_TEXT),
    ),
    Mutant(
        "an OpenAI-style client reads response.reasoning_text.*",
        after=speaks(REASONING_TEXT, REASONING),
    ),
    Mutant("no response mixes the two dialects", after=speaks(REASONING, REASONING_TEXT, "done")),
    Mutant("a client that did not opt in sees no extensions", after=told(slugged)),
    Mutant("opting in to extensions leaves the standard as it is", after=extended),
    Mutant("a client that opted in sees a provider-run function as it is", before=no_opting_in),
    Mutant(
        "models are listed, the one that is asked among them",
        after=row(lambda each: each.update(id="other")),
    ),
    Mutant(
        "models are listed, the one that is asked among them",
        after=row(lambda each: each.pop("created")),
        how="no date",
    ),
    Mutant(
        "input_tokens counts a request's tokens",
        after=value_of("input_tokens", lambda told: told.update(input_tokens=7)),
    ),
    Mutant(
        "compacting gives a response.compaction with a compaction item",
        after=value_of("compact", lambda told: told.update(output=[])),
    ),
    Mutant("compacting without a model is a 400 or 422", before=any_model),
    Mutant("what was compacted is known when the chain goes on from it", before=no_compaction),
    Mutant("a compaction that was forged is refused", before=no_compaction),
    Mutant("a conversation is made, had, changed and deleted", before=keeps),
    Mutant(
        "a response in a conversation says so, and joins it with its input",
        after=said(lambda response: response.pop("conversation", None)),
    ),
    Mutant(
        "a response in a conversation says so, and joins it with its input",
        after=value_of("/items", lambda page: page["data"].pop()),
        how="its output is missing",
    ),
    Mutant(TALKS, before=ignores("conversation")),
    Mutant(
        TALKS,
        before=field_of({"input": "My name is Alice. What is my name?"}, when="conversation"),
        how="known everywhere",
    ),
    Mutant(
        "conversation and previous_response_id together are a 400",
        before=ignores("previous_response_id"),
    ),
    Mutant("an unknown conversation is a 400 or 404", after=forgives),
    Mutant("a file is uploaded, had, listed, read and deleted", after=empty_file),
    Mutant("a file is uploaded, had, listed, read and deleted", before=keeps, how="and stays"),
]


@pytest.mark.parametrize("mutant", ENDPOINTS, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert result.why and KEY not in result.why + result.evidence


def test_every_rule_of_the_themes_has_a_mutant() -> None:
    themes = ("dialects, versions, extensions", "models, tokens, compaction, conversations, files")
    rules = {check.name for check in CHECKS if check.theme in themes}
    assert rules == {mutant.rule for mutant in ENDPOINTS}
