"""A store in this process's memory: each principal's newest, gone with the process."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from antiphon.items import Clock, Item, now

from .approvals import Approval
from .memory_jobs import MemoryJobs
from .record import Record
from .store import Chain


class MemoryStore(MemoryJobs):
    """Keeps the newest of each principal; nobody's make room for another's.

    Args:
        limit: How many responses a principal may have, how many conversations and how many
            approvals; the oldest go first.
        max_bytes: How much JSON a principal's responses, their inputs and events, and
            conversations may be; what is written least recently goes first, and what alone is
            more is not kept. What is in a response and in a conversation counts twice. Memory
            takes several times as much.
        clock: Gives seconds since 1970; approvals and leases expire by it.

    Raises:
        ConfigurationError: A limit is less than 1.
    """

    def __init__(
        self, *, limit: int = 10_000, max_bytes: int = 256 * 1024 * 1024, clock: Clock = now
    ) -> None:
        super().__init__(limit=limit, max_bytes=max_bytes, clock=clock)

    async def save(self, record: Record) -> None:
        """Keep a terminal response; if it belongs to a conversation, its items are added there."""
        shelf = self._shelf(record.principal)
        self._keep(shelf, record)
        self._trim(shelf)

    async def load(self, response_id: str, *, principal: str) -> Record | None:
        """The record, or None where it is absent or another's."""
        shelf = self._shelves.get(principal)
        return shelf and shelf.records.get(response_id)

    async def delete(self, response_id: str, *, principal: str) -> bool:
        """Forget a response, its items and its events; False where it is absent or another's."""
        shelf = self._shelves.get(principal)
        if shelf is None or response_id not in shelf.records:
            return False
        shelf.forget(response_id)
        return True

    async def items(self, ids: Collection[str], *, principal: str) -> dict[str, Item]:
        """Items whose ids were made here; what is absent or another's is left out."""
        shelf = self._shelves.get(principal)
        return {} if shelf is None else {at: shelf.items[at] for at in ids if at in shelf.items}

    async def chain(self, response_id: str, *, principal: str) -> Chain:
        """What was said up to and including a response."""
        shelf = self._shelves.get(principal)
        found: list[Record] = []
        name: str | None = response_id
        while name is not None:
            record = shelf and shelf.records.get(name)
            if record is None:
                break
            found.append(record)
            name = record.response.previous_response_id
        said = [item for one in reversed(found) for item in (*one.given, *one.response.output)]
        return Chain(said, name)

    async def ask(self, approval: Approval) -> None:
        """Keep an approval; of each principal the newest `limit`, until they expire."""
        kept = self._shelf(approval.principal).approvals
        kept.setdefault(approval.id, approval)
        while len(kept) > self._limit:
            kept.popitem(last=False)

    async def approval(self, approval_id: str, *, principal: str) -> Approval | None:
        """The approval; None where it is absent, expired or another's."""
        return self._approval(approval_id, principal)

    def _approval(self, approval_id: str, principal: str) -> Approval | None:
        shelf = self._shelves.get(principal)
        found = shelf and shelf.approvals.get(approval_id)
        return found if found and found.expires_at > self._clock() else None

    async def consume(self, approval_ids: Sequence[str], *, principal: str, at: float) -> bool:
        """Use up these approvals, all of them or none. It never waits, so it is one step."""
        found = [self._approval(each, principal) for each in approval_ids]
        free = [each for each in found if each is not None and each.consumed_at is None]
        if len(free) < len(found):
            return False
        for each in free:
            self._shelves[principal].approvals[each.id] = replace(each, consumed_at=at)
        return True

    async def aclose(self) -> None:
        """Forget everything."""
        self._shelves.clear()
        self._makings.clear()
