"""The responses in the making of a MemoryStore. No method waits, so each is one step."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from antiphon.items import Item, Response

from .jobs import Hold, Told
from .memory_conversations import MemoryConversations
from .record import Record
from .shelf import Making, Shelf, record_size, size_of


class MemoryJobs(MemoryConversations):
    """See `Jobs`."""

    async def start(self, record: Record, *, owner: str, until: float) -> None:
        """Keep a response that is about to be made, and give its maker the lease."""
        shelf = self._shelf(record.principal)
        shelf.put(record, record_size(record))
        self._makings[record.response.id] = Making(record.principal, owner, until)
        self._trim(shelf)

    async def claim(self, response_id: str, *, owner: str, until: float) -> Record | None:
        """Take over a job whose lease ran out; None where there is none to be had."""
        making = self._makings.get(response_id)
        if making is None or making.until > self._clock():
            return None
        making.owner, making.until = owner, until
        return self._shelves[making.principal].records[response_id]

    async def renew(self, response_id: str, *, owner: str, until: float) -> Hold:
        """Hold a job longer."""
        making = self._making(response_id, owner)
        if making is None:
            return "lost"
        making.until = until
        return "cancel" if making.cancel else "held"

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
        making = self._making(response_id, owner)
        if making is None:
            return "lost"
        shelf = self._shelves[making.principal]
        record = shelf.records[response_id]
        replaced = [making.done[at] for at, _ in items if at in making.done]
        making.done.update(items)
        output = [item for _, item in sorted(making.done.items(), key=lambda each: each[0])]
        now = (response or record.response).model_copy(update={"output": output})
        for old in replaced:
            shelf.items.pop(old.id or "", None)
        shelf.items.update({item.id: item for _, item in items if item.id})
        shelf.records[response_id] = replace(record, response=now)
        shelf.grow(response_id, size_of(item for _, item in items) - size_of(replaced))
        _tell(shelf, response_id, events)
        self._trim(shelf)
        return "cancel" if making.cancel else "held"

    async def finish(
        self, record: Record, *, owner: str, events: Sequence[tuple[int, bytes]] = ()
    ) -> bool:
        """Keep the terminal response and its last events; the job is over."""
        response_id = record.response.id
        making = self._making(response_id, owner)
        if making is None or making.principal != record.principal:
            return False
        shelf = self._shelves[record.principal]
        _tell(shelf, response_id, events)
        told = shelf.events.get(response_id, [])
        self._keep(shelf, record)
        if response_id in shelf.records:
            shelf.events[response_id] = told
            shelf.grow(response_id, sum(len(data) for _, data in told))
        self._trim(shelf)
        return True

    async def told(
        self, response_id: str, *, principal: str, after: int = -1, limit: int = 1000
    ) -> Told | None:
        """The events after a sequence number; None where the response is absent or another's."""
        shelf = self._shelves.get(principal)
        if shelf is None or response_id not in shelf.records:
            return None
        told = shelf.events.get(response_id, [])
        start = bisect_right(told, after, key=_number)
        over = len(told) - start <= limit and response_id not in self._makings
        return Told(told[start : start + limit], over)

    async def ask_cancel(self, response_id: str, *, principal: str) -> bool:
        """Ask the owner to stop. False where there is no such job."""
        making = self._makings.get(response_id)
        if making is None or making.principal != principal:
            return False
        making.cancel = True
        return True

    async def stale(self, at: float, *, limit: int = 100) -> list[str]:
        """Ids of jobs whose lease has run out at this time, oldest first."""
        out = [(each.until, name) for name, each in self._makings.items() if each.until <= at]
        return [name for _, name in sorted(out)[:limit]]

    def _making(self, response_id: str, owner: str) -> Making | None:
        making = self._makings.get(response_id)
        return making if making and making.owner == owner else None


def _tell(shelf: Shelf, response_id: str, events: Sequence[tuple[int, bytes]]) -> None:
    if not events:
        return
    told = shelf.events.setdefault(response_id, [])
    kept = bisect_left(told, events[0][0], key=_number)
    grown = sum(len(data) for _, data in events) - sum(len(data) for _, data in told[kept:])
    told[kept:] = events
    shelf.grow(response_id, grown)


def _number(event: tuple[int, bytes]) -> int:
    return event[0]
