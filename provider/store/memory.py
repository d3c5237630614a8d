"""A store in this process's memory: each principal's newest responses, gone with the process."""

from collections import OrderedDict
from dataclasses import dataclass, field

from antiphon.errors import ConfigurationError
from antiphon.items import Item

from .store import Record


@dataclass(slots=True)
class _Shelf:
    """What one principal has here; sizes are bytes of JSON."""

    records: OrderedDict[str, Record] = field(default_factory=OrderedDict[str, Record])
    items: dict[str, Item] = field(default_factory=dict[str, Item])
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    total: int = 0

    def put(self, record: Record, size: int) -> None:
        self.records[record.response.id] = record
        self.sizes[record.response.id] = size
        self.total += size
        self.items.update({item.id: item for item in record.response.output if item.id})

    def forget(self, response_id: str) -> None:
        record = self.records.pop(response_id)
        self.total -= self.sizes.pop(response_id)
        for item in record.response.output:
            self.items.pop(item.id or "", None)


class MemoryStore:
    """Keeps the newest responses of each principal; nobody's make room for another's.

    Args:
        limit: How many responses a principal may have; the oldest go first.
        max_bytes: How much JSON they may be, inputs included; what alone is more is not kept.
            Memory takes several times as much.

    Raises:
        ConfigurationError: A limit is less than 1.
    """

    def __init__(self, *, limit: int = 10_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        if limit < 1:
            raise ConfigurationError(f"limit: expected at least 1 response, got {limit}")
        if max_bytes < 1:
            raise ConfigurationError(f"max_bytes: expected at least 1 byte, got {max_bytes}")
        self._limit = limit
        self._max_bytes = max_bytes
        self._shelves: dict[str, _Shelf] = {}

    async def save(self, record: Record) -> None:
        """Keep a terminal response."""
        shelf = self._shelves.setdefault(record.principal, _Shelf())
        if record.response.id in shelf.records:
            shelf.forget(record.response.id)
        size = _size(record)
        if size > self._max_bytes:
            return
        shelf.put(record, size)
        while len(shelf.records) > self._limit or shelf.total > self._max_bytes:
            shelf.forget(next(iter(shelf.records)))

    async def load(self, response_id: str, *, principal: str) -> Record | None:
        """The record, or None where it is absent or another's."""
        shelf = self._shelves.get(principal)
        return shelf and shelf.records.get(response_id)

    async def delete(self, response_id: str, *, principal: str) -> bool:
        """Forget a response and its items; False where it is absent or another's."""
        shelf = self._shelves.get(principal)
        if shelf is None or response_id not in shelf.records:
            return False
        shelf.forget(response_id)
        return True

    async def item(self, item_id: str, *, principal: str) -> Item | None:
        """An output item of a stored response; None where it is absent or another's."""
        shelf = self._shelves.get(principal)
        return shelf and shelf.items.get(item_id)

    async def aclose(self) -> None:
        """Forget everything."""
        self._shelves.clear()


def _size(record: Record) -> int:
    return len(record.response.to_json()) + sum(len(item.to_json()) for item in record.given)
