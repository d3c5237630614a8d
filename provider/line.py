"""The line to one client: its answer's head and bytes, kept alive while there is nothing to say.

While a tool runs, a stream gets an SSE comment and a slow JSON answer leading white space, so
that no proxy gives up; and a client that leaves is noticed at once, which ends its response.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import anyio.lowlevel
from starlette.types import Message, Receive, Send

from .sending import Sending
from .sse import KEEP_ALIVE

KEEP_ALIVE_SECONDS = 15.0
STALLED_SECONDS = 120.0
"""How long one write may wait for a client that takes nothing; then it is as good as gone."""

Write: TypeAlias = Callable[[bytes], Awaitable[None]]


class Line:
    """One HTTP answer on its way out.

    Args:
        receive: ASGI's.
        send: ASGI's.
        streaming: Whether the answer is a stream of events, or one JSON body.
        quiet: Seconds without a byte after which the line is kept alive.
    """

    def __init__(
        self, receive: Receive, send: Send, *, streaming: bool, quiet: float = KEEP_ALIVE_SECONDS
    ) -> None:
        self._receive = receive
        self._sending = Sending(send)
        self._streaming = streaming
        self._quiet = quiet
        self._started = False
        self._left = anyio.CancelScope()
        self._last = time.monotonic()

    async def answer(self, work: Callable[[Write], Awaitable[None]]) -> None:
        """Do the work of the answer while the line is watched; `work` is given `write`.

        When the client leaves, the work is cancelled and this returns.
        """
        try:
            failure = await self._answered(work)
        finally:
            self._sending.abandon()
        if failure is not None:
            raise failure

    async def _answered(self, work: Callable[[Write], Awaitable[None]]) -> Exception | None:
        """What the work raised, so that it comes out bare and not in a group."""
        failure: Exception | None = None
        with self._left:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch)
                try:
                    await work(self.write)
                    await self._end()
                except Exception as error:
                    failure = error
                tasks.cancel_scope.cancel()
        return failure

    async def write(self, data: bytes) -> None:
        """Send bytes; the head goes first."""
        head = [] if self._started else [self._head()]
        self._started = True
        self._last = time.monotonic()
        await self._put(*head, {"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self) -> None:
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def _put(self, *messages: Message) -> None:
        try:
            await self._sending.put(*messages)
        except OSError:  # how some servers say that the client has left
            self._left.cancel()
            await anyio.lowlevel.checkpoint()

    def _head(self) -> Message:
        kind = b"text/event-stream; charset=utf-8" if self._streaming else b"application/json"
        headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
        if self._streaming:
            headers.append((b"x-accel-buffering", b"no"))
        return {"type": "http.response.start", "status": 200, "headers": headers}

    async def _watch(self) -> None:
        """Keep the line alive, until the client leaves."""
        while True:
            with anyio.move_on_after(self._quiet):
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self._left.cancel()
                    return
            now = time.monotonic()
            if self._sending.busy:  # bytes wait already: a sign of life would wait behind them
                if now - self._sending.since >= STALLED_SECONDS:
                    self._left.cancel()
                    return
            elif now - self._last >= self._quiet:
                with anyio.move_on_after(0):  # it goes on by itself where it has to wait
                    await self.write(KEEP_ALIVE if self._streaming else b" ")
