"""stdout and stderr, from `print` and from bare descriptors, as frames.

`print` does not go through the pipe: what the cell wrote before it crashed has left already.
The first piece goes out at once, later ones at most every 25 ms or 8 KiB; after 1 MiB of a stream
in one cell the rest is read and dropped, so that writers are never stopped and nobody is flooded.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import cast

from .frames import STDERR, STDOUT, STREAM_LIMIT, URGENT
from .interrupts import Guard, Interrupts
from .pipes import Pipe

_PAUSE = 0.025
_BATCH = 8 * 1024
_PIECES = 4
_NAMES = {STDOUT: "stdout", STDERR: "stderr"}

Send = Callable[[int, int, bytes], None]
"""Sends a frame: kind, id, payload."""


class Capture:
    """Collects what is written and sends it under the id of the running cell."""

    def __init__(self, send: Send, interrupts: Interrupts) -> None:
        self._send = send
        self._interrupts = interrupts
        self.guard = Guard(interrupts)
        """Held while something is sent under the running cell, and while that changes."""
        self.cell = 0
        """The running cell; 0 between cells."""
        self._pipes = {STDOUT: Pipe(1), STDERR: Pipe(2)}
        self._pending: list[tuple[int, bytearray]] = []
        self._kept = {STDOUT: 0, STDERR: 0}
        self._flushed = self._since = 0.0
        self._flushing = False
        self._urgent = URGENT
        self._forked = False
        self._wake, self._waker = os.pipe()
        self._running = threading.Event()

    def install(self) -> None:
        """Put the Python streams in place and start the thread that reads the pipes."""
        sys.stdout = sys.__stdout__ = _text(self, STDOUT)  # pyright: ignore[reportConstantRedefinition]
        sys.stderr = sys.__stderr__ = _text(self, STDERR)  # pyright: ignore[reportConstantRedefinition]
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=lambda: self.guard.__enter__(),
                after_in_parent=lambda: self.guard.__exit__(),
                after_in_child=self._after_fork,
            )
        target = self._pump_slowly if sys.platform == "win32" else self._pump
        threading.Thread(target=target, name="antiphon-capture", daemon=True).start()

    def begin(self, cell: int) -> None:
        """From now on output belongs to `cell`; what came since the last one is sent first."""
        with self.guard:
            self._drain()
            self._kept = dict.fromkeys(self._kept, 0)
            for kind, data in self._pending:
                self._kept[kind] += len(data)
            self.cell = cell
            self._running.set()
            self._flush()
            self._flushed = 0.0
            self._urgent = URGENT

    def sync(self) -> None:
        """Send all that was written so far: something else is to follow it."""
        with self.guard:
            self._drain()
            self._flush()

    def end(self) -> None:
        """The cell is over: send all that was written so far."""
        with self.guard:
            self._drain()
            self._flush()
            self.cell: int = 0
            self._running.clear()

    def write(self, kind: int, data: bytes) -> None:
        """Take what a Python stream was given."""
        if self._forked:
            self._pipes[kind].write(data)
            return
        with self.guard:
            waited = bool(self._pending)
            self._drain()  # a subprocess that wrote earlier comes first
            self._keep(kind, data)
            self._flush_if_due()
            if self._pending and not waited and self.cell:  # the thread sends it in time
                os.write(self._waker, b"!")

    def flush(self) -> None:
        """Send what waits, if a cell runs; not at once any more if the cell always asks."""
        if not self._forked:
            with self.guard:
                self._drain()
                if self._pending and self._urgent > 0:
                    self._urgent -= 1
                    self._flush()

    def _keep(self, kind: int, data: bytes) -> None:
        room = STREAM_LIMIT - self._kept[kind]
        if room < 0:
            return
        self._kept[kind] += len(data)
        if len(data) > room:
            limit = f"a cell may write {STREAM_LIMIT} bytes; write more to a file"
            data = data[:room] + f"\n[{_NAMES[kind]} is cut here: {limit}]\n".encode()
        if not data:
            return
        if not self._pending:
            self._since = time.monotonic()
        # In a batch that alternates much, the order between the two streams is given up.
        near = self._pending[-1:] if len(self._pending) < _PIECES else reversed(self._pending)
        for other, batch in near:
            if other == kind:
                batch.extend(data)
                return
        self._pending.append((kind, bytearray(data)))

    def _drain(self) -> None:
        for kind, pipe in self._pipes.items():
            for _ in range(32):  # bounded: a writer may be faster than we are
                data = pipe.read()
                if not data:
                    break
                self._keep(kind, data)

    def _flush_if_due(self) -> None:
        """A whole line goes out at once after a silence; otherwise pieces wait for company."""
        if not self._pending:
            return
        now = time.monotonic()
        line = self._pending[-1][1].endswith(b"\n") and now - self._flushed >= _PAUSE
        size = sum(len(data) for _, data in self._pending)
        if line or size >= _BATCH or now - self._since >= _PAUSE:
            self._flush()

    def _flush(self) -> None:
        if not self.cell or self._flushing:  # a finalizer may print while we send
            return
        self._flushing = True
        try:
            while self._pending:
                kind, data = self._pending.pop(0)
                self._send(kind, self.cell, bytes(data))
            self._flushed = time.monotonic()
        finally:
            self._flushing = False

    def _pump(self) -> None:
        sources = [pipe.reading for pipe in self._pipes.values()] + [self._wake]
        while True:
            waiting = self._pending and self.cell
            pause = max(0.0, self._since + _PAUSE - time.monotonic()) if waiting else None
            if self._wake in select.select(sources, (), (), pause)[0]:
                os.read(self._wake, 4096)
            self._turn()

    def _pump_slowly(self) -> None:
        while True:  # no select on pipes here
            self._running.wait()
            time.sleep(_PAUSE)
            self._turn()

    def _turn(self) -> None:
        with self.guard:
            self._drain()
            self._flush_if_due()

    def _after_fork(self) -> None:
        # The child has no thread to read for it; it writes into the pipes its parent reads.
        self._forked = True
        self.guard: Guard = Guard(self._interrupts)
        self._interrupts.leave()
        self._pending = []


class _Sink(io.BufferedIOBase):
    """The bytes layer of `sys.stdout` and `sys.stderr`."""

    def __init__(self, capture: Capture, kind: int) -> None:
        super().__init__()
        self._capture = capture
        self._kind = kind
        self.name = f"<{_NAMES[kind]}>"
        self.mode = "wb"

    def write(self, data: object, /) -> int:
        taken = bytes(memoryview(cast(bytes, data)))
        if taken:
            self._capture.write(self._kind, taken)
        return len(taken)

    def flush(self) -> None:
        self._capture.flush()

    def fileno(self) -> int:
        return 1 if self._kind == STDOUT else 2

    def writable(self) -> bool:
        return True


def _text(capture: Capture, kind: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        _Sink(capture, kind),  # pyright: ignore[reportArgumentType]
        encoding="utf-8",
        errors="backslashreplace",
        newline="\n",
        write_through=True,
    )
