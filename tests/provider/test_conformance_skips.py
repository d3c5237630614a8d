"""What a provider, or its model, honestly does not do is skipped by the kit, with the reason."""

import json
from dataclasses import dataclass

import pytest

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.testing.provider import check_provider

from .conformance_mutants import Change, Exchange, Json, Mutant, Switch, end, found, ignores, said
from .conformance_serving import serving_at, switch as switch, url as url

pytestmark = pytest.mark.anyio


def refuses_tool(kind: str) -> Change:
    def before(one: Exchange) -> None:
        if one.creates and kind in json.dumps(one.asked.get("tools", [])):
            one.refuse()

    return before


def no_schemas(one: Exchange) -> None:
    if one.creates and "json_schema" in json.dumps(one.asked.get("text", {})):
        one.refuse()


def no_temperature(one: Exchange) -> None:
    if one.creates and "temperature" in one.asked:
        error = {"message": "fixed", "type": "invalid_request_error", "code": None}
        one.answer(400, {"error": {**error, "param": "temperature"}})


def unstored(response: Json) -> None:
    response["store"] = False


def no_images(one: Exchange) -> None:
    if one.creates and "input_image" in json.dumps(one.asked):
        one.refuse()


def whole_at_once(one: Exchange) -> None:
    """A background that is over before anybody can cancel it."""
    if one.path.endswith("/cancel") or one.method == "GET":
        value = one.json
        value["status"] = "completed"
        one.body = json.dumps(value).encode()


def keeps_thoughts(one: Exchange) -> None:
    """Reasoning goes on behind the provider's back."""
    if one.creates:
        one.asked.pop("reasoning", None)


def gone(word: str) -> Change:
    def before(one: Exchange) -> None:
        if word in one.path:
            one.refuse(404)

    return before


def never_deletes(one: Exchange) -> None:
    if one.method == "DELETE":
        one.refuse(405)


@dataclass(frozen=True)
class Honest:
    """A provider that does not do something, and what the kit says of it."""

    rule: str
    why: str
    before: Change | None = None
    after: Change | None = None

    def __str__(self) -> str:
        return self.rule


STORES_NOTHING = "the provider stores nothing: its response says store: false"
HONEST = [
    Honest(
        "the response repeats temperature as it was given",
        'the provider refuses temperature: "fixed"',
        before=no_temperature,
    ),
    Honest(
        "tools that were declared are repeated in their order",
        'the provider refuses a code interpreter: "no"',
        before=refuses_tool("code_interpreter"),
    ),
    Honest(
        "a secret in a tool's definition is not repeated",
        'the provider takes no such MCP server (400: "no")',
        before=refuses_tool("mcp"),
    ),
    Honest(
        "an echoed JSON schema is null, with its name and strict",
        'the provider refuses a JSON schema: "no"',
        before=no_schemas,
    ),
    Honest(
        "$schema inside a JSON schema of the answer",
        'the provider takes no JSON schemas: "no"',
        before=no_schemas,
    ),
    Honest("an image as a data URL", 'the provider takes no images: "no"', before=no_images),
    Honest(
        "a response continues from previous_response_id, and says so",
        STORES_NOTHING,
        after=said(unstored),
    ),
    Honest(
        "a streamed response is stored before its last event is sent",
        STORES_NOTHING,
        after=end(unstored),
    ),
    Honest(
        "input_items come in pages: limit, after, has_more",
        "not offered: GET /responses/{id}/input_items?order=asc&limit=2 is answered with 404",
        before=gone("input_items"),
    ),
    Honest(
        "a deleted response is gone: 404, for GET, DELETE and continuing",
        "not offered: DELETE /responses/{id} is answered with 405",
        before=never_deletes,
    ),
    Honest(
        "a cancelled response is `cancelled`, and stays so",
        "the answer was whole before it could be cancelled",
        after=whole_at_once,
    ),
    Honest(
        "cancelling twice gives the same cancelled response",
        "the answer was whole before it could be cancelled",
        after=whole_at_once,
    ),
    Honest(
        "what is not in the background cannot be cancelled: 400",
        "not offered: POST /responses/{id}/cancel is answered with 404",
        before=gone("/cancel"),
    ),
    Honest(
        "raw reasoning lives in parts: part added, deltas, done, part done",
        "no specimen has an item of type reasoning",
        before=keeps_thoughts,
    ),
    Honest(
        "a client that says OpenResponses-Version reads response.reasoning.*",
        "the model did not do its part in 3 tries: show its reasoning",
        before=keeps_thoughts,
    ),
    Honest(
        "an mcp_call is a receipt: server, name, arguments, and output or error",
        "no specimen has an item of type mcp_call",
        before=refuses_tool("mcp"),
    ),
    Honest(
        "what the provider runs is never shown as a function call",
        "nothing is run here",
        before=ignores("tools"),
    ),
    Honest(
        "what was compacted begins a new chain",
        "not offered: POST /responses/compact is answered with 404",
        before=gone("/compact"),
    ),
]


@pytest.mark.parametrize("honest", HONEST, ids=str)
async def test_it_is_skipped_and_the_reason_is_told(
    switch: Switch, url: str, honest: Honest
) -> None:
    mutant = Mutant(honest.rule, before=honest.before, after=honest.after)
    result = await found(switch, url, mutant)
    assert (result.verdict, result.why) == ("skipped", honest.why)


SILENT = [
    "what was said before is known when a response continues",
    "a call's output continues from the response that made the call",
    "what was compacted is known when the chain goes on from it",
]


async def test_a_model_that_says_always_the_same_is_no_fault_of_its_provider() -> None:
    app = Provider(models=[ScriptedModel(["Hm."], repeat=True)])
    with serving_at(app) as base:
        report = await check_provider(base, only=SILENT, seconds=10)
    assert report.failed == [], str(report)
    whys = [result.why for result in report.skipped]
    told = "the model does not repeat a name even when the whole history is sent"
    assert told in whys
    assert len(report.skipped) == len(report.results)
