"""The containers of one backend: whose they are, which a call uses, and the files in them.

Every tool that has the same `Sandboxes` object shares one registry, so the code interpreter and
the shell work on the same files. Rows are in memory, as containers are.

Below: a `Sandboxes` backend, which knows who owns what. Above: `code_interpreter.py`, `shell.py`,
and whoever serves containers over HTTP.
"""

import time
import weakref
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final, Protocol, runtime_checkable

import anyio

from antiphon.errors import SandboxError, SandboxFileError, SandboxNotFound, SandboxUnavailable
from antiphon.items import CodeInterpreterCall, Ids, Item, ShellCall
from antiphon.sandboxes import FILE_COUNT, FILE_LIMIT, Activity, FileInfo, Sandbox, Sandboxes

from .citations import MAX_NAMES
from .container_files import ALL_FIGURES, ContainerFile, Shelf, Stock, container_name, harmless
from .container_row import Container, Row, Visit, fill, make_room
from .container_terms import Terms

MAX_CONTAINERS: Final = 100
"""Containers that one principal may have at a time, begun or not."""

_FEW = 64
_AT_ONCE = 2  # files of one principal that are held in memory on their way into containers

_REGISTRIES: dict[int, "Containers"] = {}


class Containers:
    """The containers of a backend; `of` gives the one registry that it has.

    It lives as long as the backend, and does not keep that alive: the tools do.

    Args:
        sandboxes: Where they live.
    """

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = weakref.ref(sandboxes)
        self._rows: dict[str, Row] = {}
        self._whose: dict[str, dict[str, Row]] = {}
        self._turns = weakref.WeakValueDictionary[str, anyio.Semaphore]()
        self._crowded = _FEW

    @classmethod
    def of(cls, sandboxes: Sandboxes) -> "Containers":
        """The registry that all tools with this backend share."""
        key = id(sandboxes)  # its row goes with it, so it is never another's
        found = _REGISTRIES.get(key)
        if found is None:
            found = _REGISTRIES[key] = cls(sandboxes)
            weakref.finalize(sandboxes, _REGISTRIES.pop, key, None).atexit = False
        return found

    @property
    def sandboxes(self) -> Sandboxes:
        """Where they live.

        Raises:
            SandboxUnavailable: Nobody holds the backend any more.
        """
        found = self._sandboxes()
        if found is None:
            raise SandboxUnavailable("The backend of these containers is gone: keep its tool.")
        return found

    def __len__(self) -> int:
        return len(self._rows)

    def owns(self, container_id: str, principal: str) -> bool:
        """Whether it lives and is this principal's."""
        return self.sandboxes.owns(container_id, principal)

    def create(
        self,
        *,
        principal: str,
        name: str = "",
        memory_limit: str | None = None,
        idle_seconds: float | None = None,
        container_id: str | None = None,
    ) -> Container:
        """A new container; nothing starts.

        Args:
            principal: Whose it is.
            name: What it is called.
            memory_limit: 1g, 4g, 16g or 64g; None for the backend's own.
            idle_seconds: Seconds without use after which it expires; None for the backend's own.
            container_id: Its id, which nobody can guess; made here if None.

        Raises:
            SandboxError: The backend has no such memory limit, or the id is taken.
        """
        minted = self.sandboxes.mint(
            principal=principal,
            memory_limit=memory_limit,
            container_id=container_id,
            idle=idle_seconds,
        )
        row = self._row(minted, principal)
        row.memory_limit, row.name = memory_limit, name
        row.shelf.held = {}  # nothing is in it yet
        made = self.find(minted, principal)
        if made is None:  # it expires at once
            raise SandboxNotFound(f"The container {minted!r} was gone as soon as it was made.")
        return made

    def find(self, container_id: str, principal: str) -> Container | None:
        """The container; None where it is absent or another's. Expired ones are known a while."""
        active = self.sandboxes.activity(container_id, principal)
        return active and self._container(container_id, principal, active)

    def page(self, principal: str) -> list[Container]:
        """All containers of a principal that are known here, the oldest first."""
        mine = list(self._whose.get(principal, ()))
        found = (self.find(container_id, principal) for container_id in mine)
        return [container for container in found if container is not None]

    def running(self, principal: str) -> int:
        """How many containers of a principal live."""
        return sum(self.owns(each, principal) for each in self._whose.get(principal, ()))

    async def delete(self, container_id: str, principal: str) -> bool:
        """End a container, with its files; False where it is absent or another's."""
        if self.find(container_id, principal) is None:
            return False
        self._drop(container_id)
        if self.owns(container_id, principal):
            sandbox = await self.sandboxes.open(container_id=container_id, principal=principal)
            await sandbox.aclose()
        return True

    def choose(self, items: Iterable[Item], principal: str, ids: Ids, terms: Terms) -> str:
        """The last live container that these items name, or a new one; nothing starts.

        One that is not known to be as was asked for is passed over.

        Raises:
            SandboxError: The backend has no such memory limit or idle time, or the principal has
                as many containers as one may have.
        """
        named = dict.fromkeys(filter(None, map(container_of, items)))
        for container_id in named:
            if self._fits(container_id, principal, terms):
                return container_id
        if self.running(principal) >= MAX_CONTAINERS:
            raise SandboxError(
                f"There are {MAX_CONTAINERS} containers already, the most that one may have: go on "
                "in one of them, delete one, or wait until one expires."
            )
        made = self.create(
            principal=principal,
            memory_limit=terms.memory_limit,
            idle_seconds=terms.idle_seconds,
            container_id=ids("cntr"),
        )
        self._rows[made.id].instead = bool(named)
        return made.id

    @asynccontextmanager
    async def use(
        self, container_id: str, principal: str, stock: Stock
    ) -> AsyncGenerator[Visit, None]:
        """The container for one cell, with these files in place; first come, first served.

        Raises:
            SandboxError: It is gone, or the files cannot be put.
        """
        row = self._mine(container_id, principal)
        async with row.turn:
            sandbox = await self.sandboxes.open(container_id=container_id, principal=principal)
            shelf = row.shelf
            if shelf.cut:
                stock.looked.discard(container_id)
            new = bool(stock.supplies) and container_id not in stock.looked
            if shelf.held is None or shelf.cut:  # what a cut cell wrote is no other cell's
                shelf.compare(await sandbox.files())
            elif shelf.lost or (new and shelf.supplied):  # it may have died since, unseen
                shelf.recover(await sandbox.files())
            if new:
                await fill(sandbox, shelf, stock, self._turn(principal))
                stock.looked.add(container_id)
            before = shelf.weight
            try:
                yield Visit(sandbox, row, stock)
            finally:
                if shelf.weight != before:
                    make_room(self._rows.values(), row, ALL_FIGURES, self.owns)

    def made(self, container_id: str, principal: str) -> list[ContainerFile]:
        """The newest files that cells have written, as far as they are known without asking."""
        row = self._rows.get(container_id)
        if row is None or not self.owns(container_id, principal):
            return []
        return [row.shelf.file(info) for info in row.shelf.made(MAX_NAMES)]

    async def files(self, container_id: str, principal: str) -> list[ContainerFile]:
        """Its files: those of the working directory by name, then the images that were shown.

        Raises:
            SandboxNotFound: It is absent, expired or another's.
            SandboxError: The sandbox does not say.
        """
        row, sandbox = await self._open(container_id, principal)
        listed = [info for info in await sandbox.files() if harmless(info.name)]
        return [*map(row.shelf.file, listed), *row.shelf.figures()]

    async def file(self, container_id: str, file_id: str, principal: str) -> ContainerFile | None:
        """One file; None where there is no such.

        Raises:
            SandboxError: As for `files`.
        """
        row, sandbox = await self._open(container_id, principal)
        shelf = row.shelf
        known = shelf.known(file_id) if shelf.sure else None
        if known is not None:
            return shelf.file(known)
        return shelf.figure_file(file_id) or await _listed(file_id, shelf, sandbox)

    async def read(
        self, container_id: str, file_id: str, principal: str, *, limit: int = FILE_LIMIT
    ) -> tuple[ContainerFile, bytes] | None:
        """A file and what it holds, at most `limit` bytes; None where there is no such.

        Raises:
            SandboxFileError: It is too large, or no regular file any more.
            SandboxError: As for `files`.
        """
        row, sandbox = await self._open(container_id, principal)
        shelf = row.shelf
        drawn, known = shelf.figure_file(file_id), shelf.known(file_id)
        if drawn is not None:
            return drawn, shelf.figure_bytes(file_id) or b""
        if known is not None:
            with suppress(SandboxFileError):  # it may have changed: then the listing tells
                data = await sandbox.get(known.name, limit=limit)
                return replace(shelf.file(known), bytes=len(data)), data
        found = await _listed(file_id, shelf, sandbox)
        return found and (found, await sandbox.get(found.name, limit=limit))

    async def put(self, container_id: str, principal: str, name: str, data: bytes) -> ContainerFile:
        """Put a file into the working directory; one of its name is replaced.

        Args:
            container_id: The container; it starts if it has not yet.
            principal: Whose it is.
            name: Any text; `container_name` makes the file's name of it.
            data: What it holds.

        Raises:
            SandboxNotFound: The container is absent, expired or another's.
            SandboxBusy: There is no room for another container that runs.
            SandboxFileError: The file is too large, or the disk is full.
        """
        row, sandbox = await self._open(container_id, principal)
        called, shelf = container_name(name), row.shelf
        await sandbox.put(called, data)
        listed = [] if shelf.crowded else await sandbox.files()
        found = next((info for info in listed if info.name == called), None)
        guessed = found is None and (shelf.crowded or len(listed) >= FILE_COUNT)
        if guessed:  # there are too many to look at, or more than a listing names
            found = FileInfo(called, len(data), time.time())
        if found is None:
            raise SandboxFileError(f"The file {called!r} was gone as soon as it was put.")
        shelf.given(found, guessed=guessed)
        return shelf.file(found)

    async def remove(self, container_id: str, file_id: str, principal: str) -> bool:
        """Remove a file; False where there is no such.

        Raises:
            SandboxError: As for `files`; the file cannot be removed.
        """
        row, sandbox = await self._open(container_id, principal)
        shelf = row.shelf
        if shelf.forget(file_id):
            return True
        known = shelf.known(file_id)
        if known is not None:
            with suppress(SandboxFileError):  # as in `read`
                await sandbox.remove(known.name)
                shelf.gone(known.name)
                return True
        found = await _listed(file_id, shelf, sandbox)
        if found is None:
            return False
        await sandbox.remove(found.name)
        shelf.gone(found.name)
        return True

    def figure(self, container_id: str, file_id: str, principal: str) -> str | None:
        """The data URL of an image that a cell has shown; None where it is not kept."""
        row = self._rows.get(container_id)
        if row is None or not self.owns(container_id, principal):
            return None
        return row.shelf.figure(file_id)

    def shows(self, container_id: str, file_id: str) -> bool:
        """Whether an image of a container that lives is kept, whoever asks."""
        row = self._rows.get(container_id)
        return row is not None and self.figure(container_id, file_id, row.principal) is not None

    def _mine(self, container_id: str, principal: str) -> Row:
        if not self.owns(container_id, principal):
            raise SandboxNotFound(
                f"There is no container {container_id[:80]!r}: it may have expired. Ask for a new "
                "one."
            )
        return self._row(container_id, principal)

    async def _open(self, container_id: str, principal: str) -> tuple[Row, Sandbox]:
        row = self._mine(container_id, principal)
        return row, await self.sandboxes.open(container_id=container_id, principal=principal)

    def _container(self, container_id: str, principal: str, active: Activity) -> Container:
        row = self._rows.get(container_id)
        return Container(
            id=container_id,
            name="" if row is None else row.name,
            principal=principal,
            created_at=int(active.created),
            last_active_at=int(active.last),
            idle_seconds=int(active.idle),
            memory_limit=active.memory_limit,
            status="expired" if active.expired else "running",
        )

    def _row(self, container_id: str, principal: str) -> Row:
        row = self._rows.get(container_id)
        if row is None:
            self._forget()
            row = self._rows[container_id] = Row(container_id, principal)
            self._whose.setdefault(principal, {})[container_id] = row
        return row

    def _drop(self, container_id: str) -> None:
        row = self._rows.pop(container_id, None)
        mine = {} if row is None else self._whose[row.principal]
        mine.pop(container_id, None)
        if row is not None and not mine:
            del self._whose[row.principal]

    def _turn(self, principal: str) -> anyio.Semaphore:
        return self._turns.setdefault(principal, anyio.Semaphore(_AT_ONCE))

    def _fits(self, container_id: str, principal: str, terms: Terms) -> bool:
        active = self.sandboxes.activity(container_id, principal)
        if active is None or active.expired:
            return False
        row, limit, idle = self._rows.get(container_id), terms.memory_limit, terms.idle_seconds
        right = limit is None or (row is not None and row.memory_limit == limit)
        return right and (idle is None or idle == active.idle)

    def _forget(self) -> None:
        """Drop rows of containers that are gone, now and then."""
        if len(self._rows) < self._crowded:
            return
        for row in list(self._rows.values()):
            active = self.sandboxes.activity(row.id, row.principal)
            if active is None:
                self._drop(row.id)
            elif active.expired:
                row.shelf = Shelf(row.id)  # its images are gone with it
        self._crowded = 2 * len(self._rows) + _FEW


async def _listed(key: str, shelf: Shelf, sandbox: Sandbox) -> ContainerFile | None:
    """The file of this id, as its sandbox lists it now."""
    files = (shelf.file(info) for info in await sandbox.files() if harmless(info.name))
    return next((file for file in files if file.id == key), None)


@runtime_checkable
class HasContainers(Protocol):
    """A tool that runs its calls in containers."""

    @property
    def containers(self) -> Containers:
        """Those of its backend."""
        ...


def container_of(item: Item) -> str | None:
    """The container that an item names, if it is a call of a tool that runs in one."""
    if isinstance(item, CodeInterpreterCall):
        return item.container_id
    place = item.environment if isinstance(item, ShellCall) else None
    named: object = (place or {}).get("container_id")
    return named if isinstance(named, str) else None
