"""One response over a WebSocket: every event a message of its own, and nothing after the last.

The same events, through the same view, as `Responder` tells as server-sent events; the JSON of
each is the same, too. Above: `session`. Below: `respond`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio

from antiphon.items import Completed, Event, InProgress, Usage

from .respond import Responder
from .store import Record

Write: TypeAlias = Callable[[Sequence[bytes]], Awaitable[None]]


class Turn(Responder):
    """One response, told as messages."""

    async def tell(self, write: Write) -> None:
        """Tell the response; each write holds what was ready, the terminal event the last.

        Args:
            write: Sends events, each as JSON.
        """

        async def flush() -> None:
            if self._told:
                waiting, self._told = self._told, []
                await write(waiting)

        self._take_first()
        await self._drive(self._take, flush)
        await self._close()
        await write(self._told)

    async def warm_up(self, write: Write) -> None:
        """Complete at once, with an id and no output (`generate: false`).

        Everything about the request has been checked, and its input can be gone on from. The
        model is not asked.
        """
        with anyio.CancelScope(shield=True):
            await self._events.aclose()
        response = self.opened.response
        whole = {"completed_at": int(self._desk.clock()), "usage": Usage()}
        self._take_first()
        self._take(InProgress(response=response))
        self._take(Completed(response=response.model_copy(update={"status": "completed", **whole})))
        await self._close()
        await write(self._told)

    @property
    def record(self) -> Record | None:
        """The terminal response and its input, stored or not; None before the end."""
        if self._end is None:
            return None
        return self.opened.record(self._end)

    @property
    def stored(self) -> bool:
        """Whether the response is kept in the store."""
        return bool(self.opened.request.store)

    def _encode(self, event: Event) -> bytes:
        """An event as its message holds it."""
        return event.to_json()
