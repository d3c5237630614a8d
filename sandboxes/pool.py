"""Boxes that are ready before they are asked for, and the end of those that were used.

A box is given to one container and never again to another: nothing is shared between tenants, not
even one after the other. Boxes of the usual size wait ready, with pandas and pyplot imported and
an interpreter born; those of other sizes are made when they are asked for.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio
from anyio import CancelScope

from antiphon.errors import SandboxUnavailable

from .docker_box import Box
from .docker_flags import Flags
from .docker_owner import sweep
from .docker_way import SocketWay, StreamWay, Way, socket_parent
from .engine import Engine

Transport: TypeAlias = Literal["auto", "socket", "stream"]
"""How the host speaks with a container; `auto` finds out."""

logger = logging.getLogger("antiphon.sandboxes")

_AT_ONCE = 2
_PING = 300.0
_AGAIN = 1.0
_MODULES = ("numpy", "pandas", "matplotlib.pyplot")


class Pool:
    """The boxes of one backend. `image` gives the tag of the image, building it if need be."""

    def __init__(
        self,
        engine: Engine,
        flags: Flags,
        *,
        image: Callable[[], Awaitable[str]],
        transport: Transport,
        memory: int,
        warm: int,
        patience: float,
    ) -> None:
        self._engine = engine
        self._flags = flags
        self._image = image
        self._transport: Transport = transport
        self._memory = memory
        self._warm = warm
        self._patience = patience
        self._parent: Path | None = None
        self._ready: deque[Box] = deque()
        self._boxes: set[Box] = set()
        self._making = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._preparing = anyio.Lock()
        self._tag: str | None = None
        self._pinging: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def ready(self) -> int:
        """How many boxes wait."""
        return len(self._ready)

    @property
    def transport(self) -> Transport:
        """How the host speaks with containers; `auto` until it is known."""
        return self._transport

    async def take(self, memory: int) -> Box:
        """A box with that many bytes of memory. Raises: SandboxUnavailable."""
        if memory == self._memory:
            while self._ready:
                box = self._ready.popleft()
                if not box.gone:
                    self._refill_soon()
                    return box
        box = await self._make(memory)
        self._refill_soon()
        return box

    async def fill(self) -> None:
        """Wait until all warm boxes are ready. Raises: SandboxUnavailable."""
        async with anyio.create_task_group() as tasks:
            for _ in range(self._warm - len(self._ready) - self._making):
                tasks.start_soon(self._make_warm)

    def discard(self, box: Box) -> None:
        """End a box; never waits. `aclose` waits until it is gone."""
        if box in self._boxes:
            self._boxes.discard(box)
            box.close()
            self._start(box.remove())

    async def aclose(self) -> None:
        """End every box, and wait until they are gone."""
        self._closed = True
        for timer in (self._pinging, self._again):
            if timer is not None:
                timer.cancel()
        with CancelScope(shield=True):
            for box in list(self._boxes):
                self.discard(box)
            while self._tasks:
                await asyncio.wait(self._tasks)
            self._ready.clear()
            self._engine.close()
            if self._parent is not None:
                shutil.rmtree(self._parent, ignore_errors=True)
                self._parent = None

    async def _make(self, memory: int) -> Box:
        async with self._preparing:
            tag = await self._prepare()
            if self._transport == "auto":
                return await self._probe(tag, memory)
        return await self._start_box(tag, memory)

    async def _prepare(self) -> str:
        """What comes before the first box: orphans, a folder for sockets, the image."""
        if self._closed:
            raise SandboxUnavailable("These sandboxes are closed. Make a new backend.")
        if self._tag is None:
            swept = await self._engine.call(sweep)
            if swept:
                logger.info("removed %d sandboxes whose provider is gone", swept)
            self._tag = await self._image()
        if self._parent is None:
            self._parent = socket_parent()
        return self._tag

    async def _probe(self, tag: str, memory: int) -> Box:
        """The first box finds out whether a socket reaches into this engine's containers."""
        self._transport = "socket"
        try:
            return await self._start_box(tag, memory)
        except SandboxUnavailable as refused:
            self._transport = "stream"
            try:
                box = await self._start_box(tag, memory)
            except BaseException:
                self._transport = "auto"
                raise
            logger.info("sandboxes are reached through the engine, which is slower: %s", refused)
            return box
        except BaseException:
            self._transport = "auto"
            raise

    async def _start_box(self, tag: str, memory: int) -> Box:
        assert self._parent is not None
        way: Way
        way = SocketWay(self._parent) if self._transport == "socket" else StreamWay(self._engine)
        try:
            box = await Box.start(
                self._engine, way, self._flags, image=tag, memory=memory, patience=self._patience
            )
        except SandboxUnavailable:
            self._tag = None  # the image may have been removed: look again next time
            raise
        self._boxes.add(box)
        box.on_gone = self._lost
        if self._closed:
            self.discard(box)
            raise SandboxUnavailable("These sandboxes are closed. Make a new backend.")
        if self._pinging is None:
            self._ping_later()
        return box

    async def _make_warm(self) -> None:
        self._making += 1
        try:
            box = await self._make(self._memory)
            try:
                await box.prepare(_MODULES)
            except BaseException:
                self.discard(box)
                raise
            self._ready.append(box)
        finally:
            self._making -= 1

    def _refill_soon(self) -> None:
        """Start making what is missing, two at a time."""
        missing = self._warm - len(self._ready) - self._making
        if not self._closed:
            for _ in range(min(missing, _AT_ONCE - self._making)):
                self._start(self._refill())

    async def _refill(self) -> None:
        try:
            await self._make_warm()
        except SandboxUnavailable as error:
            if not self._closed:
                logger.warning("no sandbox could be made ready: %s", error)
        except Exception:
            logger.exception("no sandbox could be made ready")
        else:
            self._refill_soon()

    def _lost(self, box: Box) -> None:
        """A box has ended by itself, or was removed from outside."""
        if box in self._ready:
            self._ready.remove(box)
            if self._again is None and not self._closed:
                loop = asyncio.get_running_loop()
                self._again = loop.call_later(_AGAIN, self._refill_again)
        self.discard(box)

    def _refill_again(self) -> None:
        self._again = None
        self._refill_soon()

    def _ping_later(self) -> None:
        self._pinging = asyncio.get_running_loop().call_later(_PING, self._ping)

    def _ping(self) -> None:
        for box in self._boxes:
            box.ping()
        self._ping_later()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
