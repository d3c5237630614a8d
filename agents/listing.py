"""Listing: whose offers are known only when they are asked, is asked at a response's beginning.

Each listing is an item of the response, told as it happens, all of them side by side; then the
menu is made anew, with what came of them. Above: `turns`. Below: `dispatch`, `menu`, and
`tools.Listing` (an MCP server's tools, for one).
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from antiphon.items import Event
from antiphon.tools import Listing

from .dispatch import dispatch
from .sampling import Pending
from .telling import Telling


async def listed(listings: Sequence[Listing], telling: Telling) -> AsyncGenerator[Event, None]:
    """Ask; the items stand next in the output, in this order."""
    first = len(telling.fold.drafts)
    asking: list[Pending] = []
    for position, listing in enumerate(listings):
        call, slot = listing.begin(first + position)
        asking.append(Pending(listing.label, call, slot, parallel=True, position=0))
        for event in call.open():
            yield telling.tell(event)
    async with aclosing(dispatch(asking)) as answers:
        async for event in answers:
            yield telling.tell(event)
