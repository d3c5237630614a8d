"""Making: one background response, from its first event to its last one in the store.

Events are written a little while after they came, together: what is told to anybody is what is
kept. The lease is renewed as long as this lives; when it is lost, nothing more is written.

Above: `background`. Below: `store.Jobs`, `feed`.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
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
from .problem import logged
from .store import Jobs, Record

log: logging.Logger = logging.getLogger("antiphon.provider")

TOGETHER: Final = 0.02
"""Seconds for which events are gathered before they are written."""

TRIES: Final = 8
"""How often a store that fails is asked again, each time after twice as long: 5 to 10 seconds."""

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
        stopped: Gives the last events of a run that was stopped before it began here.
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
        stopped: Callable[[], Iterator[Event]],
        told: list[Event],
    ) -> None:
        self.record: Record = record
        self.owner: str = owner
        self.news: anyio.Event = anyio.Event()
        self._store = store
        self._events = events
        self._until = until
        self._stopped = stopped
        self._begun = False
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

    async def run(self, room: AbstractAsyncContextManager[None], *, every: float) -> None:
        """Drive the run to its end, and keep it.

        Args:
            room: A place, which is taken while it runs.
            every: Seconds after which the lease is renewed.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hold, every)
            tasks.start_soon(self._write)
            with self._scope:
                async with room:
                    self._begun = True
                    await feed(self._events, self._take, self._flush)
            with anyio.CancelScope(shield=True):
                tasks.cancel_scope.cancel()
                await self._events.aclose()
                if not self._begun:  # nothing of it may run any more, not even its first step
                    for event in self._stopped():
                        self._take(event)
                await self._finish()

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
        """The run has to wait: it may, unless it is too far ahead of the store. What comes of its
        end waits for nothing: that is written last, by `_finish`.
        """
        while len(self._pending) > AHEAD and self._end is None and not self._lost:
            await self._written.wait()

    async def _write(self) -> None:
        """Write what has come, again and again; a store that fails is asked again for a while."""
        failures = 0
        while True:
            await self._some.wait()
            await anyio.sleep(TOGETHER * 2**failures)
            if self._end is not None:
                return
            try:
                await self._put()
                failures = 0
            except Exception as error:
                failures += 1
                if failures > TRIES:
                    raise
                log.error("%s is kept later: %s", self.record.response.id, logged(error))

    async def _put(self) -> None:
        with anyio.CancelScope(shield=True):  # half a write is none, and nobody would know which
            async with self._lock:
                if self._end is not None:
                    return  # what is left is written in one step with the end
                events, items = list(self._pending), list(self._items)
                response = self._response
                self._some = anyio.Event()
                try:
                    hold = await self._store.write(
                        self.record.response.id,
                        owner=self.owner,
                        events=events,
                        items=items,
                        response=response,
                    )
                except BaseException:
                    self._some.set()
                    raise
                del self._pending[: len(events)], self._items[: len(items)]
                if self._response is response:
                    self._response = None
                self._heed(hold)
        written, self._written = self._written, anyio.Event()
        written.set()
        self.tell()

    async def _hold(self, every: float) -> None:
        """Renew the lease, and hear whether somebody wants the end."""
        while True:
            await anyio.sleep(every)
            try:
                held = await self._store.renew(
                    self.record.response.id, owner=self.owner, until=self._until()
                )
            except Exception as error:
                log.error(
                    "the lease of %s is not renewed: %s", self.record.response.id, logged(error)
                )
                continue
            self._heed(held)

    def _heed(self, hold: str) -> None:
        if hold == "lost":
            log.warning("background response %s is made elsewhere now", self.record.response.id)
            self._lost = True
        if hold != "held":
            self._scope.cancel()

    async def _finish(self) -> None:
        """Keep the end. Where there is none yet, let go: whoever comes next goes on from here."""
        if self._lost:
            return
        if self._end is None:
            if self._pending:
                await self._put()
            await self._store.renew(self.record.response.id, owner=self.owner, until=0.0)
            return
        view = {key: value for key, value in self.record.view.items() if key != "request"}
        ended = replace(self.record, response=self._end, view=view)
        for tried in range(TRIES + 1):
            try:
                async with self._lock:
                    await self._store.finish(ended, owner=self.owner, events=self._pending)
                break
            except Exception as error:
                if tried == TRIES:
                    raise
                log.error("the end of %s is kept later: %s", ended.response.id, logged(error))
                await anyio.sleep(TOGETHER * 2**tried)
        self.tell()
