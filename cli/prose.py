"""Words for a terminal: broken into lines as they arrive, and harmless whoever said them.

Above: `paper`, and whoever prints JSON. Not here: colours, and what the words are.
"""

import json
import re
import unicodedata
from typing import Any, Final

_TOKENS: Final = re.compile(r"\n|[^\S\n]+|\S+")
_CONTROLS: Final = {*range(0x20), *range(0x7F, 0xA0)} - {ord("\t"), ord("\n")}
_TURNS: Final = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Marks that turn the direction of writing, so that text can look like other text."""

_HARMLESS: Final = str.maketrans({**dict.fromkeys(_CONTROLS | _TURNS, "\ufffd"), "\r": None})


def harmless(text: str) -> str:
    """Text without the control characters by which a stranger could command a terminal."""
    return text if text.isprintable() else text.translate(_HARMLESS)


_UNSEEN: Final = re.compile(f"[{''.join(map(chr, sorted(_TURNS | (_CONTROLS - set(range(32))))))}]")


def json_text(value: Any) -> str:
    """A value as JSON. Characters by which it could command a terminal are written as escapes: so
    programs read what was said, and terminals show it.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Prose:
    """Breaks lines at `width` columns; a word that is not yet whole waits for its rest.

    Args:
        width: Columns of a line; None breaks none, and nothing waits.
    """

    __slots__ = ("_column", "_space", "_width", "_word")

    def __init__(self, width: int | None) -> None:
        self._width = width
        self._column = 0
        self._space = ""
        self._word = ""

    def feed(self, text: str) -> str:
        """What can be shown now that this much more has come."""
        if self._width is None:
            return text
        tokens = _TOKENS.findall(self._word + text)
        self._word = tokens.pop() if tokens and not tokens[-1].isspace() else ""
        return "".join(self._place(token, self._width) for token in tokens)

    def end(self) -> str:
        """The rest."""
        rest, self._word = self._word, ""
        return self._place(rest, self._width) if rest and self._width is not None else rest

    def _place(self, token: str, width: int) -> str:
        """A word goes with the space before it, or begins a line without it."""
        if token == "\n":
            self._column, self._space = 0, ""
            return token
        if token.isspace():
            self._space += token
            return ""
        space, self._space = self._space, ""
        size = _columns(token)
        if self._column and self._column + _columns(space) + size > width:
            self._column = size
            return f"\n{token}"
        self._column += _columns(space) + size
        return space + token


def _columns(text: str) -> int:
    """Terminal columns: wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
