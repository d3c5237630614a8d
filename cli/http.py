"""HTTP as `antiphon serve` speaks it: uvicorn's protocol, with an end to a client's patience.

A connection without a request has `HEAD_SECONDS` to bring a whole head, or it is closed: whoever
sends a byte now and then holds nothing. Heads, and all else that is no body, are bounded in
bytes; a head in lines, too. The time of bodies is the Provider's business. A Provider that is
mounted elsewhere cannot do this: its server has the connection.

Above: `server`. Below: uvicorn, which has no setting for any of these (0.54).
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_SECONDS: Final = 10.0
"""How long a request's head may take, from a connection's beginning or the head's first byte."""

HEAD_BYTES: Final = 64 * 1024
"""Bytes that a head may have; a network chunk more may be read before that is seen."""

HEAD_LINES: Final = 100
"""Headers that a request may have (trailers count)."""

IDLE_SECONDS: Final = 15
"""How long a connection may be kept without a request, after one."""

TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)


class Serving(ServerState):
    """What a server's connections share, those too that are accepted in the moment of its end.

    Attributes:
        draining: Whether every answer is to be its connection's last.
    """

    draining: bool = False


class Timed:
    """Closes a connection that brings no request in time; a base of uvicorn's protocols.

    Attributes:
        head_seconds: How long a head may take.
    """

    head_seconds: float = HEAD_SECONDS

    # what uvicorn's protocols have
    server_state: ServerState
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any

    _timer: asyncio.TimerHandle | None = None
    _begun = False

    def drain(self) -> None:
        """Let the answer that is under way be the connection's last, if the server is ending."""
        if self.busy and isinstance(self.server_state, Serving) and self.server_state.draining:
            self.cycle.keep_alive = False

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def wait(self) -> None:
        """A head has to come from now on, unless an answer is under way."""
        if self._timer is None and not self.busy:
            self._timer = self.loop.call_later(self.head_seconds, self._late)

    def came(self) -> None:
        """A head has come."""
        self._begun = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def refuse(self, answer: bytes) -> None:
        """Answer what is no request, and close."""
        self.came()
        if not self.transport.is_closing():
            if not self.busy:
                self.transport.write(answer)
            self.transport.close()

    def _late(self) -> None:
        self._timer = None
        if self.busy:
            return  # half a head came behind a request: its time begins with the next byte
        if self._begun:
            self.refuse(TIMEOUT)
        else:
            self.transport.close()


class TimedH11(Timed, H11Protocol):
    """For interpreters without httptools. h11 itself bounds a head's bytes (see `server`)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self.wait()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self.wait()
        self._begun = True
        super().data_received(data)
        if self.busy:
            self.came()
            self.drain()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """The connection becomes a WebSocket: it is somebody else's now."""
        self.came()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self.came()
        super().connection_lost(exc)


def protocol() -> type[asyncio.Protocol]:
    """The fastest protocol that is installed."""
    try:
        from .http_fast import TimedHttpTools
    except ImportError:
        return TimedH11
    return TimedHttpTools
