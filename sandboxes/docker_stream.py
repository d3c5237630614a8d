"""Byte streams to and from a container: one class for sockets, one for the engine's hijacked HTTP.

Nothing here knows frames or lines. What comes in is kept until it is taken, up to a bound at
which the other end has to wait; what goes out is queued whole, so that a cancel cuts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio import BrokenResourceError, ClosedResourceError

_ENOUGH = 256 * 1024
_HEAD = 16 * 1024
_PREFIX = 8


class Stream(asyncio.Protocol):
    """One connection; for one reader at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._tap: Callable[[bytes], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._paused = False
        self._ended = False
        self._closed = False

    @property
    def ended(self) -> bool:
        """Whether the other end has closed it."""
        return self._ended

    async def send(self, data: bytes) -> None:
        """Queue bytes, then wait while the other end is behind.

        Raises: anyio.BrokenResourceError, anyio.ClosedResourceError.
        """
        self.write(data)
        while self._drained is not None and not self._ended:
            await asyncio.shield(self._drained)

    def write(self, data: bytes) -> None:
        """Queue bytes without waiting; for small messages. Raises as `send`."""
        if self._closed:
            raise ClosedResourceError
        if self._ended or self._transport is None:
            raise BrokenResourceError
        self._transport.write(data)

    async def receive(self) -> bytes:
        """What has come, empty at the end."""
        while not self._buffer and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._take(len(self._buffer))

    async def line(self, limit: int) -> bytes:
        """The first line, without its end; what is left stays. Empty if there is none."""
        while b"\n" not in self._buffer and len(self._buffer) <= limit and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        end = self._buffer.find(b"\n")
        return self._take(end + 1)[:-1] if 0 <= end <= limit else b""

    def tap(self, tap: Callable[[bytes], None]) -> None:
        """From now on call `tap` with what comes, and with nothing at the end."""
        self._tap = tap
        if self._buffer:
            tap(self._take(len(self._buffer)))
        if self._ended:
            tap(b"")

    def close(self) -> None:
        """Let go, at once; what was queued may be lost."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._closed:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._tap is not None:
            self._tap(data)
            return
        self._buffer += data
        if len(self._buffer) > _ENOUGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """See asyncio.Protocol."""
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._finish()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        if self._paused and not self._ended and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return taken

    def _finish(self) -> None:
        if self._ended:
            return
        self._ended = True
        self.resume_writing()
        self._wake()
        if self._tap is not None:
            self._tap(b"")

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class HijackedStream(Stream):
    """A connection that begins as HTTP and goes on as the engine's multiplexed stream.

    Standard output is what is received; `said` keeps the beginning of standard error.
    Source: the Docker Engine API, "Attach to a container", stream format.
    """

    def __init__(self, request: bytes) -> None:
        super().__init__()
        self._request = request
        self._raw = bytearray()
        self._kind = self._left = 0
        self._answered = False
        self.status = 0
        """The HTTP status, 0 before it has come."""
        self.said: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self.write(self._request)

    async def answered(self) -> bytes:
        """Wait until the engine has answered; returns what it says if that is a refusal."""
        while not self._answered and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return b"" if self.status in (101, 200) else bytes(self._raw[:1000])

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._raw += data
        if not self._answered:
            head, end, rest = bytes(self._raw).partition(b"\r\n\r\n")
            if not end:
                if len(self._raw) > _HEAD:
                    self.close()
                return
            word = head.split(b" ", 2)[1:2]
            self.status: int = int(word[0]) if word and word[0].isdigit() else 0
            self._answered = True
            self._raw = bytearray(rest)
            self._wake()
        if self.status in (101, 200):
            self._unwrap()

    def _unwrap(self) -> None:
        """Eight bytes say whose the next ones are, and how many: then these."""
        raw, out = self._raw, bytearray()
        while True:
            if not self._left:
                if len(raw) < _PREFIX:
                    break
                head = bytes(raw[:_PREFIX])
                del raw[:_PREFIX]
                self._kind, self._left = head[0], int.from_bytes(head[4:], "big")
                if self._kind not in (1, 2) or any(head[1:4]):
                    self.close()  # not the format that was asked for
                    break
            # What is there is taken: how long a chunk is, is the engine's affair, not our memory's.
            piece = raw[: self._left]
            del raw[: self._left]
            self._left -= len(piece)
            if self._kind == 1:
                out += piece
            elif len(self.said) < _HEAD:
                self.said += bytes(piece)
            if self._left:
                break
        if out:
            super().data_received(bytes(out))
