"""The interpreter: one namespace, one event loop, and cells run in them one after another."""

from __future__ import annotations

import builtins
import linecache
import sys
from collections.abc import Callable
from itertools import islice
from types import CodeType, ModuleType
from typing import Any

from . import frames
from .display import Shown, close_figures, open_figures, show
from .interrupts import Interrupts
from .shell import shell
from .source import SHELL, compile_cell
from .trace import describe

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the import
_SOURCES = 1000


class Interpreter:
    """Runs cells on the main thread; what they show goes to `emit`."""

    def __init__(self, interrupts: Interrupts, emit: Callable[[Shown], None]) -> None:
        self._interrupts = interrupts
        self._emit = emit
        self._flags = 0
        self._count = 0
        self._loop: Any = None
        # A real `__main__`: pickle, dataclasses and inspect look things up in it.
        self._module = ModuleType("__main__")
        self._names = self._module.__dict__
        self._names["__builtins__"] = builtins
        sys.modules["__main__"] = self._module
        builtins.__dict__.update({SHELL: shell, "display": self._display, "input": _no_input})

    def run(self, source: str, announce: Callable[[], None]) -> tuple[bytes, str]:
        """Run one cell; its status for the wire and its error, empty if there is none.

        `announce` tells the host that it begins; an interrupt that follows at once is not lost.
        """
        self._count += 1
        filename = f"<cell {self._count}>"
        self._remember(filename, source)
        try:
            try:
                self._interrupts.enter()
                try:
                    self._interrupts.arm()
                    announce()
                finally:
                    self._interrupts.leave()
                self._execute(source, filename)
            finally:
                self._interrupts.disarm()
        except KeyboardInterrupt as error:
            return frames.INTERRUPTED, describe(error)
        except BaseException as error:  # SystemExit too: a cell cannot end the interpreter
            return frames.ERROR, describe(error)
        return frames.OK, ""

    def _execute(self, source: str, filename: str) -> None:
        program = compile_cell(source, filename, self._flags)
        self._flags = program.flags
        most = frames.DISPLAY_COUNT
        try:
            codes = [code for code in (program.body, program.last) if code is not None]
            if any(code.co_flags & _COROUTINE for code in codes):
                value = self._wait(self._steps(codes))
            else:
                value = None
                for code in codes:
                    value = eval(code, self._names)
            if value is not None:
                self._emit(show(value))
        except KeyboardInterrupt:
            most = 0  # to draw takes longer than an interrupted cell has before it is killed
            raise
        finally:
            self._draw(most)

    def _draw(self, most: int) -> None:
        """Show open figures, and leave none to a later cell, whose time they would take."""
        try:
            for figure in islice(open_figures(), most):
                self._emit(figure)
        finally:
            left = close_figures()
            if left:
                sys.stderr.write(f"[{left} open figures are not shown]\n")

    async def _steps(self, codes: list[CodeType]) -> Any:
        """Statements and last expression in one task: both see a running loop."""
        value = None
        for code in codes:
            value = eval(code, self._names)
            if code.co_flags & _COROUTINE:
                value = await value
        return value

    def _wait(self, awaitable: Any) -> Any:
        """Run a cell with `await` at its top level, on the loop that all cells share."""
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(awaitable)
        try:
            return self._loop.run_until_complete(task)
        except BaseException as error:
            if task.done():
                if not task.cancelled():
                    task.exception()  # seen: or asyncio complains about it in a later cell
                raise
            task.cancel()  # interrupted between two steps: let it clean up
            try:
                self._loop.run_until_complete(task)
            except BaseException as cancelled:  # it knows where the cell was
                raise error.with_traceback(cancelled.__traceback__) from None
            raise

    def _display(self, *values: object) -> None:
        """Show values in the output, in their richest form."""
        for value in values:
            self._emit(show(value))

    def _remember(self, filename: str, source: str) -> None:
        # mtime None: `linecache.checkcache` leaves such an entry alone.
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)
        linecache.cache.pop(f"<cell {self._count - _SOURCES}>", None)


def _no_input(prompt: object = "", /) -> str:
    raise EOFError("input() has nobody to ask: the code runs unattended; put the value in the code")


def limit_memory(size: int | None) -> None:
    """Bound the address space to `size` bytes where the system can, and write no core files."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if size is not None and sys.platform == "linux":  # macOS refuses to lower it
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
