"""What every backend does alike: ids and owners, room for so many, expiry, closing."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import anyio
from anyio import CancelScope

from antiphon.errors import SandboxBusy, SandboxError, SandboxUnavailable

from .container import Container, Limits
from .containers import Containers, Row, check_limit
from .link import Machine
from .sandbox import Activity, Isolation, Sandbox

_FEW = 64


class Backend(ABC):
    """Base of the backends: a subclass says only where a container's interpreters run.

    Sandboxes live as long as the event loop that they were opened in: the backend may be used in
    another one after that, where all ids are new. Times are in seconds. `memory_limit` is the one
    of containers that are minted without.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        live: int,
        idle: float,
        clock: Callable[[], float],
        memory_limit: str | None = None,
    ) -> None:
        check_limit(memory_limit)
        self._limits = limits
        self._room = live
        self._rows = Containers(clock=clock, idle=idle)
        self._containers: dict[str, Container] = {}
        self._memory_limit = memory_limit
        self._crowded = _FEW
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    @abstractmethod
    def isolation(self) -> Isolation:
        """What stands between the code and the host."""

    @abstractmethod
    def machine(self, row: Row) -> Machine:
        """A machine for a container; starts nothing yet."""

    def mint(
        self,
        *,
        principal: str,
        memory_limit: str | None = None,
        container_id: str | None = None,
        idle: float | None = None,
    ) -> str:
        """A new logical container; see `Sandboxes.mint`."""
        if len(self._rows) >= self._crowded:  # ids that were minted and never used
            for key in self._rows.expired():
                container = self._containers.get(key)
                if container is None or not container.bound:
                    self._rows.drop(key)
                    self._containers.pop(key, None)
            self._crowded = 2 * len(self._rows) + _FEW
        return self._rows.mint(principal, memory_limit, container_id, idle).id

    def owns(self, container_id: str, principal: str) -> bool:
        """Whether the id is this principal's; see `Sandboxes.owns`."""
        return self._rows.find(container_id, principal) is not None

    def activity(self, container_id: str, principal: str) -> Activity | None:
        """When it was made and used; see `Sandboxes.activity`."""
        return self._rows.activity(container_id, principal, self._memory_limit)

    async def open(
        self, *, container_id: str, principal: str, memory_limit: str | None = None
    ) -> Sandbox:
        """The sandbox of an id; see `Sandboxes.open`."""
        if self._closed:
            raise SandboxUnavailable("These sandboxes are closed. Make a new backend.")
        self._keep()
        check_limit(memory_limit)
        row = self._rows.claim(container_id, principal)
        container = self._containers.get(row.id)
        if memory_limit is not None and memory_limit != row.memory_limit:
            if container is not None and container.bound:
                raise SandboxError(
                    f"The container runs with a memory limit of {row.memory_limit or 'its own'}; "
                    f"it cannot change to {memory_limit}. Mint a new container."
                )
            row.memory_limit = memory_limit
        if container is None:
            container = Container(row, limits=self._limits, bind=self._bind, changed=self._changed)
            self._containers[row.id] = container
        return container

    async def sweep(self) -> int:
        """Close what has been idle for too long; returns how many. Runs by itself as well."""
        expired = self._rows.expired()
        closing = [self._containers[key] for key in expired if key in self._containers]
        for key in expired:
            self._rows.drop(key)
        await _close(closing)
        return len(expired)

    async def aclose(self) -> None:
        """Close every sandbox, and wait until nothing is left of them."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        await self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _end(self) -> None:
        """Give everything back that is of this event loop; cannot be cancelled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with CancelScope(shield=True):
            if self._sweeping is not None:
                await asyncio.wait([self._sweeping])
                self._sweeping = None
            await _close(list(self._containers.values()))

    def _keep(self) -> None:
        """What is opened from now on ends with this event loop.

        Raises: SandboxUnavailable if some is open in another one.
        """
        loop = asyncio.get_running_loop()
        if self._keeper is None or self._keeper.done():
            self._keeper = loop.create_task(self._end_with_the_loop())
        elif self._keeper.get_loop() is not loop:
            raise SandboxUnavailable(
                "These sandboxes are open in another event loop. Use them there, or make a "
                "backend for each."
            )

    async def _end_with_the_loop(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:  # `asyncio.run` cancels what is left when it ends
            if not self._closed:
                await self._end()

    def _bind(self, row: Row) -> Machine:
        bound = [c for c in self._containers.values() if c.bound]
        if len(bound) >= self._room:
            raise SandboxBusy(
                f"All {self._room} sandboxes are in use. Try again later, or allow more.",
                retry_after=self._soonest(bound),
            )
        return self.machine(row)

    def _soonest(self, containers: Iterable[Container]) -> float:
        """Seconds until one of these may expire: between 1 and 60, for whoever has to wait."""
        idle = (self._rows.left(each.row) for each in containers if not each.row.busy)
        return min(60.0, max(1.0, min(idle, default=5.0)))

    def _changed(self, container: Container) -> None:
        if container.closed:
            self._rows.drop(container.id)
            self._containers.pop(container.id, None)
            return
        self._rows.touch(container.row)
        if not self._closed:
            self._set_timer(container.row.idle)

    def _set_timer(self, seconds: float) -> None:
        """Sweep in so many seconds at the latest."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.05, seconds)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._sweep_later)

    def _sweep_later(self) -> None:
        self._timer = None
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_and_wait())

    async def _sweep_and_wait(self) -> None:
        await self.sweep()
        # Minted and never used rows die with the next call; only live ones need a timer.
        waiting = [self._rows.left(c.row) for c in self._containers.values()]
        if waiting and not self._closed:
            self._set_timer(min(waiting))


async def _close(containers: list[Container]) -> None:
    async with anyio.create_task_group() as tasks:
        for container in containers:
            tasks.start_soon(container.aclose)
