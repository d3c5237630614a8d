"""PID 1 of a container: forks interpreters, signals them, reaps them, and never sees their data.

The host speaks in lines on a *control stream*: `prepare MODULE...`, `spawn KEY`, `interrupt KEY`,
`kill KEY`, `end KEY`, `ping`. This side says `prepared`, `awaiting KEY` (a relay may come now)
and, once for each `end`, `ended KEY STATUS OOM WORDS`: the exit status (negative for a signal,
`-` if it never was), whether memory ran out, and its last words in hexadecimal. Between two
interpreters every other process of the container is killed. Without a word from the host for 20
minutes, it ends.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
import warnings
from importlib import import_module
from typing import NoReturn

from .interrupts import Interrupts
from .place import contained, kill_all, oom_kills, set_dumpable, signal_group
from .relay import Landing
from .serve import Server
from .wire import Wire, out_of_sight

VERSION = 1
"""Raised whenever the lines change their meaning."""
UNDIALLED = 75
"""Exit status: the host's socket is not there, or nobody listens."""

_SILENCE = 20 * 60.0
_LINE = 4096
_WORDS = 8 * 1024
_OWN = ("asyncio", "subprocess", "traceback", "base64")
_CACHE = "/opt/antiphon/matplotlib"


def main(arguments: list[str]) -> NoReturn:
    """Serve the host that listens on the socket `arguments[1]`, or at descriptors 0 and 1 (`-`)."""
    if not contained():
        sys.exit("The zygote runs only as PID 1 of a container, and not as root.")
    # PID 1 gets no signal it has no handler for: Python's own handler for SIGINT must go.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    set_dumpable(False)
    path = arguments[1]
    if path == "-":
        control, landing = Wire(out_of_sight(0), out_of_sight(1), Interrupts()), Landing()
    else:
        control, landing = _dial(path, f"control {VERSION}"), None
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1):
        os.dup2(null, target)
    _copy_cache()
    if landing is not None:
        os.write(control.writing, f"control {VERSION}\n".encode())
    Zygote(control, path, landing).serve()


class Zygote:
    """One interpreter at a time, and whatever it has started."""

    def __init__(self, control: Wire, path: str, landing: Landing | None) -> None:
        self._control = control
        self._path = path
        self._landing = landing
        self._pending = b""
        self._key = ""
        self._pid = 0
        self._status: int | None = None
        self._words = -1
        self._ooms = 0
        self._awaited = ""
        self._wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waker = waker
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def serve(self) -> NoReturn:
        """Do what the host says until it goes away."""
        poll = select.poll()
        sources = [self._control.reading, self._wake]
        if self._landing is not None:
            sources.append(self._landing.fileno())
        for fd in sources:
            poll.register(fd, select.POLLIN)
        heard = time.monotonic()
        while time.monotonic() - heard < _SILENCE:
            ready = dict(poll.poll(1000 * (heard + _SILENCE - time.monotonic())))
            if self._wake in ready:
                self._drain()
            if self._control.reading in ready:
                heard = time.monotonic()
                self._listen()
            if self._landing is not None and self._landing.fileno() in ready:
                self._land()
        os._exit(0)  # and the kernel ends everything else in here

    def _listen(self) -> None:
        try:
            data = os.read(self._control.reading, _LINE)
        except OSError:
            data = b""
        *lines, self._pending = (self._pending + data).split(b"\n")
        if not data or len(self._pending) > _LINE:
            os._exit(0)
        for line in lines:
            verb, *words = line.decode("ascii", "replace").split()
            self._obey(verb, words)

    def _obey(self, verb: str, words: list[str]) -> None:
        if verb == "prepare":
            _prepare(words)
            self._say("prepared")
        elif verb == "spawn":
            self._spawn(words[0])
        elif verb == "end":
            self._end(words[0])
        elif verb in ("interrupt", "kill") and words[0] == self._key:
            if verb == "kill":
                kill_all()
            elif self._pid:
                signal_group(self._pid, signal.SIGINT)

    def _say(self, line: str) -> None:
        os.write(self._control.writing, line.encode() + b"\n")

    def _spawn(self, key: str) -> None:
        self._empty()
        if self._landing is None:
            self._fork(key, None)
        else:
            self._awaited = key  # its stream comes with a relay
            self._say(f"awaiting {key}")

    def _land(self) -> None:
        assert self._landing is not None
        pair = self._landing.receive()
        if pair is None:
            return
        if self._awaited:
            key, self._awaited = self._awaited, ""
            self._fork(key, pair)
        else:
            self._landing.release()
        for fd in pair:
            os.close(fd)

    def _fork(self, key: str, pair: tuple[int, int] | None) -> None:
        self._key, self._status = key, None
        self._words = os.memfd_create("words", os.MFD_CLOEXEC)
        self._ooms = oom_kills()
        with warnings.catch_warnings():  # the threads of numerical libraries know how to fork
            warnings.simplefilter("ignore")
            self._pid = os.fork()
        if self._pid == 0:
            try:
                self._become(key, pair)
            finally:
                os._exit(70)

    def _become(self, key: str, pair: tuple[int, int] | None) -> NoReturn:
        """In the child: an interpreter, with nothing of the zygote's in its hands."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        self._control.close()
        os.close(self._wake)
        os.close(self._waker)
        if self._landing is not None:
            self._landing.close()
        for target in (1, 2):
            os.dup2(self._words, target)
        os.close(self._words)
        set_dumpable(True)  # its own children may look at it, as everywhere
        os.nice(5)
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")  # when memory runs out, it is the interpreter that goes
        os.chmod(".", 0o700)  # an earlier cell may have locked us out
        random = sys.modules.get("numpy.random")
        if random is not None:
            random.seed()  # or every interpreter draws the same numbers
        interrupts = Interrupts()
        interrupts.install()
        if pair is None:
            wire = _dial(self._path, f"interpreter {key}", interrupts)
        else:
            wire = Wire(out_of_sight(pair[0]), out_of_sight(pair[1]), interrupts)
            for fd in pair:
                os.close(fd)
            os.write(wire.writing, f"interpreter {key}\n".encode())
        Server(wire, interrupts).serve(None)

    def _drain(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        self._reap(os.WNOHANG)
        if self._key and not self._pid:
            self._empty()  # what it has left running may hold its stream open

    def _reap(self, options: int) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._pid:
                self._pid, self._status = 0, os.waitstatus_to_exitcode(status)

    def _empty(self) -> None:
        """Nobody is left but PID 1."""
        kill_all()
        self._reap(0)
        if self._landing is not None:
            self._landing.release()

    def _end(self, key: str) -> None:
        self._empty()
        if key == self._key and self._words >= 0:
            oom = oom_kills() > self._ooms
            words = os.pread(self._words, _WORDS, 0)
            os.close(self._words)
            self._words, self._key = -1, ""
            self._say(f"ended {key} {self._status} {int(oom)} {words.hex() or '-'}")
        else:
            self._awaited = ""
            self._say(f"ended {key} - 0 -")


def _dial(path: str, hello: str, interrupts: Interrupts | None = None) -> Wire:
    """A stream of our own to the host, with its first line sent."""
    import socket

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dialled:
            dialled.connect(path)
            dialled.sendall(hello.encode() + b"\n")
            fd = out_of_sight(dialled.fileno())
    except OSError:
        os._exit(UNDIALLED)
    return Wire(fd, fd, interrupts or Interrupts())


def _prepare(modules: list[str]) -> None:
    """Import what cells will want, so that every interpreter is born with it."""
    for name in (*_OWN, *modules):
        try:
            import_module(name)
        except Exception:  # the image is not ours alone: a broken package is the cell's to see
            pass
    gc.collect()
    gc.freeze()


def _copy_cache() -> None:
    """Matplotlib wants to write where its font cache is; the image cannot be written."""
    target = os.environ.get("MPLCONFIGDIR", "")
    if not target or not os.path.isdir(_CACHE):
        return
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(_CACHE):
        with open(os.path.join(_CACHE, name), "rb") as source:
            data = source.read()
        with open(os.path.join(target, name), "wb") as copy:
            copy.write(data)
