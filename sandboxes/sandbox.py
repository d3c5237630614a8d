"""What a sandbox is: the events of a cell, and the two Protocols every backend keeps.

A *cell* is a piece of Python source. A *sandbox* runs cells one after another in one
interpreter, so names defined by one cell are there for the next. A *container* is the
logical row behind a sandbox: its id is minted long before any process exists, and a process
binds to it only when the first cell runs or the first file is put.

Above: the tools that turn these events into items. Below: the backends (`local.py`).
Not here: items, models, prompts. Everything that comes out of a sandbox is untrusted text
and bytes; backends bound it, and whoever shows it must still treat it as data.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

Isolation: TypeAlias = Literal["container", "vm", "none"]
"""What stands between the code and the host: `none` means the code is as free as its user."""

Status: TypeAlias = Literal["ok", "error", "timeout", "crashed", "cancelled"]
"""How a cell ended; see `Finished`."""

FILE_LIMIT = 64 * 1024 * 1024
"""Bytes `Sandbox.get` returns at most unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Started:
    """The interpreter begins to execute the cell now."""


@dataclass(frozen=True, slots=True)
class Output:
    """Text the cell, or a process it started, has written, as it was written."""

    stream: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True, slots=True)
class Display:
    """A value shown: by `display()`, as the last expression, or a figure left open.

    `mime` is `text/plain`, `text/html`, `image/png` or `image/svg+xml`; `data` holds the bytes
    (UTF-8 for all but PNG); `text` is the value's plain-text form where it has one.
    """

    mime: str
    data: bytes
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every cell.

    `status` is `ok`; `error` (the code raised; `error` is its traceback); `timeout` (over time);
    `crashed` (the interpreter died or broke the protocol) or `cancelled` (the sandbox was closed
    under the cell). `error` is written for the model: a traceback or a reason, None when ok.

    `state_lost` is True if names of earlier cells were lost before or during this cell, and
    `generation` counts interpreters from 1: it has risen by the time state was lost.

    `files_changed` is False if the working directory is known to be as it was after the last cell;
    it is no part of what two of these are compared by.
    """

    status: Status
    error: str | None
    state_lost: bool
    generation: int
    files_changed: bool = field(default=True, compare=False)


CellEvent: TypeAlias = Started | Output | Display | Finished
"""One step in the life of a cell: Started, then Output and Display as they come, then Finished."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A regular file in the working directory: bytes, and seconds since 1970 when last changed."""

    name: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Activity:
    """When a container was made and used; times are in seconds, `created` and `last` since 1970.

    `last` is when it was last used, which is now while something goes on in it; `idle` seconds
    after that it expires. `memory_limit` is the one in force, None if there is none. Once
    `expired` is True nothing brings it back.
    """

    created: float
    last: float
    idle: float
    memory_limit: str | None
    expired: bool


class Sandbox(Protocol):
    """One container, as its user holds it. Nothing runs until the first `run` or `put`."""

    @property
    def id(self) -> str:
        """The logical container id, `cntr_` and hexadecimal digits."""
        ...

    def run(self, code: str, *, timeout: float | None = None) -> AsyncGenerator[CellEvent]:
        """Run one cell and yield its events; an async generator, to be closed if left early.

        Finished always comes last, once. Started is missing only if the cell never began: the
        interpreter stood still for all its time, or an earlier cell had corrupted the stream.

        `timeout` is in seconds of execution; None means the backend's own. Over time the cell is
        interrupted, and killed if it does not stop. Cells on one sandbox run one after another.
        Closing the generator early interrupts the cell in the same way, and returns when the
        sandbox is ready for the next one.

        Raises, before `Started` only: SandboxNotFound (closed or expired), SandboxBusy (no room
        for another live sandbox), SandboxUnavailable (no interpreter can be started), SandboxError
        (the code is too long).
        """
        ...

    async def put(self, name: str, data: bytes) -> None:
        """Write a file into the working directory; `name` is reduced to its last component.

        An existing file is replaced at once, never seen half-written.

        Raises: SandboxFileError, and what `run` raises.
        """
        ...

    async def get(self, name: str, *, limit: int = FILE_LIMIT) -> bytes:
        """Read a regular file of the working directory, at most `limit` bytes.

        Raises: SandboxFileError (absent, not a regular file, a link, too large, bad name), and
        what `run` raises.
        """
        ...

    async def files(self) -> list[FileInfo]:
        """The regular files of the working directory, by name; not those in folders below it.

        Raises: what `run` raises, and SandboxFileError if the sandbox does not answer.
        """
        ...

    async def remove(self, name: str) -> None:
        """Remove a regular file of the working directory.

        Raises: SandboxFileError (absent, not a regular file, a link, bad name), and what `run`
        raises.
        """
        ...

    async def aclose(self) -> None:
        """End the container: its processes, its files and its id. A second call does nothing."""
        ...


class Sandboxes(Protocol):
    """A backend: where containers live. Also an async context manager that closes them all."""

    @property
    def isolation(self) -> Isolation:
        """What stands between the code and the host."""
        ...

    def mint(
        self,
        *,
        principal: str,
        memory_limit: str | None = None,
        container_id: str | None = None,
        idle: float | None = None,
    ) -> str:
        """A new logical container of `principal`; starts nothing.

        `memory_limit` is one of `1g`, `4g`, `16g`, `64g`; None means the backend's own.
        `container_id` is the id to use, a fresh one that nobody can guess; made here if None.
        `idle` is in seconds without use, at most the backend's own, after which it expires; None
        means the backend's own.

        Raises: SandboxError for another limit, an id that is taken, another `idle`.
        """
        ...

    def owns(self, container_id: str, principal: str) -> bool:
        """Whether the id is known, not expired, and belongs to `principal`."""
        ...

    def activity(self, container_id: str, principal: str) -> Activity | None:
        """When a container was made and used; to ask is not to use it.

        None if the id is unknown, closed or another principal's. One that has expired is told of
        for an hour, or until a thousand more have expired.
        """
        ...

    async def open(
        self, *, container_id: str, principal: str, memory_limit: str | None = None
    ) -> Sandbox:
        """The sandbox of a minted id; the same object as long as it lives.

        `memory_limit` None keeps the minted one; another may be set until a process is bound.

        Raises: SandboxNotFound if the id is absent, expired or another principal's (the message
        does not tell which); SandboxError if the limit is unknown or can no longer be changed.
        """
        ...

    async def aclose(self) -> None:
        """Close every sandbox. A second call does nothing."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
