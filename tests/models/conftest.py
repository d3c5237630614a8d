"""A small HTTP server of one's own, that may also misbehave, and ways to listen to a model."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import pytest

from antiphon.items import Event
from antiphon.models import Model, ModelRequest

Listen: TypeAlias = Callable[[Model, ModelRequest], Awaitable[list[Event]]]


@dataclass
class Reply:
    """One answer: its chunks, each sent by itself.

    `cut` ends the connection without an end; `stuck` sends nothing more and waits to be left.
    """

    chunks: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )
    cut: bool = False
    stuck: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> "Reply":
        """An answer that is one JSON object."""
        more = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(
            [json.dumps(value).encode()], status, {"content-type": "application/json"} | more
        )


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """Its JSON."""
        return json.loads(self.raw)


class Server:
    """Plays replies in order, the last one again and again; remembers what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[Asked] = []
        self.connections = 0
        self.url = ""
        self.heard = anyio.Event()
        self.gone = anyio.Event()

    def plays(self, *replies: Reply) -> None:
        """Set the replies."""
        self.replies = list(replies)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append(Asked(head[0].split(" ")[1], headers, body))
        self.heard.set()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        lines = [f"HTTP/1.1 {reply.status} Said", "transfer-encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for chunk in filter(None, reply.chunks):  # an empty one would be the end
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        if reply.cut:
            return False
        if reply.stuck:
            await reader.read()
            self.gone.set()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@pytest.fixture
def reply() -> type[Reply]:
    """What a server is told to say."""
    return Reply


@pytest.fixture
def make_server() -> type[Server]:
    """For tests that run loops of their own."""
    return Server


@pytest.fixture
async def server() -> AsyncGenerator[Server, None]:
    """A server on loopback."""
    playing = Server()
    listening = await asyncio.start_server(playing.talk, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    playing.url = f"http://127.0.0.1:{port}/v1"
    yield playing
    listening.close()


@pytest.fixture(params=[False, True], ids=["httpx2", "aiohttp"])
def fast(request: pytest.FixtureRequest) -> bool:
    """Whether aiohttp is under the client."""
    return request.param


@pytest.fixture
def listen() -> Listen:
    """Ask a model and have all it says, within 10 seconds."""

    async def hear(model: Model, request: ModelRequest) -> list[Event]:
        with anyio.fail_after(60):
            return [event async for event in model.stream(request)]

    return hear


@pytest.fixture
def sse() -> Callable[..., bytes]:
    """Objects as server-sent events, named by their `type` where they have one."""

    def frames(*values: Any) -> bytes:
        return b"".join(
            (f"event: {value['type']}\n".encode() if "type" in value else b"")
            + b"data: "
            + json.dumps(value).encode()
            + b"\n\n"
            for value in values
        )

    return frames
