"""Each rule about errors and tolerance catches its mutant."""

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
)
from .conformance_reference import KEY
from .conformance_serving import switch as switch, url as url

pytestmark = pytest.mark.anyio

HELLO: Json = {"id": "resp_x", "object": "response", "status": "completed", "output": []}


def forgives(one: Exchange) -> None:
    """What should be refused is answered."""
    if 400 <= one.status < 500:
        one.answer(200, HELLO)


def form(change: Callable[[Json], object]) -> Change:
    """Changes error objects."""

    def after(one: Exchange) -> None:
        if one.status >= 400:
            value = one.json
            change(value)
            one.body = json.dumps(value).encode()

    return after


def as_text(one: Exchange) -> None:
    if one.status >= 400:
        one.told["content-type"] = "text/plain"


def needs_model(one: Exchange) -> None:
    if one.creates and "model" not in one.asked:
        one.refuse(400)


def says_nothing(error: Json) -> None:
    error["error"] |= {"message": "no", "param": None, "code": None}


def lets_in(one: Exchange) -> None:
    one.headers["authorization"] = f"Bearer {KEY}"


def broken(one: Exchange) -> None:
    if one.creates:
        one.refuse(500)


def in_a_stream(one: Exchange) -> None:
    """An error is told as a stream."""
    if one.status >= 400 and one.given.get("stream"):
        one.status, one.told["content-type"] = 200, "text/event-stream"
        one.body = b'event: error\ndata: {"type": "error"}\n\ndata: [DONE]\n\n'


FORM = "an error is {error: {message, type, param, code}}, all four there"
NO_MODEL = "a request without a model is answered, or a 4xx that names `model`"
UNKNOWN = "an unknown model is a 400 or 404 whose error names `model`"
KEYS = "where a key is needed, none and a wrong one are a 401"
STREAMED = "a wrong request for a stream is a JSON error, never a stream"
LIVES = "after all these the provider still answers"
SPECIAL = {NO_MODEL, KEYS, STREAMED, LIVES}
ERRORS = [
    Mutant(FORM, after=form(lambda body: body["error"].pop("param")), how="no param"),
    Mutant(FORM, after=form(lambda body: body.update(error="no")), how="a text"),
    Mutant(FORM, after=as_text, how="not as JSON"),
    Mutant(NO_MODEL, before=needs_model),
    Mutant(UNKNOWN, after=form(says_nothing), how="names nothing"),
    Mutant(KEYS, before=lets_in),
    Mutant(STREAMED, after=in_a_stream),
    Mutant(LIVES, before=broken),
    *(
        Mutant(check.name, after=forgives, how="forgiven")
        for check in CHECKS
        if check.theme == "errors" and check.name not in SPECIAL
    ),
    *(
        Mutant(check.name, before=broken)
        for check in CHECKS
        if check.theme == "requests to tolerate"
    ),
]


@pytest.mark.parametrize("mutant", ERRORS, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert result.why and KEY not in result.why + result.evidence


def test_every_rule_of_the_themes_has_a_mutant() -> None:
    themes = ("errors", "requests to tolerate")
    rules = {check.name for check in CHECKS if check.theme in themes}
    assert rules == {mutant.rule for mutant in ERRORS}
