"""The backend without isolation: interpreters as child processes of this one.

The code it runs may do whatever its user may do: read files, open connections, fill the disk.
Only for code you trust, for tests and demonstrations. What it does give: an own process group
and session, a temporary working directory, an environment without secrets, timers, and limits on
memory (Linux). A process that leaves the group (a daemon) is not found again.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
from anyio import CancelScope, ClosedResourceError, EndOfStream
from anyio.abc import Process

from antiphon.errors import ConfigurationError, SandboxUnavailable

from .backend import Backend
from .container import Limits
from .containers import MEMORY_LIMITS, Row
from .link import Link, Machine
from .obituary import obituary
from .sandbox import Isolation

_RUNNER = Path(__file__).with_name("runner")
_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "COMSPEC", "PATHEXT")
_READ = 64 * 1024
_REASON = 8 * 1024


class LocalSandboxes(Backend):
    """Sandboxes that are plain processes on this machine; isolation "none".

    Args:
        python: The Python (3.9 or later) that runs the code; this one if None.
        timeout: Seconds a cell may take unless it says otherwise.
        grace: Seconds an interrupted cell has to stop before its interpreter is killed.
        idle: Seconds without use after which a container expires.
        live: Sandboxes that may have a process at the same time; one more is SandboxBusy.
        memory_limit: Address space for containers minted without a limit (Linux): one of `1g`,
            `4g`, `16g`, `64g`, or None for no limit.
        file_size: Bytes of a file that may be put.
        clock: Seconds on a clock that never goes back; for tests of the expiry.
    """

    def __init__(
        self,
        *,
        python: str | None = None,
        timeout: float = 120.0,
        grace: float = 1.0,
        idle: float = 20 * 60.0,
        live: int = 16,
        memory_limit: str | None = None,
        file_size: int = 512 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(timeout, grace, idle, live, file_size) <= 0:
            raise ConfigurationError(
                "Expected timeout, grace, idle, live and file_size above 0; "
                f"got {timeout}, {grace}, {idle}, {live}, {file_size}."
            )
        limits = Limits(timeout=timeout, grace=grace, patience=30.0, file_size=file_size)
        super().__init__(
            limits=limits, live=live, idle=idle, clock=clock, memory_limit=memory_limit
        )
        self._python = python or sys.executable

    @property
    def isolation(self) -> Isolation:
        """Nothing stands between the code and this machine."""
        return "none"

    def machine(self, row: Row) -> Machine:
        """A temporary directory and the processes in it."""
        limit = row.memory_limit or self._memory_limit
        return _LocalMachine(self._python, None if limit is None else MEMORY_LIMITS[limit])


class _LocalMachine:
    """One temporary directory: `data` is where the code works, `tmp` is its TMPDIR."""

    def __init__(self, python: str, memory: int | None) -> None:
        self._command = [python, "-I", "-X", "utf8", str(_RUNNER), "--stdio"]
        if memory is not None:
            self._command += ["--memory", str(memory)]
        self._root: Path | None = None

    async def start(self) -> Link:
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="antiphon-"))  # mode 0700
        data, tmp = self._root / "data", self._root / "tmp"
        for folder in (data, tmp):  # the code may have removed them
            folder.mkdir(mode=0o700, exist_ok=True)
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        try:
            process = await self._spawn(cwd=data, env=_environment(data, tmp), **options)
        except OSError as error:
            raise SandboxUnavailable(
                f"{self._command[0]!r} cannot be started: {error.strerror or error}. "
                "Give LocalSandboxes(python=...) a Python 3.9 or later."
            ) from error
        return _LocalLink(process)

    async def _spawn(self, **options: Any) -> Process:
        with CancelScope(shield=True):  # a process half opened could not be found again
            process = await anyio.open_process(self._command, **options)
            return process
        raise AssertionError("a shielded scope is not left by a cancel")

    async def aclose(self) -> None:
        root, self._root = self._root, None
        if root is not None:
            with CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove, root)


class _LocalLink:
    """The stream to a child process, and its process group."""

    def __init__(self, process: Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._closing = anyio.Lock()
        self._reason = ""

    async def send(self, data: bytes) -> None:
        await self._stdin.send(data)

    async def receive(self) -> bytes:
        try:
            return await self._stdout.receive(_READ)
        except (EndOfStream, ClosedResourceError, OSError):
            return b""

    def interrupt(self) -> None:
        if sys.platform == "win32":
            if self._process.returncode is None:
                self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            _signal_group(self._process, signal.SIGINT)

    def kill(self) -> None:
        if sys.platform == "win32":
            if self._process.returncode is None:
                self._process.kill()
        else:
            _signal_group(self._process, signal.SIGKILL)

    async def aclose(self) -> str:
        with CancelScope(shield=True):
            async with self._closing:
                if not self._reason:
                    self.kill()
                    said = await self._last_words()
                    await self._process.aclose()
                    self._reason = obituary(self._process.returncode, said, str(_RUNNER))
        return self._reason

    async def _last_words(self) -> str:
        """What a crash, or a failed start, has left on the process's own stderr."""
        said = b""
        with anyio.move_on_after(1):
            try:
                while len(said) < _REASON:
                    said += await self._stderr.receive(_REASON)
            except (EndOfStream, ClosedResourceError, OSError):
                pass
        return said[:_REASON].decode("utf-8", "replace")


def _signal_group(process: Process, number: int) -> None:
    """Signal the process group that we made for this process, and no other, ever."""
    if sys.platform == "win32":
        return
    leader = process.pid
    if leader <= 1 or leader == os.getpgrp():
        return
    try:
        group = os.getpgid(leader)
    except ProcessLookupError:
        pass  # the leader is reaped; its number stays taken while the group has members
    else:
        # Once reaped, whoever has that pid now is a stranger; and a leader stays in its group.
        if process.returncode is not None or group != leader:
            return
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):  # nobody left (macOS says it in two ways)
        pass


def _environment(data: Path, tmp: Path) -> Mapping[str, str]:
    """Nothing is inherited but where programs are and which language is spoken."""
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return passed | {
        "HOME": str(data),
        "USERPROFILE": str(data),
        "TMPDIR": str(tmp),
        "TEMP": str(tmp),
        "TMP": str(tmp),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(tmp / "matplotlib"),
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _remove(root: Path) -> None:
    """Remove a tree in which the code may have taken rights away; links are not followed."""

    def again(function: Callable[..., Any], path: str, error: object) -> None:
        for folder in (os.path.dirname(path), path):
            if Path(folder).is_relative_to(root) and not os.path.islink(folder):
                try:
                    os.chmod(folder, stat.S_IRWXU)
                except OSError:
                    pass
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        elif os.path.lexists(path):
            try:
                os.unlink(path)
            except OSError:
                pass

    shutil.rmtree(root, onerror=again)
    if root.exists():  # folders emptied on the second try
        shutil.rmtree(root, ignore_errors=True)
