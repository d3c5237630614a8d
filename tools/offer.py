"""An offer made of parts: what a hosted tool puts on the menu of one request.

Above: the hosted tools. Below: `hosted.py`, whose `Offer` Protocol this fulfils. Not here: what a
definition may ask for, which the tool says in `offers`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from antiphon.items import FunctionCall, FunctionTool

from .gate import Gate
from .hosted import Call, Scope, Slot

Opens: TypeAlias = Callable[[FunctionCall, Slot, Scope], Call]
"""Opens a call: what the model named, its place, the run around it."""


@dataclass(frozen=True, slots=True)
class HostedOffer:
    """One name on the menu, bound to what a definition says.

    Attributes:
        function: What the model sees.
        item_type: The type of the items that its calls become, such as `image_generation_call`.
        opens: Opens a call.
        gate: Says which calls wait for a person's word; None where none do.
        parallel: Whether its calls may run beside others of the same turn.
    """

    function: FunctionTool
    item_type: str
    opens: Opens
    gate: Gate | None = None
    parallel: bool = True

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> Call:
        """A call opens."""
        return self.opens(call, slot, scope)
