"""`Record`: one stored response, with the input that it answers, the property of a principal."""

from dataclasses import dataclass
from typing import Any

from antiphon.items import Item, Response


@dataclass(frozen=True, slots=True)
class Record:
    """One stored response.

    Attributes:
        principal: Whose it is.
        response: The response with every item whole, as the loop told it. One that is still in
            the making has the items that are done.
        given: The request's own input items (earlier ones are in `response.previous_response_id`).
        view: How its creator sees it, as plain data.
        conversation: The conversation that it is a turn of. When it ends, its input and output
            become that conversation's newest items, if that is still there.
    """

    principal: str
    response: Response
    given: list[Item]
    view: dict[str, Any]
    conversation: str | None = None
