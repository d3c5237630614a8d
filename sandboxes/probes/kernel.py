"""Probes of the kernel: calls that strangers' code has no need of, and that others climbed up by.

Every call has arguments that do nothing, should it get through: an answer such as EINVAL or
EFAULT shows that the kernel looked at it.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import stat

from .kit import INTEL, REFUSED, Facts, Through, call, denied, each, in_child, number_of, refused

_NEW_NAMESPACES = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "time": 0x00000080,
}


def io_uring(facts: Facts) -> str:
    """Rings of requests that go around every filter of calls."""
    return refused("io_uring_setup", 1, None)


def keys(facts: Facts) -> str:
    """The kernel's key rings, which know no namespaces."""
    made = refused("add_key", b"user", b"antiphon", b"x", 1, -2)
    asked = refused("request_key", b"user", b"antiphon", None, 0)
    return each([made, asked, refused("keyctl", 0, -3, 0)])


def bpf(facts: Facts) -> str:
    """Programs loaded into the kernel."""
    return refused("bpf", 0, None, 0)


def perf(facts: Facts) -> str:
    """Performance events."""
    return refused("perf_event_open", None, 0, -1, -1, 0)


def faults(facts: Facts) -> str:
    """Page faults handled in user space: they stop the kernel where an exploit wants it."""
    return refused("userfaultfd", 1)


def trace(facts: Facts) -> str:
    """PTRACE_SEIZE of the first process, which supervises."""
    return refused("ptrace", 0x4206, 1, 0, 0)


def memory(facts: Facts) -> str:
    """The memory of the first process, read from outside."""
    return refused("process_vm_readv", 1, None, 0, None, 0, 0)


def descriptors(facts: Facts) -> str:
    """A descriptor taken from the first process, and a look at whether two are the same."""
    process = os.pidfd_open(1)
    try:
        taken = refused("pidfd_getfd", process, 0, 0)
    finally:
        os.close(process)
    return each([taken, refused("kcmp", 1, os.getpid(), 0, 0, 0)])


def mount(facts: Facts) -> str:
    """Mounting, in the old way and in the new one."""
    os.makedirs("/tmp/antiphon-mount", exist_ok=True)
    tried = [
        refused("mount", b"none", b"/tmp/antiphon-mount", b"tmpfs", 0, None),
        refused("mount", None, b"/", None, 0x1020, None),  # a bind that takes read-only away
        refused("umount2", b"/proc/sys", 2),
        refused("fsopen", b"tmpfs", 0),
        refused("open_tree", -100, b"/", 1),
    ]
    return each(tried)


def unshare(facts: Facts) -> str:
    """New namespaces for this process: in a user namespace of its own it would be root."""
    flags = _NEW_NAMESPACES.values()
    return each([in_child(lambda f=flag: call(number_of("unshare"), f)) for flag in flags])


def clone(facts: Facts) -> str:
    """New namespaces for a child."""

    def start(flag: int) -> None:
        call(number_of("clone"), flag | 17, None, None, None, None)

    names = [name for name in _NEW_NAMESPACES if name != "time"]  # clone cannot say that one
    return each([in_child(lambda n=name: start(_NEW_NAMESPACES[n])) for name in names])


def clone3(facts: Facts) -> str:
    """The same by a call whose flags no filter can see."""
    given = (ctypes.c_uint64 * 11)(_NEW_NAMESPACES["user"], 0, 0, 0, 17)
    return in_child(lambda: call(number_of("clone3"), ctypes.addressof(given), 88))


def setns(facts: Facts) -> str:
    """The namespaces of the first process, entered."""
    tried: list[str] = []
    for name in ("net", "mnt", "user", "pid"):
        for process in ("self", "1"):
            try:
                there = os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY)
            except PermissionError:
                continue
            try:
                tried.append(refused("setns", there, 0))
            finally:
                os.close(there)
    return each(tried)


def chroot(facts: Facts) -> str:
    """Another root folder, which the way out of a root folder begins with."""
    return each([refused("chroot", b"/tmp"), refused("pivot_root", b"/tmp", b"/tmp")])


def nodes(facts: Facts) -> str:
    """A node for the disk, the memory and the kernel's log, made in the working directory."""
    made: list[str] = []
    for kind, major, minor in ((stat.S_IFBLK, 8, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 11)):
        name = f"node-{major}-{minor}".encode()
        device = os.makedev(major, minor)
        made.append(refused("mknodat", -100, name, kind | 0o600, device))
    return each(made)


def identity(facts: Facts) -> str:
    """Another user, another group."""
    tried = {
        "setuid": lambda: os.setuid(0),
        "setgid": lambda: os.setgid(0),
        "setresuid": lambda: os.setresuid(0, 0, 0),
        "setgroups": lambda: os.setgroups([0]),
    }
    return each([denied(action, name) for name, action in tried.items()])


def modules(facts: Facts) -> str:
    """Modules for the kernel, or another kernel."""
    return each([refused("finit_module", -1, b"", 0), refused("kexec_load", 0, 0, None, 0xFFFF)])


def power(facts: Facts) -> str:
    """Reboot (with a number that does nothing), swap, accounting, quotas."""
    tried = [
        refused("reboot", 1, 2, 3, None),
        refused("swapon", b"", 0),
        refused("acct", b""),
        refused("quotactl", 0x80000100, None, 0, None),
    ]
    return each(tried)


def clock(facts: Facts) -> str:
    """The machine's clock and its name."""
    return each([refused("clock_settime", 0, None), refused("sethostname", None, 4096)])


def log(facts: Facts) -> str:
    """The kernel's log: what other tenants do, and where the kernel lies in memory."""
    return refused("syslog", 3, None, 0)


def handles(facts: Facts) -> str:
    """A file of the host's disk by its number: the way out of the first containers."""
    return each([refused("open_by_handle_at", -1, None, 0), refused("fanotify_init", 0, 0)])


def flush(facts: Facts) -> str:
    """`sync` waits for the disks of the whole machine, and makes all others wait."""
    return refused("sync")


def shares(facts: Facts) -> str:
    """What is limited for the machine or for a user, and so can be taken from all others."""
    tried = [
        refused("io_setup", 1, None),
        refused("inotify_init1", 0),
        refused("mq_open", b"antiphon", os.O_RDONLY, 0, None),
    ]
    return each(tried)


def filters(facts: Facts) -> str:
    """Filter programs: compiled ones come out of an amount that the whole machine shares, and
    without it no other sandbox could start. The programs are empty, and no kernel takes them."""
    with socket.socket(socket.AF_UNIX) as end:
        tried = [
            denied(lambda o=option: end.setsockopt(1, o, bytes(16)), f"option {option}")
            for option in (26, 50, 51, 52)
        ]
    for option in (22, 22 | 1 << 32):  # the kernel cuts the upper half off
        tried.append(refused("prctl", option, 2, None))
    return each(tried)


def ports(facts: Facts) -> str:
    """The ports of the machine and its segment tables."""
    return each([refused("iopl", 0), refused("modify_ldt", 0, None, 0)])


def old_calls(facts: Facts) -> str:
    """The 32-bit table of calls, where a filter of 64-bit numbers sees nothing it knows."""
    if not INTEL:
        return "not on this machine"

    def by_interrupt() -> None:
        # mov eax, 20 (getpid); int 0x80; ret
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        at = ctypes.addressof(ctypes.c_char.from_buffer(page))
        got = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
        if got < 0:
            raise OSError(-got, os.strerror(-got))

    def by_x32() -> None:
        call(0x40000000 | 39)

    return each([in_child(by_interrupt), in_child(by_x32)])


def terminal(facts: Facts) -> str:
    """Keys pushed into a terminal that somebody else types at."""
    ours = (*REFUSED, errno.ENXIO, errno.ENOTTY, errno.ENOENT, errno.EIO)
    for path in ("/dev/tty", "/dev/console", "/dev/tty0"):
        denied(lambda p=path: os.close(os.open(p, os.O_RDWR)), path, ours)
    for name in os.listdir("/dev/pts") if os.path.isdir("/dev/pts") else ():
        if name != "ptmx":
            raise Through(f"/dev/pts/{name} is there")
    return "there is no terminal"
