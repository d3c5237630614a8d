"""Code that arrives in fragments: shown as it comes, coloured line by line.

Above: `screen`. Below: rich, and pygments under it. Not here: where a line stands.
"""

from typing import Final

from rich.syntax import Syntax
from rich.text import Text

_THEME: Final = "ansi_dark"
"""The terminal's own sixteen colours: readable on light and dark ground."""


class Highlighter:
    """Colours the lines of one piece of code, each in the light of those before it."""

    __slots__ = ("_lines", "_syntax")

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._syntax = Syntax("", "python", theme=_THEME, background_color="default")

    def line(self, line: str) -> Text:
        """The next line, coloured. A string of many lines is known by the ones before."""
        self._lines.append(line)
        coloured = self._syntax.highlight("\n".join(self._lines))
        return coloured.split("\n", allow_blank=True)[len(self._lines) - 1]
