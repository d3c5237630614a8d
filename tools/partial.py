"""One string field, read live out of JSON that is still being written.

A model writes `{"code": "print(1)\\n"}` in fragments cut anywhere. `StringField` is fed each
fragment once and gives what is new of the field's text, so that code is shown as it is written.
It trusts nothing and judges nothing: whether the whole is JSON is for a parser at the end.
"""

import re
from collections.abc import Callable
from typing import Final

_TORN: Final = "\ufffd"
"""What stands for half a surrogate pair."""

_PLAIN: Final = re.compile(r'["\\]')
_NESTED: Final = re.compile(r'["\[\]{}]')
_SCALAR_END: Final = re.compile(r"[,}]")
_SPACE: Final = re.compile(r"[ \t\r\n,]*")
_ESCAPES: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


class _Text:
    """A JSON string in the making: escapes and surrogate pairs may be cut anywhere."""

    __slots__ = ("_escape", "_high", "broken", "closed")

    def __init__(self) -> None:
        self._escape = ""  # what has come of an escape: "", "\\", "\\u", "\\ud8" ...
        self._high = 0  # a high surrogate that waits for its low one
        self.closed = False
        self.broken = False

    def read(self, source: str, at: int) -> tuple[str, int]:
        """The text that begins at `at`, and where reading stopped."""
        out: list[str] = []
        while at < len(source) and not self.closed and not self.broken:
            if self._escape:
                at = self._escaped(source, at, out)
                continue
            found = _PLAIN.search(source, at)
            stop = found.start() if found else len(source)
            if stop > at:
                self._give(source[at:stop], out)
            if found is None:
                return "".join(out), stop
            if found[0] == "\\":
                self._escape = "\\"
            else:
                self._give("", out)
                self.closed = True
            at = stop + 1
        return "".join(out), at

    def _escaped(self, source: str, at: int, out: list[str]) -> int:
        if self._escape == "\\":
            letter = source[at]
            if letter == "u":
                self._escape = "\\u"
            elif letter in _ESCAPES:
                self._escape = ""
                self._give(_ESCAPES[letter], out)
            else:
                self.broken = True
            return at + 1
        stop = at + 6 - len(self._escape)
        self._escape += source[at:stop]
        if len(self._escape) == 6:
            digits, self._escape = self._escape[2:], ""
            try:
                self._unit(int(digits, 16), out)
            except ValueError:
                self.broken = True
        return min(stop, len(source))

    def _unit(self, unit: int, out: list[str]) -> None:
        """A UTF-16 code unit; half a pair is held back until its other half has come."""
        if 0xDC00 <= unit <= 0xDFFF:
            high, self._high = self._high, 0
            pair = chr(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00)) if high else _TORN
            out.append(pair)
        elif 0xD800 <= unit <= 0xDBFF:
            self._give("", out)
            self._high = unit
        else:
            self._give(chr(unit), out)

    def _give(self, text: str, out: list[str]) -> None:
        if self._high:
            self._high = 0
            out.append(_TORN)
        if text:
            out.append(text)


class StringField:
    """Reads one top-level string field; its cost is linear in what it is fed.

    Usage: `feed` every fragment in order; the results, joined, are the field's text. Lone
    surrogates come out as U+FFFD. Where a field is given twice, the first is read.

    Args:
        name: The field's name.
    """

    __slots__ = ("_depth", "_key", "_name", "_state", "_text")

    def __init__(self, name: str) -> None:
        self._name = name
        self._key: list[str] = []
        self._depth = 0
        self._text = _Text()
        self._state: Callable[[str, int, list[str]], int] = self._start

    def feed(self, fragment: str) -> str:
        """What is new of the field."""
        out: list[str] = []
        at = 0
        while at < len(fragment):
            at = self._state(fragment, at, out)
        return "".join(out)

    # Each state reads some of the source from `at` on, and says where the next one begins.

    def _start(self, source: str, at: int, out: list[str]) -> int:
        at = _skip(source, at)
        if at < len(source):
            self._state = self._member if source[at] == "{" else self._end
        return at + 1

    def _member(self, source: str, at: int, out: list[str]) -> int:
        at = _skip(source, at)
        if at < len(source):
            self._key, self._text = [], _Text()
            self._state = self._in_key if source[at] == '"' else self._end
        return at + 1

    def _in_key(self, source: str, at: int, out: list[str]) -> int:
        text, at = self._text.read(source, at)
        self._key.append(text)
        self._after_text(self._colon)
        return at

    def _colon(self, source: str, at: int, out: list[str]) -> int:
        at = _skip(source, at)
        if at < len(source):
            self._state = self._value if source[at] == ":" else self._end
        return at + 1

    def _value(self, source: str, at: int, out: list[str]) -> int:
        at = _skip(source, at)
        if at >= len(source):
            return at
        first = source[at]
        if first == '"':
            self._text = _Text()
            wanted = "".join(self._key) == self._name
            self._state = self._in_field if wanted else self._in_other
        elif first in "{[":
            self._depth = 1
            self._state = self._nested
        else:
            self._state = self._scalar
        return at + 1

    def _in_field(self, source: str, at: int, out: list[str]) -> int:
        text, at = self._text.read(source, at)
        out.append(text)
        self._after_text(self._end)
        return at

    def _in_other(self, source: str, at: int, out: list[str]) -> int:
        _, at = self._text.read(source, at)
        self._after_text(self._nested if self._depth else self._member)
        return at

    def _nested(self, source: str, at: int, out: list[str]) -> int:
        found = _NESTED.search(source, at)
        if found is None:
            return len(source)
        if found[0] == '"':
            self._text = _Text()
            self._state = self._in_other
        else:
            self._depth += 1 if found[0] in "[{" else -1
            if self._depth == 0:
                self._state = self._member
        return found.end()

    def _scalar(self, source: str, at: int, out: list[str]) -> int:
        found = _SCALAR_END.search(source, at)
        if found is None:
            return len(source)
        self._state = self._member if found[0] == "," else self._end
        return found.end()

    def _end(self, source: str, at: int, out: list[str]) -> int:
        return len(source)

    def _after_text(self, then: Callable[[str, int, list[str]], int]) -> None:
        if self._text.broken:
            self._state = self._end
        elif self._text.closed:
            self._state = then


class StringsField(StringField):
    """Reads one top-level field that is a list of strings, each as it is written.

    Usage: `pieces` of every fragment in order. What is no string ends the reading.
    """

    __slots__ = ("_count", "_found")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._count = -1
        self._found: list[tuple[int, str]] = []

    def pieces(self, fragment: str) -> list[tuple[int, str]]:
        """What is new: the number of a string in the list, from 0, and more of its text."""
        self._found = []
        self.feed(fragment)
        return self._found

    def _value(self, source: str, at: int, out: list[str]) -> int:
        at = _skip(source, at)
        if source[at : at + 1] == "[" and "".join(self._key) == self._name:
            self._state = self._in_list
            return at + 1
        return super()._value(source, at, out)

    def _in_list(self, source: str, at: int, out: list[str]) -> int:
        at = _skip(source, at)
        if at < len(source):
            self._text = _Text()
            begins = source[at] == '"'
            self._count += begins
            self._state = self._in_string if begins else self._end
        return at + 1

    def _in_string(self, source: str, at: int, out: list[str]) -> int:
        text, at = self._text.read(source, at)
        if text:
            self._found.append((self._count, text))
        self._after_text(self._in_list)
        return at


def _skip(source: str, at: int) -> int:
    found = _SPACE.match(source, at)
    return found.end() if found else at
