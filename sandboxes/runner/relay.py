"""Streams for interpreters where no socket of the host reaches in: by `docker exec`.

The engine starts a *relay* with a stream at descriptors 0 and 1. It hands both to the zygote,
which gives them to a new interpreter, and then only waits: the engine keeps a stream open as long
as the process it was made for. It runs as another user, so no cell can end it or pass for it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import NoReturn

USER = 65533
"""Who relays are; cells are never this user, and cannot become it."""

_NAME = "\0antiphon"
_CREDENTIALS = struct.Struct("3i")


def main(arguments: list[str]) -> NoReturn:
    """Hand 0 and 1 over, and wait until the zygote lets go."""
    if arguments != ["--relay"]:
        sys.exit("usage: runner --relay")
    zygote = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    zygote.connect(_NAME)
    socket.send_fds(zygote, [b"!"], [0, 1])
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1):
        os.dup2(null, target)
    zygote.recv(1)
    os._exit(0)


class Landing:
    """The zygote's side: takes descriptors from relays, and holds the last relay."""

    def __init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(_NAME)
        self._listener.listen(8)
        self._relay: socket.socket | None = None

    def fileno(self) -> int:
        """What to poll."""
        return self._listener.fileno()

    def receive(self) -> tuple[int, int] | None:
        """The descriptors of the relay that calls; None if it is no relay, or gave none."""
        relay, _ = self._listener.accept()
        raw = relay.getsockopt(socket.SOL_SOCKET, 17, _CREDENTIALS.size)  # SO_PEERCRED
        if _CREDENTIALS.unpack(raw)[1] != USER:  # a cell: never wait for what it sends
            relay.close()
            return None
        try:
            _, fds, _, _ = socket.recv_fds(relay, 1, 2)
        except OSError:
            fds = []
        if len(fds) != 2:
            for fd in fds:
                os.close(fd)
            relay.close()
            return None
        self.release()
        self._relay = relay
        return fds[0], fds[1]

    def release(self) -> None:
        """Let the last relay go: its stream ends."""
        if self._relay is not None:
            self._relay.close()
            self._relay = None

    def close(self) -> None:
        """In a forked child: keep nothing of this."""
        self._listener.close()
        self.release()
