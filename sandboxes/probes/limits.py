"""Probes of the limits: what a sandbox may take from the machine."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

from .kit import Facts, Through, each

_MANY = 300
_INODES = 1_000_000
_BYTES = 32 * 2**30


def memory(facts: Facts) -> str:
    """A quarter more memory than the sandbox has, really used, by a child."""
    script = f"held = b'x' * {facts.memory * 5 // 4}; print(len(held))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    if done.returncode == 0:
        raise Through(f"a child held {done.stdout.strip().decode()} bytes")
    if done.returncode != -signal.SIGKILL and b"MemoryError" not in done.stderr:
        raise RuntimeError(f"the child ended with {done.returncode}: {done.stderr[-100:]!r}")
    return "killed" if done.returncode < 0 else "MemoryError"


def buffers(facts: Facts) -> str:
    """The same in the buffers of sockets on loopback: they are the kernel's, but whose are they?"""
    script = f"""
import socket
server = socket.create_server(("127.0.0.1", 0))
held, size = [], 0
while size < {facts.memory * 5 // 4}:
    held.append(socket.create_connection(server.getsockname()))
    held.append(server.accept()[0])
    for end in held[-2:]:
        end.setblocking(False)
        try:
            while True:
                size += end.send(bytes(1 << 16))
        except BlockingIOError:
            pass
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    if done.returncode == 0:
        raise Through(f"{facts.memory * 5 // 4} bytes are in buffers of the kernel")
    if done.returncode == -signal.SIGKILL:
        return "killed"
    return done.stderr.decode(errors="replace").strip().splitlines()[-1]


def processes(facts: Facts) -> str:
    """More processes than anybody needs."""
    children: list[int] = []
    try:
        while len(children) < _MANY:
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.alarm(30)
                signal.pause()
                os._exit(0)
            children.append(child)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        return f"no more after {len(children)}"
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)
    raise Through(f"{_MANY} processes were started")


def terminals(facts: Facts) -> str:
    """Terminals: their number is limited for all containers of the machine together."""
    held: list[int] = []
    try:
        while len(held) < 2 * _MANY:
            held += os.openpty()
    except OSError as error:
        return f"no more after {len(held) // 2}: {error.strerror}"
    finally:
        for descriptor in held:
            os.close(descriptor)
    raise Through(f"{_MANY} terminals were taken")


def space(facts: Facts) -> str:
    """Bytes and files, in every folder that can be written to: nothing without an end."""
    found: list[str] = []
    for folder in ("/mnt/data", "/tmp", "/dev/shm", "/run", "/var/tmp"):
        if os.path.isdir(folder) and os.access(folder, os.W_OK):
            size = os.statvfs(folder)
            total = size.f_blocks * size.f_frsize
            if not 0 < total <= _BYTES:
                raise Through(f"{folder} has {total or 'endless'} bytes")
            if not 0 < size.f_files <= _INODES:
                raise Through(f"{folder} may have {size.f_files or 'endless'} files")
            found.append(f"{folder} {total >> 20} MiB in {size.f_files} files")
    return each(found)


def processors(facts: Facts) -> str:
    """All processors, for ever."""
    for path in ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                quota = file.read().split()[0]
            if quota in ("max", "-1"):
                raise Through("there is no quota")
            return f"a quota of {quota} us in a period"
    raise RuntimeError("no control group is to be seen")
