"""Rules about WebSockets: the same events as text frames, one response after another.

Above: `provider`. Below: `socket`. Not here: what is inside a response. The list is that
of the public compliance suite and of wire 5 and 6.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from .bench import MISSING, Bench, Theme
from .errors import NOWHERE
from .line import Stream
from .memory import MY_NAME, WHAT_NAME, text_of
from .questions import ASK_WEATHER, COUNT, TRIES, WEATHER
from .report import Broken, expect, filled, same, shown, skip
from .shapes_events import event_fault
from .socket import Refused, Socket, connected
from .sse import Json, obj, objects
from .stories import is_terminal, kind, stories
from .tools import FORECAST

websockets: Theme = Theme("WebSocket")
_SUITE: Final = "public suite, WebSocket; wire 6"
_SPEC: Final = "schema, WebSocketErrorEvent; wire 6"
_NOT_FOUND: Final = "previous_response_not_found"
_NO_SOCKET: Final = (400, 403, 426, *MISSING)
"""What a server answers to a handshake that it does not expect."""


async def _shakes(bench: Bench) -> bool:
    try:
        async with connected(bench):
            return True
    except Refused as error:
        if error.status in _NO_SOCKET:
            skip(f"not offered: the handshake at /responses was answered with {error.status}")
        raise


@asynccontextmanager
async def open_socket(bench: Bench, **options: Any) -> AsyncGenerator[Socket]:
    """A connection, where the provider speaks WebSocket and the kit is to try it."""
    if not bench.websocket:
        skip("WebSockets were not to be tried")
    await bench.once("handshake", lambda: _shakes(bench))
    async with connected(bench, **options) as socket:
        yield socket


def _right(told: Stream) -> None:
    """What every response over a WebSocket keeps."""
    for at, event in enumerate(told.events):
        same(event.get("sequence_number"), at, f"{told.name!r}: sequence_number", event)
        wrong = event_fault(event)
        expect(wrong is None, f"{told.name!r}, {kind(event)}: {wrong}", event)
    same(kind(told.events[0]), "response.created", f"{told.name!r}: its first event")
    expect(is_terminal(told.events[-1]), f"{told.name!r}: its last event", told.events[-1])
    done = [story.done for story in stories(told)]
    same(told.terminal.get("output"), done, f"{told.name!r}: output")


def _check_error(event: Json, code: str | None = None) -> None:
    """The form of an error event, and its code where one is expected."""
    error = obj(event.get("error"))
    status: object = event.get("status")
    right = isinstance(status, int) and 400 <= status < 600
    expect(right, f"status: expected 4xx or 5xx, got {shown(status)}", event)
    for name in ("code", "message"):
        filled(error.get(name), f"error.{name}", event)
    if code is not None:
        same(error.get("code"), code, "error.code", event)


async def _lives(bench: Bench, socket: Socket) -> None:
    """After an error the connection answers, and what comes first is the new response."""
    told = await socket.whole("after an error", bench.body("Say hello."))
    same(kind(told.events[0]), "response.created", "the first frame after an error")


@websockets.rule("response.create is answered with the stream's events, as text frames", _SUITE)
async def one(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        _right(await socket.whole("one", bench.body(COUNT)))


@websockets.rule("two responses on one connection, one after the other, no [DONE]", _SUITE)
async def two(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        first = await socket.whole("first", bench.body(COUNT))
        second = await socket.whole("second", bench.body(COUNT))
        _right(second)
        ids = (first.terminal.get("id"), second.terminal.get("id"))
        expect(ids[0] != ids[1], f"id: expected two, got {shown(ids[0])} twice")


@websockets.rule("a response with store: false continues on its own connection", _SUITE)
async def continues(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        first = await socket.whole("first", bench.body(MY_NAME, store=False))
        same(first.terminal.get("store"), False, "store")
        name = first.terminal["id"]
        body = bench.body(WHAT_NAME, store=False, previous_response_id=name)
        second = await socket.whole("second", body)
        same(second.terminal.get("previous_response_id"), name, "previous_response_id")
        if "alice" not in text_of(second.terminal).lower():
            given = [{"role": "user", "content": text} for text in (MY_NAME, WHAT_NAME)]
            if "alice" not in text_of(await bench.respond(given)).lower():
                skip("the model does not repeat a name even when the whole history is sent")
            raise Broken(f"expected the name Alice, got {shown(text_of(second.terminal))}")


@websockets.rule("a call's output continues on the connection, store: false", "wire 6")
async def output_continues(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        for _ in range(TRIES):
            body = bench.body(ASK_WEATHER, store=False, tools=[WEATHER])
            first = await socket.whole("call", body)
            made = [each for each in objects(first.terminal.get("output")) if each.get("call_id")]
            if made:
                break
        else:
            skip("the model did not call get_weather")
        given = [
            {"type": "function_call_output", "call_id": call["call_id"], "output": FORECAST}
            for call in made
        ]
        name = first.terminal["id"]
        body = bench.body(given, store=False, tools=[WEATHER], previous_response_id=name)
        _right(await socket.whole("answer", body))


@websockets.rule("after reconnecting, a response with store: false is not found", _SUITE)
async def reconnects(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        first = await socket.whole("first", bench.body("Say hello.", store=False))
    async with open_socket(bench) as socket:
        name = first.terminal["id"]
        body = bench.body("And again.", store=False, previous_response_id=name)
        _check_error(await socket.refused(body, "another connection's response"), _NOT_FOUND)
        await _lives(bench, socket)


@websockets.rule("an unknown previous_response_id is an error of that name", _SUITE)
async def missing(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        body = bench.body("Hi.", previous_response_id=NOWHERE)
        _check_error(await socket.refused(body, "an unknown response"), _NOT_FOUND)
        await _lives(bench, socket)


@websockets.rule("a continuation that fails evicts what it continued", _SUITE)
async def evicts(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        first = await socket.whole("first", bench.body("Say hello.", store=False))
        name = first.terminal["id"]
        orphan = {"type": "function_call_output", "call_id": "call_nowhere", "output": "x"}
        body = bench.body([orphan], store=False, previous_response_id=name)
        _check_error(await socket.refused(body, "an output without its call"))
        body = bench.body("And again.", store=False, previous_response_id=name)
        _check_error(await socket.refused(body, "an evicted response"), _NOT_FOUND)


@websockets.rule("a stored response of HTTP continues over a WebSocket", "wire 6")
async def from_http(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        first = await bench.respond("Say hello.", store=True)
        if first.get("store") is False:
            skip("the provider stores nothing: its response says store: false")
        body = bench.body("And again.", previous_response_id=first["id"])
        told = await socket.whole("second", body)
        same(told.terminal.get("previous_response_id"), first["id"], "previous_response_id")


@websockets.rule("what was compacted begins a new chain", _SUITE)
async def compacts(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        body = bench.body([{"type": "message", "role": "user", "content": MY_NAME}])
        answer = await bench.line.ask("POST", "/responses/compact", body)
        if answer.status in MISSING:
            skip(answer.absent)
        expect(answer.status == 200, f"expected 200, got {answer}")
        given = [*objects(answer.json.get("output")), {"role": "user", "content": WHAT_NAME}]
        told = await socket.whole("compacted", bench.body(given, store=False))
        name = told.terminal["id"]
        await socket.whole("on", bench.body("Thanks.", store=False, previous_response_id=name))


@websockets.rule("an error is {type: error, status, error: {code, message}}, alone", _SPEC)
async def error_form(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        body = bench.body("Hi.", temperature="hot")
        _check_error(await socket.refused(body, "temperature: hot"))
        await _lives(bench, socket)


@websockets.rule("a frame that is not JSON, or of another type, is an error", _SPEC)
async def odd_frames(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        for text in ("{", "[]", '{"type":"response.dance"}', "{}"):
            _check_error(await socket.refused(text, shown(text)))
        await _lives(bench, socket)


@websockets.rule("stream: true in a response.create is tolerated", "wire 5")
async def stream_true(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        _right(await socket.whole("stream: true", bench.body(COUNT, stream=True)))


@websockets.rule("generate: false completes at once, with an id and no output", "wire 5")
async def warm_up(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        told = await socket.whole("warm-up", bench.body(MY_NAME, store=False, generate=False))
        same(told.terminal.get("output"), [], "output")
        name = told.terminal.get("id")
        filled(name, "id")
        body = bench.body(WHAT_NAME, store=False, previous_response_id=name)
        _right(await socket.whole("after the warm-up", body))


@websockets.rule("a client without permessage-deflate is served, too", "wire 5; RFC 7692")
async def no_deflate(bench: Bench) -> None:
    async with open_socket(bench, compression=None) as socket:
        _right(await socket.whole("plain", bench.body(COUNT)))


@websockets.rule("two requests at once are answered one after the other, never mixed", "wire 6")
async def sequential(bench: Bench) -> None:
    async with open_socket(bench) as socket:
        for _ in range(2):
            await socket.create(bench.body(COUNT))
        turns = [await socket.rest(name, {}) for name in ("first", "second")]
        events = [event for told in turns for event in told.events]
        refused = [event for event in events if kind(event) == "error"]
        expect(len(refused) < 2, "expected at least one response, got two errors", refused)
        if refused:  # a server may refuse the second, also while the first runs
            turns = turns[:1]
            turns[0].events = [event for event in events if kind(event) != "error"]
        for told in turns:
            _right(told)


@websockets.rule("where a key is needed, a handshake without it is refused", "spec, Errors; wire 9")
async def no_key(bench: Bench) -> None:
    if not bench.line.has_key:
        skip("the kit was given no key")
    async with open_socket(bench):
        pass
    try:
        async with connected(bench, key=False) as socket:
            event = await socket.refused(bench.body("Hi."), "a request without a key")
            same(event.get("status"), 401, "status", event)
    except Refused as error:
        expect(error.status in (401, 403), f"expected 401, got {error.status}")
