"""What comes over a WebSocket is bounded and answered in its place; leaving ends the response."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import anyio.lowlevel
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.items import Response
from antiphon.models import ModelRequest, ScriptedModel, Text, model
from antiphon.provider import MemoryStore, Provider

from .holding import Held
from .serving import types
from .websocketing import Talk, fault, said, socketed, talking

if TYPE_CHECKING:
    from provider.session import Session
else:
    from antiphon.provider.session import Session

pytestmark = pytest.mark.anyio

SkipTime: TypeAlias = Callable[[float], None]

LIFE: Final = 20.0
"""Seconds that a connection lasts, of those that are too long to be waited for."""


def app(**terms: Any) -> ASGIApp:
    return socketed(Provider(models=[ScriptedModel(["yes"], repeat=True)]), **terms)


def only(store: MemoryStore) -> Response:
    """The one response that is stored."""
    (record,) = store._shelves["local"].records.values()  # pyright: ignore[reportPrivateUsage]
    return record.response


# --- messages that are none --------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "invalid_json"),
        ("hello", "invalid_json"),
        ('{"type": "response.create"', "invalid_json"),
        ('"\ud800"', "invalid_json"),
        (b'{"type": "response.create", "input": "hi"}', "unsupported_message"),
        ("[]", "invalid_value"),
        ("null", "invalid_value"),
        ("[" * 100_000, "invalid_json"),
        ("{}", "unknown_event"),
        ('{"type": 7}', "unknown_event"),
        ('{"type": {"a": []}}', "unknown_event"),
        ('{"type": "response.steer", "input": "x"}', "unknown_event"),
        ('{"type": "response.create"}', "missing_required_parameter"),
        ('{"type": "response.create", "input": 1e999}', "invalid_value"),
        ('{"type": "response.create", "input": NaN}', "invalid_value"),
        ('{"type": "response.create", "input": "hi", "stream": "yes"}', "invalid_value"),
        ('{"type": "response.create", "input": "hi", "previous_response_id": 7}', "invalid_value"),
    ],
)
async def test_a_message_that_is_no_request_is_one_error_and_the_connection_lives(
    message: str | bytes, code: str
) -> None:
    async with talking(app()) as talk:
        talk.say(message)
        assert fault(await talk.rest()) == (400, code)
        assert said(await talk.answer()) == "yes"


async def test_too_long_a_message_is_refused_and_the_connection_lives() -> None:
    async with talking(app(max_body=200)) as talk:
        assert fault(await talk.answer(input="x" * 200)) == (413, "request_too_large")
        assert fault(await talk.answer(input="é" * 100)) == (413, "request_too_large")
        assert said(await talk.answer(input="x" * 100)) == "yes"


async def test_an_error_stands_where_its_message_stood() -> None:
    held = Held()
    async with talking(socketed(Provider(models=[held.model(Text("first"))]))) as talk:
        talk.create()
        await talk.until(held.asked.is_set)
        talk.say("no json")
        talk.create(input="second")
        for _ in range(10):  # time enough to answer out of turn
            await anyio.lowlevel.checkpoint()
        assert "error" not in types(talk.events)
        held.go.set()
        assert said(await talk.rest()) == "firstdone"
        assert fault(await talk.rest()) == (400, "invalid_json")
        assert said(await talk.rest()) == "firstdone"


async def test_one_response_runs_at_a_time() -> None:
    running: list[int] = []

    @model("counting")
    async def counting(request: ModelRequest) -> AsyncGenerator[Any, None]:
        running.append(1)
        assert len(running) == 1
        for word in ("a", "b"):
            yield Text(word)
            await anyio.lowlevel.checkpoint()
        running.pop()

    async with talking(socketed(Provider(models=[counting]))) as talk:
        for _ in range(5):
            talk.create()
        assert [said(await talk.rest()) for _ in range(5)] == ["ab"] * 5


async def test_too_many_waiting_messages_end_the_connection() -> None:
    held, store = Held(), MemoryStore()
    async with talking(socketed(Provider(models=[held.model()], store=store))) as talk:
        talk.create()
        await talk.until(held.asked.is_set)
        for _ in range(33):
            talk.create()
        await talk.until(lambda: talk.closed)
        assert talk.closed == 1008
        assert fault(talk.events[-1:]) == (429, "too_many_requests")
    assert held.ended == ["model: CancelledError"]
    assert only(store).status == "cancelled"


async def test_waiting_messages_are_bounded_together_too() -> None:
    held = Held()
    async with talking(socketed(Provider(models=[held.model()]), max_body=1000)) as talk:
        talk.create()
        await talk.until(held.asked.is_set)
        talk.create(input="x" * 800)
        talk.create(input="x" * 800)
        await talk.until(lambda: talk.closed)
        assert talk.closed == 1008


async def test_what_comes_while_a_connection_closes_is_not_held(
    monkeypatch: pytest.MonkeyPatch, skip_time: SkipTime
) -> None:
    sessions: list[Session] = []
    run = Session.run

    async def noted(session: Session) -> None:
        sessions.append(session)
        await run(session)

    monkeypatch.setattr(Session, "run", noted)
    async with talking(app(seconds=LIFE)) as talk:
        gate = talk.gate = anyio.Event()
        skip_time(LIFE)
        await talk.until(lambda: talk.texts)  # the last error is on its way
        for _ in range(100):
            talk.create()
        with anyio.fail_after(60):
            while talk._to_app:  # pyright: ignore[reportPrivateUsage]
                await anyio.lowlevel.checkpoint()
        assert not sessions[0]._waiting  # pyright: ignore[reportPrivateUsage]
        gate.set()
        await talk.until(lambda: talk.closed)


# --- leaving -----------------------------------------------------------------


async def test_leaving_cancels_the_model_and_stores_a_cancelled_response() -> None:
    held, store = Held(), MemoryStore()
    async with talking(socketed(Provider(models=[held.model(Text("It"))], store=store))) as talk:
        talk.create()
        await talk.until(held.asked.is_set)
        talk.leave()
        await talk.until(lambda: talk.ended)
        assert "response.completed" not in types(talk.events)
    assert held.ended == ["model: CancelledError"]
    assert (only(store).status, only(store).output_text) == ("cancelled", "It")


async def test_leaving_while_a_message_waits_to_be_sent_cancels_as_well() -> None:
    held, store = Held(), MemoryStore()
    app = socketed(Provider(models=[held.model(Text("x"))], store=store))
    async with talking(app) as talk:
        talk.gate = anyio.Event()
        talk.create()
        await talk.until(lambda: talk.texts)
        talk.leave()
        await talk.until(lambda: talk.ended)
    assert not held.asked.is_set()


async def test_leaving_with_nothing_asked_is_no_error() -> None:
    async with talking(app()) as talk:
        pass
    assert talk.sent == [{"type": "websocket.accept"}]


async def test_leaving_before_the_handshake_is_answered_is_no_error() -> None:
    talk = Talk(app())
    talk._to_app[:] = [{"type": "websocket.disconnect"}]  # pyright: ignore[reportPrivateUsage]
    await talk.run()
    assert talk.sent == []


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_line_that_breaks_while_sending_ends_the_response(error: type[Exception]) -> None:
    inner = socketed(Provider(models=[ScriptedModel(["never"])]))

    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "websocket.send":
                raise error("the line is gone")
            await send(message)

        await inner(scope, receive, sending)

    talk = Talk(breaking)
    talk.create()
    with anyio.fail_after(60):
        await talk.run()
    assert talk.texts == []


# --- a client that does not read ---------------------------------------------


async def test_a_client_that_does_not_read_holds_the_run() -> None:
    words: list[str] = []

    @model("talker")
    async def talker(request: ModelRequest) -> AsyncGenerator[Any, None]:
        for number in range(1000):
            words.append(str(number))
            yield Text(f"{number} ")
            await anyio.lowlevel.checkpoint()

    async with talking(socketed(Provider(models=[talker]))) as talk:
        gate = talk.gate = anyio.Event()
        talk.create()
        await talk.until(lambda: talk.texts)
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert (len(talk.texts), words) == (1, [])  # response.created is on its way
        talk.gate = None
        gate.set()
        assert said(await talk.rest()).split() == words
        assert len(words) == 1000


async def test_a_client_that_takes_nothing_for_long_has_left() -> None:
    asked, store = anyio.Event(), MemoryStore()

    @model("endless")
    async def endless(request: ModelRequest) -> AsyncGenerator[Any, None]:
        asked.set()
        while True:
            yield Text("x")
            await anyio.lowlevel.checkpoint()

    inner = Provider(models=[endless], store=store)
    async with talking(socketed(inner, stalled=0.05)) as talk:
        talk.create()
        await talk.until(asked.is_set)
        talk.gate = anyio.Event()
        await talk.until(lambda: talk.ended)
    assert only(store).status == "cancelled"


async def test_silence_is_not_leaving() -> None:
    async with talking(app(stalled=0.01)) as talk:
        with anyio.move_on_after(0.1):  # ten times as long as a stalled client has
            await talk.until(lambda: talk.ended)
        assert said(await talk.answer()) == "yes"


# --- the end of its time -----------------------------------------------------


async def test_a_connection_lasts_so_long_and_says_so() -> None:
    async with talking(app(seconds=0.05)) as talk:
        await talk.until(lambda: talk.closed)
        assert fault(talk.events) == (400, "websocket_connection_limit_reached")
        assert talk.closed == 1001
        await talk.until(lambda: talk.ended)


async def test_a_response_that_runs_at_the_end_is_cancelled_and_the_error_is_all(
    skip_time: SkipTime,
) -> None:
    held, store = Held(), MemoryStore()
    inner = Provider(models=[held.model(Text("It was"))], store=store)
    async with talking(socketed(inner, seconds=LIFE)) as talk:
        talk.create()
        await talk.until(held.asked.is_set)
        skip_time(LIFE)
        await talk.until(lambda: talk.closed)
        kinds = types(talk.events)
    assert kinds[0] == "response.created"
    assert kinds[-1] == "error"
    assert not {"response.failed", "response.incomplete", "response.completed"} & set(kinds)
    assert held.ended == ["model: CancelledError"]
    assert only(store).status == "cancelled"


async def test_the_end_does_not_wait_for_a_client_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, skip_time: SkipTime
) -> None:
    monkeypatch.setattr("antiphon.provider.session._CLOSING_SECONDS", 1e6)
    async with talking(app(seconds=LIFE, stalled=0.05)) as talk:
        talk.gate = anyio.Event()
        skip_time(LIFE)
        await talk.until(lambda: talk.ended)
        assert json.loads(talk.texts[0])["error"]["code"] == "websocket_connection_limit_reached"


async def test_a_connection_that_is_opened_while_its_server_goes_is_told_so_at_once() -> None:
    going = Provider(models=[ScriptedModel(["x"])])
    going.drain()
    async with talking(going) as talk:
        await talk.until(lambda: talk.ended)
        assert fault(talk.events) == (503, "server_shutdown")
        assert talk.closed == 1001
