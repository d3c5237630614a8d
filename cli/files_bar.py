"""How far `antiphon files add` has come: a bar on a terminal, plain lines elsewhere.

Above: `files`. Below: rich. Both go to standard error: standard output has the result alone.
"""

import sys
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

_TENTHS: Final = 10


class Bar:
    """Shows how many files were sent, and how many of them were read (see `files_add.Watch`).

    Args:
        silent: Show nothing.

    Use it as a context manager, so that the terminal gets its cursor back.
    """

    def __init__(self, *, silent: bool = False) -> None:
        console = Console(file=sys.stderr, highlight=False)
        self._silent = silent
        self._drawn: Progress | None = None
        if console.is_terminal and not silent:
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
            self._drawn = Progress(*columns, console=console)
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self._drawn is not None:
            self._drawn.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._drawn is not None:
            self._drawn.stop()

    def sent(self, number: int, total: int) -> None:
        """So many files were looked at, and sent where they had to be."""
        self._show("sent", number, total)

    def read(self, number: int, total: int) -> None:
        """So many of those that were sent have been read."""
        self._show("read", number, total)

    def _show(self, what: str, number: int, total: int) -> None:
        if self._drawn is not None:
            if what not in self._tasks:
                self._tasks[what] = self._drawn.add_task(what, total=total)
            self._drawn.update(self._tasks[what], completed=number, total=total)
        elif not self._silent and total:
            tenth = number * _TENTHS // total
            if self._told.get(what, 0) < tenth:  # a line for each tenth, so that logs stay short
                self._told[what] = tenth
                sys.stderr.write(f"{what} {number} of {total} files\n")
                sys.stderr.flush()
