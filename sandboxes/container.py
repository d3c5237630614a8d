"""A sandbox of any backend: one container row, its machine, and one interpreter at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import anyio
from anyio import CancelScope

from antiphon.errors import (
    SandboxError,
    SandboxFileError,
    SandboxNotFound,
    SandboxUnavailable,
)

from .cell import Cell, Ended
from .containers import Row
from .link import Link, Machine, Perishable
from .runner import names
from .runner.frames import CODE_LIMIT
from .sandbox import FILE_LIMIT, CellEvent, FileInfo, Finished, Output, Started
from .session import Session

T = TypeVar("T")

_FILES_LOST = "[the container was replaced before this cell: its variables and files are lost]\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a backend allows a cell, in seconds and bytes."""

    timeout: float
    """Seconds a cell may take if it does not say."""
    grace: float
    """Seconds an interrupted cell has to stop before it is killed."""
    patience: float
    """Seconds an interpreter has to start, and to answer a file request."""
    file_size: int
    """Bytes of a file that may be put."""


class Container:
    """The `Sandbox` that every backend hands out.

    `bind` makes room and gives the machine at first use (raising SandboxBusy); `changed` is told
    when it became busy, idle or closed.
    """

    def __init__(
        self,
        row: Row,
        *,
        limits: Limits,
        bind: Callable[[Row], Machine],
        changed: Callable[[Container], None],
    ) -> None:
        self.row = row
        self.closed = False
        self._limits = limits
        self._bind = bind
        self._changed = changed
        self._machine: Machine | None = None
        self._session: Session | None = None
        self._link: Link | None = None
        self._generation = 1
        self._lost = False
        self._files_lost = False
        # A semaphore, for an abandoned generator is closed by another task than it ran in.
        self._turn = anyio.Semaphore(1)
        self._starting = anyio.Lock()

    @property
    def id(self) -> str:
        """The logical container id."""
        return self.row.id

    @property
    def bound(self) -> bool:
        """Whether a machine stands behind this container."""
        return self._machine is not None

    async def run(
        self,
        code: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - execution time, not waiting time
    ) -> AsyncGenerator[CellEvent]:
        """Run one cell; see `Sandbox.run`."""
        source = _checked_code(code)
        seconds = self._limits.timeout if timeout is None else timeout
        if not 0 < seconds < 10**6:
            raise SandboxError(f"Expected a timeout above 0 and below 10**6 s; got {seconds!r}.")
        with self._busy():
            async with self._turn:
                session, cell = await self._begin(source, seconds)
                try:
                    while not isinstance(event := await session.next(cell), Ended):
                        yield event
                        if self._files_lost and isinstance(event, Started):
                            self._files_lost = False
                            yield Output("stderr", _FILES_LOST)
                finally:
                    with CancelScope(shield=True):
                        await session.settle(cell)
                        await self._retire(session)
                finished = self._finish(event)
        yield finished  # all is given back by now: the consumer may stop here

    async def put(self, name: str, data: bytes) -> None:
        """Write a file; see `Sandbox.put`."""
        plain = _checked_name(name)
        if len(data) > self._limits.file_size:
            size = self._limits.file_size
            raise SandboxFileError(f"{plain!r} has {len(data)} bytes; a file may have {size}.")
        await self._asked(lambda session: session.put(plain, data))

    async def get(self, name: str, *, limit: int = FILE_LIMIT) -> bytes:
        """Read a file; see `Sandbox.get`."""
        plain = self._existing(name)
        return await self._asked(lambda session: session.get(plain, limit=limit))

    async def files(self) -> list[FileInfo]:
        """List the files; see `Sandbox.files`."""
        self._check_open()
        if not self.bound:
            return []
        return await self._asked(lambda session: session.files())

    async def remove(self, name: str) -> None:
        """Remove a file; see `Sandbox.remove`."""
        plain = self._existing(name)
        await self._asked(lambda session: session.remove(plain))

    async def aclose(self) -> None:
        """End the container; see `Sandbox.aclose`."""
        with CancelScope(shield=True):
            self.closed: bool = True
            if self._session is not None:
                self._session.stop("The sandbox was closed.")
            elif self._link is not None:  # it starts just now
                self._link.kill()
            async with self._starting:
                if self._session is not None:
                    await self._session.aclose()
                machine, self._machine = self._machine, None
                if machine is not None:
                    await machine.aclose()
        self._changed(self)

    async def _begin(self, source: str, seconds: float) -> tuple[Session, Cell]:
        """A cell that executes, or ran out of time before it could."""
        for _ in range(2):
            session = await self._interpreter()
            cell = await session.begin(source, seconds=seconds)
            try:
                # An interpreter may have died since its last cell; a new one gets a try. One that
                # broke the protocol may have begun: no cell runs twice.
                if await session.began(cell) or cell.overdue or self.closed or session.broken:
                    return session, cell
            except BaseException:
                with CancelScope(shield=True):
                    await session.settle(cell)
                    await self._retire(session)
                raise
            await session.settle(cell)
            await self._retire(session)
        raise SandboxUnavailable(
            "The interpreter of the sandbox ended twice before it could take the cell. "
            "Look at its memory limit, and at what its files do when Python starts."
        )

    async def _asked(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        """Ask for a file; if the interpreter has ended since its last cell, ask a new one."""
        with self._busy():
            session = await self._interpreter()
            try:
                return await ask(session)
            except SandboxFileError:
                if session.alive or session.broken or self.closed:
                    raise
            await self._retire(session)
            return await ask(await self._interpreter())

    async def _interpreter(self) -> Session:
        """The live session; starts one if there is none."""
        async with self._starting:
            self._check_open()
            if self._session is not None and self._session.alive:
                return self._session
            await self._replace()
            self._link = await self._started()
            limits = self._limits
            try:
                self._session = await Session.start(
                    self._link, grace=limits.grace, patience=limits.patience
                )
            except SandboxUnavailable:
                self._check_open()  # it did not start because it was closed meanwhile
                raise
            return self._session

    async def _started(self) -> Link:
        """A new interpreter; a machine that could not start its first one gives its place back."""
        first = self._machine is None
        machine = self._machine = self._machine or self._bind(self.row)
        try:
            link = await machine.start()
        except BaseException:
            if first:
                self._machine = None
                await machine.aclose()
            raise
        if isinstance(link, Perishable) and link.files_lost_before:
            self._files_lost = True
        return link

    async def _retire(self, session: Session) -> None:
        """Put away a dead interpreter now: its successor starts with the next cell."""
        if session.alive or session is not self._session:
            return
        async with self._starting:
            if session is self._session:
                await self._replace()

    async def _replace(self) -> None:
        if self._session is None:
            return
        await self._session.aclose()
        self._files_lost = self._files_lost or self._session.files_lost
        self._session = None
        self._generation += 1
        self._lost = True

    def _finish(self, ended: Ended) -> Finished:
        lost, self._lost = self._lost, False
        if ended.status in ("crashed", "timeout"):
            self._files_lost = False  # its error has said so
        if self.closed and ended.status != "ok":
            error = "The sandbox was closed while the code ran."
            return Finished("cancelled", error, True, self._generation)
        return Finished(ended.status, ended.error, lost, self._generation, ended.files_changed)

    @contextmanager
    def _busy(self) -> Generator[None]:
        self._check_open()
        self.row.busy += 1
        self._changed(self)
        try:
            yield
        finally:
            self.row.busy -= 1
            self._changed(self)

    def _existing(self, name: str) -> str:
        """The name of a file that may be there; an unbound container has none."""
        plain = _checked_name(name)
        self._check_open()
        if not self.bound:
            raise SandboxFileError(f"There is no file {plain!r}: nothing has run here yet.")
        return plain

    def _check_open(self) -> None:
        if self.closed or self.row.over:
            raise SandboxNotFound(
                f"The container {self.id!r} is closed or has expired. Ask for a new one."
            )


def _checked_code(code: str) -> str:
    try:
        size = len(code.encode())
    except UnicodeEncodeError as error:
        raise SandboxError(f"Expected code in valid Unicode: {error}.") from None
    if size > CODE_LIMIT:
        raise SandboxError(f"The code has {size} bytes; a cell may have {CODE_LIMIT}.")
    return code


def _checked_name(name: str) -> str:
    try:
        return names.plain(name)
    except ValueError as error:
        raise SandboxFileError(f"This is no name for a file in a sandbox: {error}.") from None
