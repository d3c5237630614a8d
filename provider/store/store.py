"""What a store keeps: responses with the input they answer, each the property of a principal.

A store saves what `fold` built and nothing else. Another's id and an absent id look the same.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from antiphon.errors import RequestError
from antiphon.items import Item, Response


@dataclass(frozen=True, slots=True)
class Record:
    """One stored response.

    Attributes:
        principal: Whose it is.
        response: The terminal response with every item whole, as the loop told it.
        given: The request's own input items (earlier ones are in `response.previous_response_id`).
        view: How its creator sees it, as plain data.
    """

    principal: str
    response: Response
    given: list[Item]
    view: dict[str, Any]


class Store(Protocol):
    """Keeps records. All methods are safe to call concurrently.

    A store may forget a principal's oldest records, but never to make room for another's.
    """

    async def save(self, record: Record) -> None:
        """Keep a terminal response."""
        ...

    async def load(self, response_id: str, *, principal: str) -> Record | None:
        """The record, or None where it is absent or another's."""
        ...

    async def delete(self, response_id: str, *, principal: str) -> bool:
        """Forget a response and its items; False where it is absent or another's."""
        ...

    async def item(self, item_id: str, *, principal: str) -> Item | None:
        """An output item of a stored response, whole; None where it is absent or another's."""
        ...

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


async def history(store: Store, record: Record) -> list[Item]:
    """Everything said up to and including a record: each input and its output, oldest first.

    Raises:
        RequestError: 404; an earlier response is kept no longer. A conversation that has lost
            its beginning would be another one, so it is never gone on with silently.
    """
    chain = [record]
    while (earlier := chain[-1].response.previous_response_id) is not None:
        found = await store.load(earlier, principal=record.principal)
        if found is None:
            raise not_found(
                f"the response {earlier!r} before it is kept no longer: send the whole input"
            )
        chain.append(found)
    return [item for one in reversed(chain) for item in (*one.given, *one.response.output)]
