"""Behind a real server: compression, fragments, pings, limits, and what a dead line does."""

import json
import socket
import struct
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.models import ModelRequest, Text, model
from antiphon.provider import Provider

from .websocketing import PATIENCE, TERMINAL, end, fault, said, served, socketed

pytestmark = pytest.mark.anyio


@model("memory")
async def memory(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Says how long what it was given is."""
    yield Text(str(sum(len(getattr(item, "text", "")) for item in request.items)))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(socketed(Provider(models=[memory]))) as base:
        yield f"{base}/responses"


def asking(**fields: Any) -> str:
    return json.dumps({"type": "response.create", "input": "hi", **fields})


async def rest(line: ClientConnection) -> list[dict[str, Any]]:
    """The events of one answer; every one is a text message."""
    events: list[dict[str, Any]] = []
    with anyio.fail_after(PATIENCE):
        while not events or events[-1]["type"] not in TERMINAL:
            message = await line.recv()
            assert isinstance(message, str)
            events.append(json.loads(message))
    return events


async def test_messages_are_compressed_for_a_client_that_can(url: str) -> None:
    async with connect(url) as line:
        assert line.response is not None
        assert "permessage-deflate" in line.response.headers["Sec-WebSocket-Extensions"]
        await line.send(asking(input="x" * 100_000))
        assert said(await rest(line)) == "100000"
    async with connect(url, compression=None) as line:
        assert line.response is not None
        assert "Sec-WebSocket-Extensions" not in line.response.headers
        await line.send(asking())
        assert said(await rest(line)) == "2"


async def test_a_fragmented_message_is_one_message(url: str) -> None:
    text = asking(input="é" * 1000)
    async with connect(url) as line:
        await line.send([text[:7], text[7:30], text[30:]])
        assert said(await rest(line)) == "1000"


async def test_a_binary_message_is_refused_and_the_connection_lives(url: str) -> None:
    async with connect(url) as line:
        await line.send(asking().encode())
        assert fault(await rest(line)) == (400, "unsupported_message")
        await line.send(asking())
        assert said(await rest(line)) == "2"


@pytest.mark.parametrize("fragments", [1, 40])
async def test_a_message_beyond_the_servers_limit_closes_with_1009(fragments: int) -> None:
    app = socketed(Provider(models=[memory]), max_body=1000)
    with served(app, ws_max_size=2000) as base:
        async with connect(f"{base}/responses", compression=None) as line:
            await line.send(asking(input="x" * 1000))
            assert fault(await rest(line)) == (413, "request_too_large")
            text = asking(input="x" * 4000)
            size = len(text) // fragments
            parts = [text[at : at + size] for at in range(0, len(text), size)]
            with pytest.raises(ConnectionClosed) as closed:
                await line.send(parts)
                await rest(line)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_small_message_that_inflates_beyond_the_limit_closes_with_1009() -> None:
    with served(socketed(Provider(models=[memory])), ws_max_size=100_000) as base:
        async with connect(f"{base}/responses") as line:
            with pytest.raises(ConnectionClosed) as closed:
                await line.send(asking(input="x" * 10_000_000))
                await rest(line)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_refused_handshake_says_why() -> None:
    with served(socketed(Provider(models=[memory], api_keys={"sk-a": "alice"}))) as base:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{base}/responses")
        answer = refused.value.response
        assert answer.status_code == 401
        assert json.loads(answer.body or b"")["error"]["code"] == "invalid_api_key"
        key = {"authorization": "Bearer sk-a"}
        async with connect(f"{base}/responses", additional_headers=key) as line:
            await line.send(asking())
            assert said(await rest(line)) == "2"


async def test_http_at_the_same_path_is_as_it_was(url: str) -> None:
    http = url.replace("ws://", "http://")
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        answer = await client.post(http, json={"input": "hi"})
        assert answer.json()["status"] == "completed"
        refused = await client.get(http)
        assert refused.status_code == 405


async def test_the_end_of_a_connections_time_is_an_error_and_going_away() -> None:
    app = socketed(Provider(models=[memory]), seconds=0.1)
    with served(app) as base:
        async with connect(f"{base}/responses") as line:
            assert fault(await rest(line)) == (400, "websocket_connection_limit_reached")
            with anyio.fail_after(PATIENCE):
                await line.wait_closed()
            assert line.close_code == 1001


# --- lines that die ----------------------------------------------------------


class Watched:
    """A model that speaks for ever, and says when it was stopped."""

    def __init__(self) -> None:
        self.spoken = 0
        self.started = threading.Event()
        self.ended = threading.Event()

    def provider(self, size: int) -> Provider:
        @model("endless")
        async def endless(request: ModelRequest) -> AsyncGenerator[Any, None]:
            try:
                while True:
                    yield Text("x" * size)
                    self.spoken += 1
                    self.started.set()
                    await anyio.lowlevel.checkpoint()
            finally:
                self.ended.set()

        return Provider(models=[endless])


def shake(url: str) -> socket.socket:
    """A line that has shaken hands, and is then on its own: it answers no ping."""
    host, port = url.removeprefix("ws://").removesuffix("/v1").split(":")
    line = socket.create_connection((host, int(port)), timeout=PATIENCE)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.sendall(
        b"GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += line.recv(1)
    assert head.startswith(b"HTTP/1.1 101")
    return line


def text_frame(text: str) -> bytes:
    """A masked text frame; the mask is zero."""
    data = text.encode()
    assert len(data) < 126
    return struct.pack("!BB4x", 0x81, 0x80 | len(data)) + data


def test_a_line_that_is_cut_ends_the_response() -> None:
    watched = Watched()
    with served(socketed(watched.provider(10))) as base:
        with shake(base) as line:
            line.sendall(text_frame(asking(model="endless")))
            assert watched.started.wait(PATIENCE)
        assert watched.ended.wait(PATIENCE)


def test_a_line_that_answers_no_ping_ends_the_response() -> None:
    held = threading.Event()
    ended = threading.Event()

    @model("silent")
    async def silent(request: ModelRequest) -> AsyncGenerator[Any, None]:
        try:
            held.set()
            await anyio.sleep_forever()
            yield Text("never")
        finally:
            ended.set()

    options = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}
    with served(socketed(Provider(models=[silent])), **options) as base, shake(base) as line:
        line.sendall(text_frame(asking(model="silent")))
        assert held.wait(PATIENCE)
        assert ended.wait(PATIENCE)


def test_a_line_that_reads_nothing_stops_the_model_and_is_given_up() -> None:
    """What was spoken fits into the buffers of two sockets; then the run stood still."""
    watched = Watched()
    app = socketed(watched.provider(64 * 1024), stalled=0.5)
    with served(app) as base, shake(base) as line:
        line.sendall(text_frame(asking(model="endless")))
        assert watched.ended.wait(PATIENCE)
        assert 0 < watched.spoken < 1000  # an unbounded buffer takes far more in half a second


async def test_a_server_that_stops_ends_the_response() -> None:
    watched = Watched()
    with served(socketed(watched.provider(10)), timeout_graceful_shutdown=5) as base:
        line = await anyio.to_thread.run_sync(shake, base)
        line.sendall(text_frame(asking(model="endless")))
        assert await anyio.to_thread.run_sync(watched.started.wait, PATIENCE)
    assert watched.ended.wait(PATIENCE)
    line.close()


async def test_two_connections_speak_at_once(url: str) -> None:
    answers: list[str] = []

    async def one(number: int) -> None:
        async with connect(url) as line:
            await line.send(asking(input="x" * number, store=False))
            first = await rest(line)
            after = end(first)["id"]
            await line.send(asking(input="y", store=False, previous_response_id=after))
            answers.append(said(await rest(line)))

    async with anyio.create_task_group() as tasks:
        for number in range(1, 21):
            tasks.start_soon(one, number)
    assert sorted(answers, key=int) == [str(n + len(str(n)) + 1) for n in range(1, 21)]
