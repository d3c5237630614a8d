"""Continuation: what one WebSocket connection remembers, so that `store: false` can go on.

A store over the Provider's own. What is stored stays there alone; what is stored nowhere is kept
here, for as long as the connection lasts, and nobody else can read it.

Above: `session`. Below: `store`. Not here: when something is kept or forgotten.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from antiphon.items import Item

from .store import Chain, Record, Store

NEWEST: Final = 32
"""Responses that a connection remembers: as many as it may have lanes."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""JSON that a connection remembers, a chain counted whole for each of its responses."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """One response, with all that was said before it since the last one that the store has."""

    record: Record
    outputs: Mapping[str, Item]
    stored: bool
    size: int


class Continuation:
    """A store that also knows what this connection said without storing it.

    Args:
        store: Where everything else is.
        max_bytes: How much JSON the responses that are remembered may be; the oldest go first,
            and what alone is more is not remembered.
    """

    def __init__(self, store: Store, *, max_bytes: int = MAX_BYTES) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._total = 0

    @property
    def store(self) -> Store:
        """This, as the store that it is: what it does not say itself, the other one does."""
        return cast("Store", self)

    def keep(self, record: Record, *, stored: bool, heard: int) -> None:
        """Remember a response.

        Args:
            record: The response, and its own input.
            stored: Whether the store has it. Then it is remembered only where it goes on from
                what the store does not have.
            heard: Bytes of JSON that its input came as.
        """
        response = record.response
        earlier = self._kept.get(response.previous_response_id or "")
        if stored and earlier is None:
            return
        given, outputs, size = record.given, dict[str, Item](), heard
        if earlier is not None:  # one list: forgetting the earlier one takes nothing from this
            before = earlier.record
            given = [*before.given, *before.response.output, *given]
            outputs |= earlier.outputs
            size += earlier.size
            anchor = before.response.previous_response_id
            response = response.model_copy(update={"previous_response_id": anchor})
        outputs |= {item.id: item for item in response.output if item.id}
        size += sum(len(item.to_json()) for item in response.output)
        if size > self._max_bytes:
            return
        self.evict(response.id)
        self._kept[response.id] = _Kept(
            replace(record, response=response, given=given), outputs, stored, size
        )
        self._total += size
        while len(self._kept) > NEWEST or self._total > self._max_bytes:
            self.evict(next(iter(self._kept)))

    def evict(self, response_id: str) -> None:
        """Forget a response, if it is remembered. What goes on from it stays whole."""
        kept = self._kept.pop(response_id, None)
        if kept is not None:
            self._total -= kept.size

    async def load(self, response_id: str, *, principal: str) -> Record | None:
        """The record; None where it is absent, another's, or was deleted from the store."""
        known = await self._remembered(response_id, principal)
        return known or await self._store.load(response_id, principal=principal)

    async def chain(self, response_id: str, *, principal: str) -> Chain:
        """What was said up to and including a response, here and in the store."""
        known = await self._remembered(response_id, principal)
        if known is None:
            return await self._store.chain(response_id, principal=principal)
        said = [*known.given, *known.response.output]
        anchor = known.response.previous_response_id
        if anchor is None:
            return Chain(said)
        before = await self._store.chain(anchor, principal=principal)
        return replace(before, items=before.items + said)

    async def items(self, ids: Collection[str], *, principal: str) -> dict[str, Item]:
        """Output items of responses, remembered or stored; what is in neither is left out."""
        known = [kept.outputs for kept in self._kept.values() if kept.record.principal == principal]
        found = {at: outputs[at] for outputs in known for at in ids if at in outputs}
        absent = [at for at in ids if at not in found]
        return found | (await self._store.items(absent, principal=principal) if absent else {})

    async def aclose(self) -> None:
        """Forget what this connection said; the store is its owner's to close."""
        self._kept.clear()
        self._total = 0

    async def _remembered(self, response_id: str, principal: str) -> Record | None:
        """What is known here of a response; nothing once the store has forgotten its own copy."""
        kept = self._kept.get(response_id)
        if kept is None or kept.record.principal != principal:
            return None
        if kept.stored and await self._store.load(response_id, principal=principal) is None:
            return None
        return kept.record

    def __getattr__(self, name: str) -> Any:
        """Everything else is the store's own."""
        return getattr(self._store, name)
