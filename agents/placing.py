"""Places for items that a call adds while it runs: the output of a shell call, for one.

A call knows only its own slot. An item that it adds bears the output index `ANEW` in all its
events; here it gets the next free place at the moment when it is told, so that items are added
in the order of their indexes, whatever runs beside it. Above: `turns`. Below: `items.Fold`.
"""

from typing import cast

from antiphon.items import Event, Fold, ItemAdded, ItemEvent, Within
from antiphon.tools import ANEW


class Places:
    """The places of added items in one response, by their ids.

    Args:
        fold: What was told so far.
    """

    __slots__ = ("_fold", "_known")

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._known: dict[str, int] = {}

    def __call__(self, event: Event) -> Event:
        """The event of a call, in its place.

        Raises:
            KeyError: An added item was never added.
        """
        if getattr(event, "output_index", None) != ANEW:
            return event
        inside = cast("ItemEvent | Within", event)
        key = inside.item_id if isinstance(inside, Within) else inside.item.id or ""
        if type(event) is ItemAdded:
            self._known[key] = len(self._fold.drafts)
        inside.output_index = self._known[key]
        return event
