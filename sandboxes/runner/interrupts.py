"""SIGINT ends the running cell, once, and nothing else.

Between cells it is ignored. While a lock of the runner is held by the main thread it waits, for
a KeyboardInterrupt half-way through a frame would break the wire.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupts:
    """Whether a cell runs, and whether it has been interrupted. Made on the main thread."""

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._active = False
        self._depth = 0
        self._pending = False
        self._spent = False

    def install(self) -> None:
        """Take over SIGINT, and SIGBREAK where there is one (Windows)."""
        for name in ("SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._handle)

    def arm(self) -> None:
        """A cell begins."""
        self._pending = self._spent = False
        self._active = True

    def disarm(self) -> None:
        """The cell is over; later signals are nobody's."""
        self._active = False
        self._pending = False

    def enter(self) -> None:
        """Hold interrupts back on the main thread."""
        if threading.get_ident() == self._main:
            self._depth += 1

    def leave(self) -> None:
        """Let them through again; one that waited is raised now."""
        if threading.get_ident() != self._main:
            return
        self._depth -= 1
        if self._pending and not self._depth:
            self._pending = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # Once per cell: a second one would break the `finally` the first one is running.
        if not self._active or self._spent:
            return
        self._spent = True
        if self._depth:
            self._pending = True
        else:
            raise KeyboardInterrupt


class Guard:
    """A re-entrant lock that holds interrupts back while the main thread has it."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._interrupts.enter()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
        self._interrupts.leave()
