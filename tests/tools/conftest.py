"""What the tests of this room share: sandboxes that do as they are told."""

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel

from antiphon.errors import SandboxError, SandboxFileError, SandboxNotFound
from antiphon.sandboxes import (
    FILE_COUNT,
    Activity,
    CellEvent,
    FileInfo,
    Finished,
    Isolation,
    Sandbox,
    Started,
)

OK = Finished("ok", None, False, 1)


class FakeSandbox:
    """Plays the events it was given for every cell; an exception among them is raised."""

    def __init__(self, key: str, home: "FakeSandboxes") -> None:
        self.id = key
        self.home = home
        self.cells: list[str] = []
        self.held: dict[str, bytes] = {}
        self.times: dict[str, float] = {}
        self.listed = 0
        self.keeps = True
        self.silent = False
        self.usable = True
        self.turn = anyio.Semaphore(1)

    async def run(
        self,
        code: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncGenerator[CellEvent, None]:
        async with self.turn:
            self.home.timeouts.append(timeout)
            self.cells.append(code)
            try:
                for event in self.home.script:
                    if isinstance(event, Exception):
                        raise event
                    if isinstance(event, anyio.Event):
                        event.set()
                        await anyio.sleep_forever()
                        continue
                    yield self.home.ran(self, code) if event is OK else event
            except BaseException:
                self.usable = True
                raise

    async def put(self, name: str, data: bytes) -> None:
        self.hold(name, data)
        await anyio.lowlevel.checkpoint()

    def hold(self, name: str, data: bytes) -> None:
        """A file is written, at a time of its own."""
        if self.keeps:
            self.held[name] = data
        self.home.ticks += 1
        self.times[name] = self.home.ticks

    async def get(self, name: str, *, limit: int = 0) -> bytes:
        if name not in self.held:
            raise SandboxFileError(f"There is no file {name!r}.")
        return self.held[name]

    async def remove(self, name: str) -> None:
        if self.held.pop(name, None) is None:
            raise SandboxFileError(f"There is no file {name!r}.")

    async def files(self) -> list[FileInfo]:
        self.listed += 1
        if self.silent:
            raise SandboxFileError("The sandbox does not answer.")
        return [
            FileInfo(name, len(data), self.times[name]) for name, data in sorted(self.held.items())
        ][:FILE_COUNT]

    async def aclose(self) -> None:
        self.home.owners.pop(self.id, None)


class FakeSandboxes:
    """A backend in memory; `script` is what every cell does."""

    isolation: Isolation = "container"

    def __init__(self, *script: CellEvent | Exception | anyio.Event) -> None:
        self.script = script or (Started(), OK)
        self.owners: dict[str, str] = {}
        self.limits: list[str | None] = []
        self.opened: dict[str, FakeSandbox] = {}
        self.timeouts: list[float | None] = []
        self.ticks = 1_000_000.0
        self.expired: set[str] = set()
        self.idle: dict[str, float | None] = {}
        self.closed = 0

    def ran(self, sandbox: FakeSandbox, code: str) -> CellEvent:
        """How a cell ends that its script lets end well."""
        return OK

    def mint(
        self,
        *,
        principal: str,
        memory_limit: str | None = None,
        container_id: str | None = None,
        idle: float | None = None,
    ) -> str:
        if memory_limit == "64g":
            raise SandboxError("There is no room for 64g here.")
        key = f"cntr_{len(self.limits)}"  # its own names, so that tests can tell them
        self.limits.append(memory_limit)
        self.owners[key] = principal
        self.idle[key] = idle
        return key

    def owns(self, container_id: str, principal: str) -> bool:
        return self.owners.get(container_id) == principal and container_id not in self.expired

    def activity(self, container_id: str, principal: str) -> Activity | None:
        if self.owners.get(container_id) != principal:
            return None
        idle = self.idle.get(container_id) or 1200.0
        return Activity(1.0, self.ticks, idle, None, container_id in self.expired)

    async def open(
        self, *, container_id: str, principal: str, memory_limit: str | None = None
    ) -> Sandbox:
        if not self.owns(container_id, principal):
            raise SandboxNotFound(f"There is no container {container_id!r}.")
        if container_id not in self.opened:
            self.opened[container_id] = FakeSandbox(container_id, self)
        return self.opened[container_id]

    async def aclose(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
