"""The score of a replay: who speaks when, where several do at the same time.

What ran side by side is told in the order in which it was told then: else a run that was stopped
by another's failure would be stopped sooner, or later. The order is kept as long as everybody
who is to speak is there; nobody is waited for in vain.

Above: `stand_in`, whose stand-ins wait for their entries. Below: nothing.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import anyio
import anyio.lowlevel

QUIET: Final = 1.0
"""Seconds in which nothing is told, after which those who did not speak are not waited for."""


class Score:
    """The positions of events that stand-ins tell."""

    def __init__(self) -> None:
        self._left: deque[int] = deque()
        self._told: set[int] = set()
        self._changed = anyio.Event()

    def expect(self, positions: Iterable[int]) -> None:
        """All positions that are going to be told."""
        self._left = deque(sorted(set(positions)))

    async def reach(self, position: float) -> None:
        """Wait until all that was told before this position has been told again."""
        await anyio.lowlevel.checkpoint()
        while self._left and self._left[0] < position:
            changed = self._changed
            with anyio.move_on_after(QUIET):
                await changed.wait()
            if self._changed is changed:  # nobody has anything to say
                while self._left and self._left[0] < position:
                    self._left.popleft()

    def tell(self, *positions: int) -> None:
        """These were told; or nobody who is here tells them."""
        self._told.update(positions)
        before = len(self._left)
        while self._left and self._left[0] in self._told:
            self._left.popleft()
        if len(self._left) != before:
            self._changed.set()
            self._changed = anyio.Event()
