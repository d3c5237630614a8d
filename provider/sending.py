"""Sending: messages to one client, in their order and each whole.

A run goes on in the very task that sends what it says. So a wait for a slow client may be cut off
by what is none of its business: the time limit of a tool that runs meanwhile. A server's `send`
that is cut off has sent its message, or has not. So none ever is: one that has to wait goes on in
a task of its own, and whoever sends the next one waits for it.

Above: `line`, `session`. Below: ASGI.
"""

import asyncio
import time
from collections import deque
from typing import Any

from starlette.types import Message, Send

from .feed import Rest


class Sending:
    """What one client is sent.

    Args:
        send: ASGI's.

    Attributes:
        since: When the message that waits now began to (seconds of the monotonic clock).
    """

    def __init__(self, send: Send) -> None:
        self.since: float = 0.0
        self._send = send
        self._waiting: deque[Message] = deque()
        self._going: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a message waits for the client to take it."""
        return self._going is not None and not self._going.done()

    async def put(self, *messages: Message) -> None:
        """Send messages, and wait until they have gone.

        Raises:
            OSError: How some servers say that the client has left; what `send` raises.
        """
        self._waiting.extend(messages)
        if not self.busy:
            self._going = self._begun()
        if self._going is not None:
            await asyncio.shield(self._going)

    def abandon(self) -> None:
        """Nothing more is sent."""
        self._waiting.clear()
        if self._going is not None:
            self._going.cancel()

    def _begun(self) -> "asyncio.Task[None] | None":
        """Send what the server takes at once, without a task; whoever sends the rest."""
        while self._waiting:
            sending: Any = self._send(self._waiting.popleft())
            steps = sending.__await__()
            try:
                waiting = next(steps)
            except StopIteration:
                continue
            self.since = time.monotonic()
            return asyncio.ensure_future(self._go_on(steps, waiting))
        return None

    async def _go_on(self, steps: Any, waiting: Any) -> None:
        await Rest[None](steps, waiting)
        while self._waiting:
            self.since = time.monotonic()
            await self._send(self._waiting.popleft())
