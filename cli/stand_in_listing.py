"""Stand-ins for servers that list their tools: the list is the recorded one, nobody is asked.

Above: `stage`. Below: `part`, `stand_in`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from antiphon.tools import Call, Listing, Lists, Offer, Scope, Slot

from .part import Part
from .recorded import RecordedItem
from .stand_in import Given, Unknown, offer_of


class StandInLister:
    """A hosted tool whose list is the recorded one.

    Args:
        tool: The real one.
        part: The run in which it lists.
    """

    def __init__(self, tool: Lists, part: Part) -> None:
        self._tool = tool
        self._part = part
        self.type: str = tool.type

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)  # such as `types`

    def offers(self, definition: Any, scope: Scope) -> Sequence[Offer]:
        """What the real one puts on the menu unasked."""
        return [offer_of(each, self._part) for each in self._tool.offers(definition, scope)]

    def listing(self, definition: Any, scope: Scope) -> Listing:
        """The recorded list; as the real one reads it, where it finds it in a run's input."""
        real = self._tool.listing(definition, scope)
        one = None if real.known else self._part.listed(real.label)
        if one is None:
            return _Listing(real, real, None, self._part)
        items = [*scope.items, one.item]
        read = self._tool.listing(definition, replace(scope, items=items))
        return _Listing(real, read, one, self._part)

    async def aclose(self) -> None:
        """The real one is closed by whoever made it."""


class _Listing:
    """One list.

    Args:
        real: The real listing, which is never asked.
        read: The same, as if it had been asked.
        one: The recorded item; None where there is none.
        part: The run.
    """

    def __init__(self, real: Listing, read: Listing, one: RecordedItem | None, part: Part) -> None:
        self._real = real
        self._read = read
        self._one = one
        self._part = part
        self._asked = real.known
        self.label: str = real.label

    @property
    def known(self) -> bool:
        """Whether nobody has to be asked any more."""
        return self._asked

    @property
    def offers(self) -> Sequence[Offer]:
        """What is offered."""
        found = self._read.offers if self._asked else ()
        return [offer_of(each, self._part) for each in found]

    def begin(self, output_index: int) -> tuple[Call, Slot]:
        """Ask: the item is the recorded one."""
        self._asked = True
        call, slot = self._real.begin(output_index)
        if self._one is None:
            return Unknown(call, f"the list of {self.label}", self._part), slot
        return Given(self._one, slot, self._part, call), slot
