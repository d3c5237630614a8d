"""The line to one client: kept alive, never spoken on after its end, noticed when it is cut."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.types import Message

from .serving import PATIENCE

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider import line as line_file
    from provider.feed import feed
    from provider.line import Line, Write
else:
    from antiphon.provider import line as line_file
    from antiphon.provider.feed import feed
    from antiphon.provider.line import Line, Write

pytestmark = pytest.mark.anyio


class Client:
    """The other end: what it got, and a gate that holds each send."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.gate: anyio.Event | None = None
        self.held = anyio.Event()
        self.broken = False
        self.news = anyio.Event()
        self.left = anyio.Event()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.broken:
            raise OSError("the client is gone")
        self.got.append(message)
        self.news.set()
        self.news = anyio.Event()
        if self.gate is not None:
            self.held.set()
            await self.gate.wait()

    async def until(self, wanted: Any) -> None:
        with anyio.fail_after(PATIENCE):
            while not wanted():
                await self.news.wait()

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.got if "body" in message]


@pytest.mark.parametrize(("streaming", "sign"), [(True, b": keep-alive\n\n"), (False, b" ")])
async def test_a_silent_line_is_kept_alive(streaming: bool, sign: bytes) -> None:
    client, go = Client(), anyio.Event()
    line = Line(client.receive, client.send, streaming=streaming, quiet=0.01)

    async def work(write: Write) -> None:
        await go.wait()
        await write(b"{}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.answer, work)
        await client.until(lambda: client.bodies.count(sign) > 2)
        go.set()
    assert client.got[0]["type"] == "http.response.start"
    assert [message["type"] for message in client.got].count("http.response.start") == 1
    assert client.bodies[-2:] == [b"{}", b""]
    assert client.got[-1]["more_body"] is False
    assert all(message["more_body"] for message in client.got[1:-1])


async def test_a_busy_line_needs_no_sign() -> None:
    client = Client()
    line = Line(client.receive, client.send, streaming=True, quiet=PATIENCE)

    async def work(write: Write) -> None:
        for _ in range(3):
            await write(b"x")

    await line.answer(work)
    assert client.bodies == [b"x", b"x", b"x", b""]


async def test_nothing_is_said_after_the_end() -> None:
    """While the last bytes go out, no sign of life is sent, nor waits to be."""
    client, go = Client(), anyio.Event()
    looked = [0]

    async def receive() -> Message:
        looked[0] += 1
        return await client.receive()

    line = Line(receive, client.send, streaming=True, quiet=0.01)

    async def work(write: Write) -> None:
        await write(b"x")
        client.gate = go

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.answer, work)
        with anyio.fail_after(PATIENCE):
            await client.held.wait()
            before = looked[0]
            while looked[0] < before + 3:  # it looks each time that it was quiet for too long
                await anyio.lowlevel.checkpoint()
        go.set()
    assert client.bodies[-1] == b""
    assert [message.get("more_body") for message in client.got].count(False) == 1
    assert client.got[-1]["more_body"] is False


async def test_a_client_that_leaves_cancels_the_work() -> None:
    client = Client()
    line = Line(client.receive, client.send, streaming=True)
    ended: list[str] = []

    async def work(write: Write) -> None:
        await write(b"x")
        client.left.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            ended.append("cancelled")
            raise

    with anyio.fail_after(PATIENCE / 2):
        await line.answer(work)
    assert ended == ["cancelled"]
    assert client.bodies == [b"x"]


async def test_a_send_that_breaks_is_a_client_that_left() -> None:
    """Some servers say so by raising from `send`, as the ASGI specification lets them."""
    client = Client()
    line = Line(client.receive, client.send, streaming=True)
    ended: list[str] = []

    async def work(write: Write) -> None:
        await write(b"x")
        client.broken = True
        try:
            await write(b"y")
        except anyio.get_cancelled_exc_class():
            ended.append("cancelled")
            raise

    with anyio.fail_after(PATIENCE / 2):
        await line.answer(work)
    assert ended == ["cancelled"]


@pytest.mark.parametrize("waits", ["a write", "a sign of life"])
async def test_a_client_that_takes_nothing_any_more_has_left(
    waits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers hold back the send after the one that was too much, whoever makes it."""
    monkeypatch.setattr(line_file, "STALLED_SECONDS", 0.02)
    client = Client()
    line = Line(client.receive, client.send, streaming=True, quiet=0.01)
    ended: list[str] = []

    async def work(write: Write) -> None:
        await write(b"x" * 100_000)
        client.gate = anyio.Event()  # never opened
        try:
            await (write(b"y") if waits == "a write" else anyio.sleep_forever())
        except anyio.get_cancelled_exc_class():
            ended.append("cancelled")
            raise

    with anyio.fail_after(PATIENCE):
        await line.answer(work)
    assert ended == ["cancelled"]


@pytest.mark.parametrize("clock", [anyio.fail_after, asyncio.timeout])
async def test_a_time_limit_inside_a_run_cuts_off_no_write(clock: Any) -> None:
    """The run waits for a slow client while the clock of a tool goes on, in the same task."""
    client = Client()
    line = Line(client.receive, client.send, streaming=True)
    told: list[bytes] = []

    async def run() -> AsyncGenerator[bytes, None]:
        yield b"a"
        client.gate = anyio.Event()
        try:
            async with as_async(clock(0.01)):
                await anyio.sleep_forever()
        except TimeoutError:
            client.gate.set()
            yield b"late"
        yield b"b"

    async def work(write: Write) -> None:
        async def flush() -> None:
            taken, told[:] = b"".join(told), []
            if taken:
                await write(taken)

        await feed(run(), told.append, flush)

    with anyio.fail_after(PATIENCE):
        await line.answer(work)
    assert b"".join(client.bodies) == b"alateb"
    assert client.got[-1]["more_body"] is False


@asynccontextmanager
async def as_async(clock: Any) -> AsyncGenerator[None]:
    if hasattr(clock, "__aenter__"):
        async with clock:
            yield
    else:
        with clock:
            yield
