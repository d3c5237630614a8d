"""One container as the registry knows it, and one cell's visit to it.

Above: `containers.py`. Below: a sandbox, and the `Shelf` of what is known of its files.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

import anyio

from antiphon.errors import SandboxError
from antiphon.sandboxes import FILE_COUNT, FileInfo, Sandbox

from .container_files import ContainerFile, Shelf, Stock, Supply

_SELDOM: Final = 16
_INSTEAD: Final = "[a new container: variables and files of earlier calls are not in it]\n"


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
        instead: Whether calls before it worked in another one, which no cell has been told yet.
        shelf: What is known of its files.
        turn: For one cell at a time, with the listing after it.
    """

    __slots__ = ("id", "instead", "memory_limit", "name", "principal", "shelf", "turn")

    def __init__(self, container_id: str, principal: str) -> None:
        self.id: str = container_id
        self.principal: str = principal
        self.name: str = ""
        self.memory_limit: str | None = None
        self.instead: bool = False
        self.shelf: Shelf = Shelf(container_id)
        self.turn: anyio.Semaphore = anyio.Semaphore(1, fast_acquire=True)


class Visit:
    """A container while one cell has it to itself.

    Attributes:
        sandbox: Where the cell runs.
        files: What it has written, as far as `look` has seen.
    """

    __slots__ = ("_row", "_shelf", "_stock", "files", "sandbox")

    def __init__(self, sandbox: Sandbox, row: Row, stock: Stock) -> None:
        self.sandbox: Sandbox = sandbox
        self.files: list[ContainerFile] = []
        self._row = row
        self._shelf = row.shelf
        self._stock = stock

    def begin(self) -> None:
        """A cell begins; until `end` nobody has looked after it."""
        self._shelf.cut = True

    def news(self) -> str:
        """What a cell that executes has to tell before all else; told once."""
        told, self._row.instead = self._row.instead, False
        return _INSTEAD if told else ""

    def end(self, *, unseen: bool = False) -> None:
        """It has ended.

        Args:
            unseen: Whether it may have written what nobody looked for.
        """
        self._shelf.cut = False
        self._shelf.stale = self._shelf.stale or unseen

    async def look(self) -> None:
        """Find the files that are new or changed since the last look; none if nobody answers.

        Where there are too many to look at each time, it is done now and then.
        """
        shelf = self._shelf
        if shelf.crowded:
            shelf.passed += 1
            if shelf.passed % _SELDOM:
                return self.end(unseen=True)
        try:
            listed = await self.sandbox.files()
        except SandboxError:  # the next cell will hear of it
            return self.end(unseen=True)
        self.files = [shelf.file(info) for info in shelf.compare(listed)]

    def lose(self) -> None:
        """An interpreter was lost, and perhaps the container: the next cell looks what is left."""
        self._shelf.lost = True
        self._stock.looked.discard(self._shelf.container_id)

    def show(self, url: str, at: int) -> None:
        """The cell has shown an image: it is a file of the container from here on."""
        self._shelf.keep(url, at)


async def fill(sandbox: Sandbox, shelf: Shelf, stock: Stock, turn: anyio.Semaphore) -> None:
    """Put what is missing, and know it as the user's.

    Args:
        sandbox: Where to.
        shelf: What is known to be there.
        stock: What is to be there.
        turn: To be entered while one of it is held in memory.
    """
    missing = shelf.missing(stock)
    if not missing:
        return
    crowded = shelf.crowded
    before, shelf.held = shelf.held, None  # if it fails, what was put is looked for next time
    sizes: dict[str, int] = {}
    for supply in missing:
        async with turn:
            sizes[supply.name] = await _bring(sandbox, supply)
        shelf.put(supply)
    listed = [] if crowded else await sandbox.files()
    shelf.held = before
    there = {info.name: info for info in listed if info.name in sizes}
    for name, size in sizes.items():
        if name in there:
            shelf.given(there[name])
        elif crowded or len(listed) >= FILE_COUNT:
            shelf.given(FileInfo(name, size, time.time()), guessed=True)


async def _bring(sandbox: Sandbox, supply: Supply) -> int:
    """Put one, and keep nothing of it; how many bytes it has."""
    data = await supply.read()
    await sandbox.put(supply.name, data)
    return len(data)


def make_room(rows: Iterable[Row], row: Row, most: int, lives: Callable[[str, str], bool]) -> None:
    """An image was shown: where all have too many, others forget theirs.

    First those of containers that are gone; then, of the principal whose images are the most, those
    shown longest ago: nobody pays for what another shows.

    Args:
        rows: All containers.
        row: The one that has shown it.
        most: Characters of images that all may keep.
        lives: Whether a container lives, by its id and its principal.
    """
    every = [each for each in rows if each.shelf.weight]
    weights = Counter[str]()
    for each in every:
        weights[each.principal] += each.shelf.weight
    while weights.total() > most and len(every) > (row in every):
        worst = min(
            (each for each in every if each is not row),
            key=lambda each: (
                lives(each.id, each.principal),
                -weights[each.principal],
                each.shelf.shown,
            ),
        )
        weights[worst.principal] -= worst.shelf.weight
        worst.shelf.lighten()
        every.remove(worst)
