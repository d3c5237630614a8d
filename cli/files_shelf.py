"""A shelf: one vector store, wherever it is, as the commands of `files` use it.

Above: `files_add`, `files`. Below: `files_wire` (a served Provider) and `files_index` (a file on
this machine), each of which is one.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

from antiphon.errors import AntiphonError

from .files_tree import Found
from .options import Value

PATH: Final = "path"
"""The attribute that says what a file is known as."""

DIGEST: Final = "sha256"
"""The attribute that says what was in it."""

Status: TypeAlias = Literal["in_progress", "completed", "cancelled", "failed"]
Attributes: TypeAlias = Mapping[str, Value]


class Refused(AntiphonError):
    """One file was not taken; the others may be."""


@dataclass(frozen=True, slots=True)
class Store:
    """A vector store.

    Attributes:
        id: Its id.
        name: Its name.
        reading: How many of its files are still to be read.
        files: How many there are.
        failed: How many could not be read.
        size: Bytes that are kept for it.
        model: The embedding model of its vectors; None: it is searched by words alone.
    """

    id: str
    name: str
    reading: int
    files: int
    failed: int
    size: int
    model: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in a store.

    Attributes:
        id: The file's id.
        status: How far it has come.
        attributes: What is said of it.
        error: Why it could not be read: a code, and words.
    """

    id: str
    status: Status
    attributes: Attributes = field(default_factory=dict[str, Value])
    error: tuple[str, str] | None = None

    @property
    def path(self) -> str | None:
        """What it is known as; None where somebody else put it there."""
        path = self.attributes.get(PATH)
        return path if isinstance(path, str) and DIGEST in self.attributes else None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        name: The path of its file, or the file's name.
        place: Where in it, in words; empty where that is not known.
        heading: What it stands under.
        score: How well it answers, 0 to 1.
        text: The passage.
        file_id: The file's id.
    """

    name: str
    place: str
    heading: str
    score: float
    text: str
    file_id: str


class Shelf(Protocol):
    """Where vector stores are. Each method raises `AntiphonError` where it cannot be reached."""

    @property
    def where(self) -> str:
        """In words: an address, or a path."""
        ...

    async def stores(self) -> list[Store]:
        """All stores, the newest first."""
        ...

    async def store(self, store_id: str) -> Store:
        """A store as it is now."""
        ...

    async def check(self, store: Store) -> None:
        """Files can be added to it from here.

        Raises:
            ConfigurationError: They cannot.
        """
        ...

    async def make(self, name: str) -> Store:
        """A new store."""
        ...

    def kept(self, store_id: str, status: Status | None = None) -> AsyncIterator[Kept]:
        """The files of a store, the newest first; of one status, or all."""
        ...

    async def put(self, found: Found, data: bytes) -> str:
        """Take a file in; its id. It is not in any store yet.

        Raises:
            Refused: This file is not taken.
        """
        ...

    async def attach(self, store_id: str, files: Sequence[tuple[str, Attributes]]) -> None:
        """Have files read into a store, by their ids; those that are there are read anew."""
        ...

    async def expect(self, file_id: str, found: Found) -> bool:
        """Whether a file that was taken in before can still be read."""
        ...

    async def describe(self, store_id: str, file_id: str, attributes: Attributes) -> None:
        """Give a file of a store other attributes."""
        ...

    async def remove(self, store_id: str, file_id: str) -> None:
        """Take a file out of a store, and forget it. One that is not there is no error."""
        ...

    async def search(self, store_id: str, query: str, limit: int) -> list[Hit]:
        """The passages that answer best."""
        ...

    async def aclose(self) -> None:
        """Give back everything held."""
        ...


async def named(shelf: Shelf, name: str, *, make: bool = False) -> Store:
    """The store of this id or name; of several the newest.

    Raises:
        AntiphonError: There is none, and it is not to be made.
    """
    stores = await shelf.stores()
    for told in ((each.id for each in stores), (each.name for each in stores)):
        for store, own in zip(stores, told, strict=True):
            if own == name:
                return store
    if make and not name.startswith("vs_"):
        return await shelf.make(name)
    there = ", ".join(repr(each.name or each.id) for each in stores[:10]) or "none"
    raise AntiphonError(f"there is no vector store {name!r} at {shelf.where}: there is {there}")


def place_of(pages: Any, lines: Any) -> str:
    """Pages or lines in words."""
    for word, span in (("page", pages), ("line", lines)):
        if span:
            first, last = span
            return f"{word} {first}" if first == last else f"{word}s {first} to {last}"
    return ""
