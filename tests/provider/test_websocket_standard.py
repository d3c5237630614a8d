"""What the public compliance suite asks of a WebSocket; every message against the schema."""

from typing import Any

import pytest
from starlette.types import ASGIApp

from antiphon.models import Failure, FunctionCall, Reasoning, Refusal, ScriptedModel, Stop, Text
from antiphon.provider import Provider

from .test_standard import EVENTS, RESPONSE, validator
from .websocketing import Talk, end, fault, said, socketed, talking

pytestmark = pytest.mark.anyio

ERROR = validator("WebSocketErrorEvent")
CREATE = validator("WebSocketResponseCreateEvent")


def app(*turns: Any) -> ASGIApp:
    return socketed(Provider(models=[ScriptedModel(turns or ["OK."], repeat=True)]))


async def ask(talk: Talk, **fields: Any) -> list[dict[str, Any]]:
    """One turn of the suite: what is sent and what comes back is as the schema has it."""
    request = {"type": "response.create", "model": "scripted", "store": False, **fields}
    CREATE.validate(request)
    talk.say(request)
    events = await talk.rest()
    for number, event in enumerate(events):
        if event["type"] == "error":
            ERROR.validate(event)
            continue
        EVENTS[event["type"]].validate(event)
        assert event["sequence_number"] == number
    if events[-1]["type"] != "error":
        RESPONSE.validate(end(events))
    return events


TURNS: dict[str, list[Any]] = {
    "message": [Text("1, 2, "), Text("3")],
    "reasoning": [Reasoning("hm"), Reasoning("in short", summary=True), Text("x")],
    "function": [FunctionCall("f", {"a": 1})],
    "refusal": [Refusal("no")],
    "cut": [Text("a"), Stop("max_output_tokens")],
    "failed": [Text("a"), Failure("server_error", "it broke")],
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
async def test_every_event_is_as_the_schema_has_it(turn: list[Any]) -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    async with talking(app(turn)) as talk:
        await ask(talk, input="go", tools=[function])


async def test_a_response_and_two_in_sequence() -> None:
    async with talking(app()) as talk:
        message = {"type": "message", "role": "user", "content": "Count from 1 to 3."}
        assert said(await ask(talk, input=[message])) == "OK."
        for text in ("Reply with exactly: first", "Reply with exactly: second"):
            assert said(await ask(talk, input=text)) == "OK."


async def test_going_on_without_a_store() -> None:
    async with talking(app()) as talk:
        first = end(await ask(talk, input="Remember the code word: cobalt."))["id"]
        events = await ask(talk, previous_response_id=first, input="What is the code word?")
        assert end(events)["previous_response_id"] == first


async def test_reconnecting_loses_what_was_not_stored_and_recovers() -> None:
    provider = app()
    async with talking(provider) as talk:
        first = end(await ask(talk, input="Remember the code word: copper."))["id"]
    async with talking(provider) as talk:
        lost = await ask(talk, previous_response_id=first, input="Try to continue.")
        assert fault(lost)[1] == "previous_response_not_found"
        assert said(await ask(talk, input="Start again.")) == "OK."


async def test_an_id_that_never_was() -> None:
    async with talking(app()) as talk:
        lost = await ask(talk, previous_response_id="resp_missing", input="This should fail.")
        assert fault(lost) == (400, "previous_response_not_found")


async def test_a_failed_continuation_evicts() -> None:
    output = {"type": "function_call_output", "call_id": "call_missing", "output": "No call."}
    async with talking(app()) as talk:
        first = end(await ask(talk, input="Remember the code word: ember."))["id"]
        assert fault(await ask(talk, previous_response_id=first, input=[output]))[0] == 400
        stale = await ask(talk, previous_response_id=first, input="Try to continue.")
        assert fault(stale)[1] == "previous_response_not_found"
        assert fault(await ask(talk, input="x", model="nobody"))[1] == "model_not_found"
