"""The server of `antiphon serve`: uvicorn, which ends in good order when it is told to.

SIGTERM or Ctrl-C: no connection is taken any more, /readyz says 503 to those there are, and
answers under way get time to end. What has not ended then is cancelled, which closes its items
and stores them. The lifespan's end lets go of jobs in the background. A second signal ends the
process at once.

Above: `serve`. Below: uvicorn, `http`.
"""

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn

from .http import HEAD_BYTES, IDLE_SECONDS, Serving, Timed, protocol

MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a WebSocket message may have, as a request's body may."""

_LAST_WORDS: Final = 5.0
"""Seconds for cancelled answers to close their items and store them."""

log: logging.Logger = logging.getLogger("uvicorn.error")


class Server(uvicorn.Server):
    """A server for one application.

    Args:
        app: The ASGI application.
        drain: Seconds that answers under way are given to end.
        leaving: Called when the end begins, beside taking no connections any more.
        options: More of uvicorn's configuration.
    """

    def __init__(
        self, app: Any, *, drain: float, leaving: Callable[[], None] | None, **options: Any
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol(),
                ws_max_size=MESSAGE_BYTES,
                h11_max_incomplete_event_size=HEAD_BYTES,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=1,  # what is left by then has had its time
                log_level="warning",
                access_log=False,
                **options,
            )
        )
        self.server_state: Serving = Serving()
        self._drain = drain
        self._leaving = leaving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the end; the second is the end."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self.should_exit = True
        streams = sys.modules.get("sse_starlette.sse")
        if streams is not None:  # of MCP's SDK, which would cut its calls before they have ended
            streams.AppStatus.disable_automatic_graceful_drain()
        if sig == signal.SIGINT:
            self._captured_signals.append(sig)  # raised again at the end: Ctrl-C is told on

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: see this module's words."""
        for listening in (*self.servers, *(sockets or [])):
            listening.close()
        if self._leaving is not None:
            self._leaving()
        self.server_state.draining = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, Timed):
                connection.drain()
            elif self._leaving is None:  # nobody told it that its WebSockets are to end
                connection.shutdown()
        if not await self._ended(self._drain):
            cut = list(self.server_state.tasks)
            log.warning("%d answers were cut after %g seconds", len(cut), self._drain)
            log.addFilter(_no_fault)
            for task in cut:
                task.cancel()
            await self._ended(_LAST_WORDS)
        await super().shutdown(sockets)

    async def _ended(self, seconds: float) -> bool:
        """Wait for all answers; whether they ended in time."""
        limit = time.monotonic() + seconds
        while tasks := set(self.server_state.tasks):  # a kept connection may bring one more
            left = limit - time.monotonic()
            if left <= 0:
                return False
            await asyncio.wait(tasks, timeout=left)
            await asyncio.sleep(0)
        return True


def _no_fault(record: logging.LogRecord) -> bool:
    """Whether a record tells of more than an answer that was cut."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
