"""Probes between two sandboxes: what one does to the other, beyond what it can see of it.

Above: `probing.py`. Below: two sandboxes, as their users hold them.
"""

from __future__ import annotations

from .sandbox import Sandbox
from .tricks import Tricked, run

_TAKE = """
import ctypes, os, signal, socket
_library = ctypes.CDLL(None, use_errno=True)
def _take():
    held = []
    try:  # descriptors on their way
        while True:
            held += socket.socketpair()
            for _ in range(30): socket.send_fds(held[-2], [b"x"], [1] * 200)
    except OSError: pass
    timer = ctypes.c_void_p()  # signals that may wait
    while _library.timer_create(1, None, ctypes.byref(timer)) == 0: pass
    try:  # pages of pipes
        while True: held.append(os.pipe())
    except OSError: pass
_ready, _telling = os.pipe()
_takers = []
for _ in range(8):
    _takers.append(os.fork())
    if _takers[-1] == 0:
        signal.alarm(60)
        _take()
        os.write(_telling, b"x")
        signal.pause()
        os._exit(0)
_count = 0
while _count < 8: _count += len(os.read(_ready, 8))
print(_count)
"""

_NEED = """
import ctypes, fcntl, os, socket
def _need():
    wanting = []
    one, other = socket.socketpair()
    try: socket.send_fds(one, [b"x"], [1])
    except OSError as error: wanting.append(f"pass a descriptor ({error.strerror})")
    timer = ctypes.c_void_p()
    if ctypes.CDLL(None).timer_create(1, None, ctypes.byref(timer)) != 0:
        wanting.append("make a timer")
    reading, writing = os.pipe()
    if fcntl.fcntl(reading, 1032) < 65536: wanting.append("have a pipe of the usual size")
    print(*wanting, sep=", ")
_need()
"""

_LET_GO = """
for _taker in _takers:
    os.kill(_taker, signal.SIGKILL)
    os.waitpid(_taker, 0)
print()
"""


async def shares(taker: Sandbox, other: Sandbox) -> str:
    """Take all that the kernel gives to one user: descriptors in flight, signals, pipes.

    Two sandboxes that are the same user share it. Raises: Tricked, with what the other one lacks.
    """
    before = (await run(other, _NEED)).strip()
    if before:
        raise RuntimeError(f"it could not {before} before anybody took anything")
    await run(taker, _TAKE)
    try:
        lacking = (await run(other, _NEED)).strip()
    finally:
        await run(taker, _LET_GO)
    if lacking:
        raise Tricked(f"another sandbox could not {lacking}")
    return "another sandbox had its own descriptors, signals and pipes"
