"""Words that arrive in fragments, broken into lines between words.

Above: `screen`. Not here: colours, and what the words are.
"""

import re
import unicodedata
from typing import Final

_TOKENS: Final = re.compile(r"\n|[^\S\n]+|\S+")
_HARMLESS: Final = str.maketrans(
    {
        **{code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (9, 10)},
        "\r": None,
    }
)


def harmless(text: str) -> str:
    """Text without the control characters by which a stranger could command a terminal."""
    return text if text.isprintable() else text.translate(_HARMLESS)


class Prose:
    """Breaks lines at `width` columns; a word that is not yet whole waits for its rest.

    Args:
        width: Columns of a line; None breaks none, and nothing waits.
    """

    __slots__ = ("_column", "_width", "_word")

    def __init__(self, width: int | None) -> None:
        self._width = width
        self._column = 0
        self._word = ""

    def feed(self, text: str) -> str:
        """What can be shown now that this much more has come."""
        if self._width is None:
            return text
        tokens = _TOKENS.findall(self._word + text)
        self._word = tokens.pop() if tokens and not tokens[-1].isspace() else ""
        return "".join(self._place(token) for token in tokens)

    def end(self) -> str:
        """The rest."""
        rest, self._word = self._word, ""
        return self._place(rest) if rest else ""

    def _place(self, token: str) -> str:
        if token == "\n":
            self._column = 0
            return token
        width = _columns(token)
        overflows = self._width is not None and self._column + width > self._width
        if overflows and token.isspace():
            return ""  # the next word begins a line of its own anyway
        if overflows and self._column:
            self._column = width
            return f"\n{token}"
        self._column += width
        return token


def _columns(text: str) -> int:
    """Terminal columns: wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
