"""`Approvals`: calls that wait for a person's word, kept apart from responses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Approval:
    """One call that waits for a person's word. It outlives its response, even an unstored one.

    Attributes:
        id: The id of the approval request's item.
        principal: Whose word it waits for.
        digest: What exactly is asked: a hash of who asks, the tool and its arguments.
        expires_at: Seconds since 1970; from then on nobody can approve it.
        consumed_at: Seconds since 1970 at which a response was made of the word; None before.
    """

    id: str
    principal: str
    digest: str
    expires_at: float
    consumed_at: float | None = None


class Approvals(Protocol):
    """Keeps approvals until they expire."""

    async def ask(self, approval: Approval) -> None:
        """Keep an approval until it expires. One that is there already stays as it is: what
        was consumed is never made free again.
        """
        ...

    async def approval(self, approval_id: str, *, principal: str) -> Approval | None:
        """The approval, consumed or not; None where it is absent, expired or another's."""
        ...

    async def consume(self, approval_ids: Sequence[str], *, principal: str, at: float) -> bool:
        """Use up these approvals, all of them or none, and none that was used already.

        Args:
            approval_ids: Which; each once.
            principal: Whose they are.
            at: Seconds since 1970, kept as `consumed_at`.

        Returns:
            False where one of them is absent, expired, another's or consumed: nothing changed.
        """
        ...
