"""`Jobs`: responses that are made in the background, and what is told of them as they are made.

A job belongs to its *owner*, one run in one process, by a lease. Whoever claims a job whose
lease ran out is its owner from then on, and the former owner's writes change nothing: it is told
so. A job ends with `finish`; its events are kept with the response and deleted with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from antiphon.items import Item, Response

from .record import Record

Hold: TypeAlias = Literal["held", "cancel", "lost"]
"""What an owner is told: the job is still its own; it is, and should be cancelled; it is not."""


@dataclass(frozen=True, slots=True)
class Told:
    """Events of a background response, as its maker told them: whole, before any client's view.

    Attributes:
        events: Sequence numbers and the events' JSON, in their order.
        over: Whether nothing comes after these: the response has ended and this is its rest.
    """

    events: list[tuple[int, bytes]]
    over: bool


class Jobs(Protocol):
    """Keeps responses in the making. `load` gives each with the items that are done so far."""

    async def start(self, record: Record, *, owner: str, until: float) -> None:
        """Keep a response that is about to be made, and give its maker the lease.

        Args:
            record: The input, the view, and the response as it stands now (`queued`).
            owner: Who makes it: a name that no other run has, nor another claim.
            until: Seconds since 1970 at which the lease runs out if it is not renewed.
        """
        ...

    async def claim(self, response_id: str, *, owner: str, until: float) -> Record | None:
        """Take over a job whose lease ran out; only one of those who try gets it.

        Returns:
            The response with what is done so far. None where there is no such job, it has
            ended, or its lease has not run out.
        """
        ...

    async def renew(self, response_id: str, *, owner: str, until: float) -> Hold:
        """Hold a job longer. A lease that ran out is renewed, too, if nobody has claimed it."""
        ...

    async def write(
        self,
        response_id: str,
        *,
        owner: str,
        events: Sequence[tuple[int, bytes]] = (),
        items: Sequence[tuple[int, Item]] = (),
        response: Response | None = None,
    ) -> Hold:
        """Add what is done, all of it or (where the job is `lost`) nothing.

        Args:
            response_id: Which job.
            owner: Who makes it.
            events: Sequence number and JSON of each, in ascending order. What was kept from the
                first number on is replaced.
            items: `output_index` and item of each that is done.
            response: The response as it stands now, its output aside, where that has changed.
        """
        ...

    async def finish(
        self, record: Record, *, owner: str, events: Sequence[tuple[int, bytes]] = ()
    ) -> bool:
        """Keep the terminal response and its last events in one step; the job is over.

        Returns:
            False where the job is lost: nothing changed.
        """
        ...

    async def told(
        self, response_id: str, *, principal: str, after: int = -1, limit: int = 1000
    ) -> Told | None:
        """The events after a sequence number; None where the response is absent or another's.

        A response that was not made in the background has none.
        """
        ...

    async def ask_cancel(self, response_id: str, *, principal: str) -> bool:
        """Ask the owner to stop. False where there is no such job, it ended, or is another's."""
        ...

    async def stale(self, at: float, *, limit: int = 100) -> list[str]:
        """Ids of jobs whose lease has run out at this time (seconds since 1970), oldest first."""
        ...
