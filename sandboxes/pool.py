"""Boxes that are ready before they are asked for, and the end of those that were used.

A box is given to one container and never again to another: nothing is shared between tenants, not
even one after the other. Ready boxes have pandas and pyplot imported and an interpreter born; they
change their memory limit to the one that is asked for, where the engine can do that.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any

from anyio import CancelScope

from antiphon.errors import SandboxBusy, SandboxUnavailable

from .docker_box import Box
from .docker_maker import BoxMaker

logger: logging.Logger = logging.getLogger("antiphon.sandboxes")

_AT_ONCE = 2
_PING = 300.0
_BREATH = 0.05
_AGAIN = 1.0
_RETRY = 5.0
_MODULES = ("numpy", "pandas", "matplotlib.pyplot")
_GIB = 2**30


class Pool:
    """The boxes of one backend.

    Args:
        maker: Makes them.
        memory: Bytes of memory of those that are kept ready.
        budget: Bytes that those in use may have together; None means 3/4 of the engine's.
        warm: How many are kept ready.
    """

    def __init__(self, maker: BoxMaker, *, memory: int, budget: int | None, warm: int) -> None:
        self._maker = maker
        self._memory = memory
        self._budget = budget
        self._warm = warm
        self._ready: deque[Box] = deque()
        self._boxes: set[Box] = set()
        self._used: dict[Box, int] = {}
        self._promised = 0
        self._making: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    @property
    def ready(self) -> int:
        """How many boxes wait."""
        return len(self._ready)

    async def take(self, memory: int) -> Box:
        """A box with that many bytes of memory.

        Raises:
            SandboxBusy: The boxes in use would have more memory together than they may.
            SandboxUnavailable: No box can be made, or none of that size ever.
        """
        if self._budget is None:
            self._budget = await self._maker.memory() * 3 // 4
        self._admit(memory, self._budget)
        self._promised += memory
        try:
            box = await self._warm_box(memory) or await self._make(memory)
            self._used[box] = memory
        finally:
            self._promised -= memory
            self._refill_in(_BREATH)  # not now: the first cell is about to run
        return box

    async def fill(self) -> None:
        """Wait until all warm boxes are ready. Raises: SandboxUnavailable."""
        while len(self._ready) < self._warm:
            for _ in range(self._warm - len(self._ready) - len(self._making)):
                self._start(self._make_warm(), self._making).add_done_callback(_seen)
            # Not `gather`, which would cut them where they are when nobody waits any more.
            made, _ = await asyncio.wait(set(self._making))
            for each in made:
                each.result()

    def discard(self, box: Box) -> None:
        """End a box; never waits. `aclose` waits until it is gone."""
        if box in self._boxes:
            self._boxes.discard(box)
            self._used.pop(box, None)
            box.close()
            self._start(box.remove())

    async def aclose(self) -> None:
        """End every box, and wait until they are gone."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        with CancelScope(shield=True):
            for box in list(self._boxes):
                self.discard(box)
            while self._tasks:
                await asyncio.wait(list(self._tasks))
            self._ready.clear()
            self._maker.close()

    def reopen(self) -> None:
        """Boxes may be made again, in another event loop."""
        self._closed = False

    def _admit(self, memory: int, budget: int) -> None:
        if memory > budget:
            raise SandboxUnavailable(
                f"A sandbox with {memory // _GIB}g of memory never fits: all together may have "
                f"{budget / _GIB:.1f} GiB here. Ask for less, or give memory= more."
            )
        used = self._promised + sum(self._used.values())
        if used + memory > budget:
            raise SandboxBusy(
                f"Sandboxes in use have {used / _GIB:.1f} of {budget / _GIB:.1f} GiB of memory; "
                f"{memory // _GIB} more do not fit. Try again later.",
                retry_after=_RETRY,
            )

    async def _warm_box(self, memory: int) -> Box | None:
        """A ready box that has, or can be given, so much memory."""
        while self._ready:
            box = self._ready.popleft()
            fits = False
            try:
                fits = box.memory == memory or await box.resize(memory)
            finally:  # nobody else knows of it, if this is where we are cancelled
                if not fits:
                    self.discard(box)
            if fits:
                return box
        return None

    async def _make(self, memory: int) -> Box:
        if self._closed:
            raise SandboxUnavailable("These sandboxes are closed. Make a new backend.")
        box = await self._maker.make(memory)
        self._boxes.add(box)
        box.on_gone = self._lost
        if self._closed:
            self.discard(box)
            raise SandboxUnavailable("These sandboxes are closed. Make a new backend.")
        if "ping" not in self._timers:
            self._ping()
        return box

    async def _make_warm(self) -> None:
        box = await self._make(self._memory)
        try:
            await box.prepare(_MODULES)
        except BaseException:
            self.discard(box)
            raise
        self._ready.append(box)

    def _refill(self) -> None:
        """Make what is missing, two at a time."""
        missing = self._warm - len(self._ready) - len(self._making)
        if not self._closed:
            for _ in range(min(missing, _AT_ONCE - len(self._making))):
                self._start(self._make_warm(), self._making).add_done_callback(self._refilled)

    def _refilled(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._refill()
        elif not self._closed:
            logger.warning("no sandbox could be made ready: %s", error)

    def _refill_in(self, seconds: float) -> None:
        if not self._closed:
            self._set_timer("refill", seconds, self._refill)

    def _lost(self, box: Box) -> None:
        """A box has ended by itself, or was removed from outside."""
        if box in self._ready:
            self._ready.remove(box)
            self._refill_in(_AGAIN)
        self.discard(box)

    def _ping(self) -> None:
        for box in self._boxes:
            box.ping()
        self._set_timer("ping", _PING, self._ping)

    def _set_timer(self, name: str, seconds: float, call: Any) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, call)

    def _start(
        self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[Any]] | None = None
    ) -> asyncio.Task[Any]:
        """Run `work` in the background; `aclose` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        for tasks in (self._tasks, among):
            if tasks is not None:
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        return task


def _seen(task: asyncio.Task[Any]) -> None:
    """What it failed with is known: asyncio has nothing to complain about."""
    if not task.cancelled():
        task.exception()
