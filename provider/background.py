"""Background: responses that are made without their client, and survive this process.

A job is driven here and told to the store, event by event; whoever follows it reads the store,
so all see the same, and nothing that could be lost. The maker holds a lease. When its process
dies, another (or the next) finds the job, closes what was open, and goes on from its items.

Above: `responses`. Below: `opened` (admission), `making` (one job), `room`, `store.Jobs`.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from contextvars import Context
from dataclasses import replace
from typing import Final

import anyio

from antiphon.agents import RESUMED, Before, Setting, turn_told
from antiphon.errors import RequestError
from antiphon.items import (
    Created,
    CreateResponse,
    Event,
    Fold,
    Json,
    Response,
    Usage,
    parse_event,
)

from .desk import Desk
from .making import Making
from .opened import Opened, reopened
from .problem import logged
from .rate import Release, Throttle
from .room import Room
from .store import Record
from .view import View, Viewer

log: logging.Logger = logging.getLogger("antiphon.provider")

LEASE: Final = 30.0
"""Seconds for which a job is its maker's, unless the maker says that it lives."""

HEARD: Final = 5.0
"""Seconds within which a maker hears, at most, that somebody elsewhere wants the end."""

AT_ONCE: Final = 512
"""Jobs that run at the same time in this process, half of them one principal's; others wait."""

POLL: Final = 0.5
"""Seconds after which a follower looks again, if nobody in this process told it of news."""

MAX_LIVES: Final = 100
"""Processes that may try to make one response; what kills each of them is the response itself."""

_PAGE: Final = 500


class Background:
    """All jobs of one Provider in this process.

    Args:
        desk: What responses are made with.
        throttle: Counts the jobs that this process takes over.
        lease: Seconds for which a job belongs to a process that says nothing more.
    """

    def __init__(self, desk: Desk, throttle: Throttle, *, lease: float = LEASE) -> None:
        self._desk = desk
        self._throttle = throttle
        self._lease = lease
        self._room = Room(AT_ONCE)
        self._makings: dict[str, Making] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._closing = anyio.Event()

    def wake(self) -> None:
        """Begin to look for jobs that nobody makes any more; once, and again after `aclose`."""
        if self._watch is None:
            self._closing = anyio.Event()
            # Not in the context of the request that happens to be the first one.
            self._watch = asyncio.create_task(self._watching(), context=Context())

    async def start(
        self, request: CreateResponse, *, principal: str, view: View, release: Release
    ) -> Record:
        """Begin a response; it goes on whatever becomes of the client.

        Args:
            request: What is asked.
            principal: Who asks.
            view: What its client sees, and all who follow it.
            release: Called when it has ended, or did not begin.

        Returns:
            The job, `queued`, to be followed.

        Raises:
            RequestError: Anything that is wrong with the request.
        """
        self.wake()
        try:
            opened = await Opened.of(self._desk, request, principal=principal, view=view)
        except BaseException:
            release()
            raise
        try:
            making = await self._started(opened)
        except BaseException:
            release()
            with anyio.CancelScope(shield=True):
                await opened.events.aclose()
            raise
        self._spawn(making, release)
        return making.record

    async def _started(self, opened: Opened) -> Making:
        """A job that the store has, and whose words are used up: in this order, so that none is
        used up for nothing.
        """
        record = opened.record(opened.response)
        kept = {**record.view, "request": _kept(opened.request, opened.response)}
        record = replace(record, view=kept)
        first = Created(response=opened.response, sequence_number=0)
        told = Fold()
        told.add(first)
        setting = Setting(clock=self._desk.clock, before=Before(told, 1))
        making = self._making(record, opened.events, setting, [first])
        # Known before it is in the store: were that slow, it would be taken for one left behind.
        self._makings[record.response.id] = making
        try:
            await self._desk.store.start(record, owner=making.owner, until=self._until())
            try:
                await opened.use()
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await self._desk.store.delete(opened.response.id, principal=opened.principal)
                raise
        except BaseException:
            del self._makings[record.response.id]
            raise
        return making

    async def follow(self, record: Record, *, after: int = -1) -> AsyncGenerator[list[Event], None]:
        """The events of a job as its creator sees them, numbered; some at a time, to the end.

        Args:
            record: The job's.
            after: Sequence number behind which to begin.
        """
        response_id, principal = record.response.id, record.principal
        sealing = self._desk.sealing(record.principal)
        viewer = Viewer(View.from_data(record.view, sealing=sealing, images=self._desk.images))
        last = -1
        while True:
            news = self._news(response_id)
            told = await self._desk.store.told(
                response_id, principal=principal, after=last, limit=_PAGE
            )
            if told is None:
                return  # it was deleted
            shown: list[Event] = []
            for number, data in told.events:
                last = number
                event = viewer.show(parse_event(data))
                if event is not None and (event.sequence_number or 0) > after:
                    shown.append(event)
            if shown:
                yield shown
            if told.over:
                return
            if len(told.events) < _PAGE:
                with anyio.move_on_after(POLL):
                    await news.wait()

    async def cancel(self, record: Record) -> None:
        """Stop a job, wherever it is made, and wait for its end; a job that ended stays so."""
        response_id, principal = record.response.id, record.principal
        if not await self._desk.store.ask_cancel(response_id, principal=principal):
            return
        making = self._makings.get(response_id)
        if making is not None:
            making.cancel()
        with anyio.move_on_after(3 * HEARD):
            async for _ in self.follow(record):
                pass

    async def recover(self) -> None:
        """Take over every job whose maker has died, and go on with it."""
        for response_id in await self._desk.store.stale(self._desk.clock()):
            if response_id in self._makings or self._closing.is_set():
                continue
            try:
                await self._take_over(response_id)
            except Exception as error:
                log.error("%s could not be taken over: %s", response_id, logged(error))

    async def _take_over(self, response_id: str) -> None:
        owner = secrets.token_hex(8)
        record = await self._desk.store.claim(response_id, owner=owner, until=self._until())
        if record is not None:
            making = await self._resumed(record, owner)
            self._spawn(making, self._throttle.hold(record.principal))

    async def aclose(self) -> None:
        """Let go of all jobs: the next process that looks goes on with them."""
        self._closing.set()
        if self._watch is not None:  # not cancelled: it may have claimed a job, and not know it yet
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        for making in self._makings.values():
            making.leave()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _until(self) -> float:
        return self._desk.clock() + self._lease

    def _making(
        self,
        record: Record,
        events: AsyncGenerator[Event, None],
        setting: Setting,
        told: list[Event],
        owner: str | None = None,
    ) -> Making:
        def stopped() -> Iterator[Event]:
            return setting.telling(record.response).cancel()

        return Making(
            self._desk.store,
            record,
            events,
            owner=owner or secrets.token_hex(8),
            until=self._until,
            stopped=stopped,
            told=told,
        )

    def _spawn(self, making: Making, release: Release) -> None:
        self._makings[making.record.response.id] = making
        task = asyncio.create_task(self._made(making))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: release())

    async def _made(self, making: Making) -> None:
        try:
            room = self._room.place(making.record.principal)
            await making.run(room, every=min(self._lease / 3, HEARD))
        except Exception as error:
            log.error("%s could not be kept: %s", making.record.response.id, logged(error))
        finally:
            self._makings.pop(making.record.response.id, None)
            making.tell()

    async def _watching(self) -> None:
        while not self._closing.is_set():
            try:
                await self.recover()
            except Exception as error:
                log.error("jobs that nobody makes could not be looked for: %s", logged(error))
            with anyio.move_on_after(self._lease / 2):
                await self._closing.wait()

    def _news(self, response_id: str) -> anyio.Event:
        making = self._makings.get(response_id)
        return anyio.Event() if making is None else making.news

    async def _resumed(self, record: Record, owner: str) -> Making:
        """A job that goes on, from what was told of it."""
        kept, turns = Fold(), list[tuple[str, Usage]]()
        count, last, lives, readable = 0, -1, 0, True
        while readable:
            told = await self._desk.store.told(
                record.response.id, principal=record.principal, after=last, limit=_PAGE
            )
            if told is None or not told.events:
                break
            for number, data in told.events:
                try:
                    event = parse_event(data)
                    kept.add(event)
                except Exception as error:
                    log.error("%s cannot be read: %s", record.response.id, logged(error))
                    readable = False
                    break
                lives += event.type == RESUMED
                if (turn := turn_told(event)) is not None:
                    turns.append(turn)
                count, last = count + 1, number
        if kept.envelope is None:  # nothing was told: it begins here
            kept.envelope = record.response
        setting = Setting(
            principal=record.principal,
            ids=self._desk.new_ids(),
            clock=self._desk.clock,
            before=Before(kept, count, turns),
        )
        events = self._going_on(record, setting, lives if readable else None)
        return self._making(record, events, setting, [], owner)

    async def _going_on(
        self, record: Record, setting: Setting, lives: int | None
    ) -> AsyncGenerator[Event, None]:
        """The rest of a run; or its honest end, where it cannot go on.

        Args:
            record: The job's.
            setting: With what was told of it.
            lives: Processes that have tried already; None where nobody can read what they told.
        """
        try:
            if lives is None:
                raise RequestError("what was told of it cannot be read")
            if lives >= MAX_LIVES:
                raise RequestError(f"the process that made it ended {lives} times")
            events = await reopened(self._desk, _restored(record), setting)
            first = await anext(events)
        except Exception as error:
            why = error.message if isinstance(error, RequestError) else "internal error"
            log.error("%s could not go on: %s", record.response.id, logged(error))
            telling = setting.telling(record.response)
            for event in telling.begin():
                yield event
            for event in telling.fail("interrupted", f"it could not go on: {why}"):
                yield event
            return
        yield first
        async with aclosing(events):
            async for event in events:
                yield event


def _kept(request: CreateResponse, opening: Response) -> Json | None:
    """A request as the store keeps it, without its input and what is not known of it, which may
    be anything; None if it holds credentials.
    """
    shown = [tool.model_dump() for tool in opening.tools]
    if [tool.model_dump() for tool in request.tools or ()] != shown:
        return None
    return request.model_dump(exclude={"input", *(request.model_extra or ())})


def _restored(record: Record) -> CreateResponse:
    kept = record.view.get("request")
    if kept is None:
        raise RequestError("its request held credentials, which are not kept")
    request = CreateResponse.model_validate(kept)
    return request.model_copy(update={"input": record.given})
