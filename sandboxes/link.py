"""What a backend gives to the host side of the protocol: a byte stream, and a hold on its end.

A backend is a `Machine` per container, which starts interpreters, and a `Link` per interpreter.
Everything else (frames, cells, files, expiry, ownership) is written once, above these two.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Link(Protocol):
    """The stream to one interpreter, and the power to stop it. Used until `aclose`."""

    async def send(self, data: bytes) -> None:
        """Send bytes; they are queued whole before the first wait, so a cancel cuts no frame.

        Raises: anyio.BrokenResourceError or anyio.ClosedResourceError if the other end is gone.
        """
        ...

    async def receive(self) -> bytes:
        """The next bytes, empty at the end; a cancel loses none."""
        ...

    def interrupt(self) -> None:
        """SIGINT to the interpreter and what it started; nothing if it is gone. Never waits."""
        ...

    def kill(self) -> None:
        """SIGKILL in the same way. Never waits, and may be called again."""
        ...

    async def aclose(self) -> str:
        """Kill, reap, close; cannot be cancelled. Returns why the interpreter ended, in words."""
        ...


@runtime_checkable
class Perishable(Protocol):
    """A Link to a container that may be replaced, and then the files are lost too."""

    @property
    def files_lost_before(self) -> bool:
        """Whether the container was replaced to start this interpreter, which nobody has told."""
        ...

    @property
    def files_lost(self) -> bool:
        """Whether the files are gone; known once `aclose` has returned."""
        ...


class Machine(Protocol):
    """Where the interpreters of one container run, one at a time; keeps their files."""

    async def start(self) -> Link:
        """A new interpreter. Raises: SandboxUnavailable, with what to do about it."""
        ...

    async def aclose(self) -> None:
        """Give everything back, the files included; cannot be cancelled."""
        ...
