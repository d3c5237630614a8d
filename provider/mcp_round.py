"""One round of a host's call: a run from its first event to its end, or until people are asked.

The run is that of any request: the same admission, loop, consent and spans. Nothing is stored but
the rows of what waits for approval. Above: `mcp_call`. Below: `opened`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import anyio

from antiphon.items import (
    AgentCall,
    ApprovalRequest,
    ApprovalResponse,
    Event,
    Item,
    McpApprovalResponse,
    Reasoning,
    Response,
    ResponseEvent,
)
from antiphon.tools import Asked

from .mcp_offer import HostTool
from .opened import Opened
from .seal import PREFIX
from .sealing import Sealing
from .view import View

Tell: TypeAlias = Callable[[Event], Awaitable[None]]
"""Hears each event as it happens."""


@dataclass(frozen=True, slots=True)
class Round:
    """How a run ended.

    Attributes:
        items: The whole conversation up to there: what it was given, and what it said.
        response: Its terminal response.
        asked: The calls that wait for a person.
    """

    items: list[Item]
    response: Response
    asked: list[Asked]


async def play(tool: HostTool, items: Sequence[Item], *, principal: str, tell: Tell) -> Round:
    """Run a call, or go on with one.

    Args:
        tool: What is called.
        items: What was said so far, with people's words at the end.
        principal: Who calls.
        tell: Hears the events.

    Raises:
        RequestError: It cannot be served, or a word does not count.
    """
    sealing = tool.desk.sealing(principal)
    request = tool.request([_carried(item, sealing) for item in items])
    view = View.of(request, dialect="openresponses", extensions=True)
    opened = await Opened.of(tool.desk, request, principal=principal, view=view)
    await opened.use()
    end = opened.response
    try:
        async for event in opened.events:
            if isinstance(event, ResponseEvent):
                end = event.response
            await tell(event)
    finally:
        with anyio.CancelScope(shield=True):  # sandboxes are handed back, whoever has left
            await opened.events.aclose()
    said = [*items, *end.output]
    return Round(said, end, [item for item in end.output if isinstance(item, Asked)])


def _carried(item: Item, sealing: Sealing) -> Item:
    """An item as a client would bring it: what another antiphon sealed is sealed once more, since
    whatever a request brings sealed is opened.
    """
    if isinstance(item, AgentCall):
        inner = [_carried(each, sealing) for each in item.output]
        return item.model_copy(update={"output": inner})
    if isinstance(item, Reasoning) and (item.encrypted_content or "").startswith(PREFIX):
        return sealing.reasoning(item)
    return item


def word(request: Asked, *, approve: bool) -> Item:
    """A person's word on a request."""
    asked = request.id or ""
    if isinstance(request, ApprovalRequest):
        return ApprovalResponse(approval_request_id=asked, approve=approve)
    return McpApprovalResponse(approval_request_id=asked, approve=approve)
