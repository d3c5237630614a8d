"""The same as `http`, over httptools. Imported only where that is installed.

httptools gathers a header, a trailer or a chunk's extensions until it is whole, however long it
grows; so bytes that bring no body are counted here.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .http import HEAD_BYTES, HEAD_LINES, TOO_LARGE, Timed


class _TooLarge(Exception):
    """A head has outgrown what is read of one; the parser stops at it."""


class TimedHttpTools(Timed, HttpToolsProtocol):
    """uvicorn's HttpToolsProtocol with bounds."""

    _silent = 0  # bytes since there was a body's, or a request's end
    _size = 0  # bytes of this head, as far as it is read
    _lines = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self.came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self.wait()
        self._silent += len(data)
        super().data_received(data)
        if self._silent > HEAD_BYTES:
            self.refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._begun = True
        self._size = self._lines = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """More of the target."""
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._lines += 1
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._silent = 0
        self.came()
        super().on_headers_complete()
        self.drain()

    def on_body(self, body: bytes) -> None:
        """More of the body."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._silent = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection becomes a WebSocket: it is somebody else's now."""
        self.came()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser would not read."""
        if self._size > HEAD_BYTES or self._lines > HEAD_LINES:
            self.refuse(TOO_LARGE)
        else:
            self.came()
            super().send_400_response(msg)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > HEAD_BYTES or self._lines > HEAD_LINES:
            raise _TooLarge
