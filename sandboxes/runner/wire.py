"""The stream to the host: where it comes from, and how frames go out on it."""

from __future__ import annotations

import os
import sys

from .frames import encode
from .interrupts import Guard, Interrupts


class Wire:
    """Two descriptors, one to read and one to write; any thread may send."""

    def __init__(self, reading: int, writing: int, interrupts: Interrupts) -> None:
        self.reading = reading
        self.writing = writing
        self._guard = Guard(interrupts)

    def send(self, kind: int, key: int, payload: bytes = b"") -> None:
        """Write one whole frame; blocks while the host does not read."""
        view = memoryview(encode(kind, key, payload))
        with self._guard:
            while view:
                view = view[os.write(self.writing, view) :]

    def close(self) -> None:
        """Let go of the descriptors, in a forked child."""
        for fd in {self.reading, self.writing}:
            os.close(fd)


def over_stdio(interrupts: Interrupts) -> Wire:
    """Take the stream from descriptors 0 and 1, and leave nothing there."""
    return Wire(out_of_sight(0), out_of_sight(1), interrupts)


def over_dial(path: str, interrupts: Interrupts) -> Wire:
    """Dial a unix socket on which the host listens."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dialled:
        dialled.connect(path)
        fd = out_of_sight(dialled.fileno())
    return Wire(fd, fd, interrupts)


def out_of_sight(fd: int) -> int:
    """A copy of a descriptor, not inherited, high up where no loop over small numbers meets it."""
    if sys.platform == "win32":
        import msvcrt

        copy = os.dup(fd)
        msvcrt.setmode(copy, os.O_BINARY)
        return copy
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 700)
    except OSError:  # fewer descriptors allowed than that
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
