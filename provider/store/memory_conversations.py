"""The conversations of a MemoryStore, and the responses that are their turns."""

from collections.abc import Sequence
from dataclasses import replace

from antiphon.items import Item

from .conversations import Conversation
from .paging import Page, Paging, identified, page_of
from .record import Record
from .shelf import Shelf, Shelves, Talk, record_size, size_of


class MemoryConversations(Shelves):
    """See `Conversations`."""

    async def create_conversation(
        self, conversation: Conversation, items: Sequence[Item] = ()
    ) -> list[Item]:
        """Keep a new conversation with its first items; the items as they are kept."""
        shelf = self._shelf(conversation.principal)
        shelf.talks[conversation.id] = talk = Talk(conversation)
        shelf.grow(conversation.id, len(repr(conversation.metadata)))
        kept = _add(shelf, talk, items)
        self._trim(shelf)
        return kept

    async def conversation(self, conversation_id: str, *, principal: str) -> Conversation | None:
        """The conversation; None where it is absent."""
        talk = self._talk(conversation_id, principal)
        return talk and talk.about

    async def update_conversation(
        self, conversation_id: str, metadata: dict[str, str], *, principal: str
    ) -> Conversation | None:
        """Put other metadata in the place of the former; None where it is absent."""
        talk = self._talk(conversation_id, principal)
        if talk is None:
            return None
        shelf = self._shelf(principal)
        shelf.grow(conversation_id, len(repr(metadata)) - len(repr(talk.about.metadata)))
        talk.about = replace(talk.about, metadata=metadata)
        self._trim(shelf)
        return talk.about

    async def delete_conversation(self, conversation_id: str, *, principal: str) -> bool:
        """Forget a conversation; False where it is absent."""
        if self._talk(conversation_id, principal) is None:
            return False
        self._shelf(principal).forget_talk(conversation_id)
        return True

    async def append(
        self, conversation_id: str, items: Sequence[Item], *, principal: str
    ) -> list[Item] | None:
        """Add items at the end; as they are kept, or None where the conversation is absent."""
        talk = self._talk(conversation_id, principal)
        if talk is None:
            return None
        shelf = self._shelf(principal)
        kept = _add(shelf, talk, items)
        self._trim(shelf)
        return kept

    async def said(self, conversation_id: str, *, principal: str) -> list[Item] | None:
        """All items, oldest first; None where the conversation is absent."""
        talk = self._talk(conversation_id, principal)
        return talk and [*talk.items.values()]

    async def page(self, conversation_id: str, paging: Paging, *, principal: str) -> Page | None:
        """Some items; None where the conversation is absent.

        Raises:
            RequestError: 404; no item of it has the id `after`.
        """
        talk = self._talk(conversation_id, principal)
        return talk and page_of([*talk.items.values()], paging)

    async def conversation_item(
        self, conversation_id: str, item_id: str, *, principal: str
    ) -> Item | None:
        """One item of a conversation; None where either is absent."""
        talk = self._talk(conversation_id, principal)
        return talk and talk.items.get(item_id)

    async def delete_item(self, conversation_id: str, item_id: str, *, principal: str) -> bool:
        """Take an item out of a conversation; False where either is absent."""
        talk = self._talk(conversation_id, principal)
        item = talk and talk.items.get(item_id)
        if talk is None or item is None:
            return False
        shelf = self._shelf(principal)
        shelf.take_out(talk, [item])
        return True

    def _talk(self, conversation_id: str, principal: str) -> Talk | None:
        shelf = self._shelves.get(principal)
        return shelf and shelf.talks.get(conversation_id)

    def _keep(self, shelf: Shelf, record: Record) -> None:
        """Keep a terminal response in the place of one with its id."""
        self._drop(shelf, record.response.id)
        size = record_size(record)
        if size > self._max_bytes:
            return
        given = self._join(shelf, record.conversation, record.given)
        self._join(shelf, record.conversation, record.response.output)
        shelf.put(replace(record, given=given), size)

    def _drop(self, shelf: Shelf, response_id: str) -> None:
        """Forget a response that is replaced: what it said in a conversation, too."""
        record = shelf.records.get(response_id)
        if record is None:
            return
        shelf.forget(response_id)
        talk = shelf.talks.get(record.conversation or "")
        if talk is not None:
            said = [item for item in (*record.given, *record.response.output) if item.id]
            shelf.take_out(talk, [item for item in said if item.id in talk.items])

    def _join(self, shelf: Shelf, conversation_id: str | None, given: list[Item]) -> list[Item]:
        """Add a response's input to its conversation, if there is one; the input as it is kept."""
        talk = shelf.talks.get(conversation_id or "")
        return _add(shelf, talk, given) if talk else given


def _add(shelf: Shelf, talk: Talk, items: Sequence[Item]) -> list[Item]:
    kept = identified(items, root=talk.about.id, start=talk.count, taken=talk.items)
    talk.count += len(kept)
    talk.items.update({item.id or "": item for item in kept})
    made_here = [item for item, given in zip(kept, items, strict=True) if item is not given]
    shelf.items.update({item.id or "": item for item in made_here})
    shelf.talks.move_to_end(talk.about.id)
    shelf.grow(talk.about.id, size_of(kept))
    return kept
