"""Mutants: a provider that breaks one rule, made of one that keeps them all.

`Switch` stands before an application and lets the mutant of the hour change what goes in and what
comes out: requests, whole answers, events of streams, frames of WebSockets. Each `Mutant` names the
rule that it breaks, as the conformance kit says it.
"""

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.testing.provider import Result, check_provider

from .conformance_reference import KEY, frames
from .serving import events_of

Json: TypeAlias = dict[str, Any]
Events: TypeAlias = list[Json]

PATIENCE = 60.0
_RAW = "what is no JSON object"
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@dataclass
class Exchange:
    """One HTTP request and its answer; all of it may be changed.

    Attributes:
        given: The request's JSON as it came; `asked` is what goes on.
        done: Set it to answer without asking the provider.
        state: Lives as long as the mutant.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    sent: bytes
    state: Json
    status: int = 0
    told: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    done: bool = False

    def __post_init__(self) -> None:
        try:
            value = json.loads(self.sent)
        except ValueError:
            value = None
        self.given: Json = cast("Json", value) if isinstance(value, dict) else {}
        self.asked: Json = dict(self.given)

    @property
    def creates(self) -> bool:
        """Whether it asks for a response."""
        return (self.method, self.path) == ("POST", "/v1/responses")

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.told.get("content-type", "").startswith("text/event-stream")

    @property
    def json(self) -> Json:
        """The answer's object."""
        value = json.loads(self.body) if self.body and not self.streams else None
        return cast("Json", value) if isinstance(value, dict) else {}

    def answer(self, status: int, value: Any) -> None:
        """Answer this, without asking anybody."""
        self.status, self.done = status, True
        self.told = {"content-type": "application/json", "x-request-id": "req_mutant"}
        self.body = json.dumps(value).encode()

    def refuse(self, status: int = 400) -> None:
        """Refuse it, in the right form."""
        error = {"message": "no", "type": "invalid_request_error", "param": None, "code": None}
        self.answer(status, {"error": error})


Change: TypeAlias = Callable[[Exchange], object]
Frames: TypeAlias = Callable[[Json, Json], Iterable[Json | str]]


@dataclass(frozen=True)
class Mutant:
    """One way to break a rule.

    Attributes:
        rule: The rule that is broken, as the kit says it.
        before: Changes a request.
        after: Changes an answer.
        heard: Changes a WebSocket frame of the client, given the mutant's state.
        spoken: Changes one of the server; several may come out, or none.
        how: What sets it apart from another mutant of the same rule.
    """

    rule: str
    before: Change | None = None
    after: Change | None = None
    heard: Frames | None = None
    spoken: Frames | None = None
    how: str = ""

    def __str__(self) -> str:
        return f"{self.rule} {self.how}".strip()


def said(change: Callable[[Json], object], *, get: bool = False) -> Change:
    """Changes the response objects of JSON answers; with `get`, of those that are had again."""

    def after(one: Exchange) -> None:
        value = one.json
        if value.get("object") == "response" and (one.method == "GET") == get:
            change(value)
            one.body = json.dumps(value).encode()

    return after


def value_of(path: str, change: Callable[[Json], object], *, method: str = "") -> Change:
    """Changes the JSON of answers at paths that contain `path`."""

    def after(one: Exchange) -> None:
        if path in one.path and method in ("", one.method) and one.json:
            value = one.json
            change(value)
            one.body = json.dumps(value).encode()

    return after


def told(change: Callable[[Events], Events | None], *, number: bool = True) -> Change:
    """Changes the events of streams, and counts them anew."""

    def after(one: Exchange) -> None:
        if not one.streams:
            return
        events = events_of(one.body)
        events = change(events) or events
        if number:
            for at, event in enumerate(events):
                event["sequence_number"] = at
        one.body = frames(events)

    return after


def each(name: str, change: Callable[[Json], object]) -> Change:
    """Changes every event of one type; `name` may end in `*`."""

    def events(given: Events) -> None:
        for event in given:
            if event["type"] == name or (name[-1] == "*" and event["type"].startswith(name[:-1])):
                change(event)

    return told(events)


def without(name: str, *, first: bool = False) -> Change:
    """Leaves out the events of one type, or the first of each stream."""

    def events(given: Events) -> Events:
        places = [at for at, event in enumerate(given) if event["type"] == name]
        gone = places[:1] if first else places
        return [event for at, event in enumerate(given) if at not in gone]

    return told(events)


def twice(name: str) -> Change:
    """Says the events of one type twice."""

    def events(given: Events) -> Events:
        return [event for event in given for _ in range(2 if event["type"] == name else 1)]

    return told(events)


def change_item(event: str, *kinds: str, **fields: Any) -> Change:
    """Changes the items of some types (of all, if none is named) where they are added or done."""

    def change(told: Json) -> None:
        if not kinds or told["item"]["type"] in kinds:
            told["item"].update(fields)

    return each(event, change)


def parts(response: Json) -> list[Json]:
    """All content parts of a response."""
    return [part for item in response["output"] for part in item.get("content", [])]


def raw(old: bytes, new: bytes, *, count: int = -1) -> Change:
    """Changes the bytes of streams."""

    def after(one: Exchange) -> None:
        if one.streams:
            assert old in one.body or not one.body
            one.body = one.body.replace(old, new, count)

    return after


def end(change: Callable[[Json], object]) -> Change:
    """Changes the response of each stream's terminal event."""

    def events(given: Events) -> None:
        change(given[-1]["response"])

    return told(events)


def field_of(fields: Mapping[str, Any], *, drop: str = "", when: str = "") -> Change:
    """Changes fields of requests for responses, before they are read."""

    def before(one: Exchange) -> None:
        if one.creates and (not when or when in one.asked):
            one.asked.pop(drop, None)
            one.asked.update(fields)

    return before


def ignores(name: str) -> Change:
    """A provider that does not read one field."""
    return field_of({}, drop=name)


def refuses(word: str, status: int = 400) -> Change:
    """A provider that refuses requests with this word in their JSON."""

    def before(one: Exchange) -> None:
        if one.creates and word in json.dumps(one.asked.get("input", "")):
            one.refuse(status)

    return before


class Switch:
    """An application before another, with the mutant of the hour."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._mutant: Mutant | None = None
        self._state: Json = {}

    @contextmanager
    def on(self, mutant: Mutant) -> Generator[None]:
        """Be this mutant."""
        self._mutant, self._state = mutant, {}
        try:
            yield
        finally:
            self._mutant = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mutant = self._mutant
        if mutant is None or scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(mutant, scope, receive, send)
        else:
            await self._http(mutant, scope, receive, send)

    async def _http(self, mutant: Mutant, scope: Scope, receive: Receive, send: Send) -> None:
        sent, more = b"", True
        while more:
            message = await receive()
            sent += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        one = Exchange(scope["method"], scope["path"], query, headers, sent, self._state)
        if mutant.before:
            mutant.before(one)
        if not one.done:
            await self._ask(one, scope)
        if mutant.after:
            mutant.after(one)
        given = [(name.encode(), value.encode()) for name, value in one.told.items()]
        await send({"type": "http.response.start", "status": one.status, "headers": given})
        await send({"type": "http.response.body", "body": one.body})

    async def _ask(self, one: Exchange, scope: Scope) -> None:
        body = one.sent if one.asked == one.given else json.dumps(one.asked).encode()
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await anyio.sleep_forever()
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                one.status = message["status"]
                one.told = {name.decode(): value.decode() for name, value in message["headers"]}
                one.told.pop("content-length", None)
            else:
                one.body += message.get("body", b"")

        headers = [(name.encode(), value.encode()) for name, value in one.headers.items()]
        headers = [each for each in headers if each[0] != b"content-length"]
        scope = {**scope, "headers": headers, "query_string": one.query.encode()}
        await self._app(scope, receive, send)

    async def _socket(self, mutant: Mutant, scope: Scope, receive: Receive, send: Send) -> None:
        state = self._state
        state["headers"] = {name.decode(): value.decode() for name, value in scope["headers"]}
        waiting: list[Message] = []

        async def hear() -> Message:
            while not waiting:
                message = await receive()
                if message["type"] != "websocket.receive" or mutant.heard is None:
                    return message
                changed = mutant.heard(_parsed(message["text"]), state)
                waiting.extend({**message, "text": _written(each)} for each in changed)
            return waiting.pop(0)

        async def speak(message: Message) -> None:
            if message["type"] != "websocket.send" or mutant.spoken is None:
                await send(message)
                return
            for changed in mutant.spoken(_parsed(message["text"]), state):
                await send({**message, "text": _written(changed)})

        given = [(name.encode(), value.encode()) for name, value in state["headers"].items()]
        if mutant.before is not None:
            one = Exchange("GET", scope["path"], "", dict(state["headers"]), b"", state)
            mutant.before(one)
            given = [(name.encode(), value.encode()) for name, value in one.headers.items()]
        await self._app({**scope, "headers": given}, hear, speak)


def _parsed(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError:
        return {_RAW: text}
    return cast("Json", value) if isinstance(value, dict) else {_RAW: text}


def _written(frame: Json | str) -> str:
    return frame if isinstance(frame, str) else frame.get(_RAW) or json.dumps(frame)


async def found(switch: Switch, url: str, mutant: Mutant) -> Result:
    """What the kit says of the rule that a mutant breaks."""
    with switch.on(mutant), anyio.fail_after(PATIENCE):
        report = await check_provider(
            url, api_key=KEY, model="obliging", only=[mutant.rule], seconds=5
        )
    results = [result for result in report.results if result.name == mutant.rule]
    assert len(results) == 1, f"expected one rule of this name, got {len(results)}"
    return results[0]
