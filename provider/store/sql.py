"""`SqlStore`: a store in a database, which outlives the process and is shared by several.

Items are written once and only added to; a response is a row without its items. What is
acknowledged is on the disk. Below: `database` (transactions), `sql_tables` (schema), and one file
of rows for each part of `Store`. Not here: SQL.
"""

import logging
import math
from collections.abc import Callable, Collection, Sequence
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from antiphon.errors import ConfigurationError
from antiphon.items import Clock, Item, Response, now

from . import sql_approvals, sql_conversations, sql_jobs, sql_responses
from .approvals import Approval
from .conversations import Conversation
from .database import Database
from .jobs import Hold, Told
from .paging import Page, Paging
from .record import Record
from .sql_tables import migrate
from .store import Chain

_log = logging.getLogger("antiphon.provider")

MONTH: Final = 30 * 24 * 3600.0
"""Seconds that a response is kept, if nothing else is said."""

_STEP: Final = 100
_SWEEP_SECONDS: Final = 60.0


class _NotAll(Exception):
    """Some of what was to be used up was not to be had: what was done is taken back."""


class SqlStore:
    """Keeps everything in a database.

    Responses go when they are `max_age` old, or at the first save beyond `limit`; conversations
    stay until they are deleted, with the items in them. Old responses and expired approvals are
    swept by writers, a hundred in each step, and are as good as absent before that.

    In SQLite, what is deleted is overwritten with zeros in the file. Deleting methods and sweeps
    remove it from SQLite's log (`-wal`), too, before they return, unless somebody reads for longer
    than half a second; then the next sweep does. A file system or disk that keeps old blocks, and
    backups, are out of reach here. In PostgreSQL it goes when the server vacuums its tables.

    Args:
        url: `sqlite+aiosqlite:///` and the path of a file, which is made for this user alone. It
            must be on a local disk: SQLite's locks do not work over a network. Or
            `postgresql://user:password@host/name`, for processes on several machines.
        max_age: Seconds that a response is kept after it was saved, with its input and events.
        limit: How many responses each principal may have; the oldest go first.
        clock: Gives seconds since 1970.

    Raises:
        ConfigurationError: The URL is none, or a limit is less than 1.
    """

    def __init__(
        self,
        url: str = "sqlite+aiosqlite:///antiphon.db",
        *,
        max_age: float | None = MONTH,
        limit: int | None = None,
        clock: Clock = now,
    ) -> None:
        if max_age is not None and not max_age > 0:
            raise ConfigurationError(f"max_age: expected seconds above 0, got {max_age}")
        if limit is not None and limit < 1:
            raise ConfigurationError(f"limit: expected at least 1 response, got {limit}")
        self._database = _database(url)
        self._max_age = max_age
        self._limit = limit
        self._clock = clock
        self._next_sweep = 0.0
        self._unclean = True  # whoever was here before may have been killed

    async def open(self) -> None:
        """Open the database and bring it up to date now; else the first use does.

        Raises:
            ConfigurationError: It cannot be opened, is no database, or is a newer antiphon's.
        """
        await self._database.open()

    async def aclose(self) -> None:
        """Wait for what is being done, and close. From then on nothing else is done."""
        await self._database.aclose()

    # --- responses -----------------------------------------------------------

    async def save(self, record: Record) -> None:
        """Keep a terminal response; if it belongs to a conversation, its items are added there."""

        def work(connection: Connection) -> None:
            sql_responses.save(connection, record, at=self._clock())
            self._make_room(connection, record.principal)

        await self._database.write(work)
        await self._tidy()

    async def load(self, response_id: str, *, principal: str) -> Record | None:
        """The record, or None where it is absent or another's."""
        return await self._database.read(
            lambda on: sql_responses.load(on, response_id, principal=principal, fresh=self._fresh)
        )

    async def delete(self, response_id: str, *, principal: str) -> bool:
        """Forget a response, its items and its events; False where it is absent or another's."""
        return await self._remove(
            lambda on: sql_responses.remove(on, response_id, principal=principal, fresh=self._fresh)
        )

    async def items(self, ids: Collection[str], *, principal: str) -> dict[str, Item]:
        """Items whose ids were made here; what is absent or another's is left out."""
        return await self._database.read(
            lambda on: sql_responses.find(on, ids, principal=principal, fresh=self._fresh)
        )

    async def chain(self, response_id: str, *, principal: str) -> Chain:
        """What was said up to and including a response."""
        return await self._database.read(
            lambda on: sql_responses.chain(on, response_id, principal=principal, fresh=self._fresh)
        )

    # --- approvals -----------------------------------------------------------

    async def ask(self, approval: Approval) -> None:
        """Keep an approval until it expires; one that is there stays as it is."""
        await self._database.write(lambda on: sql_approvals.ask(on, approval))
        await self._tidy()

    async def approval(self, approval_id: str, *, principal: str) -> Approval | None:
        """The approval, consumed or not; None where it is absent, expired or another's."""
        at = self._clock()
        return await self._database.read(
            lambda on: sql_approvals.find(on, approval_id, principal=principal, at=at)
        )

    async def consume(self, approval_ids: Sequence[str], *, principal: str, at: float) -> bool:
        """Use up these approvals, all of them or none."""

        def work(connection: Connection) -> None:
            now = self._clock()
            if not sql_approvals.consume(
                connection, approval_ids, principal=principal, at=at, now=now
            ):
                raise _NotAll

        try:
            await self._database.write(work)
        except _NotAll:
            return False
        return True

    # --- responses in the making ---------------------------------------------

    async def start(self, record: Record, *, owner: str, until: float) -> None:
        """Keep a response that is about to be made, and give its maker the lease."""

        def work(connection: Connection) -> None:
            sql_jobs.start(connection, record, owner=owner, until=until, at=self._clock())
            self._make_room(connection, record.principal)

        await self._database.write(work)
        await self._tidy()

    async def claim(self, response_id: str, *, owner: str, until: float) -> Record | None:
        """Take over a job whose lease ran out; None where there is none to be had."""
        return await self._database.write(
            lambda on: sql_jobs.claim(on, response_id, owner=owner, until=until, now=self._clock())
        )

    async def renew(self, response_id: str, *, owner: str, until: float) -> Hold:
        """Hold a job longer."""
        return await self._database.write(
            lambda on: sql_jobs.renew(on, response_id, owner=owner, until=until)
        )

    async def write(
        self,
        response_id: str,
        *,
        owner: str,
        events: Sequence[tuple[int, bytes]] = (),
        items: Sequence[tuple[int, Item]] = (),
        response: Response | None = None,
    ) -> Hold:
        """Add what is done, all of it or (where the job is `lost`) nothing."""
        return await self._database.write(
            lambda on: sql_jobs.write(
                on, response_id, owner=owner, told=events, done=items, response=response
            )
        )

    async def finish(
        self, record: Record, *, owner: str, events: Sequence[tuple[int, bytes]] = ()
    ) -> bool:
        """Keep the terminal response and its last events; the job is over."""
        return await self._database.write(
            lambda on: sql_jobs.finish(on, record, owner=owner, told=events, at=self._clock())
        )

    async def told(
        self, response_id: str, *, principal: str, after: int = -1, limit: int = 1000
    ) -> Told | None:
        """The events after a sequence number; None where the response is absent or another's."""
        fresh = self._fresh
        return await self._database.read(
            lambda on: sql_jobs.told(
                on, response_id, principal=principal, after=after, limit=limit, fresh=fresh
            )
        )

    async def ask_cancel(self, response_id: str, *, principal: str) -> bool:
        """Ask the owner to stop. False where there is no such job."""
        return await self._database.write(
            lambda on: sql_jobs.ask_cancel(on, response_id, principal=principal)
        )

    async def stale(self, at: float, *, limit: int = 100) -> list[str]:
        """Ids of jobs whose lease has run out at this time, oldest first."""
        return await self._database.read(lambda on: sql_jobs.stale(on, at=at, limit=limit))

    # --- conversations -------------------------------------------------------

    async def create_conversation(
        self, conversation: Conversation, items: Sequence[Item] = ()
    ) -> list[Item]:
        """Keep a new conversation with its first items; the items as they are kept."""
        return await self._database.write(
            lambda on: sql_conversations.create(on, conversation, items)
        )

    async def conversation(self, conversation_id: str, *, principal: str) -> Conversation | None:
        """The conversation; None where it is absent."""
        return await self._database.read(
            lambda on: sql_conversations.load(on, conversation_id, principal=principal)
        )

    async def update_conversation(
        self, conversation_id: str, metadata: dict[str, str], *, principal: str
    ) -> Conversation | None:
        """Put other metadata in the place of the former; None where it is absent."""
        return await self._database.write(
            lambda on: sql_conversations.change(on, conversation_id, metadata, principal=principal)
        )

    async def delete_conversation(self, conversation_id: str, *, principal: str) -> bool:
        """Forget a conversation; False where it is absent."""
        return await self._remove(
            lambda on: sql_conversations.remove(on, conversation_id, principal=principal)
        )

    async def append(
        self, conversation_id: str, items: Sequence[Item], *, principal: str
    ) -> list[Item] | None:
        """Add items at the end; as they are kept, or None where the conversation is absent."""
        return await self._database.write(
            lambda on: sql_conversations.append(on, conversation_id, items, principal=principal)
        )

    async def said(self, conversation_id: str, *, principal: str) -> list[Item] | None:
        """All items, oldest first; None where the conversation is absent."""
        return await self._database.read(
            lambda on: sql_conversations.said(on, conversation_id, principal=principal)
        )

    async def page(self, conversation_id: str, paging: Paging, *, principal: str) -> Page | None:
        """Some items; None where the conversation is absent.

        Raises:
            RequestError: 404; no item of it has the id `after`.
        """
        return await self._database.read(
            lambda on: sql_conversations.page(on, conversation_id, paging, principal=principal)
        )

    async def conversation_item(
        self, conversation_id: str, item_id: str, *, principal: str
    ) -> Item | None:
        """One item of a conversation; None where either is absent."""
        return await self._database.read(
            lambda on: sql_conversations.item(on, conversation_id, item_id, principal=principal)
        )

    async def delete_item(self, conversation_id: str, item_id: str, *, principal: str) -> bool:
        """Take an item out of a conversation; False where either is absent."""
        return await self._remove(
            lambda on: sql_conversations.take_out(on, conversation_id, item_id, principal=principal)
        )

    # --- going ---------------------------------------------------------------

    async def sweep(self) -> int:
        """Forget at most a hundred responses that are too old, and all expired approvals.

        Writers call it once a minute, and again at once while there is more.

        Returns:
            How many responses and approvals went.
        """

        def work(connection: Connection) -> tuple[int, int]:
            old = sql_responses.expired(connection, fresh=self._fresh, step=_STEP)
            sql_responses.forget(connection, old)
            return len(old), sql_approvals.sweep(connection, at=self._clock())

        old, spent = await self._database.write(work)
        self._next_sweep = self._clock() + (0.0 if old == _STEP else _SWEEP_SECONDS)
        self._unclean |= bool(old)
        if self._unclean:
            self._unclean = not await self._database.scrub(shrink=True)
        return old + spent

    async def _tidy(self) -> None:
        """Sweep, if it is time. What was to be written is written, so this fails nobody."""
        if self._clock() < self._next_sweep:
            return
        self._next_sweep = self._clock() + _SWEEP_SECONDS  # one sweeps, however many write
        try:
            await self.sweep()
        except (ConfigurationError, DBAPIError) as error:  # closed meanwhile, or too busy
            self._next_sweep = 0.0
            _log.warning("store: not swept now, the next writer tries again: %s", error)

    async def _remove(self, work: Callable[[Connection], bool]) -> bool:
        """Delete something, and see that nothing of it is left."""
        removed = await self._database.write(work)
        if removed:
            self._unclean = True
            try:
                self._unclean = not await self._database.scrub(shrink=False)
            except ConfigurationError as error:  # closed meanwhile
                _log.warning("store: deleted, but the log still holds it: %s", error)
        return removed

    def _make_room(self, connection: Connection, principal: str) -> None:
        if self._limit is None:
            return
        old = sql_responses.beyond(connection, principal=principal, limit=self._limit, step=_STEP)
        sql_responses.forget(connection, old)
        self._unclean |= bool(old)

    @property
    def _fresh(self) -> float:
        """The time from which on responses are kept."""
        return -math.inf if self._max_age is None else self._clock() - self._max_age


def _database(url: str) -> Database:
    """What a URL leads to.

    Raises:
        ConfigurationError: It is no database that is known here, or its driver is not there.
    """
    if url.startswith("postgresql"):
        from .postgres import PostgresDatabase

        return PostgresDatabase(url, migrate=migrate)
    from .sqlite import SqliteDatabase

    return SqliteDatabase(url, migrate=migrate)
