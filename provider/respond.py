"""One response: from an admitted request to its last byte and its place in the store.

`Responder` is begun (all 4xx errors come out here), then told either as a stream of frames or
as one JSON body; both are the same events through the same view. Whatever ends it, a client
that left included, what the loop folded is what is stored.

Above: `app`. Below: `catalogue` (who answers), `view` (what is seen), `feed` (when it goes out).
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import cast

import anyio

from antiphon.agents import Setting
from antiphon.errors import RequestError
from antiphon.items import (
    Clock,
    Completed,
    CreateResponse,
    Event,
    Failed,
    Ids,
    Incomplete,
    Item,
    Response,
    ResponseEvent,
    now,
)

from .admit import MAX_ITEMS, admit, resolve_items
from .catalogue import Catalogue
from .consent import Consent
from .feed import feed
from .sse import DONE, frame, pad
from .store import Record, Store, history, not_found
from .view import View, Viewer

_TERMINAL = frozenset({Completed, Incomplete, Failed})
Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Desk:
    """What every response of a Provider is made with.

    Attributes:
        catalogue: Who answers to which name.
        store: Where responses are kept.
        store_by_default: Whether a request that does not say is stored.
        private_urls: Whether image and file URLs may point into private networks.
        max_items: How many items and parts a request may have.
        new_ids: Makes the source of ids of one response.
        clock: Gives seconds since 1970.
    """

    catalogue: Catalogue
    store: Store
    store_by_default: bool = True
    private_urls: bool = False
    max_items: int = MAX_ITEMS
    new_ids: Callable[[], Ids] = Ids
    clock: Clock = now


class Responder:
    """One response in the making; see `begin`."""

    def __init__(
        self,
        desk: Desk,
        request: CreateResponse,
        principal: str,
        view: View,
        events: AsyncGenerator[Event, None],
    ) -> None:
        self._desk = desk
        self._request = request
        self._principal = principal
        self._viewer = Viewer(view)
        self._events = events
        self._first: Event | None = None
        self._end: Response | None = None
        self._frames: list[bytes] = []
        self._tail: list[bytes] = []

    @classmethod
    async def begin(
        cls, desk: Desk, request: CreateResponse, *, principal: str, view: View
    ) -> "Responder":
        """Admit a request and create its response; the model has not been asked yet.

        Raises:
            RequestError: Anything that is wrong with the request.
        """
        admit(request, private_urls=desk.private_urls, max_items=desk.max_items)
        before = await _before(desk.store, request, principal)
        given = await resolve_items(request.items, desk.store, principal=principal, view=view)
        model = request.model or desk.catalogue.find(None).name
        consent = Consent(desk.store, desk.clock)
        words = await consent.check(
            [*before, *given], history=len(before), principal=principal, model=model
        )
        full = request.model_copy(
            update={
                "model": model,
                "input": given,
                "store": desk.store_by_default if request.store is None else request.store,
            }
        )
        setting = Setting(
            history=before,
            principal=principal,
            ids=desk.new_ids(),
            clock=desk.clock,
            approvals=consent,
        )
        events = desk.catalogue.serve(full, setting)
        responder = cls(desk, full, principal, view, events)
        responder._first = await anext(responder._events)
        try:
            await consent.use(words, principal=principal)
        except RequestError:
            await responder._events.aclose()
            raise
        return responder

    async def stream(self, send: Send) -> None:
        """Tell the response as server-sent events; every write holds whole frames."""

        async def flush() -> None:
            if self._frames:
                waiting = b"".join(self._frames)
                self._frames.clear()
                await send(waiting)

        self._take_first()
        await self._drive(self._take_frame, flush)
        await self._save()
        await send(b"".join([*self._tail, DONE]))

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
            self._end = cast("ResponseEvent", event).response

    def _take_first(self) -> None:
        """Make the first frame; its event is held no longer, which saves 4 KiB a stream."""
        first, self._first = self._first, None
        self._take_frame(first)

    def _take_frame(self, event: Event | None) -> None:
        """Note an event and make its frame. The terminal one waits until the response is stored,
        so that a client which answers at once finds it.
        """
        if event is None:
            return
        frames = self._tail if type(event) in _TERMINAL else self._frames
        self._note(event)
        shown = self._viewer.show(event)
        if shown is None:
            return
        if self._viewer.view.obfuscate:
            pad(shown)
        frames.append(frame(shown))

    async def _save(self) -> None:
        """Keep what was folded, if it is to be kept."""
        if self._end is None or not self._request.store:
            return
        record = Record(
            principal=self._principal,
            response=self._end,
            given=self._request.items,
            view={**asdict(self._viewer.view), "include": sorted(self._viewer.view.include)},
        )
        with anyio.CancelScope(shield=True):  # what has ended is kept, though its client leaves
            await self._desk.store.save(record)


async def _nothing() -> None:
    """A JSON answer has nothing to send before its end."""


async def _before(store: Store, request: CreateResponse, principal: str) -> list[Item]:
    """What was said before: the chain that `previous_response_id` ends."""
    if request.previous_response_id is None:
        return []
    record = await store.load(request.previous_response_id, principal=principal)
    if record is None:
        raise not_found(
            f"there is no stored response {request.previous_response_id!r}: "
            "it was never stored (store: false), has been deleted, or is not yours"
        )
    return await history(store, record)
