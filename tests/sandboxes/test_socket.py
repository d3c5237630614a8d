"""The seam: a backend whose interpreters dial a unix socket is one Machine and one Link.

This is the way into a container, without the container; most of the suite must hold over it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

import antiphon.sandboxes
from antiphon.sandboxes import Backend, Isolation, Limits, Link, Machine, Row
from antiphon.testing.sandbox import SANDBOX_CHECKS, SandboxCheck

RUNNER = Path(antiphon.sandboxes.__file__).with_name("runner")


class SocketLink:
    """A dialled stream, and the process at its other end."""

    def __init__(self, stream: SocketStream, process: subprocess.Popen[bytes]) -> None:
        self._stream = stream
        self._process = process

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def receive(self) -> bytes:
        try:
            return await self._stream.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return b""

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def aclose(self) -> str:
        with anyio.CancelScope(shield=True):
            self.kill()
            await anyio.to_thread.run_sync(self._process.wait)
            await self._stream.aclose()
        return f"The interpreter ended with {self._process.returncode}."

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:  # not reaped: the number is still its own
            os.killpg(self._process.pid, number)


class SocketMachine:
    """A folder, and a socket beside it on which the host listens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def start(self) -> Link:
        self._folder.mkdir(exist_ok=True)
        self._count += 1
        path = self._folder.with_suffix(f".{self._count}")
        links: list[Link] = []
        with anyio.CancelScope(shield=True):
            async with await anyio.create_unix_listener(path) as listener:
                process = self._spawn(path)
                async with anyio.create_task_group() as tasks:

                    async def take(stream: SocketStream) -> None:
                        links.append(SocketLink(stream, process))
                        tasks.cancel_scope.cancel()

                    await listener.serve(take)
        return links[0]

    def _spawn(self, path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", str(RUNNER), "--dial", str(path)],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    async def aclose(self) -> None:
        return None


class SocketSandboxes(Backend):
    """Not for use: no isolation at all."""

    def __init__(self, folder: Path) -> None:
        limits = Limits(timeout=60, grace=0.8, patience=20, file_size=2**24)
        super().__init__(limits=limits, live=8, idle=600, clock=anyio.current_time)
        self._folder = folder

    @property
    def isolation(self) -> Isolation:
        return "none"

    def machine(self, row: Row) -> Machine:
        return SocketMachine(self._folder / row.id[-8:])


def name(check: SandboxCheck) -> str:
    return getattr(check, "__name__", "check").removeprefix("check_")


@pytest.mark.anyio
@pytest.mark.parametrize("check", SANDBOX_CHECKS, ids=name)
async def test_sandboxes_over_a_socket_conform(check: SandboxCheck, tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with SocketSandboxes(tmp_path) as sandboxes:
            await check(sandboxes)
