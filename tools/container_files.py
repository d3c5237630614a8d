"""Files of containers: what they are called, what is put into each, which a cell has written.

Above: `containers.py`. Below: a sandbox's own listing of its working directory, which is the only
list there is: an id is made from the container and the name, so nothing has to be remembered for a
citation to lead to its file. What comes from inside is untrusted: a name that could forge a line
or turn its reader's eye is not listed.
"""

import hashlib
import re
import unicodedata
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, Literal, TypeAlias

import anyio

from antiphon.errors import ConfigurationError, SandboxFileError
from antiphon.sandboxes import FILE_COUNT, PARTIAL, FileInfo

File: TypeAlias = str | PathLike[str] | tuple[str, bytes]
"""A path on this machine, or a name and what the file holds."""

Source: TypeAlias = Literal["user", "assistant"]

FOLDER: Final = "/mnt/data"
"""Where the files of a container are, as its paths say."""

MAX_NAME: Final = 200
"""Bytes of UTF-8 that the name of a container's file may have."""

TOLD: Final = 20
"""Files that a receipt names; of more it says how many."""

CROWDED: Final = 512
"""Files of a working directory above which most cells are not told which they have written."""

FIGURES: Final = 32 * 1024 * 1024
"""Characters of images (as data URLs) that are kept of one container; the oldest go first."""

ALL_FIGURES: Final = 256 * 1024 * 1024
"""Characters of images that are kept of all containers of a backend."""

_BAD: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SUFFIX: Final = 32


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A file of a container.

    Attributes:
        id: `cfile_` and hexadecimal digits; the same for the same name in the same container.
        container_id: Where it is.
        path: `/mnt/data/` and its name.
        name: Its name.
        bytes: Its size.
        created_at: Seconds since 1970 when it was last changed.
        source: Who made it: `user` (uploaded, or given by the provider) or `assistant`.
    """

    id: str
    container_id: str
    path: str
    name: str
    bytes: int
    created_at: int
    source: Source


def file_id(container_id: str, name: str) -> str:
    """The id of the file of this name in this container."""
    return _id("file", container_id, name)


def figure_id(container_id: str, url: str) -> str:
    """The id of an image that a cell of this container showed, by its data URL."""
    return _id("figure", container_id, url)


def _id(kind: str, container_id: str, what: str) -> str:
    told = f"{kind}\0{container_id}\0{what}".encode("utf-8", "surrogatepass")
    return f"cfile_{hashlib.sha256(told).hexdigest()[:48]}"


def harmless(name: str) -> bool:
    """Whether a name can be shown as it is: no control characters, nothing that turns text."""
    if name.isascii():
        return name.isprintable()
    bad = any(unicodedata.category(each) in _BAD for each in name)
    return not bad and _TURNING.search(name) is None


def container_name(name: str) -> str:
    """A client's name for a file, as the file is called in a container.

    The last component, without what is not harmless, at most 200 bytes with its extension kept.
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(each for each in last if unicodedata.category(each) not in _BAD)
    kept = _TURNING.sub("", kept).strip()
    raw = kept.encode("utf-8", "ignore")
    if len(raw) > MAX_NAME:
        stem, dot, suffix = kept.rpartition(".")
        end = f"{dot}{suffix}".encode() if stem and len(suffix) <= _SUFFIX else b""
        raw = raw[: MAX_NAME - len(end)].decode("utf-8", "ignore").encode() + end
    kept = raw.decode("utf-8", "ignore")
    if kept.startswith(PARTIAL):  # which sandboxes keep to themselves
        kept = kept.lstrip(".")
    return "file" if kept.strip(".") == "" else kept


@dataclass(frozen=True, slots=True)
class Supply:
    """A file that is to be in a container before it is used.

    Attributes:
        key: What it is; one that was put already is not put again.
        name: What it is called there.
        read: Gives what it holds.
    """

    key: object
    name: str
    read: Callable[[], Awaitable[bytes]]


def supplies(files: Sequence[File]) -> list[Supply]:
    """The files that a provider gives to every container.

    Raises:
        ConfigurationError: A file does not exist, or two have one name.
    """
    named: dict[str, Supply] = {}
    for file in files:
        if isinstance(file, tuple):
            name, source = Path(file[0]).name, file[1]
        else:
            source = Path(file)
            name = source.name
            if not source.is_file():
                raise ConfigurationError(
                    f"files: expected the path of a file, got {str(source)!r}, which is none"
                )
        if not name:
            raise ConfigurationError("files: expected a name, got an empty one")
        if name in named:
            raise ConfigurationError(f"files: two files are named {name!r}: rename one")
        named[name] = Supply((name, source), name, _reader(name, source))
    return list(named.values())


def _reader(name: str, source: Path | bytes) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        if isinstance(source, bytes):
            return source
        try:
            return await anyio.Path(source).read_bytes()
        except OSError as error:
            raise SandboxFileError(
                f"The file {name!r} cannot be read on the provider's side: {error.strerror}."
            ) from error

    return read


class Stock:
    """What the containers of one request begin with: each is looked at once.

    Attributes:
        supplies: The files.
        looked: The containers in which all of them are, or were once.
    """

    __slots__ = ("looked", "supplies")

    def __init__(self, supplies: Iterable[Supply] = ()) -> None:
        named = {supply.name: supply for supply in supplies}  # of one name the last, as on a disk
        self.supplies: list[Supply] = list(named.values())
        self.looked: set[str] = set()


def told(files: Sequence[ContainerFile]) -> str:
    """One line for a model: the files that were written; empty where there are none."""
    if not files:
        return ""
    named = ", ".join(f"{file.name} ({file.bytes:,} bytes)" for file in files[:TOLD])
    more = f" and {len(files) - TOLD:,} more" if len(files) > TOLD else ""
    return f"[Files written: {named}{more}]"


class Shelf:
    """What is known of one container's files.

    Attributes:
        container_id: Whose files.
        held: Its last listing; None where nobody has looked.
        supplied: The keys of what was put into it before cells, by the names it has there.
        passed: Cells that were not looked after, since there are too many files.
        shown: Seconds since 1970 when an image was shown last.
        lost: Whether an interpreter, and perhaps all files with it, was lost since the listing.
        cut: Whether a cell runs, or was left before its end: nobody has looked after it.
        stale: Whether a cell ended since the listing that may have written.
    """

    __slots__ = (
        "_figures", "_guessed", "_ids", "_indexed", "_room", "_users", "container_id", "cut",
        "held", "lost", "passed", "shown", "stale", "supplied",
    )  # fmt: skip

    def __init__(self, container_id: str) -> None:
        self.container_id: str = container_id
        self.held: dict[str, FileInfo] | None = None
        self.supplied: dict[str, object] = {}
        self.passed: int = 0
        self.lost: bool = False
        self.cut: bool = False
        self.stale: bool = False
        self.shown: int = 0
        self._users: set[str] = set()
        self._guessed: set[str] = set()
        self._ids: dict[str, str] = {}
        self._indexed: dict[str, FileInfo] | None = None
        self._figures: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._room = FIGURES

    @property
    def crowded(self) -> bool:
        """Whether it has too many files to be listed each time."""
        return len(self.held or ()) > CROWDED

    @property
    def sure(self) -> bool:
        """Whether the last listing tells what is there now."""
        return self.held is not None and not (self.lost or self.cut or self.stale)

    def known(self, key: str) -> FileInfo | None:
        """The file of this id in the last listing."""
        if self.held is None:
            return None
        if self._indexed is not self.held:
            self._ids = {file_id(self.container_id, name): name for name in self.held}
            self._indexed = self.held
        return self.held.get(self._ids.get(key, ""))

    def given(self, info: FileInfo, *, guessed: bool = False) -> None:
        """A user's file was put.

        Args:
            info: The file.
            guessed: Whether its time is not the sandbox's own word.
        """
        self._users.add(info.name)
        if guessed:
            self._guessed.add(info.name)
        if self.held is not None:
            self.held[info.name] = info
            if self._indexed is self.held:
                self._ids[file_id(self.container_id, info.name)] = info.name

    def put(self, supply: Supply) -> None:
        """One of what the container begins with was put."""
        self.supplied[supply.name] = supply.key
        self._users.add(supply.name)

    def recover(self, listed: Sequence[FileInfo]) -> None:
        """Something was lost: forget the files that are not there any more, and only these."""
        if len(listed) < FILE_COUNT:  # of more than that, absence says nothing
            there = {info.name for info in listed}
            self.held = {name: info for name, info in (self.held or {}).items() if name in there}
        self.lost = False

    def gone(self, name: str) -> None:
        """A file was removed."""
        self._users.discard(name)
        if self.held is not None:
            self.held.pop(name, None)

    def compare(self, listed: Sequence[FileInfo]) -> list[FileInfo]:
        """What is new or changed since the last listing, which this one replaces."""
        before, self.cut, self.lost, self.stale = self.held, False, False, False
        now = {info.name: info for info in listed if harmless(info.name)}
        if len(listed) >= FILE_COUNT:  # there may be more: what was put stays known
            ours = (self._users | self.supplied.keys()).intersection(before or ())
            now = {name: (before or {})[name] for name in ours} | now
        self.held = now
        self._users.intersection_update(now)
        if before is None:
            return []
        for name in self._guessed.intersection(before, now):
            if before[name].size == now[name].size:
                before[name] = now[name]
        self._guessed.difference_update(info.name for info in listed)
        changed = [info for name, info in now.items() if before.get(name) != info]
        self._users.difference_update(info.name for info in changed)
        return changed

    def made(self, most: int) -> list[FileInfo]:
        """The newest of the listed files that cells have written, the newest first."""
        made = [info for name, info in (self.held or {}).items() if name not in self._users]
        return sorted(made, key=lambda info: info.modified, reverse=True)[:most]

    def missing(self, stock: Stock) -> list[Supply]:
        """What of this has to be put: what never was, and what is there no more."""
        there = self.held or {}
        return [
            supply
            for supply in stock.supplies
            if self.supplied.get(supply.name) != supply.key or supply.name not in there
        ]

    def file(self, info: FileInfo) -> ContainerFile:
        """A listed file, as a file of the container."""
        source: Source = "user" if info.name in self._users else "assistant"
        return self._file(
            file_id(self.container_id, info.name), info.name, info.size, int(info.modified), source
        )

    def keep(self, url: str, at: int) -> None:
        """An image was shown; the oldest are forgotten where there is no room."""
        key = figure_id(self.container_id, url)
        if key in self._figures or len(url) > FIGURES:
            return
        self._figures[key] = (url, at)
        self.shown = at
        self._room -= len(url)
        while self._room < 0:
            _, (gone, _) = self._figures.popitem(last=False)
            self._room += len(gone)

    @property
    def weight(self) -> int:
        """Characters of images that are kept."""
        return FIGURES - self._room

    def lighten(self) -> None:
        """Keep no images any more."""
        self._figures.clear()
        self._room = FIGURES

    def figure(self, key: str) -> str | None:
        """The data URL of an image that is kept."""
        found = self._figures.get(key)
        return found and found[0]

    def figure_bytes(self, key: str) -> bytes | None:
        """The image itself."""
        url = self.figure(key)
        return None if url is None else b64decode(url[url.index(",") + 1 :])

    def forget(self, key: str) -> bool:
        """Keep an image no longer; False where it is not kept."""
        found = self._figures.pop(key, None)
        if found is not None:
            self._room += len(found[0])
        return found is not None

    def figures(self) -> list[ContainerFile]:
        """The images that are kept, as files."""
        return [self._drawn(key, *figure) for key, figure in self._figures.items()]

    def figure_file(self, key: str) -> ContainerFile | None:
        """An image that is kept, as a file."""
        found = self._figures.get(key)
        return found and self._drawn(key, *found)

    def _drawn(self, key: str, url: str, at: int) -> ContainerFile:
        return self._file(key, f"{key}.{_ending(url)}", _size(url), at, "assistant")

    def _file(self, key: str, name: str, size: int, at: int, source: Source) -> ContainerFile:
        return ContainerFile(
            id=key,
            container_id=self.container_id,
            path=f"{FOLDER}/{name}",
            name=name,
            bytes=size,
            created_at=at,
            source=source,
        )


def _ending(url: str) -> str:
    return "svg" if url.startswith("data:image/svg") else "png"


def _size(url: str) -> int:
    data = len(url) - url.find(",") - 1
    return data * 3 // 4 - url.count("=", -2)
