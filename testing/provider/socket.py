"""A WebSocket to a provider: one frame is one JSON object; bounded in time and size.

Above: `websocket`. Below: the `websockets` library, imported when it is needed. Not here:
any rule but that frames are text, and JSON objects.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal

import anyio
from pydantic_core import to_json

from .bench import Bench
from .line import MOST, Stream
from .report import Broken, Skipped, expect, shown
from .sse import Json, Told, obj, parse
from .stories import is_terminal, kind

CURE: Final = "pip install 'antiphon[server]', which brings the `websockets` library"
_CLOSE_SECONDS: Final = 2.0


class Socket:
    """One connection; see `connected`."""

    def __init__(self, connection: Any, bench: Bench) -> None:
        self._connection = connection
        self._bench = bench

    async def send(self, body: Json | str) -> None:
        """Send a frame: an object, or a text as it is."""
        text = body if isinstance(body, str) else to_json(body).decode()
        await self._connection.send(text)

    async def create(self, body: Json) -> None:
        """Ask for a response."""
        await self.send({"type": "response.create", **body})

    async def receive(self) -> Json:
        """The next frame.

        Raises:
            Broken: None comes, or it is not a JSON object in a text frame.
        """
        seconds = self._bench.line.seconds
        frame: object = None
        with anyio.move_on_after(seconds) as limit:
            try:
                frame = await self._connection.recv()
            except _errors().ConnectionClosed as error:
                raise Broken(f"expected a frame, got the connection's end: {error}") from error
        if limit.cancelled_caught:
            raise self._bench.line.lost(f"expected a frame within {seconds:g} seconds, got none")
        expect(isinstance(frame, str), f"expected a text frame, got {shown(frame)}")
        try:
            value = parse(str(frame))
        except ValueError:
            value = None
        expect(isinstance(value, dict), f"expected a JSON object, got {shown(frame)}", frame)
        return obj(value)

    async def rest(self, name: str, asked: Json) -> Stream:
        """The events of one response, or the error in its place.

        Raises:
            Broken: It does not end.
        """
        told = Stream(name, asked, None, Told())
        size = 0
        while True:
            event = await self.receive()
            size += len(to_json(event))
            expect(size <= MOST, f"expected a response of at most {MOST} bytes; it was longer")
            told.events.append(event)
            if is_terminal(event) or kind(event) == "error":
                return told

    async def turn(self, name: str, asked: Json) -> Stream:
        """Ask, and have the events of the response, or the error in its place."""
        await self.create(asked)
        return await self.rest(name, asked)

    async def whole(self, name: str, asked: Json) -> Stream:
        """Ask for a response that completes."""
        told = await self.turn(name, asked)
        status = told.terminal.get("status")
        expect(status == "completed", f"expected `completed`, got {shown(told.events[-1])}", asked)
        return told

    async def refused(self, asked: Json | str, what: str) -> Json:
        """Send what must be refused; gives the error event.

        Raises:
            Broken: It is not, or in another form.
        """
        if isinstance(asked, str):
            await self.send(asked)
        else:
            await self.create(asked)
        event = await self.receive()
        expect(kind(event) == "error", f"{what}: expected an error, got {shown(event)}", event)
        return event


def _client() -> Any:
    try:
        from websockets.asyncio import client
    except ImportError:
        raise Skipped(f"expected the `websockets` library, got none: {CURE}") from None
    return client


def _errors() -> Any:
    from websockets import exceptions

    return exceptions


@asynccontextmanager
async def connected(
    bench: Bench,
    *,
    compression: Literal["deflate"] | None = "deflate",
    headers: Mapping[str, str] | None = None,
    key: bool = True,
) -> AsyncGenerator[Socket]:
    """A connection to the provider.

    Raises:
        Skipped: It speaks no WebSocket, or the kit cannot.
        Broken: The handshake breaks.
    """
    await bench.line.check_alive()
    client = _client()

    class Direct(client.connect):
        """Follows no redirect: the key is for this server alone."""

        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise Skipped("WebSockets are tried under asyncio alone") from None
    url = bench.line.url("/responses", scheme="wss" if bench.line.secure else "ws")
    connection = await _open(
        Direct(
            url,
            additional_headers=bench.line.headers(headers, key=key),
            user_agent_header=None,
            open_timeout=bench.line.seconds,
            close_timeout=_CLOSE_SECONDS,
            max_size=MOST,
            compression=compression,
        ),
        bench,
    )
    try:
        yield Socket(connection, bench)
    finally:
        with anyio.CancelScope(shield=True), suppress(Exception):
            await connection.close()


async def _open(connecting: Any, bench: Bench) -> Any:
    errors = _errors()
    try:
        return await connecting
    except errors.InvalidStatus as error:
        raise Refused(error.response.status_code) from None
    except TimeoutError:
        seconds = bench.line.seconds
        raise bench.line.lost(f"the handshake: expected one within {seconds:g} seconds") from None
    except (OSError, errors.WebSocketException) as error:
        raise bench.line.lost(f"the handshake: {type(error).__name__}: {error}") from error


class Refused(Broken):
    """The handshake was answered with another status than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the handshake: expected 101, got {status}")
        self.status = status
