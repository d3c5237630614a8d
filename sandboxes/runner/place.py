"""Where a zygote may be: PID 1 of a container, and nowhere else. Guards every signal it sends."""

from __future__ import annotations

import os
import signal
import sys

_MARKS = ("/.dockerenv", "/run/.containerenv")
_SET_DUMPABLE = 4  # PR_SET_DUMPABLE
_COUNTERS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)


def contained() -> bool:
    """Whether this process is PID 1 of a container, and not root there."""
    if sys.platform == "win32":
        return False
    return os.getpid() == 1 and os.getuid() != 0 and any(map(os.path.exists, _MARKS))


def kill_all() -> None:
    """SIGKILL every process of this container but this one; outside of a container, end instead."""
    if sys.platform == "win32" or not contained():
        os._exit(71)
    try:
        os.kill(-1, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left, or only a relay
        pass


def signal_group(leader: int, number: int) -> None:
    """Signal the process group of a child; outside of a container, end instead."""
    if sys.platform == "win32" or not contained() or leader <= 1:
        os._exit(71)
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass


def set_dumpable(value: bool) -> None:
    """Whether processes of the same user may look into this one (/proc, ptrace)."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, int(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_DUMPABLE was refused")


def oom_kills() -> int:
    """How often the memory limit of this container has cost a process its life."""
    for path in _COUNTERS:
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
        except (OSError, ValueError):
            continue
    return 0
