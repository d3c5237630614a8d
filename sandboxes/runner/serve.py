"""The program: takes its place, says it is ready, reads requests, runs cells.

The main thread runs cells, for only there a signal can interrupt them. A second thread reads the
stream, so that files come and go while a cell runs, and keeps the first timer; a third collects
output. When the stream ends the host is gone, and the interpreter goes too.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import select
import signal
import sys
import threading
import time
from typing import NoReturn

from . import frames
from .capture import Capture
from .display import Shown
from .files import Files
from .interpreter import Interpreter, limit_memory
from .interrupts import Interrupts
from .watch import Watch
from .wire import Wire, out_of_sight, over_dial, over_stdio

_USAGE = "usage: runner (--stdio | --dial SOCKET) [--memory BYTES]"


def main(arguments: list[str]) -> NoReturn:
    """Serve one host until it goes away; the working directory is the current one."""
    dial: str | None = None
    memory: int | None = None
    if not arguments or arguments[0] not in ("--stdio", "--dial"):
        sys.exit(_USAGE)
    if arguments[0] == "--dial":
        dial = arguments[1]
    if "--memory" in arguments:
        memory = int(arguments[arguments.index("--memory") + 1])
    interrupts = Interrupts()
    interrupts.install()
    wire = over_stdio(interrupts) if dial is None else over_dial(dial, interrupts)
    Server(wire, interrupts).serve(memory)


class Server:
    """One interpreter and its three threads."""

    def __init__(self, wire: Wire, interrupts: Interrupts) -> None:
        # The reason of a crash goes to the stderr we were started with.
        faulthandler.enable(out_of_sight(2), all_threads=False)
        self._wire = wire
        self._capture = Capture(wire.send, interrupts)
        self._interpreter = Interpreter(interrupts, self._emit)
        self._files = Files(os.getcwd(), wire)
        self._watch = Watch(os.getcwd())
        self._cells: queue.SimpleQueue[frames.Frame] = queue.SimpleQueue()
        self._cell = 0
        self._deadline: float | None = None
        self._timed_out = 0
        self._shown = 0
        self._shown_size = 0
        self._child = False

    def serve(self, memory: int | None) -> NoReturn:
        """Run cells for ever."""
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        sys.stdin = open(null, encoding="utf-8")  # 0 stays, even if a cell closes this one
        sys.path.insert(0, "")
        sys.argv = [""]
        self._capture.install()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)
        limit_memory(memory)
        threading.Thread(target=self._read, name="antiphon-reader", daemon=True).start()
        ready = frames.pack(frames.pack_number(frames.VERSION), sys.version.split()[0].encode())
        self._wire.send(frames.READY, 0, ready)
        while True:
            self._run(self._cells.get())

    def _run(self, frame: frames.Frame) -> None:
        self._cell = frame.id
        _, code = frames.unpack(frame.payload, 2)
        status, error = self._interpreter.run(code.decode("utf-8"), self._announce)
        if self._child:  # the cell forked, and this is not the interpreter any more
            sys.stderr.write(error)
            sys.stderr.flush()
            os._exit(0 if status == frames.OK else 1)
        if self._timed_out == frame.id:  # even if the code swallowed the interrupt
            status = frames.TIMEOUT
        self._cell, self._deadline = 0, None
        self._capture.end()
        changed = frames.CHANGED if self._watch.changed() else frames.SAME
        self._wire.send(frames.FINISHED, frame.id, frames.pack(status, error.encode(), changed))

    def _announce(self) -> None:
        with self._capture.guard:
            self._wire.send(frames.STARTED, self._cell)
            self._capture.begin(self._cell)
            self._shown = self._shown_size = 0

    def _emit(self, shown: Shown) -> None:
        """Send a displayed value, in its place among the output."""
        mime, data, text = shown
        if self._child:
            return
        with self._capture.guard:  # a thread may show something as the cell ends
            if not self._capture.cell:
                return
            self._shown += 1
            self._shown_size += len(data)
            if self._shown > frames.DISPLAY_COUNT or self._shown_size > frames.DISPLAY_LIMIT:
                self._shown_size -= len(data)
                if self._shown <= frames.DISPLAY_COUNT + 1:
                    size = f"{mime} of {len(data)} bytes"
                    sys.stderr.write(f"[a displayed {size} is left out: too much for one cell]\n")
                return
            self._capture.sync()
            fields = [mime.encode(), data] + ([] if text is None else [text.encode()])
            self._wire.send(frames.DISPLAY, self._capture.cell, frames.pack(*fields))

    def _read(self) -> None:
        decoder = frames.Decoder()
        try:
            while True:
                self._wait()
                data = os.read(self._wire.reading, frames.CHUNK)
                if not data:
                    break
                for frame in decoder.feed(data):
                    self._handle(frame)
        except (OSError, ValueError):  # a broken stream is an ended one
            pass
        finally:
            _leave()

    def _wait(self) -> None:
        """Return when there is something to read; interrupt the cell if it is over time first."""
        while sys.platform != "win32":  # there the host times alone
            deadline = self._deadline  # the main thread may take it away meanwhile
            if deadline is None:
                return
            left = max(0.0, deadline - time.monotonic())
            if select.select((self._wire.reading,), (), (), left)[0]:
                return
            self._deadline = None
            self._timed_out = self._cell
            if self._cell:
                _interrupt()

    def _handle(self, frame: frames.Frame) -> None:
        if frame.kind == frames.EXECUTE:
            timeout = frames.number(frames.unpack(frame.payload, 2)[0])
            self._deadline = time.monotonic() + timeout / 1000 if timeout else None
            self._cells.put(frame)
        else:
            self._files.handle(frame)

    def _after_fork(self) -> None:
        if not self._child:
            self._child = True
            self._wire.close()


def _leads() -> bool:
    """Whether this process leads a session of its own, so that its group is nobody else's."""
    return hasattr(os, "getsid") and os.getpid() == os.getpgrp() == os.getsid(0) > 1


def _interrupt() -> None:
    """SIGINT, as from a keyboard: to this process and, if the group is ours, what it started."""
    if sys.platform == "win32":
        return
    if _leads():
        os.killpg(os.getpgrp(), signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)


def _leave() -> NoReturn:
    """End at once, with everything this interpreter has started, if the group is ours."""
    if sys.platform != "win32" and _leads() and os.getpid() != 1:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)
