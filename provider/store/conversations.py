"""`Conversations`: lists of items that clients keep at the provider, with an id of their own.

A response that belongs to one adds its input and output when it ends, in the step that keeps the
response. From then on they are the conversation's: to delete the response leaves them there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from antiphon.items import Item

from .paging import Page, Paging


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, its items aside.

    Attributes:
        id: `conv_` and what nobody guesses, made by the provider.
        principal: Whose it is.
        created_at: Seconds since 1970.
        metadata: Its owner's notes.
    """

    id: str
    principal: str
    created_at: int
    metadata: dict[str, str] = field(default_factory=dict[str, str])


class Conversations(Protocol):
    """Keeps conversations until they are deleted. Another's is as good as absent.

    Each item in one has an id of its own: its own, or, where it came without or the id is taken
    in this conversation, a new one.
    """

    async def create_conversation(
        self, conversation: Conversation, items: Sequence[Item] = ()
    ) -> list[Item]:
        """Keep a new conversation with its first items; the items as they are kept."""
        ...

    async def conversation(self, conversation_id: str, *, principal: str) -> Conversation | None:
        """The conversation; None where it is absent."""
        ...

    async def update_conversation(
        self, conversation_id: str, metadata: dict[str, str], *, principal: str
    ) -> Conversation | None:
        """Put other metadata in the place of the former; None where it is absent."""
        ...

    async def delete_conversation(self, conversation_id: str, *, principal: str) -> bool:
        """Forget a conversation and its items, but for those of responses that are still kept;
        False where it is absent.
        """
        ...

    async def append(
        self, conversation_id: str, items: Sequence[Item], *, principal: str
    ) -> list[Item] | None:
        """Add items at the end; as they are kept, or None where the conversation is absent."""
        ...

    async def said(self, conversation_id: str, *, principal: str) -> list[Item] | None:
        """All items, oldest first; None where the conversation is absent."""
        ...

    async def page(self, conversation_id: str, paging: Paging, *, principal: str) -> Page | None:
        """Some items; None where the conversation is absent.

        Raises:
            RequestError: 404; no item of it has the id `after`.
        """
        ...

    async def conversation_item(
        self, conversation_id: str, item_id: str, *, principal: str
    ) -> Item | None:
        """One item of a conversation; None where either is absent."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str, *, principal: str) -> bool:
        """Take an item out of a conversation; False where either is absent.

        It is forgotten, unless it belongs to a response that is still kept.
        """
        ...
