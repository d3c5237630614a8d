"""The host side of one interpreter: cells and file requests over a `Link`.

Nothing runs in the background: whoever waits for a frame reads the stream, and hands every other
frame to the one it belongs to. A consumer that stops reading stops the interpreter in its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain

import anyio
from anyio import BrokenResourceError, CancelScope, ClosedResourceError

from antiphon.errors import SandboxFileError, SandboxUnavailable

from .cell import Cell, Ended
from .link import Link, Perishable
from .runner import frames
from .runner.frames import Frame, FrameError
from .runner.names import plain
from .sandbox import Display, FileInfo, Output, Started

_SMALL = 16 * 1024
_CELL_KINDS = frozenset(range(frames.STARTED, frames.FINISHED + 1))
_REPLY_KINDS = frozenset(range(frames.DATA, frames.FAILED + 1))


@dataclass(slots=True)
class _Request:
    """A file request and what has come for it so far."""

    limit: int = 0
    data: list[bytes] = field(default_factory=list[bytes])
    size: int = 0
    files: list[FileInfo] = field(default_factory=list[FileInfo])
    over: bool = False
    failure: str | None = None
    abandoned: bool = False


class Session:
    """One interpreter, from its READY to its end. Made by `start`."""

    def __init__(self, link: Link, *, grace: float, patience: float) -> None:
        self._link = link
        self._grace = grace
        self._patience = patience
        self._decoder = frames.Decoder()
        self._ready = False
        self._cell: Cell | None = None
        self._requests: dict[int, _Request] = {}
        self._last_id = 0
        self._reading = False
        self._changed = anyio.Event()
        self._end: str | None = None
        self.broken = False
        """Whether the interpreter broke the protocol."""
        self.files_lost = False
        """Whether the files went with the interpreter; known after `aclose`."""
        self._timer: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether the interpreter can take another cell."""
        return self._end is None

    @classmethod
    async def start(cls, link: Link, *, grace: float, patience: float) -> Session:
        """Wait until the interpreter is ready; `grace` and `patience` are in seconds.

        Raises: SandboxUnavailable, with the link closed.
        """
        session = cls(link, grace=grace, patience=patience)
        try:
            with anyio.move_on_after(patience):
                await session._until(lambda: session._ready)
            if session._ready:
                return session
            reason = await session.aclose()
        except BaseException:
            await session.aclose()
            raise
        raise SandboxUnavailable(f"The interpreter of the sandbox did not start. {reason}")

    async def begin(self, code: str, *, seconds: float) -> Cell:
        """Send a cell and set its timers; `settle` must be called on it in the end."""
        cell = Cell(self._new_key(), timeout=seconds)
        self._cell = cell
        # Ours is the second timer: the runner interrupts first, where it can.
        self._timer = asyncio.get_running_loop().call_later(
            seconds + self._grace / 4, self._overdue, cell
        )
        fields = frames.pack(frames.pack_number(max(1, round(seconds * 1000))), code.encode())
        # Shielded: nobody could tell whether a cancelled request went out. The timers bound it.
        with CancelScope(shield=True):
            await self._send([frames.encode(frames.EXECUTE, cell.number, fields)])
        return cell

    async def next(self, cell: Cell) -> Started | Output | Display | Ended:
        """The next event of a cell; after the last one its end, as often as asked."""
        await self._until(lambda: bool(cell.events) or cell.ended is not None)
        if cell.events:
            return cell.events.popleft()
        if cell.ended is None:
            reason = await self.aclose()
            cell.abort(reason, files_lost=self.files_lost)
        assert cell.ended is not None
        return cell.ended

    async def began(self, cell: Cell) -> bool:
        """Wait until the cell executes; False if the interpreter ended first."""
        await self._until(lambda: cell.started)
        return cell.started

    async def settle(self, cell: Cell) -> None:
        """Leave no cell behind: interrupt it if it still runs, kill if that does not help."""
        self._disarm()
        with CancelScope(shield=True):
            if cell.ended is None and self.alive:
                with anyio.move_on_after(self._grace):
                    await self._until(lambda: cell.started)
                    self._link.interrupt()
                    await self._until(lambda: cell.ended is not None)
                if cell.ended is None:
                    self._kill()
        self._cell = None

    async def put(self, name: str, data: bytes) -> None:
        """Write a file. Raises: SandboxFileError."""
        chunks = range(0, len(data), frames.CHUNK)
        key, request = self._open()
        first, last = (
            frames.encode(frames.PUT, key, name.encode()),
            frames.encode(frames.PUT_END, key),
        )
        pieces = (
            frames.encode(frames.PUT_DATA, key, data[at : at + frames.CHUNK]) for at in chunks
        )
        if len(data) <= _SMALL:
            await self._ask(key, request, [first, *pieces, last], name)
        else:  # made as they are sent: all at once they would be the file again
            await self._ask(key, request, chain([first], pieces, [last]), name)

    async def get(self, name: str, *, limit: int) -> bytes:
        """Read a file. Raises: SandboxFileError."""
        key, request = self._open()
        request.limit = limit
        fields = frames.pack(frames.pack_number(limit), name.encode())
        await self._ask(key, request, [frames.encode(frames.GET, key, fields)], name)
        return b"".join(request.data)

    async def files(self) -> list[FileInfo]:
        """List the files. Raises: SandboxFileError."""
        key, request = self._open()
        await self._ask(key, request, [frames.encode(frames.LIST, key)], None)
        return sorted(request.files, key=lambda file: file.name)

    async def remove(self, name: str) -> None:
        """Remove a file. Raises: SandboxFileError."""
        key, request = self._open()
        await self._ask(key, request, [frames.encode(frames.REMOVE, key, name.encode())], name)

    def stop(self, reason: str) -> None:
        """Kill the interpreter; whoever waits on it learns the reason."""
        self._end = self._end or reason
        self._link.kill()

    async def aclose(self) -> str:
        """End the interpreter; cannot be cancelled. Returns why it ended."""
        self._disarm()
        found = await self._link.aclose()
        self.files_lost: bool = isinstance(self._link, Perishable) and self._link.files_lost
        self._end = self._end or found
        self._notify()
        return self._end

    async def _ask(
        self, key: int, request: _Request, messages: Iterable[bytes], name: str | None
    ) -> None:
        what = "the list of files" if name is None else repr(name)
        try:
            with anyio.move_on_after(self._patience):
                await self._send(messages, lambda: request.over)
                await self._until(lambda: request.over)
        finally:
            if request.over or not self.alive:
                self._requests.pop(key, None)
            else:  # what still comes for it is dropped
                request.abandoned = True
                request.data.clear()
                await self._abort(key)
        if request.failure is not None:
            raise SandboxFileError(f"The sandbox refused {what}: {request.failure}.")
        if not request.over:
            reason = f"it did not answer within {self._patience:g} s; a running cell may block it"
            if not self.alive:
                reason = self._end or "the interpreter ended"
            raise SandboxFileError(f"The sandbox did not deliver {what}: {reason}.")

    async def _abort(self, key: int) -> None:
        with CancelScope(shield=True), anyio.move_on_after(self._grace):
            await self._send([frames.encode(frames.PUT_ABORT, key)])

    async def _send(
        self, messages: Iterable[bytes], enough: Callable[[], bool] = lambda: False
    ) -> None:
        """Send frames, reading meanwhile: two full pipes would wait for each other for ever."""
        try:
            if isinstance(messages, list) and sum(map(len, messages)) <= _SMALL:
                await self._link.send(b"".join(messages))
                return
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._until, lambda: False)
                for message in messages:
                    if enough() or not self.alive:
                        break
                    await self._link.send(message)
                tasks.cancel_scope.cancel()
        except* (BrokenResourceError, ClosedResourceError):
            pass  # the end of the stream says the same, and why

    async def _until(self, ready: Callable[[], bool]) -> None:
        """Read frames until `ready`, or the end of the interpreter."""
        while not ready() and self.alive:
            if self._reading:
                await self._changed.wait()
                continue
            self._reading = True
            try:
                data = await self._link.receive()
            finally:
                self._reading = False
                self._notify()
            self._take(data)

    def _take(self, data: bytes) -> None:
        if not data:
            self._link.kill()  # what the interpreter has left running
            self._end = self._end or ""
            return
        try:
            for frame in self._decoder.feed(data):
                self._dispatch(frame)
        except FrameError as error:
            self.broken: bool = True
            self.stop(f"The interpreter was discarded: it broke the protocol ({error}).")

    def _dispatch(self, frame: Frame) -> None:
        if not self._ready:
            fields = frames.unpack(frame.payload, 2) if frame.kind == frames.READY else [b"0"]
            if frames.number(fields[0]) != frames.VERSION:
                raise FrameError(f"expected READY of version {frames.VERSION}")
            self._ready = True
        elif frame.kind in _CELL_KINDS and self._cell is not None and frame.id == self._cell.number:
            self._cell.accept(frame)
        elif frame.kind in _REPLY_KINDS and frame.id in self._requests:
            self._answer(frame)
        else:
            raise FrameError(f"nobody waits for a frame of kind {frame.kind}")

    def _answer(self, frame: Frame) -> None:
        request = self._requests[frame.id]
        if request.over:
            raise FrameError("more than one answer to a request")
        if frame.kind in (frames.DONE, frames.FAILED):
            request.over = True
            if frame.kind == frames.FAILED:
                request.failure = frame.payload[:1000].decode("utf-8", "replace")
            if request.abandoned:
                del self._requests[frame.id]
        elif frame.kind == frames.DATA:
            size = len(frame.payload)
            if request.size + size > request.limit:
                raise FrameError("more file data than was asked for")
            if not size or request.size % frames.CHUNK:  # to take pieces costs, however small
                raise FrameError("file data in smaller pieces than the runner makes")
            request.size += size
            if not request.abandoned:
                request.data.append(frame.payload)
        else:
            if len(request.files) >= frames.FILE_COUNT:
                raise FrameError("a listing over the limit")
            request.files.append(_listed(frame.payload))

    def _open(self) -> tuple[int, _Request]:
        key = self._new_key()
        request = self._requests[key] = _Request()
        return key, request

    def _new_key(self) -> int:
        self._last_id = self._last_id % 0xFFFF_FFFF + 1
        return self._last_id

    def _overdue(self, cell: Cell) -> None:
        if cell.ended is None and self.alive:
            cell.overdue = True
            self._link.interrupt()
            self._stopping = asyncio.get_running_loop().create_task(self._stop(cell))

    async def _stop(self, cell: Cell) -> None:
        # Reads for a consumer that may have paused: a cell that ended in time must not be killed
        # because nobody has looked, and one that is stuck in writing must get its interrupt.
        with anyio.move_on_after(self._grace * 3 / 4):
            await self._until(lambda: cell.ended is not None)
        if cell.ended is None:
            self._kill()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._stopping is not None:
            self._stopping.cancel()

    def _kill(self) -> None:
        self.stop("The interpreter was stopped: it did not react to an interrupt.")

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _listed(entry: bytes) -> FileInfo:
    """A file of a listing. Raises: FrameError for what no runner lists."""
    raw, size, changed = frames.unpack(entry, 3)
    name, modified = raw.decode("utf-8", "replace"), frames.number(changed)
    try:
        honest = plain(name).encode() == raw and modified <= frames.LATEST
    except ValueError:
        honest = False
    if not honest:
        raise FrameError("a listing with a file that cannot be")
    return FileInfo(name, frames.number(size), modified / 1000)
