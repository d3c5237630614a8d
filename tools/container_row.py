"""One container as the registry knows it, and one cell's visit to it.

Above: `containers.py`. Below: a sandbox, and the `Shelf` of what is known of its files.
"""

from dataclasses import dataclass
from typing import Final, Literal

import anyio

from antiphon.errors import SandboxError
from antiphon.sandboxes import Sandbox

from .container_files import ContainerFile, Shelf, Stock

CROWDED: Final = 512
"""Files of a working directory above which most cells are not told which they have written."""

_SELDOM: Final = 16


@dataclass(frozen=True, slots=True)
class Container:
    """A container, as it stands.

    Attributes:
        id: `cntr_` and digits that nobody can guess.
        name: What its principal calls it; empty where nobody gave it a name.
        principal: Whose it is.
        created_at: Seconds since 1970.
        last_active_at: Seconds since 1970 of its last use.
        idle_seconds: Seconds without use after which it expires.
        memory_limit: The one in force; None if there is none.
        status: `expired` when it and its files are gone.
    """

    id: str
    name: str
    principal: str
    created_at: int
    last_active_at: int
    idle_seconds: int
    memory_limit: str | None
    status: Literal["running", "expired"]


class Row:
    """One container that is known here.

    Attributes:
        id: The container.
        principal: Whose it is.
        name: What its principal calls it.
        memory_limit: The one that was asked for.
        shelf: What is known of its files.
        turn: For one cell at a time, with the listing after it.
    """

    __slots__ = ("id", "memory_limit", "name", "principal", "shelf", "turn")

    def __init__(self, container_id: str, principal: str) -> None:
        self.id: str = container_id
        self.principal: str = principal
        self.name: str = ""
        self.memory_limit: str | None = None
        self.shelf: Shelf = Shelf(container_id)
        self.turn: anyio.Semaphore = anyio.Semaphore(1, fast_acquire=True)


class Visit:
    """A container while one cell has it to itself.

    Attributes:
        sandbox: Where the cell runs.
        files: What it has written, as far as `look` has seen.
    """

    __slots__ = ("_shelf", "_stock", "files", "sandbox")

    def __init__(self, sandbox: Sandbox, shelf: Shelf, stock: Stock) -> None:
        self.sandbox: Sandbox = sandbox
        self.files: list[ContainerFile] = []
        self._shelf = shelf
        self._stock = stock

    async def look(self) -> None:
        """Find the files that are new or changed since the last look; none if nobody answers.

        Where there are too many to look at each time, it is done now and then.
        """
        shelf = self._shelf
        if len(shelf.held or ()) > CROWDED:
            shelf.passed += 1
            if shelf.passed % _SELDOM:
                return
        try:
            listed = await self.sandbox.files()
        except SandboxError:  # the next cell will hear of it
            return
        self.files = [shelf.file(info) for info in shelf.compare(listed)]

    def lose(self) -> None:
        """An interpreter was lost, and perhaps the container: the next cell looks what is left."""
        self._shelf.lost = True
        self._stock.looked.discard(self._shelf.container_id)

    def show(self, url: str, at: int) -> None:
        """The cell has shown an image: it is a file of the container from here on."""
        self._shelf.keep(url, at)


async def fill(sandbox: Sandbox, shelf: Shelf, stock: Stock) -> None:
    """Put what is missing, and know it as the user's."""
    missing = shelf.missing(stock)
    if not missing:
        return
    before, shelf.held = shelf.held, None  # if it fails, what was put is looked for next time
    for supply in missing:
        await sandbox.put(supply.name, await supply.read())
        shelf.put(supply)
    names = {supply.name for supply in missing}
    listed = {info.name: info for info in await sandbox.files() if info.name in names}
    shelf.held = before
    for info in listed.values():
        shelf.given(info)
