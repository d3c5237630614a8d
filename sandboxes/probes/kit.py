"""What the probes share: system calls by number, and a verdict that is never guessed.

The files of this folder run inside a sandbox, with the standard library alone. A probe is a
function that tries to pass a fence. It returns the reason why it could not, or raises `Through`;
anything else that happens is no proof of anything, and is told as `unclear`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module


class Through(Exception):
    """A fence was passed; says how."""


@dataclass(frozen=True)
class Facts:
    """What the host knows and a probe looks for. Nothing in it is secret but `secret`'s file."""

    port: int
    """Of a server on the host's loopback address."""
    abstract: str
    """The name of an abstract unix socket on which the host listens; empty if it has none."""
    file: str
    """The path of a file on the host."""
    secret: str
    """What the file holds."""
    names: list[str]
    """Environment variables of the host that no image sets."""
    process: int
    """The host's process id."""
    users: list[int]
    """The ids of the host's users."""
    memory: int
    """Bytes that the sandbox may use."""
    neighbour: dict[str, int]
    """Where another sandbox can be met: `port`, `segment`; empty without one."""


REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
"""How the kernel says that it will not even look at a request."""

# The kernel's table: the number on x86_64, and on aarch64 (-1: not there).
_CALLS: dict[str, tuple[int, int]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mknodat": (259, 33),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "mq_open": (240, 180),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "swapon": (167, 224),
    "sync": (162, 81),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_COLUMN = {"x86_64": 0, "amd64": 0, "aarch64": 1, "arm64": 1}
INTEL = _COLUMN.get(platform.machine().lower()) == 0
"""Whether this machine also speaks the older 32-bit call tables."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def number_of(name: str) -> int:
    """The number of a system call on this machine, -1 if it has none.

    Raises: RuntimeError on a machine whose table is not here.
    """
    column = _COLUMN.get(platform.machine().lower())
    if column is None:
        raise RuntimeError(f"no table of system calls for {platform.machine()}")
    return _CALLS[name][column]


def call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call by number. Raises: OSError."""
    given = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    got: int = _libc.syscall(ctypes.c_long(number), *given)
    if got < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return got


def refused(name: str, *arguments: int | bytes | None) -> str:
    """Make a system call that the kernel must not even look at.

    With arguments that do no harm: any answer but a refusal shows that the call is open.
    """
    number = number_of(name)
    if number < 0:
        return f"{name} is not on this machine"
    return denied(lambda: call(number, *arguments), name)


def denied(action: Callable[[], object], what: str, errors: Collection[int] = REFUSED) -> str:
    """Do what must fail with one of `errors`; returns how it failed."""
    try:
        got = action()
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, str(error))
        if error.errno in errors:
            return f"{what}: {code}"
        raise Through(f"{what} was looked at: {code}") from None
    raise Through(f"{what} gave {str(got)[:60]!r}")


def each(items: Collection[str]) -> str:
    """Several reasons as one."""
    found = sorted({*items})
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def in_child(action: Callable[[], object]) -> str:
    """Do in a child process what must not end well; returns how the child ended."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            action()
            os._exit(0)
        except OSError as error:
            os._exit(1 if error.errno in REFUSED else 2)
        finally:
            os._exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 1:
        return "refused"
    if status in (-signal.SIGSYS, -signal.SIGSEGV, -signal.SIGILL, -signal.SIGKILL):
        return f"the process was ended by {signal.Signals(-status).name}"
    raise Through(f"the child process ended with {status}")


def status_of(process: str) -> dict[str, str]:
    """The fields of a process's `status` file."""
    with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
        pairs = (line.partition(":") for line in file)
        return {name: value.strip() for name, _, value in pairs}


def attempt(place: str, facts: str) -> None:
    """Run the probe `module.function` and print its verdict as the last line, in JSON."""
    module, _, name = place.partition(".")
    try:
        function: Callable[[Facts], str]
        function = getattr(import_module(f".{module}", __package__), name)
        verdict, why = "held", function(Facts(**json.loads(facts)))
    except Through as found:
        verdict, why = "open", str(found)
    except Exception as error:
        verdict, why = "unclear", f"{type(error).__name__}: {error}"
    sys.stdout.write("\n" + json.dumps({"probe": place, "verdict": verdict, "why": why}) + "\n")
    sys.stdout.flush()
