"""Paper: lines, margins, colours and the spinner; on a terminal, in a pipe or in a file.

Above: `screen`, `demo`, `chat`. Below: rich. Not here: events and items.
"""

import sys
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType, Segment, Segments
from rich.status import Status
from rich.text import Text

from .code import Highlighter
from .prose import Prose, harmless

_MARGIN: Final = "  "


class _Console(Console):
    """A console that leaves a closed pipe to `entry`; rich's own ends the program with 1."""

    def on_broken_pipe(self) -> None:
        raise  # called where BrokenPipeError is being handled


class Paper:
    """Writes from top to bottom. Without a terminal: plain text, no spinner, nothing rewritten.

    Args:
        console: Where to; standard output if None.

    Use it as a context manager, so that the spinner gives the cursor back.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console: Console | _Console = console or _Console(file=sys.stdout, highlight=False)
        ascii_only = self.console.options.ascii_only
        self._mark = "*" if ascii_only else "●"
        self._bar = "  | " if ascii_only else "  │ "
        self._fresh = True
        self._spinner: Status | None = None
        self._prose: tuple[Prose, str] | None = None
        self._code: Highlighter | None = None
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.still()
        self.end()

    def title(self, text: str) -> None:
        """A heading, with a free line above it."""
        self.line("")
        self._write(f"{self._mark} ", "bold green")
        self._write(f"{harmless(text)}\n", "bold")

    def note(self, text: str, *, style: str = "") -> None:
        """A line of its own, without margin; on a terminal broken between words."""
        width = self.console.width - 1 if self.console.is_terminal else None
        prose = Prose(width)
        self.line(prose.feed(text) + prose.end(), style=style)

    def line(self, text: str, *, style: str = "") -> None:
        """A line of its own, without margin, as it is."""
        self.end()
        self._write(f"{harmless(text)}\n", style)

    def status(self, text: str, *, bad: bool = False) -> None:
        """What goes on in an item, on a line of its own."""
        self.end()
        self._write(f"{_MARGIN}{harmless(text)}\n", "red" if bad else "dim cyan")

    def text(self, text: str, *, style: str = "") -> None:
        """Text as it stands, under the title."""
        self._end_prose()
        self.end_code()
        self._lay(harmless(text), style, _MARGIN)

    def prose(self, text: str, *, style: str = "") -> None:
        """Words, broken into lines between them where this is a terminal."""
        if self._prose is None or self._prose[1] != style:
            self.end()
            width = self.console.width - len(_MARGIN) - 1
            self._prose = Prose(max(width, 20) if self.console.is_terminal else None), style
        self._lay(self._prose[0].feed(harmless(text)), style, _MARGIN)

    def code(self, text: str) -> None:
        """Code, as it is written."""
        if self._code is None:
            self.end()
            self._code = Highlighter()
        for piece in harmless(text).splitlines(keepends=True):
            self._line += piece.removesuffix("\n")
            if not piece.endswith("\n"):
                self._lay(piece, "", self._bar)
            elif self._rewritable():
                self._rewrite()
            else:
                self._lay(piece, "", self._bar)
                self._line = ""

    def end_code(self) -> None:
        """The code is whole."""
        if self._code is not None and self._line:
            self.code("\n")
        self._code = None

    def spin(self, text: str) -> None:
        """Show that something goes on, until `still`."""
        self.still()
        if self.console.is_terminal:
            self.end()
            self._spinner = self.console.status(f"[dim]{text}[/]")
            self._spinner.start()

    def still(self) -> None:
        """Stop the spinner."""
        spinner, self._spinner = self._spinner, None
        if spinner is not None:
            spinner.stop()

    def end(self) -> None:
        """Finish the line that is begun, if one is."""
        self._end_prose()
        self.end_code()
        if not self._fresh:
            self._write("\n", "")

    def _end_prose(self) -> None:
        if self._prose is not None:
            prose, style = self._prose
            self._prose = None
            self._lay(prose.end(), style, _MARGIN)

    def _lay(self, text: str, style: str, margin: str) -> None:
        """Write text with a margin before each of its lines."""
        for piece in text.splitlines(keepends=True):
            if self._fresh and (piece != "\n" or margin != _MARGIN):
                self._write(margin, "dim")
            self._write(piece, style)

    def _write(self, text: str, style: str) -> None:
        if text:
            # Segments, because rich strips spaces from the ends of what it lays out.
            segments = Segments([Segment(text, self.console.get_style(style))])
            self.console.print(segments, end="", soft_wrap=True)
            self._fresh = text.endswith("\n")

    def _rewritable(self) -> bool:
        """Whether the line on the terminal can be written again, in colour."""
        console = self.console
        fits = Text(self._line).cell_len + len(self._bar) < console.width
        return console.is_terminal and console.color_system is not None and fits

    def _rewrite(self) -> None:
        assert self._code is not None
        line, self._line = self._line, ""
        self.console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
        self._fresh = True
        self._lay(self._bar, "dim", "")
        self.console.print(self._code.line(line), end="", soft_wrap=True)
        self._write("\n", "")
