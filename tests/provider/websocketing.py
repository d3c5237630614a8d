"""A Provider's WebSocket, as bare ASGI and behind a real server, and one connection to it."""

import json
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import uvicorn
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Message, Scope

from antiphon.provider import Provider

from .serving import PATIENCE

if TYPE_CHECKING:
    from provider.rate import Rate, Throttle
    from provider.websocket import WebSocketDoor
else:
    from antiphon.provider.rate import Rate, Throttle
    from antiphon.provider.websocket import WebSocketDoor

TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


def socketed(app: Provider, **terms: Any) -> ASGIApp:
    """The Provider with its WebSocket held on other terms.

    Args:
        terms: `seconds`, `stalled`, `max_body`, as `WebSocketDoor` has them.
    """
    keys, desk = app._keys, app._desk  # pyright: ignore[reportPrivateUsage]
    door = WebSocketDoor(keys=keys, desk=desk, throttle=Throttle(Rate()), **terms)
    return Router(routes=[*door.routes(), Mount("/", app)])


@contextmanager
def served(app: ASGIApp, **options: Any) -> Generator[str]:
    """Serve an application on 127.0.0.1; gives its base URL, `ws://127.0.0.1:4711/v1`."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait
    options = {"ws": "websockets-sansio", "log_level": "error", "lifespan": "off", **options}
    server = uvicorn.Server(uvicorn.Config(app, **options))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listening.close()
        assert not thread.is_alive(), "the server did not stop"


class Talk:
    """One connection at the level of ASGI: every message is seen as it was sent.

    Attributes:
        sent: All messages of the application, the handshake's answer first.
        gate: While it is set and closed, nothing gets through to the client.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: Mapping[str, str] | None = None,
        client: tuple[str, int] | None = ("127.0.0.1", 5000),
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self._app = app
        self._to_app: list[Message] = [{"type": "websocket.connect"}]
        self._news = anyio.Event()
        self.sent: list[Message] = []
        self.gate: anyio.Event | None = None
        self.ended = False
        given = {"host": "localhost", **(headers or {})}
        self.scope: Scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/v1/responses",
            "raw_path": b"/v1/responses",
            "root_path": "",
            "query_string": b"",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
            "client": client,
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}} if extensions is None else extensions,
        }

    async def run(self) -> None:
        """Call the application."""
        try:
            await self._app(self.scope, self._receive, self._send)
        finally:
            self.ended = True
            self._tell()

    def say(self, message: Mapping[str, Any] | str | bytes) -> None:
        """Send a message; a mapping becomes JSON, bytes a binary message."""
        if isinstance(message, bytes):
            self._put({"type": "websocket.receive", "bytes": message})
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self._put({"type": "websocket.receive", "text": text})

    def create(self, **fields: Any) -> None:
        """Ask for a response."""
        self.say({"type": "response.create", "input": "hi", **fields})

    def leave(self) -> None:
        """The client is gone."""
        self._put({"type": "websocket.disconnect", "code": 1005})

    async def until(self, wanted: Callable[[], object]) -> None:
        """Wait until something is so; it is looked at after every send."""
        with anyio.fail_after(PATIENCE):
            while not wanted():
                await self._news.wait()

    async def answer(self, **fields: Any) -> list[dict[str, Any]]:
        """Ask, and wait for the whole answer."""
        self.create(**fields)
        return await self.rest()

    async def rest(self) -> list[dict[str, Any]]:
        """The events of the next answer that was not taken yet."""
        return [json.loads(text) for text in await self.take()]

    async def take(self) -> list[str]:
        """The same, as they were sent."""
        end = 0

        def ended() -> bool:
            nonlocal end
            texts = self.texts
            while end < len(texts) and json.loads(texts[end])["type"] not in TERMINAL:
                end += 1
            return end < len(texts)

        await self.until(ended)
        taken = self.texts[: end + 1]
        sends = [m for m in self.sent if m["type"] == "websocket.send"][: end + 1]
        self.sent = [m for m in self.sent if all(m is not send for send in sends)]
        return taken

    @property
    def texts(self) -> list[str]:
        """The messages that were sent and not taken yet."""
        return [cast("str", m["text"]) for m in self.sent if m["type"] == "websocket.send"]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The same, read."""
        return [json.loads(text) for text in self.texts]

    @property
    def closed(self) -> int | None:
        """The code with which the application closed the connection, if it did."""
        codes = [m.get("code", 1000) for m in self.sent if m["type"] == "websocket.close"]
        return codes[0] if codes else None

    async def _receive(self) -> Message:
        while not self._to_app:
            await self._news.wait()
        return self._to_app.pop(0)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._tell()
        if self.gate is not None:
            await self.gate.wait()

    def _put(self, message: Message) -> None:
        self._to_app.append(message)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@asynccontextmanager
async def talking(app: ASGIApp, **options: Any) -> AsyncGenerator[Talk]:
    """An open connection; its client leaves at the end."""
    talk = Talk(app, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk.run)
        await talk.until(lambda: talk.sent)  # let in, or refused
        yield talk
        talk.leave()
        await talk.until(lambda: talk.ended)


def fault(events: list[dict[str, Any]]) -> tuple[int, str]:
    """Status and code of an answer that is one error."""
    (event,) = events
    assert event["type"] == "error"
    return event["status"], event["error"]["code"]


def end(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The terminal response."""
    return events[-1]["response"]


def said(events: list[dict[str, Any]]) -> str:
    """What the model answered."""
    assert events[-1]["type"] == "response.completed", events[-1]
    return "".join(event["delta"] for event in events if event["type"].endswith("text.delta"))
