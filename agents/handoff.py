"""Handoffs: one agent gives the conversation to another, within one response.

The model calls `transfer_to_<name>`; the call becomes an `antiphon:handoff` item, and from the
next turn on the other agent answers, with its own model, instructions and tools. Who owns the
conversation is read from the items: the target of the last handoff in them.

Above: `agent` (which agents there are), `turns` (changes seats). Below: `tools.ArgumentsCall`.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.items import (
    BUILT_IN,
    CreateResponse,
    Event,
    FunctionCall,
    FunctionTool,
    Handoff,
    Item,
    McpCall,
)
from antiphon.models import Model
from antiphon.tools import ArgumentsCall, Call, HostedTool, Offer, Scope, Slot

from .budget import Budget


@dataclass(frozen=True, slots=True)
class Seat:
    """Who answers now, and with what.

    Attributes:
        agent: The agent's name.
        model: Whom to ask.
        tools: What can be run.
        request: What is asked, with the agent's own instructions, tools and options.
        budget: Its own, from here on; None for whom the run's account already holds.
    """

    agent: str
    model: Model
    tools: Sequence[Offer | HostedTool]
    request: CreateResponse
    budget: Budget | None = None


Switch: TypeAlias = Callable[[str], Awaitable[Seat]]
"""Gives the seat of the agent of this name."""


def transfer_name(agent: str) -> str:
    """The name of the function that hands over to an agent."""
    return f"transfer_to_{re.sub(r'[^a-zA-Z0-9_-]', '_', agent)}"[:64]


def owner_of(items: Sequence[Item], targets: Iterable[str]) -> str | None:
    """The agent that the last handoff of a conversation went to; None where there was none.

    Args:
        items: The whole conversation.
        targets: The names of all agents that may own it; others are passed over.
    """
    known = {transfer_name(name): name for name in targets}
    for item in reversed(items):
        if isinstance(item, Handoff) and item.status == "completed":
            if item.target in known.values():
                return item.target
        elif isinstance(item, McpCall) and item.server_label == BUILT_IN:
            if item.name in known and item.status == "completed" and item.error is None:
                return known[item.name]
    return None


class _Arguments(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    reason: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """An agent to which the conversation can be handed, on another's menu (see `tools.Offer`).

    Attributes:
        source: Who hands over.
        target: Who is to go on.
        purpose: What the target is good for.
    """

    source: str
    target: str
    purpose: str

    @property
    def function(self) -> FunctionTool:
        """What the model sees."""
        return FunctionTool(
            name=transfer_name(self.target),
            description=f"Hand the conversation over to {self.target}. {self.purpose}".strip(),
            parameters={
                "type": "object",
                "properties": {"reason": {"type": "string", "description": "Why, in few words."}},
                "required": ["reason"],
                "additionalProperties": False,
            },
            strict=True,
        )

    @property
    def item_type(self) -> str:
        """The type of the items that its calls become."""
        return "antiphon:handoff"

    @property
    def parallel(self) -> bool:
        """Each is a barrier: there can be one in a turn."""
        return False

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> Call:
        """A handoff is asked for."""
        return _HandingOver(self, slot)


class _HandingOver(ArgumentsCall):
    steps: ClassVar[str] = "antiphon:handoff"

    def __init__(self, transfer: Transfer, slot: Slot) -> None:
        super().__init__(slot)
        self._transfer = transfer
        self._error: str | None = None

    def item(self, status: str) -> Handoff:
        """The receipt so far."""
        return Handoff(
            id=self.slot.item_id,
            status=status,
            source=self._transfer.source,
            target=self._transfer.target,
            name=transfer_name(self._transfer.target),
            arguments=self.arguments,
            error=self._error,
        )

    def write(self, delta: str) -> Iterable[Event]:
        """Nothing is told of the reason until it is whole."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """The reason is whole."""
        self.arguments: str = arguments
        return ()

    def fail(self, reason: str) -> Iterable[Event]:
        """It does not happen; the model reads why."""
        self._error = reason
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """Hand over: the item is all there is to it."""
        try:
            _Arguments.model_validate_json(self.arguments)
        except ValidationError as error:
            ended = self.fail(f'expected {{"reason": "..."}}: {error.errors()[0]["msg"]}')
        else:
            ended = self.end("completed")
        for event in ended:
            yield event
