"""What the tests of agents share: models that speak step by step, and small looks at a run."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio.lowlevel

from antiphon.agents import loop
from antiphon.items import (
    Completed,
    CreateResponse,
    Event,
    Ids,
    Incomplete,
    Response,
    ResponseEvent,
    Usage,
)
from antiphon.models import Model, ModelRequest
from antiphon.tools import HostedTool, Offer


def asked(given: Any = "go", **fields: Any) -> CreateResponse:
    """A request, from plain data."""
    return CreateResponse.model_validate({"model": "scripted", "input": given, **fields})


async def play(
    request: CreateResponse,
    model: Model,
    tools: Sequence[Offer | HostedTool] = (),
    **how: Any,
) -> list[Event]:
    """All events of a run."""
    events = loop(request, model=model, tools=tools, ids=Ids(seed=1), **how)
    return [event async for event in events]


def end_of(events: Sequence[Event]) -> Response:
    """The response that the last event carries."""
    last = events[-1]
    assert isinstance(last, ResponseEvent), last
    return last.response


def own(*names: str) -> list[dict[str, Any]]:
    """Definitions that ask for provider-run functions."""
    return [{"type": "antiphon:function", "name": name} for name in names]


def heard(model: Any, turn: int = -1) -> list[dict[str, Any]]:
    """What the model read in a turn, without what says nothing."""
    return [item.model_dump(exclude_none=True) for item in model.requests[turn].items]


class Raw:
    """A model that says these events, as they are.

    Args:
        turns: The events of each turn; a turn without a last event gets `Completed`.
        whole: False leaves the last event out.

    Attributes:
        closed: How many of its streams were closed.
    """

    name = "raw"

    def __init__(self, *turns: Sequence[Event | Exception], whole: bool = True) -> None:
        self._turns = list(turns)
        self._whole = whole
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        self.requests.append(request)
        try:
            for event in self._turns.pop(0):
                await anyio.lowlevel.checkpoint()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Completed | Incomplete):
                    return
            if self._whole:
                yield Completed(response=Response(id="x", usage=Usage()))
        finally:
            self.closed += 1

    async def aclose(self) -> None: ...
