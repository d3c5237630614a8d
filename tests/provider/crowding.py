"""What the tests of crowds share: many exchanges at once, and what must not be left of them."""

import asyncio
import gc
from types import AsyncGeneratorType
from typing import Any

import anyio
import anyio.lowlevel

from .serving import PATIENCE, Exchange


class Crowd:
    """Exchanges that are under way, all at once."""

    def __init__(self) -> None:
        self.all: list[Exchange] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, one: Exchange, *, stuck: bool = False) -> None:
        """One more, who maybe takes no byte."""
        if stuck:
            one.gate = anyio.Event()  # never set
        self.all.append(one)

    async def come(self) -> None:
        """All ask; those who take no byte have one sent to them."""
        self._tasks = [asyncio.create_task(one.run()) for one in self.all]
        for one in self.all:
            if one.gate is not None:
                await one.until(lambda one=one: one.sent)

    async def go(self) -> None:
        """All leave, and their requests end."""
        for one in self.all:
            one.leave()
        await self.end()

    async def end(self) -> None:
        """Wait until all requests have ended."""
        with anyio.fail_after(PATIENCE):
            await asyncio.gather(*self._tasks)


def open_generators() -> int:
    """Asynchronous generators that were begun and neither ended nor closed."""
    gc.collect()
    everything: list[Any] = gc.get_objects()
    return sum(type(one) is AsyncGeneratorType and one.ag_frame is not None for one in everything)


async def settled(tasks: int) -> None:
    """Wait until no more tasks are there than were before."""
    with anyio.fail_after(PATIENCE):
        while len(asyncio.all_tasks()) > tasks:
            await anyio.lowlevel.checkpoint()
