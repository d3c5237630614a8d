"""Room: places for jobs of one process, shared among principals.

One principal alone gets half of the places, the next half of the rest, and so on: so somebody who
comes later finds one. A place that comes free goes to whoever has the fewest.

Above: `background`. Not here: how many requests a principal may make (`rate`).
"""

from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio


class Room:
    """Places that are taken and given back.

    Args:
        places: How many there are.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[anyio.Event]] = {}

    @asynccontextmanager
    async def place(self, principal: str) -> AsyncGenerator[None]:
        """Hold one place, as soon as there is one for this principal."""
        await self._enter(principal)
        try:
            yield
        finally:
            self._leave(principal)

    async def _enter(self, principal: str) -> None:
        if principal not in self._waiting and self._may(principal):
            self._held[principal] += 1
            return
        turn = anyio.Event()
        self._waiting.setdefault(principal, deque()).append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # it was given the place, and does not take it
                self._leave(principal)
            else:
                self._drop(principal, turn)
            raise

    def _leave(self, principal: str) -> None:
        self._held[principal] -= 1
        if not self._held[principal]:
            del self._held[principal]
        while may := [each for each in self._waiting if self._may(each)]:
            next_one = min(may, key=lambda each: self._held[each])
            turn = self._waiting[next_one][0]
            self._drop(next_one, turn)
            self._held[next_one] += 1
            turn.set()

    def _drop(self, principal: str, turn: anyio.Event) -> None:
        self._waiting[principal].remove(turn)
        if not self._waiting[principal]:
            del self._waiting[principal]

    def _may(self, principal: str) -> bool:
        """Whether there is a place, and this principal has less than half of what others left."""
        taken, own = self._held.total(), self._held[principal]
        left = self._places - (taken - own)
        return taken < self._places and own < (left + 1) // 2
