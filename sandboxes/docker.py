"""The backend for strangers' code: every sandbox is a container of its own.

Above: tools and providers, which ask for sandboxes. Below: `pool.py`, which keeps boxes ready,
`docker_box.py`, one container, and `engine.py`. What is allowed is in `docker_flags.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Self

import anyio
from anyio import CancelScope

from antiphon.errors import ConfigurationError, SandboxBusy, SandboxUnavailable

from .backend import Backend
from .container import Limits
from .containers import MEMORY_LIMITS, Row
from .docker_box import Box, Death
from .docker_flags import OWNER_LABEL, RUNNER, Flags
from .docker_maker import BoxMaker, Transport
from .docker_owner import new_owner
from .docker_stream import Stream
from .engine import Engine
from .image import Progress, build_image, logged
from .link import Link, Machine
from .obituary import obituary
from .pool import Pool
from .sandbox import Isolation

_CRASH_PAIR = 1.0
_FROZEN = 1.0


class DockerSandboxes(Backend):
    """Sandboxes in containers without network, rights or a writable system; isolation "container".

    Args:
        engine: A URL (`unix://`, `tcp://`) or the name of a docker context; None looks for one.
        image: An image made by `build_image`; None builds it at first use.
        base: What to build it on; see `build_image`.
        extra: More packages for the image, such as `scipy`.
        progress: Called with each line while the image is built; None writes them to the log.
        transport: `socket` or `stream` to the container; `auto` finds out which one works.
        runtime: Another runtime of the engine, such as `runsc` (gVisor) or `kata`.
        memory_limit: Of containers minted without one: `1g`, `4g`, `16g` or `64g`.
        memory: Bytes that all sandboxes may have together; None means 3/4 of what the engine has.
        cpus: Processors a sandbox may use.
        pids: Processes and threads it may have.
        disk_size: Bytes in /mnt/data, which is memory: they count against the limit.
        disk_files: Files and folders in /mnt/data.
        warm: Sandboxes that are kept ready.
        live: Sandboxes that may have a container at the same time; one more is SandboxBusy.
        share: Of these, how many one principal may have; None means three quarters.
        timeout: Seconds a cell may take unless it says otherwise.
        grace: Seconds an interrupted cell has to stop before its interpreter is killed.
        patience: Seconds a container has to start, and a file request to be answered.
        idle: Seconds without use after which a container expires.
        file_size: Bytes of a file that may be put.
        clock: Seconds on a clock that never goes back; for tests of the expiry.
    """

    def __init__(
        self,
        *,
        engine: str | None = None,
        image: str | None = None,
        base: str | None = None,
        extra: Iterable[str] = (),
        progress: Progress | None = None,
        transport: Transport = "auto",
        runtime: str | None = None,
        memory_limit: str = "1g",
        memory: int | None = None,
        cpus: float = 1.0,
        pids: int = 128,
        disk_size: int = 512 * 2**20,
        disk_files: int = 65_536,
        warm: int = 2,
        live: int = 16,
        share: int | None = None,
        timeout: float = 120.0,
        grace: float = 1.0,
        patience: float = 30.0,
        idle: float = 20 * 60.0,
        file_size: int = 512 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        share = max(1, live * 3 // 4) if share is None else share
        _check(cpus, pids, disk_size, disk_files, live, share, timeout, grace, patience, idle)
        _check(file_size, warm + 1, 1 if memory is None else memory)
        limits = Limits(timeout=timeout, grace=grace, patience=patience, file_size=file_size)
        super().__init__(
            limits=limits, live=live, idle=idle, clock=clock, memory_limit=memory_limit
        )
        self._share = share
        self._default = memory_limit
        self._engine = Engine(engine)
        self.owner: str = new_owner()
        """The value of the label `antiphon.owner` of its containers."""
        flags = Flags(
            cpus=cpus,
            pids=pids,
            disk_size=disk_size,
            disk_files=disk_files,
            runtime=runtime,
            labels={OWNER_LABEL: self.owner},
        )
        build = partial(
            build_image,
            engine=self._engine,
            base=base,
            extra=tuple(extra),
            progress=progress or logged,
        )
        self._maker = BoxMaker(
            self._engine, flags, image=image or build, transport=transport, patience=patience
        )
        self._pool = Pool(self._maker, memory=MEMORY_LIMITS[memory_limit], budget=memory, warm=warm)

    @property
    def isolation(self) -> Isolation:
        """A container stands between the code and the host."""
        return "container"

    @property
    def ready(self) -> int:
        """How many sandboxes are ready to be handed out."""
        return self._pool.ready

    @property
    def transport(self) -> Transport:
        """How containers are reached; `auto` until the first one has been."""
        return self._maker.transport

    async def warm_up(self) -> Self:
        """Find the engine, build the image, and wait until the warm sandboxes are ready.

        Raises: SandboxUnavailable, with what was tried and what to do.
        """
        self._keep()
        await self._pool.fill()
        return self

    def machine(self, row: Row) -> Machine:
        """A container from the pool, at its first start."""
        return _DockerMachine(self._pool, row.memory_limit or self._default)

    async def _end(self) -> None:
        await super()._end()
        await self._pool.aclose()
        if not self._closed:
            self._pool.reopen()

    def _bind(self, row: Row) -> Machine:
        bound = [c for c in self._containers.values() if c.bound]
        mine = [c for c in bound if c.row.principal == row.principal]
        if len(mine) >= self._share and len(bound) < self._room:
            raise SandboxBusy(
                f"{len(mine)} sandboxes of yours are in use, the most that one may have of "
                f"{self._room}. Let one end, or use one of them again.",
                retry_after=self._soonest(mine),
            )
        return super()._bind(row)


class _DockerMachine:
    """The boxes of one container, one after another; nearly always there is one."""

    def __init__(self, pool: Pool, memory_limit: str) -> None:
        self._pool = pool
        self._memory_limit = memory_limit
        self._box: Box | None = None
        self._crashed = float("-inf")
        self._used = False
        self._lost = False
        """Whether a box that was used went, and nobody was told."""

    async def start(self) -> Link:
        for last in (False, True):
            if self._box is not None and self._box.gone:
                self._drop()
            if self._box is None:
                self._box = await self._pool.take(MEMORY_LIMITS[self._memory_limit])
            try:
                key, stream = await self._box.spawn()
            except SandboxUnavailable:
                self._drop()
                if last:
                    raise
            else:
                lost, self._used, self._lost = self._lost, True, False
                return _DockerLink(self, self._box, key, stream, lost)
        raise AssertionError("the second try returns or raises")

    async def aclose(self) -> None:
        self._drop()

    def judge(self, box: Box, death: Death | None, *, crashed: bool) -> bool:
        """Whether the box went with its interpreter."""
        now = asyncio.get_running_loop().time()
        # What crashes again at once may be the container's own state: a full disk, say.
        again = crashed and now - self._crashed < _CRASH_PAIR
        if crashed:
            self._crashed = now
        if death is None or again or box.gone:
            if box is self._box:
                self._drop()
                self._lost = False  # it is told of this cell
            return True
        return False

    def explain(self, death: Death | None) -> str:
        """Why an interpreter ended, in words."""
        if death is None:
            return "The container of the sandbox ended, or did not answer any more."
        if death.out_of_memory:
            return f"The code used more memory than the sandbox has ({self._memory_limit})."
        return obituary(death.status, death.words, RUNNER[-1])

    def _drop(self) -> None:
        box, self._box = self._box, None
        if box is not None:
            self._lost = self._lost or self._used
            self._pool.discard(box)


class _DockerLink:
    """The stream of one interpreter, and PID 1's hand on it."""

    def __init__(
        self, machine: _DockerMachine, box: Box, key: str, stream: Stream, lost: bool
    ) -> None:
        self._machine = machine
        self._box = box
        self._key = key
        self._stream = stream
        self._killed = False
        self._closing = anyio.Lock()
        self._reason = ""
        self.files_lost = False
        self.files_lost_before = lost

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def receive(self) -> bytes:
        return await self._stream.receive()

    def interrupt(self) -> None:
        self._box.interrupt(self._key)

    def kill(self) -> None:
        self._box.kill(self._key)
        if not self._stream.ended and not self._killed:
            self._killed = True
            # Whoever reads must see the end, even if the container is frozen and nothing dies.
            asyncio.get_running_loop().call_later(_FROZEN, self._stream.close)

    async def aclose(self) -> str:
        with CancelScope(shield=True):
            async with self._closing:
                if not self._reason:
                    crashed = self._stream.ended and not self._killed
                    death = None if self._box.gone else await self._box.end(self._key)
                    self._stream.close()
                    self._reason = self._machine.explain(death)
                    self.files_lost = self._machine.judge(self._box, death, crashed=crashed)
        return self._reason


def _check(*numbers: float) -> None:
    if min(numbers) <= 0:
        raise ConfigurationError(
            "Expected every limit and time of DockerSandboxes above 0, and warm at least 0."
        )
