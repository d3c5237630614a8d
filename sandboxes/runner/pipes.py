"""The pipes behind descriptors 1 and 2: what writes there without asking Python ends up here."""

from __future__ import annotations

import os
import sys

from .wire import out_of_sight

_ROOM = 1024 * 1024
_READ = 64 * 1024


class Pipe:
    """Takes the place of one descriptor; what is written to it can be read without waiting."""

    def __init__(self, target: int) -> None:
        read, write = os.pipe()
        self.reading: int = out_of_sight(read)
        # The second copy of the writing end: without it, code that closes 1 would end the pipe.
        self._held = out_of_sight(write)
        os.dup2(write, target)
        os.close(read)
        os.close(write)
        if sys.platform != "win32":
            os.set_blocking(self.reading, False)
        if sys.platform == "linux":
            import fcntl

            # C code that holds the GIL while it writes cannot be drained meanwhile.
            try:
                fcntl.fcntl(self._held, 1031, _ROOM)  # F_SETPIPE_SZ, named since Python 3.10
            except OSError:  # the user's quota for pipes is used up: the usual 64 KiB then
                pass

    def read(self) -> bytes:
        """What is there now, at most 64 KiB; empty if nothing is."""
        if sys.platform == "win32":
            return _peek(self.reading)
        try:
            return os.read(self.reading, _READ)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Write into it as a subprocess would."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._held, view) :]


def _peek(fd: int) -> bytes:
    if sys.platform != "win32":
        return b""
    import _winapi
    import msvcrt

    there = _winapi.PeekNamedPipe(msvcrt.get_osfhandle(fd), 0)[0]
    return os.read(fd, min(there, _READ)) if there else b""
