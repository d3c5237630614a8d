"""What one principal has in this process's memory, and how much of it."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from antiphon.errors import ConfigurationError
from antiphon.items import Clock, Item

from .approvals import Approval
from .conversations import Conversation
from .record import Record


@dataclass(slots=True)
class Making:
    """A response that is being made: whose it is for now, and what is done."""

    principal: str
    owner: str
    until: float
    cancel: bool = False
    done: dict[int, Item] = field(default_factory=dict[int, Item])


@dataclass(slots=True)
class Talk:
    """A conversation: its items by id, and the number of the next one."""

    about: Conversation
    items: dict[str, Item] = field(default_factory=dict[str, Item])
    count: int = 0


@dataclass(slots=True)
class Shelf:
    """What one principal has here. What is kept counts in bytes of JSON.

    Attributes:
        records: By id, the oldest first.
        items: Those that `item` finds: outputs, and what got its id in a conversation.
        talks: By id, the least recently written first.
        sizes: What each response and conversation takes, the least recently written first.
        total: The sum of the sizes.
        makings: Every principal's responses in the making, by id.
    """

    makings: dict[str, Making]
    records: OrderedDict[str, Record] = field(default_factory=OrderedDict[str, Record])
    items: dict[str, Item] = field(default_factory=dict[str, Item])
    events: dict[str, list[tuple[int, bytes]]] = field(
        default_factory=dict[str, list[tuple[int, bytes]]]
    )
    talks: OrderedDict[str, Talk] = field(default_factory=OrderedDict[str, Talk])
    approvals: OrderedDict[str, Approval] = field(default_factory=OrderedDict[str, Approval])
    sizes: OrderedDict[str, int] = field(default_factory=OrderedDict[str, int])
    total: int = 0

    def grow(self, name: str, by: int) -> None:
        """Something has changed by so many bytes, and is the newest now."""
        self.sizes[name] = self.sizes.get(name, 0) + by
        self.sizes.move_to_end(name)
        self.total += by

    def put(self, record: Record, size: int) -> None:
        """Keep a record, whose id is free."""
        self.records[record.response.id] = record
        self.grow(record.response.id, size)
        self.items.update({item.id: item for item in record.response.output if item.id})

    def forget(self, response_id: str) -> None:
        """Forget a record and its events; what is in a conversation stays there."""
        record = self.records.pop(response_id)
        self.total -= self.sizes.pop(response_id)
        self.events.pop(response_id, None)
        self.makings.pop(response_id, None)
        talk = self.talks.get(record.conversation or "")
        self._unlist(record.response.output, but=talk.items if talk else ())

    def forget_talk(self, conversation_id: str) -> None:
        """Forget a conversation; what belongs to a response stays there."""
        talk = self.talks.pop(conversation_id)
        self.total -= self.sizes.pop(conversation_id)
        self.take_out(talk, talk.items.values())

    def take_out(self, talk: Talk, items: Iterable[Item]) -> None:
        """Items that are no longer a conversation's; they stay where a response has them."""
        gone = [*items]
        kept = {
            item.id
            for record in self.records.values()
            if record.conversation == talk.about.id
            for item in record.response.output
        }
        self._unlist(gone, but=kept)
        for item in gone:
            talk.items.pop(item.id or "", None)
        if talk.about.id in self.sizes:
            self.grow(talk.about.id, -size_of(gone))

    def _unlist(self, items: Iterable[Item], *, but: Iterable[str | None]) -> None:
        kept = set(but)
        for item in items:
            if item.id not in kept:
                self.items.pop(item.id or "", None)

    def make_room(self, *, limit: int, max_bytes: int) -> None:
        """Forget what is oldest until there are at most so many of each, and so many bytes."""
        while len(self.records) > limit:
            self.forget(next(iter(self.records)))
        while len(self.talks) > limit:
            self.forget_talk(next(iter(self.talks)))
        while self.total > max_bytes:
            oldest = next(iter(self.sizes))
            (self.forget if oldest in self.records else self.forget_talk)(oldest)


class Shelves:
    """Every principal's shelf, and the jobs: what the parts of a MemoryStore share."""

    def __init__(self, *, limit: int, max_bytes: int, clock: Clock) -> None:
        if limit < 1:
            raise ConfigurationError(f"limit: expected at least 1 response, got {limit}")
        if max_bytes < 1:
            raise ConfigurationError(f"max_bytes: expected at least 1 byte, got {max_bytes}")
        self._limit = limit
        self._max_bytes = max_bytes
        self._clock = clock
        self._shelves: dict[str, Shelf] = {}
        self._makings: dict[str, Making] = {}

    def _shelf(self, principal: str) -> Shelf:
        """To write to; one that is only read is never made."""
        return self._shelves.setdefault(principal, Shelf(self._makings))

    def _trim(self, shelf: Shelf) -> None:
        shelf.make_room(limit=self._limit, max_bytes=self._max_bytes)


def size_of(items: Iterable[Item]) -> int:
    """Bytes of these items' JSON."""
    return sum(len(item.to_json()) for item in items)


def record_size(record: Record) -> int:
    """Bytes of a record's JSON."""
    return len(record.response.to_json()) + size_of(record.given)
