"""`Result`: what a run gave, read off its terminal response."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from antiphon.items import ApprovalRequest, Item, McpApprovalRequest, Response, Usage

from .approval import waiting

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """A finished run.

    Attributes:
        output: The answer: text, or a value of the agent's output type.
        items: The whole conversation, input and output; hand it to the next run.
        response: The terminal response; its `status` is `completed` or `incomplete`.
    """

    output: T
    items: Sequence[Item]
    response: Response

    @property
    def output_text(self) -> str:
        """The text of all messages that the run wrote."""
        return self.response.output_text

    @property
    def approvals(self) -> list[ApprovalRequest | McpApprovalRequest]:
        """What still waits for a person's word, asked now or before.

        Go on with `[*result.items, *words]`, the words being an
        `ApprovalResponse(approval_request_id=request.id, approve=True)` for each.
        """
        return waiting(self.items)

    @property
    def usage(self) -> Usage:
        """Tokens used by all samplings of the run."""
        return self.response.usage or Usage()
