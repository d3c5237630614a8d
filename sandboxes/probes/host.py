"""Probes of what is not the sandbox's own: the host's files and processes, the first process, the
neighbours, and the sandbox's own ground."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator

from .kit import REFUSED, Facts, Through, denied, each, status_of

_SHUT = (*REFUSED, errno.EROFS, errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EISDIR, errno.EIO)
_MAKING = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_ENOUGH = 30_000
"""Files of /proc/sys and of /sys that are tried."""


def _read(path: str, count: int = 64) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, count)
    finally:
        os.close(descriptor)


def _open_to_write(path: str) -> str:
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
    return "a descriptor to write to"


def _first(name: str) -> str:
    return denied(lambda: _read(f"/proc/1/{name}"), f"/proc/1/{name}", REFUSED)


def memory(facts: Facts) -> str:
    """The memory of the first process, as a file."""
    writing = denied(lambda: _open_to_write("/proc/1/mem"), "/proc/1/mem to write", REFUSED)
    return each([_first("mem"), _first("maps"), writing])


def environment(facts: Facts) -> str:
    """The environment and the numbers of the first process."""
    return each([_first("environ"), _first("auxv"), _first("syscall")])


def reach(facts: Facts) -> str:
    """The root folder, the program and the open files of the first process."""
    tried = [denied(lambda: os.listdir("/proc/1/fd"), "/proc/1/fd", REFUSED)]
    for name in ("root", "cwd", "exe"):
        tried.append(denied(lambda n=name: os.readlink(f"/proc/1/{n}"), f"/proc/1/{name}", REFUSED))
    return each(tried)


def others(facts: Facts) -> str:
    """Processes of another user, such as the relay between an interpreter and the engine."""
    tried: list[str] = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid in (0, os.getuid()) or name == "1":
                continue  # a process of ours that cannot be looked into looks like root's
            tried.append(denied(lambda n=name: _read(f"/proc/{n}/mem"), "mem", REFUSED))
            tried.append(denied(lambda n=name: os.listdir(f"/proc/{n}/fd"), "fd", REFUSED))
            tried.append(denied(lambda n=name: os.kill(int(n), 0), "signal", REFUSED))
        except FileNotFoundError:  # it has ended meanwhile
            continue
    return each(tried) or "there is none"


def settings(facts: Facts) -> str:
    """The kernel's settings: every file of /proc/sys, opened to write."""
    return _shut("/proc/sys")


def devices_tree(facts: Facts) -> str:
    """The tree of devices and control groups: every file of /sys, opened to write."""
    return _shut("/sys")


def sysrq(facts: Facts) -> str:
    """The magic key that reboots the machine."""
    path = "/proc/sysrq-trigger"
    return denied(lambda: _open_to_write(path), path, _SHUT)


def kernel_files(facts: Facts) -> str:
    """The machine's memory, log, keys and timers."""
    paths = ("/proc/kcore", "/proc/kmsg", "/proc/keys", "/proc/timer_list", "/proc/sched_debug")
    tried: list[str] = []
    for path in (*paths, "/proc/latency_stats", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg"):
        try:
            found = _read(path)
        except OSError as error:
            if error.errno not in _SHUT:
                raise
            tried.append(f"{path}: {errno.errorcode[error.errno]}")
            continue
        if found:
            raise Through(f"{path} holds {found[:20]!r}")
        tried.append(f"{path} is empty")
    return each(tried)


def devices(facts: Facts) -> str:
    """Devices: only those that hold nothing, zeros, chance or a terminal of one's own."""
    plain = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)}
    found: list[str] = []
    for path in _walk("/dev"):
        entry = os.lstat(path)
        number = (os.major(entry.st_rdev), os.minor(entry.st_rdev))
        block = stat.S_ISBLK(entry.st_mode)
        if block or (stat.S_ISCHR(entry.st_mode) and number not in plain and number[0] != 136):
            found.append(f"{path} {number}")
    if found:
        raise Through(f"there is {each(found)}")
    return "none but null, zero, full, random and terminals"


def processes(facts: Facts) -> str:
    """The processes of the host, or the one that asks this."""
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    for name in seen:
        try:
            comm = _read(f"/proc/{name}/comm").strip()
        except OSError:  # it has ended meanwhile
            continue
        if comm in (b"kthreadd", b"systemd", b"dockerd", b"containerd"):
            raise Through(f"process {name} is {comm.decode()}")
    if str(facts.process) in seen and facts.process > 1000:
        raise Through(f"process {facts.process} of the host is there")
    return f"{len(seen)} processes, all of this sandbox"


def files(facts: Facts) -> str:
    """A file of the host, by its path and by ways around."""
    roots = ("", "/proc/1/root", "/proc/self/root", "/proc/1/cwd/../../..", "/host", "/rootfs")
    for root in roots:
        try:
            found = _read(root + facts.file, 1024)
        except OSError as error:
            if error.errno not in _SHUT:
                raise
        else:
            if facts.secret.encode() in found:
                raise Through(f"{root + facts.file} is the host's")
    return f"not there, by {len(roots)} ways"


def secrets(facts: Facts) -> str:
    """The host's environment, in any process that can be read."""
    for name in ("self", *(name for name in os.listdir("/proc") if name.isdigit())):
        try:
            found = _read(f"/proc/{name}/environ", 1 << 16)
        except OSError:
            continue
        known = {pair.partition(b"=")[0].decode("utf-8", "replace") for pair in found.split(b"\0")}
        if leaked := known & {*facts.names}:
            raise Through(f"process {name} has {each(leaked)}")
    return f"none of {len(facts.names)} names"


def root(facts: Facts) -> str:
    """The root file system, written to."""
    if not os.statvfs("/").f_flag & os.ST_RDONLY:
        raise Through("/ is mounted to be written to")
    folders = ("/", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/usr", "/usr/bin", "/var")
    tried: list[str] = []
    for folder in (*folders, "/var/tmp", "/dev", "/proc", "/sys", "/usr/local/lib"):
        path = f"{folder.rstrip('/')}/antiphon-probe"
        tried.append(denied(lambda p=path: os.close(os.open(p, _MAKING)), path, _SHUT))
    return each(tried)


def mounts(facts: Facts) -> str:
    """Mounts: nothing of the host may be written to, and nothing privileged come from memory."""
    kernel = {"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"}
    writable: list[str] = []
    for point, kind, options in _mounts():
        masked = stat.S_ISCHR(os.lstat(point).st_mode)  # /dev/null over a file of /proc
        if "rw" in options and kind not in kernel and not masked:
            writable.append(point)
            if kind != "tmpfs":
                raise Through(f"{point} ({kind}) can be written to")
            if not {"nosuid"} <= options or (point != "/dev" and "nodev" not in options):
                raise Through(f"{point} takes devices or rights: {each(options)}")
    return f"only {each(writable)} can be written to, in memory"


def rights(facts: Facts) -> str:
    """Capabilities, in any of the five sets, of this process and of the first."""
    for process in ("self", "1"):
        status = status_of(process)
        held = {name: status[name] for name in status if name.startswith("Cap")}
        if len(held) < 4 or any(int(bits, 16) for bits in held.values()):
            raise Through(f"process {process} has {held}")
    return "none, in all sets"


def promotion(facts: Facts) -> str:
    """Programs that give their user more rights (no_new_privs)."""
    values = {process: status_of(process).get("NoNewPrivs") for process in ("self", "1")}
    if set(values.values()) != {"1"}:
        raise Through(f"NoNewPrivs is {values}")
    return "no_new_privs is set, for the first process too"


def filters(facts: Facts) -> str:
    """The filter of system calls (seccomp mode 2)."""
    values = {process: status_of(process).get("Seccomp") for process in ("self", "1")}
    if set(values.values()) != {"2"}:
        raise Through(f"Seccomp is {values}")
    return "mode 2, for the first process too"


def user(facts: Facts) -> str:
    """The user: not root, none of the host's, in no group but its own."""
    ids = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
    if len(ids) != 1 or ids & {0, *facts.users}:
        raise Through(f"the ids are {sorted(ids)}")
    return f"{ids.pop()}, and no group but its own"


def neighbour_files(facts: Facts) -> str:
    """The files of another sandbox, in every folder that can be read."""
    if not facts.neighbour:
        raise RuntimeError("there is no other sandbox to look for")
    name = f"antiphon-neighbour-{facts.neighbour['port']}"
    for folder in ("/mnt", "/tmp", "/dev/shm", "/run", "/var", "/home"):
        for path in _walk(folder):
            if os.path.basename(path) == name:
                raise Through(f"{path} is another sandbox's")
    return "not there"


def neighbour_memory(facts: Facts) -> str:
    """A memory segment and a process of another sandbox."""
    if not facts.neighbour:
        raise RuntimeError("there is no other sandbox to look for")
    library = ctypes.CDLL(None, use_errno=True)
    if library.shmget(facts.neighbour["segment"], 0, 0) >= 0:
        raise Through("its memory segment is here")
    code = ctypes.get_errno()
    if code not in (errno.ENOENT, *REFUSED):
        raise Through(f"its memory segment was looked at: {errno.errorcode[code]}")
    marker = f"antiphon-neighbour-{facts.neighbour['port']}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if marker in _read(f"/proc/{name}/cmdline", 4096):
                    raise Through(f"its process is here, as {name}")
            except OSError:
                continue
    return "neither segment nor process is here"


def _shut(top: str) -> str:
    count = 0
    for count, path in enumerate(_walk(top), 1):
        if count > _ENOUGH:
            break
        denied(lambda p=path: _open_to_write(p), path, (*_SHUT, errno.EINVAL, errno.ELOOP))
    return f"{count} files, none opens to write"


def _walk(top: str) -> Iterator[str]:
    for folder, folders, found in os.walk(top):
        folders.sort()
        for name in found:
            path = os.path.join(folder, name)
            if os.path.lexists(path):
                yield path


def _mounts() -> Iterator[tuple[str, str, set[str]]]:
    """Where, which kind, and with which options: of the mount and of what is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            fields = before.split()
            yield fields[4], after.split()[0], {*fields[5].split(",")}
