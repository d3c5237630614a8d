"""Each rule about WebSockets catches its mutant."""

from collections.abc import Iterable
from typing import Any

import pytest

from antiphon.testing.provider import CHECKS

from .conformance_mutants import TERMINAL, Exchange, Frames, Json, Mutant, Switch, found
from .conformance_reference import KEY
from .conformance_serving import switch as switch, url as url

pytestmark = pytest.mark.anyio


def heard(**fields: Any) -> Frames:
    """Changes the fields of requests; None takes one away."""

    def change(frame: Json, state: Json) -> Iterable[Json]:
        if frame.get("type") == "response.create":
            frame = {**frame, **fields}
            frame = {key: value for key, value in frame.items() if value is not None}
        yield frame

    return change


def when(word: str, **fields: Any) -> Frames:
    """The same, for requests with this word in them."""

    def change(frame: Json, state: Json) -> Iterable[Json | str]:
        return heard(**fields)(frame, state) if word in str(frame) else [frame]

    return change


def counted_from_one(frame: Json, state: Json) -> Iterable[Json]:
    if "sequence_number" in frame:
        frame["sequence_number"] += 1
    yield frame


def one_id(frame: Json, state: Json) -> Iterable[Json]:
    if "response" in frame:
        frame["response"]["id"] = "resp_same"
    yield frame


def says_done(frame: Json, state: Json) -> Iterable[Json | str]:
    yield frame
    if frame["type"] in TERMINAL:
        yield "[DONE]"


def other_code(frame: Json, state: Json) -> Iterable[Json]:
    if frame["type"] == "error":
        frame["error"]["code"] = "not_found"
    yield frame


def no_status(frame: Json, state: Json) -> Iterable[Json]:
    frame.pop("status", None)
    yield frame


def fails_as_well(frame: Json, state: Json) -> Iterable[Json]:
    """An error, and `response.failed` behind it."""
    yield frame
    if frame["type"] == "error":
        yield {"type": "response.failed", "sequence_number": 0, "response": {}}


def answers_anything(frame: Json, state: Json) -> Iterable[Json]:
    if frame.get("type") == "response.create":
        yield frame
    else:
        yield {"type": "response.create", "model": "obliging", "input": "Say hello."}


def needs_deflate(frame: Json, state: Json) -> Iterable[Json]:
    plain = "sec-websocket-extensions" not in state["headers"]
    return counted_from_one(frame, state) if plain else [frame]


def mixed(frame: Json, state: Json) -> Iterable[Json]:
    """Two responses are told at once, a frame of each in turn."""
    frames: list[Json] = state.setdefault("frames", list[Json]())
    frames.append(frame)
    ends = [at for at, each in enumerate(frames) if each["type"] in TERMINAL]
    if len(ends) == 2:
        first, second = frames[: ends[0] + 1], frames[ends[0] + 1 :]
        for pair in zip(first, second, strict=True):
            yield from pair


def lets_in(one: Exchange) -> None:
    one.headers["authorization"] = f"Bearer {KEY}"


ONE = "response.create is answered with the stream's events, as text frames"
TWO = "two responses on one connection, one after the other, no [DONE]"
CONTINUES = "a response with store: false continues on its own connection"
FORM = "an error is {type: error, status, error: {code, message}}, alone"
SOCKETS = [
    Mutant(ONE, spoken=counted_from_one),
    Mutant(TWO, spoken=one_id),
    Mutant(TWO, spoken=says_done, how="[DONE]"),
    Mutant(CONTINUES, heard=heard(previous_response_id=None)),
    Mutant(CONTINUES, heard=heard(store=None), how="stored anyway"),
    Mutant(
        "a call's output continues on the connection, store: false",
        heard=when("function_call_output", temperature="hot"),
    ),
    Mutant(
        "after reconnecting, a response with store: false is not found", heard=heard(store=True)
    ),
    Mutant("an unknown previous_response_id is an error of that name", spoken=other_code),
    Mutant(
        "a continuation that fails evicts what it continued",
        heard=when("call_nowhere", previous_response_id=None),
    ),
    Mutant(
        "a stored response of HTTP continues over a WebSocket",
        heard=heard(previous_response_id=None),
    ),
    Mutant(
        "what was compacted begins a new chain", heard=when("encrypted_content", temperature="hot")
    ),
    Mutant(FORM, spoken=no_status),
    Mutant(FORM, spoken=fails_as_well, how="response.failed as well"),
    Mutant("a frame that is not JSON, or of another type, is an error", heard=answers_anything),
    Mutant(
        "stream: true in a response.create is tolerated",
        heard=when("'stream': True", temperature="hot"),
    ),
    Mutant(
        "generate: false completes at once, with an id and no output", heard=heard(generate=None)
    ),
    Mutant("a client without permessage-deflate is served, too", spoken=needs_deflate),
    Mutant("two requests at once are answered one after the other, never mixed", spoken=mixed),
    Mutant("where a key is needed, a handshake without it is refused", before=lets_in),
]


@pytest.mark.parametrize("mutant", SOCKETS, ids=str)
async def test_a_mutant_is_caught_by_the_rule_that_it_breaks(
    switch: Switch, url: str, mutant: Mutant
) -> None:
    result = await found(switch, url, mutant)
    assert result.verdict == "failed", str(result)
    assert KEY not in result.why + result.evidence


def test_every_rule_of_the_theme_has_a_mutant() -> None:
    rules = {check.name for check in CHECKS if check.theme == "WebSocket"}
    assert rules == {mutant.rule for mutant in SOCKETS}
