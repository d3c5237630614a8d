"""Each rule about what is kept, and about the background, catches its mutant."""

import json
from collections.abc import Callable

import pytest

from antiphon.testing.provider import CHECKS

from .conformance_mutants import (
    Change,
    Exchange,
    Json,
    Mutant,
    Switch,
    found,
    ignores,
    refuses,
    said,
    value_of,
    without,
)
from .conformance_reference import KEY
from .conformance_serving import switch as switch, url as url

pytestmark = pytest.mark.anyio

PREVIOUS = "previous_response_id"


def forgets(one: Exchange) -> None:
    """A provider that continues from nothing, and says that it did."""
    if one.creates and not one.streams and PREVIOUS in one.given and one.json:
        value = one.json
        value[PREVIOUS] = one.given[PREVIOUS]
        one.body = json.dumps(value).encode()


def carries_over(response: Json) -> None:
    if response[PREVIOUS]:
        response["instructions"] = "Always be brief."


def stores_all(one: Exchange) -> None:
    if one.creates and one.asked.get("store") is False:
        one.asked["store"] = True


def says_unstored(response: Json) -> None:
    response["store"] = False


def keeps(one: Exchange) -> None:
    """A provider that deletes nothing."""
    if one.method == "DELETE":
        name = one.path.rpartition("/")[2]
        one.answer(200, {"id": name, "object": "response", "deleted": True})


def no_reference(one: Exchange) -> None:
    if "item_reference" in json.dumps(one.asked):
        one.refuse()


def oldest_first(one: Exchange) -> None:
    if one.path.endswith("input_items"):
        one.query += "&order=asc" if one.query else "order=asc"


def all_at_once(one: Exchange) -> None:
    if one.path.endswith("input_items"):
        one.query = "order=asc"


def no_answer_to_outputs(one: Exchange) -> None:
    if PREVIOUS in one.asked and "function_call_output" in json.dumps(one.asked):
        one.refuse()


def got(change: Callable[[Json], object]) -> Change:
    return said(change, get=True)


RETRIEVED = "a stored response can be had again, as it was"
UNSTORED = "store: false is kept to: said, not to be had, not to be continued"
DELETED = "a deleted response is gone: 404, for GET, DELETE and continuing"
PAGES = "input_items come in pages: limit, after, has_more"
MEMORY = [
    Mutant("a response continues from previous_response_id, and says so", before=ignores(PREVIOUS)),
    Mutant(
        "what was said before is known when a response continues",
        before=ignores(PREVIOUS),
        after=forgets,
    ),
    Mutant("instructions are not carried over", after=said(carries_over)),
    Mutant(
        "a call's output continues from the response that made the call",
        before=no_answer_to_outputs,
    ),
    Mutant("a whole output, sent back as input, is taken", before=refuses("reasoning")),
    Mutant(RETRIEVED, after=got(lambda response: response.update(metadata={}))),
    Mutant(
        "a streamed response is stored before its last event is sent",
        after=got(lambda response: response.update(output=[])),
    ),
    Mutant(UNSTORED, before=stores_all),
    Mutant(UNSTORED, before=stores_all, after=said(says_unstored), how="and denies it"),
    Mutant(DELETED, before=keeps),
    Mutant("an item_reference stands for a stored item", before=no_reference),
    Mutant(
        "input_items lists a response's input as whole items: id, type, content in parts",
        after=value_of("input_items", lambda page: [row.pop("id") for row in page["data"]]),
    ),
    Mutant("input_items are newest first, unless asked otherwise", before=oldest_first),
    Mutant(PAGES, before=all_at_once),
    Mutant(PAGES, after=value_of("input_items", lambda page: page.update(has_more=False))),
]


# --- background -------------------------------------------------------------------


def at_rest(response: Json) -> None:
    response["status"] = "completed"


def stores_background(one: Exchange) -> None:
    if one.asked.get("background"):
        one.asked.pop("store", None)


def cancels_once(one: Exchange) -> None:
    if one.path.endswith("/cancel"):
        one.state["cancels"] = one.state.get("cancels", 0) + 1
        if one.state["cancels"] > 1:
            one.refuse()


def cancels_all(one: Exchange) -> None:
    if one.path.endswith("/cancel") and one.status >= 400:
        one.answer(200, {"id": "resp_x", "object": "response", "status": "cancelled"})


def from_two(one: Exchange) -> None:
    one.query = one.query.replace("starting_after=0", "starting_after=2")


def from_one(one: Exchange) -> None:
    if "stream=true" in one.query and "starting_after" not in one.query:
        one.query += "&starting_after=0"


def leaves_with_its_client(one: Exchange) -> None:
    """Who has been watched is cancelled when the watcher is gone."""
    watched: set[str] = one.state.setdefault("watched", set[str]())
    if "stream=true" in one.query:
        watched.add(one.path)
    elif one.method == "GET" and one.path in watched:
        said(lambda response: response.update(status="cancelled"), get=True)(one)


BACKGROUND = [
    Mutant(
        "background: true is answered at once: queued or in_progress, no output",
        after=said(at_rest),
    ),
    Mutant(
        "a background response can be polled to its end",
        after=got(lambda response: response.update(status="failed")),
    ),
    Mutant("background with store: false is a 400", before=stores_background),
    Mutant(
        "a cancelled response is `cancelled`, and stays so",
        after=got(lambda response: response.update(status="incomplete")),
    ),
    Mutant("cancelling twice gives the same cancelled response", before=cancels_once),
    Mutant("what is not in the background cannot be cancelled: 400", after=cancels_all),
    Mutant("an unknown response cannot be cancelled: 404", after=cancels_all),
    Mutant(
        "a background response can be watched as it runs, to its end",
        after=without("response.completed"),
    ),
    Mutant("starting_after=N gives what came after N, the very same events", before=from_two),
    Mutant("stream=true alone gives all events again", before=from_one),
    Mutant("a client that leaves does not end a background run", after=leaves_with_its_client),
]
ALL = [*MEMORY, *BACKGROUND]


@pytest.mark.parametrize("mutant", ALL, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert result.why and KEY not in result.why + result.evidence


def test_every_rule_of_the_themes_has_a_mutant() -> None:
    themes = ("continuation and what is kept", "background and cancel")
    rules = {check.name for check in CHECKS if check.theme in themes}
    assert rules == {mutant.rule for mutant in ALL}
