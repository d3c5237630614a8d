"""The containers of one backend: whose they are, which a call uses, and the files in them.

Every tool that has the same `Sandboxes` object shares one registry, so the code interpreter and
the shell work on the same files. Rows are in memory, as containers are.

Below: a `Sandboxes` backend, which knows who owns what. Above: `code_interpreter.py`, `shell.py`,
and whoever serves containers over HTTP.
"""

import weakref
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

from antiphon.errors import SandboxFileError, SandboxNotFound, SandboxUnavailable
from antiphon.items import CodeInterpreterCall, Ids, Item, ShellCall
from antiphon.sandboxes import FILE_LIMIT, Activity, FileInfo, Sandbox, Sandboxes

from .citations import MAX_NAMES
from .container_files import ALL_FIGURES, ContainerFile, Shelf, Stock, container_name, harmless
from .container_row import Container, Row, Visit, fill

_FEW = 64

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
        mine = [row.id for row in self._rows.values() if row.principal == principal]
        found = (self.find(container_id, principal) for container_id in mine)
        return [container for container in found if container is not None]

    async def delete(self, container_id: str, principal: str) -> bool:
        """End a container, with its files; False where it is absent or another's."""
        if self.find(container_id, principal) is None:
            return False
        self._rows.pop(container_id, None)
        if self.owns(container_id, principal):
            sandbox = await self.sandboxes.open(container_id=container_id, principal=principal)
            await sandbox.aclose()
        return True

    def choose(
        self, items: Iterable[Item], principal: str, memory_limit: str | None, ids: Ids
    ) -> str:
        """The last live container that these items name, or a new one; nothing starts.

        One whose memory is not known to be what was asked for is passed over.

        Raises:
            SandboxError: The backend has no such memory limit.
        """
        tried: set[str] = set()
        for item in items:
            named = container_of(item)
            if named is not None and named not in tried:
                tried.add(named)
                if self._fits(named, principal, memory_limit):
                    return named
        made = self.create(principal=principal, memory_limit=memory_limit, container_id=ids("cntr"))
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
            if shelf.held is None:
                shelf.compare(await sandbox.files())
            elif shelf.lost:
                shelf.recover(await sandbox.files())
            if stock.supplies and container_id not in stock.looked:
                await fill(sandbox, shelf, stock)
                stock.looked.add(container_id)
            before = shelf.weight
            try:
                yield Visit(sandbox, shelf, stock)
            finally:
                if shelf.weight != before:
                    self._make_room(row)

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
        shown = next((file for file in row.shelf.figures() if file.id == file_id), None)
        return shown or _named(file_id, row.shelf, await sandbox.files())

    async def read(
        self, container_id: str, file_id: str, principal: str, *, limit: int = FILE_LIMIT
    ) -> tuple[ContainerFile, bytes] | None:
        """A file and what it holds, at most `limit` bytes; None where there is no such.

        Raises:
            SandboxFileError: It is too large, or no regular file any more.
            SandboxError: As for `files`.
        """
        row, sandbox = await self._open(container_id, principal)
        found = await self.file(container_id, file_id, principal)
        if found is None:
            return None
        image = row.shelf.figure_bytes(file_id)
        return found, await sandbox.get(found.name, limit=limit) if image is None else image

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
        called = container_name(name)
        await sandbox.put(called, data)
        found = next((info for info in await sandbox.files() if info.name == called), None)
        if found is None:
            raise SandboxFileError(f"The file {called!r} was gone as soon as it was put.")
        row.shelf.given(found)
        return row.shelf.file(found)

    async def remove(self, container_id: str, file_id: str, principal: str) -> bool:
        """Remove a file; False where there is no such.

        Raises:
            SandboxError: As for `files`; the file cannot be removed.
        """
        row, sandbox = await self._open(container_id, principal)
        if row.shelf.forget(file_id):
            return True
        found = await self.file(container_id, file_id, principal)
        if found is None:
            return False
        await sandbox.remove(found.name)
        row.shelf.gone(found.name)
        return True

    def figure(self, container_id: str, file_id: str, principal: str) -> str | None:
        """The data URL of an image that a cell has shown; None where it is not kept."""
        row = self._rows.get(container_id)
        if row is None or not self.owns(container_id, principal):
            return None
        return row.shelf.figure(file_id)

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
        return row

    def _fits(self, container_id: str, principal: str, memory_limit: str | None) -> bool:
        if not self.owns(container_id, principal):
            return False
        row = self._rows.get(container_id)
        return memory_limit is None or (row is not None and row.memory_limit == memory_limit)

    def _make_room(self, row: Row) -> None:
        """This one has shown an image: where all have too many, others forget theirs."""
        weight = sum(each.shelf.weight for each in self._rows.values())
        heavy = [each for each in self._rows.values() if each.shelf.weight and each is not row]
        for each in sorted(heavy, key=self._worth):
            if weight <= ALL_FIGURES:
                return
            weight -= each.shelf.weight
            each.shelf.lighten()

    def _worth(self, row: Row) -> tuple[bool, int]:
        """Images of containers that are gone are worth least, then those shown longest ago."""
        return self.owns(row.id, row.principal), row.shelf.shown

    def _forget(self) -> None:
        """Drop rows of containers that are gone, now and then."""
        if len(self._rows) < self._crowded:
            return
        for row in list(self._rows.values()):
            active = self.sandboxes.activity(row.id, row.principal)
            if active is None:
                del self._rows[row.id]
            elif active.expired:
                row.shelf = Shelf(row.id)  # its images are gone with it
        self._crowded = 2 * len(self._rows) + _FEW


def _named(key: str, shelf: Shelf, listed: Iterable[FileInfo]) -> ContainerFile | None:
    files = (shelf.file(info) for info in listed if harmless(info.name))
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
