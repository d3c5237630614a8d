"""Limits of a run and everything inside it: what a request, an agent or a block of code allows.

Below: nothing of this room. Above: `agents.budget`, which holds runs to them. The field and the
items are ours (`antiphon:budget`).
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from .wire import Maybe, Wire

Count: TypeAlias = Annotated[int, Field(ge=1)]
Amount: TypeAlias = Annotated[float, Field(gt=0)]

Resource: TypeAlias = Literal["turns", "tool_calls", "tokens", "seconds", "cost"]
"""What a budget may run out of."""


class Limits(Wire):
    """How much a run may use, all runs inside it included; None is without limit.

    Attributes:
        turns: Samplings of models.
        tool_calls: Calls that the provider runs, sub-agents among them.
        tokens: Input and output tokens, as models report them.
        seconds: Seconds from its first event on.
        cost: Money, in the currency of the prices that are configured.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    turns: Maybe[Count] = None
    tool_calls: Maybe[Count] = None
    tokens: Maybe[Count] = None
    seconds: Maybe[Amount] = None
    cost: Maybe[Amount] = None


class SpentBudget(Wire):
    """A budget that was used up: whose, what of it, how much was allowed and used."""

    owner: str
    resource: Resource
    allowed: float
    used: float
