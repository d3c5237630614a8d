"""Making: one background response, from its first event to its last one in the store.

Events are written a little while after they came, together: what is told to anybody is what is
kept. The lease is renewed as long as this lives; when it is lost, nothing more is written.

Above: `background`. Below: `store.Jobs`, `feed`.
"""

import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Final, cast

import anyio

from antiphon.items import (
    Completed,
    Event,
    Failed,
    Incomplete,
    Item,
    ItemDone,
    Response,
    ResponseEvent,
)

from .feed import feed
from .store import Jobs, Record

log: logging.Logger = logging.getLogger("antiphon.provider")

TOGETHER: Final = 0.02
"""Seconds for which events are gathered before they are written."""

AHEAD: Final = 2000
"""Events that may wait to be written; a run that is further ahead waits, too."""

_TERMINAL: Final = frozenset({Completed, Incomplete, Failed})


class Making:
    """One job in the hands of this process.

    Args:
        store: Where it is told.
        record: The job's.
        events: The run.
        owner: The name of the lease.
        until: When a lease taken now runs out.
        told: Events that came already.

    Attributes:
        news: Set, and replaced by a new one, when something new is in the store.
    """

    def __init__(
        self,
        store: Jobs,
        record: Record,
        events: AsyncGenerator[Event, None],
        *,
        owner: str,
        until: Callable[[], float],
        told: list[Event],
    ) -> None:
        self.record: Record = record
        self.owner: str = owner
        self.news: anyio.Event = anyio.Event()
        self._store = store
        self._events = events
        self._until = until
        self._scope = anyio.CancelScope()
        self._pending: list[tuple[int, bytes]] = []
        self._items: list[tuple[int, Item]] = []
        self._response: Response | None = None
        self._end: Response | None = None
        self._some = anyio.Event()
        self._written = anyio.Event()
        self._lock = anyio.Lock()
        self._leaving = False
        self._lost = False
        for event in told:
            self._take(event)

    def cancel(self) -> None:
        """Somebody asked for its end: it ends `cancelled`."""
        self._scope.cancel()

    def leave(self) -> None:
        """This process goes: the job is let go of, as it stands, for another."""
        self._leaving = True
        self._scope.cancel()

    def tell(self) -> None:
        """Wake everybody who waits for news."""
        news, self.news = self.news, anyio.Event()
        news.set()

    async def run(self, room: anyio.Semaphore, *, every: float) -> None:
        """Drive the run to its end, and keep it.

        Args:
            room: Of which one place is taken while it runs.
            every: Seconds after which the lease is renewed.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hold, every)
            tasks.start_soon(self._write)
            with self._scope:
                async with room:
                    await self._drive()
            if self._end is None and not self._leaving and not self._lost:
                await self._hear_out()  # it was cancelled before it ran
            with anyio.CancelScope(shield=True):
                tasks.cancel_scope.cancel()
                await self._events.aclose()
                await self._finish()

    async def _drive(self) -> None:
        await feed(self._events, self._take, self._flush)

    async def _hear_out(self) -> None:
        """Drive a run that was never begun to the end that a cancelled one has."""
        with anyio.CancelScope() as scope:
            scope.cancel()
            await self._drive()

    def _take(self, event: Event) -> None:
        """Note one event; what comes after this process has let go is nobody's."""
        if self._leaving or self._lost:
            return
        if type(event) in _TERMINAL:
            self._end = cast("ResponseEvent", event).response
        elif isinstance(event, ResponseEvent):
            self._response = event.response
        elif isinstance(event, ItemDone):
            self._items.append((event.output_index, event.item))
        self._pending.append((event.sequence_number or 0, event.to_json()))
        self._some.set()

    async def _flush(self) -> None:
        """The run has to wait: it may, unless it is too far ahead of the store."""
        while len(self._pending) > AHEAD and not self._lost:
            await self._written.wait()

    async def _write(self) -> None:
        """Write what has come, again and again."""
        while True:
            await self._some.wait()
            await anyio.sleep(TOGETHER)
            if self._end is None:
                await self._put()

    async def _put(self) -> None:
        with anyio.CancelScope(shield=True):  # half a write is none, and nobody would know which
            async with self._lock:
                self._some = anyio.Event()
                events, self._pending = self._pending, []
                items, self._items = self._items, []
                response, self._response = self._response, None
                hold = await self._store.write(
                    self.record.response.id,
                    owner=self.owner,
                    events=events,
                    items=items,
                    response=response,
                )
                self._heed(hold)
        written, self._written = self._written, anyio.Event()
        written.set()
        self.tell()

    async def _hold(self, every: float) -> None:
        """Renew the lease, and hear whether somebody wants the end."""
        while True:
            await anyio.sleep(every)
            held = await self._store.renew(
                self.record.response.id, owner=self.owner, until=self._until()
            )
            self._heed(held)

    def _heed(self, hold: str) -> None:
        if hold == "lost":
            log.warning("background response %s is made elsewhere now", self.record.response.id)
            self._lost = True
        if hold != "held":
            self._scope.cancel()

    async def _finish(self) -> None:
        """Keep the end; or let go."""
        if self._lost:
            return
        if self._leaving or self._end is None:
            if self._pending:
                await self._put()
            await self._store.renew(self.record.response.id, owner=self.owner, until=0.0)
            return
        view = {key: value for key, value in self.record.view.items() if key != "request"}
        ended = replace(self.record, response=self._end, view=view)
        async with self._lock:
            await self._store.finish(ended, owner=self.owner, events=self._pending)
        self.tell()
