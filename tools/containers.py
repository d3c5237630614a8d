"""Which container a call uses, and the files that are put into each before its first cell.

Below: a `Sandboxes` backend, which knows who owns what. Above: `code_interpreter.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import anyio

from antiphon.errors import ConfigurationError, SandboxFileError
from antiphon.items import CodeInterpreterCall, Ids, Item, ShellCall
from antiphon.sandboxes import Sandbox, Sandboxes

File: TypeAlias = str | PathLike[str] | tuple[str, bytes]
"""A path on this machine, or a name and what the file holds."""

_FEW = 64


@dataclass(slots=True)
class _Row:
    principal: str
    memory_limit: str | None = None
    filled: bool = False
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class Containers:
    """The containers of one code interpreter, as far as it has used them.

    Args:
        sandboxes: Where they live.
        files: What each begins with.

    Raises:
        ConfigurationError: A file does not exist, or two have one name.
    """

    def __init__(self, sandboxes: Sandboxes, files: Sequence[File]) -> None:
        self.sandboxes = sandboxes
        self._files = _named(files)
        self._rows: dict[str, _Row] = {}
        self._crowded = _FEW

    @property
    def names(self) -> list[str]:
        """The names of the files that each container begins with."""
        return list(self._files)

    def __len__(self) -> int:
        return len(self._rows)

    def owns(self, container_id: str, principal: str) -> bool:
        """Whether it lives and is this principal's."""
        return self.sandboxes.owns(container_id, principal)

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
        minted = self.sandboxes.mint(
            principal=principal, memory_limit=memory_limit, container_id=ids("cntr")
        )
        self._row(minted, principal).memory_limit = memory_limit
        return minted

    async def open(self, container_id: str, principal: str) -> Sandbox:
        """Its sandbox, with the files in place.

        Raises:
            SandboxError: It is gone, or the files cannot be put.
        """
        row = self._row(container_id, principal)
        async with row.lock:  # first come, first served: cells keep the order of their calls
            sandbox = await self.sandboxes.open(container_id=container_id, principal=principal)
            if not row.filled:
                for name, source in self._files.items():
                    await sandbox.put(name, await _read(name, source))
                row.filled = True
            return sandbox

    def _row(self, container_id: str, principal: str) -> _Row:
        row = self._rows.get(container_id)
        if row is None:
            self._forget()
            row = self._rows[container_id] = _Row(principal)
        return row

    def _fits(self, container_id: str, principal: str, memory_limit: str | None) -> bool:
        if not self.owns(container_id, principal):
            return False
        row = self._rows.get(container_id)
        return memory_limit is None or (row is not None and row.memory_limit == memory_limit)

    def _forget(self) -> None:
        """Drop rows of containers that are gone, now and then."""
        if len(self._rows) >= self._crowded:
            self._rows = {
                key: row for key, row in self._rows.items() if self.owns(key, row.principal)
            }
            self._crowded = 2 * len(self._rows) + _FEW


def container_of(item: Item) -> str | None:
    """The container that an item names, if it is a call of a tool that runs in one."""
    if isinstance(item, CodeInterpreterCall):
        return item.container_id
    place = item.environment if isinstance(item, ShellCall) else None
    named: object = (place or {}).get("container_id")
    return named if isinstance(named, str) else None


def _named(files: Sequence[File]) -> dict[str, Path | bytes]:
    named: dict[str, Path | bytes] = {}
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
        named[name] = source
    return named


async def _read(name: str, source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return await anyio.Path(source).read_bytes()
    except OSError as error:
        raise SandboxFileError(
            f"The file {name!r} cannot be read on the provider's side: {error.strerror}."
        ) from error
