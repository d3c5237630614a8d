"""Which files of a folder are added, and which are passed over and why.

Above: `files_add`. Not here: reading them.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Final

from antiphon.errors import ConfigurationError
from antiphon.tools import search as kept

_DOCUMENTS: Final = frozenset({".pdf", ".docx", ".pptx", ".xlsx"})
"""Files that are read though they are no text."""

_UNICODE: Final = (b"\xff\xfe", b"\xfe\xff")  # the marks of UTF-16, which is full of zero bytes
_LOOK: Final = 8_192


@dataclass(frozen=True, slots=True)
class Found:
    """A file to add.

    Attributes:
        path: Where it is.
        name: What it is known as in the store: the folder's name and the path in it, with `/`.
        size: Its bytes.
    """

    path: Path
    name: str
    size: int


@dataclass(slots=True)
class Tree:
    """What was found.

    Attributes:
        files: What is to be added, by name.
        skipped: How many were passed over, by why; a folder counts as one.
        large: The names of those that have too many bytes.
        roots: The folders, by the name with which theirs begin.
    """

    files: list[Found] = field(default_factory=list[Found])
    skipped: Counter[str] = field(default_factory=Counter[str])
    large: list[str] = field(default_factory=list[str])
    roots: dict[str, Path] = field(default_factory=dict[str, Path])

    def gone(self, name: str) -> bool:
        """Whether a file of one of the folders is there no more."""
        root, _, inside = name.partition("/")
        return (
            bool(inside) and root in self.roots and not os.path.lexists(self.roots[root] / inside)
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which files are wanted.

    Attributes:
        include: Patterns, one of which a file has to match; none: all do.
        exclude: Patterns of files and folders that are passed over.
        max_bytes: Files of more bytes are passed over.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    max_bytes: int = 64 * 1024 * 1024

    def why_not(self, inside: PurePath, path: Path, size: int) -> str | None:
        """Why a file of a folder is passed over; None where it is wanted."""
        if self.include and not _matches(inside, self.include):
            return "not included"
        if size > self.max_bytes:
            return "too large"
        return _unreadable(path, size)


def find(paths: Iterable[str], choice: Choice, *, name: str | None = None) -> Tree:
    """The files of these folders, and these files.

    A file that is named is taken whatever its name and its content are, if it is not too large.

    Raises:
        ConfigurationError: A path is not there, or two files have one name.
    """
    tree = Tree()
    for given in sorted(paths, key=lambda each: not Path(each).is_dir()):
        path = Path(given)
        try:
            real = path.resolve(strict=True)
        except OSError as error:
            raise ConfigurationError(
                f"expected a folder or a file, got {given}: {error.strerror}"
            ) from error
        if real.is_dir():
            root = name or _name(real.name) or "files"
            if "/" in root or tree.roots.get(root, real) != real:
                raise ConfigurationError(
                    f"two folders would be {root!r} in the store: add one of them with --as NAME"
                    if root in tree.roots
                    else f"--as: expected a name without /, got {root!r}"
                )
            tree.roots[root] = real
            _add_folder(tree, root, real, choice)
        else:
            size = real.stat().st_size
            if not stat.S_ISREG(real.stat().st_mode):
                raise ConfigurationError(f"expected a folder or a file, got {given}")
            _add(tree, Found(real, _known_as(path, tree), size), _too_large(size, choice))
    tree.files = _apart(tree.files)
    return tree


def _known_as(file: Path, tree: Tree) -> str:
    """What a file that was named is known as: in one of the folders, or on its own."""
    real = file.resolve()
    for root, folder in tree.roots.items():
        if real.is_relative_to(folder):
            return _name(f"{root}/{real.relative_to(folder).as_posix()}")
    return _name(file.name)


def _too_large(size: int, choice: Choice) -> str | None:
    return "too large" if size > choice.max_bytes else None


def _add(tree: Tree, found: Found, why_not: str | None) -> None:
    if why_not is None:
        tree.files.append(found)
        return
    tree.skipped[why_not] += 1
    if why_not == "too large":
        tree.large.append(found.name)


def _add_folder(tree: Tree, root: str, folder: Path, choice: Choice) -> None:

    def excluded(inside: PurePath) -> bool:
        return _matches(inside, choice.exclude)

    for inside, path in kept.walk(folder, tree.skipped, excluded=excluded):
        try:
            real = path.resolve(strict=True)
            told = real.stat()
            why = "special" if not stat.S_ISREG(told.st_mode) else None
            why = why or choice.why_not(inside, real, told.st_size)
        except OSError:
            tree.skipped["unreadable"] += 1
            continue
        _add(tree, Found(real, _name(f"{root}/{inside.as_posix()}"), told.st_size), why)


def _matches(inside: PurePath, patterns: Iterable[str]) -> bool:
    path = inside.as_posix()
    return any(
        fnmatchcase(inside.name, each.rstrip("/")) or fnmatchcase(path, each.rstrip("/"))
        for each in patterns
    )


def _unreadable(path: Path, size: int) -> str | None:
    if not size:
        return "empty"
    if path.suffix.lower() in _DOCUMENTS:
        return None
    with path.open("rb") as file:
        head = file.read(_LOOK)
    if head.startswith(_UNICODE):
        return None
    return "binary" if b"\x00" in head or head.startswith(b"%PDF-") else None


def _name(text: str) -> str:
    """Without what a broken file name may hold, which no JSON takes."""
    return os.fsencode(text).decode("utf-8", "replace")


def _apart(files: Iterable[Found]) -> list[Found]:
    """Each file once, by name.

    Raises:
        ConfigurationError: Two files have one name.
    """
    seen: dict[str, Found] = {}
    for each in files:
        other = seen.setdefault(each.name, each)
        if other.path != each.path:
            raise ConfigurationError(
                f"two files would be {each.name!r} in the store: {other.path} and {each.path}:"
                " add them to different stores, or their folders with --as NAME"
            )
    return [seen[name] for name in sorted(seen)]
