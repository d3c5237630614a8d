"""What a store keeps: responses, approvals, responses in the making, and conversations.

A store saves what `fold` built and nothing else. Another's id and an absent id look the same.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from antiphon.errors import RequestError
from antiphon.items import Item

from .approvals import Approvals
from .conversations import Conversations
from .jobs import Jobs
from .record import Record


@dataclass(frozen=True, slots=True)
class Chain:
    """What was said in a response and in those before it.

    Attributes:
        items: Each input and its output, oldest first.
        missing: The id of a response that the oldest of them goes on from and that is not kept;
            None where the chain is whole.
    """

    items: list[Item]
    missing: str | None = None


class Responses(Protocol):
    """Keeps records."""

    async def save(self, record: Record) -> None:
        """Keep a terminal response, in the place of one with its id; if it belongs to a
        conversation, its items are added there in the same step.
        """
        ...

    async def load(self, response_id: str, *, principal: str) -> Record | None:
        """The record, or None where it is absent or another's."""
        ...

    async def delete(self, response_id: str, *, principal: str) -> bool:
        """Forget a response, its items and its events; False where it is absent or another's.

        Items that are a conversation's, too, stay there.
        """
        ...

    async def items(self, ids: Collection[str], *, principal: str) -> dict[str, Item]:
        """Items whose ids were made here, whole, by id; what is absent or another's is left out.

        Each is the output of a stored response, or stands in a conversation. Ids that a client
        made lead to nothing.
        """
        ...

    async def chain(self, response_id: str, *, principal: str) -> Chain:
        """What was said up to and including a response, in a fixed number of steps."""
        ...


class Store(Responses, Approvals, Jobs, Conversations, Protocol):
    """Keeps records. All methods are safe to call concurrently.

    A store may forget a principal's oldest records, but never to make room for another's.
    """

    async def aclose(self) -> None:
        """Give back everything held."""
        ...


def not_found(why: str) -> RequestError:
    """What a request is told whose `previous_response_id` leads nowhere."""
    return RequestError(
        f"previous_response_id: {why}",
        param="previous_response_id",
        code="previous_response_not_found",
        status=404,
        type="not_found_error",
    )


async def history(store: Responses, record: Record) -> list[Item]:
    """Everything said up to and including a record: each input and its output, oldest first.

    Raises:
        RequestError: 404; an earlier response is kept no longer. A conversation that has lost
            its beginning would be another one, so it is never gone on with silently.
    """
    said = [*record.given, *record.response.output]
    earlier = record.response.previous_response_id
    if earlier is None:
        return said
    before = await store.chain(earlier, principal=record.principal)
    if before.missing is not None:
        raise not_found(
            f"the response {before.missing!r} before it is kept no longer: send the whole input"
        )
    return before.items + said
