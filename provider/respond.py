"""One response: from an admitted request to its last byte and its place in the store.

`Responder` is begun (all 4xx errors come out here), then told either as a stream of frames or
as one JSON body; both are the same events through the same view. Whatever ends it, a client
that left included, what the loop folded is what is stored.

Above: `responses`. Below: `opened` (admission), `view` (what is seen), `feed` (when it goes out).
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Self, cast

import anyio

from antiphon.items import (
    Completed,
    Created,
    CreateResponse,
    Event,
    Failed,
    Fault,
    Incomplete,
    Response,
    ResponseEvent,
)

from .desk import Desk
from .feed import feed
from .opened import Opened
from .problem import logged
from .sse import DONE, frame, pad
from .view import View, Viewer

_TERMINAL = frozenset({Completed, Incomplete, Failed})
Send = Callable[[bytes], Awaitable[None]]

log: logging.Logger = logging.getLogger("antiphon.provider")


class Responder:
    """One response in the making.

    Args:
        desk: What it is made with.
        opened: The request, and the run that answers it.
    """

    def __init__(self, desk: Desk, opened: Opened) -> None:
        self.opened: Opened = opened
        self._desk = desk
        self._viewer = Viewer(opened.view)
        self._events = opened.events
        self._end: Response | None = None
        self._last: ResponseEvent | None = None  # which tells the end, and is changed in that
        self._told: list[bytes] = []

    @classmethod
    async def begin(
        cls, desk: Desk, request: CreateResponse, *, principal: str, view: View
    ) -> Self:
        """Admit a request and create its response; the model has not been asked yet.

        Raises:
            RequestError: Anything that is wrong with the request.
        """
        opened = await Opened.of(desk, request, principal=principal, view=view)
        await opened.use()
        return cls(desk, opened)

    async def stream(self, send: Send) -> None:
        """Tell the response as server-sent events; every write holds whole frames."""

        async def flush() -> None:
            if self._told:
                waiting = b"".join(self._told)
                self._told.clear()
                await send(waiting)

        self._take_first()
        await self._drive(self._take, flush)
        await self._close()
        await send(b"".join([*self._told, DONE]))

    async def whole(self) -> bytes:
        """The terminal response as JSON."""
        await self._drive(self._note, _nothing)
        await self._save()
        assert self._end is not None  # the loop always ends with a terminal event
        return self._viewer.view.response(self._end).to_json()

    async def _drive(
        self, take: Callable[[Event], None], flush: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            await flush()  # the first event goes out before the model is asked
            await feed(self._events, take, flush)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._events.aclose()
                await self._save()
            raise

    def _note(self, event: Event) -> None:
        if type(event) in _TERMINAL:
            self._last = cast("ResponseEvent", event)
            self._end = self._last.response

    def _take_first(self) -> None:
        """Tell that it was created."""
        self._take(Created(response=self.opened.response))

    def _take(self, event: Event) -> None:
        """Note an event and tell it. The terminal one waits until the response is stored, so that
        a client which answers at once finds it.
        """
        if type(event) in _TERMINAL:
            self._note(event)
        else:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        shown = self._viewer.show(event)
        if shown is None:
            return
        if self._viewer.view.obfuscate:
            pad(shown)
        self._told.append(self._encode(shown))

    def _encode(self, event: Event) -> bytes:
        """An event as its carrier tells it."""
        return frame(event)

    async def _close(self) -> None:
        """Keep what was folded, and tell the end."""
        await self._save()
        assert self._last is not None  # the loop always ends with a terminal event
        self._tell(self._last)

    async def _save(self) -> None:
        """Keep what was folded, if it is to be kept; where the store fails, so does the response:
        nobody can go on from it.
        """
        if self._end is None or not self.opened.request.store:
            return
        try:
            with anyio.CancelScope(shield=True):  # what has ended is kept, though its client leaves
                await self._desk.store.save(self.opened.record(self._end))
        except Exception as error:
            log.error("the response %s could not be stored: %s", self._end.id, logged(error))
            fault = Fault(code="server_error", message=_NOT_STORED)
            told = {"status": "failed", "error": fault, "completed_at": None}
            self._note(Failed(response=self._end.model_copy(update=told)))


_NOT_STORED = (
    "it could not be stored, so nothing can go on from it: ask again, or send store: false"
)


async def _nothing() -> None:
    """A JSON answer has nothing to send before its end."""
