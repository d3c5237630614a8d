"""A store in this process's memory: the newest responses, gone with the process."""

from collections import OrderedDict

from antiphon.errors import ConfigurationError
from antiphon.items import Item

from .store import Record


class MemoryStore:
    """Keeps the newest responses.

    Args:
        limit: How many responses are kept; the oldest go first.
    """

    def __init__(self, *, limit: int = 10_000) -> None:
        if limit < 1:
            raise ConfigurationError(f"limit: expected at least 1 response, got {limit}")
        self._limit = limit
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._items: dict[str, tuple[str, Item]] = {}

    async def save(self, record: Record) -> None:
        """Keep a terminal response."""
        if record.response.id in self._records:
            self._forget(record.response.id)
        self._records[record.response.id] = record
        for item in record.response.output:
            if item.id is not None:
                self._items[item.id] = (record.principal, item)
        while len(self._records) > self._limit:
            self._forget(next(iter(self._records)))

    async def load(self, response_id: str, *, principal: str) -> Record | None:
        """The record, or None where it is absent or another's."""
        record = self._records.get(response_id)
        return record if record is not None and record.principal == principal else None

    async def delete(self, response_id: str, *, principal: str) -> bool:
        """Forget a response and its items; False where it is absent or another's."""
        if await self.load(response_id, principal=principal) is None:
            return False
        self._forget(response_id)
        return True

    async def item(self, item_id: str, *, principal: str) -> Item | None:
        """An output item of a stored response; None where it is absent or another's."""
        owner, item = self._items.get(item_id, ("", None))
        return item if owner == principal else None

    async def aclose(self) -> None:
        """Forget everything."""
        self._records.clear()
        self._items.clear()

    def _forget(self, response_id: str) -> None:
        record = self._records.pop(response_id)
        for item in record.response.output:
            self._items.pop(item.id or "", None)
