"""Finding the names of files in a text that is still being written.

No text is changed or held back: a name is found as soon as the two characters behind it are known
(or the end), whatever fragments the text comes in. Above: `agents`, which makes annotations of
what is found. Below: `Citations`, which knows the names.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import quote

from .citations import Annotate

Found: TypeAlias = tuple[int, int, Annotate]
"""The first character of what names a file, the one after it, and what makes the annotation."""

CITED: Final = 200
"""How often files are cited in one text."""

_FOLDER: Final = "/mnt/data/"
_SCHEME: Final = "sandbox:"
_AHEAD: Final = 2
_TAIL: Final = 4
_BEFORE: Final = frozenset("_-./\\~%@+")
_AFTER: Final = frozenset("_-/\\~")


class Names:
    """Words, each with what makes the annotation on it.

    A word counts where it stands alone, not inside a longer word or file name; with
    `/mnt/data/`, `sandbox:/mnt/data/`, `sandbox:` or `./` before it, all of that is its span. One
    without a dot counts only in `/mnt/data/`, since it may be any word.

    Args:
        known: The annotations by word.
    """

    __slots__ = ("longest", "tails", "words")

    def __init__(self, known: Mapping[str, Annotate]) -> None:
        words = [(word, annotate, "." not in word) for word, annotate in known.items()]
        for word, annotate in known.items():  # as links have it
            quoted = quote(word)
            if quoted != word and quoted not in known:
                words.append((quoted, annotate, True))
        self.words: list[tuple[str, Annotate, bool]] = words
        self.tails: frozenset[str] = frozenset(word[-_TAIL:] for word, _, _ in words)
        longest = max((len(word) for word, _, _ in words), default=0)
        self.longest: int = longest + len(_SCHEME) + len(_FOLDER) + 1


class Namings:
    """The names in one text, as it comes.

    Args:
        names: What to look for.
    """

    __slots__ = ("_base", "_checked", "_found", "_names", "_taken", "_text")

    def __init__(self, names: Names) -> None:
        self._names = names
        self._text = ""
        self._base = 0  # where `_text` begins in the whole
        self._checked = 0  # words that end up to here were seen
        self._taken = 0
        self._found = 0

    @property
    def held(self) -> int:
        """How many characters of the text are kept."""
        return len(self._text)

    def feed(self, more: str, *, final: bool = False) -> list[Found]:
        """What is known to be named, now that this has come.

        Args:
            more: The next part of the text.
            final: Whether it is the last.
        """
        text = self._text = self._text + more
        limit = len(text) - (0 if final else _AHEAD)
        if limit <= self._checked:
            return []
        found = list(self._accepted(limit)) if self._likely(limit) else []
        self._checked = limit
        spare = len(text) - self._names.longest - _AHEAD - _TAIL
        if spare > 4 * self._names.longest:  # not each time: copying would be quadratic
            self._text = text[spare:]
            self._base += spare
            self._checked -= spare
            self._taken -= spare
        return found

    def _likely(self, limit: int) -> bool:
        """Whether any word may end here; most fragments end none."""
        text, first = self._text, max(0, self._checked - _TAIL + 1)
        return any(text.find(tail, first, limit) >= 0 for tail in self._names.tails)

    def _accepted(self, limit: int) -> Iterator[Found]:
        """By their ends, the longest first: so it does not matter how the text was cut."""
        for end, start, annotate in sorted(self._candidates(limit), key=lambda one: one[:2]):
            if start >= self._taken and self._found < CITED:
                self._taken = end
                self._found += 1
                yield self._base + start, self._base + end, annotate

    def _candidates(self, limit: int) -> Iterator[tuple[int, int, Annotate]]:
        text = self._text
        for word, annotate, only_there in self._names.words:
            at = text.find(word, max(0, self._checked - len(word) + 1), limit)
            while at >= 0:
                end = at + len(word)
                start = _start(text, at, only_there=only_there)
                if start is not None and not _goes_on(text, end):
                    yield end, start, annotate
                at = text.find(word, at + 1, limit)


def _start(text: str, at: int, *, only_there: bool) -> int | None:
    """Where the mention of a word at `at` begins; None where it is part of something else."""
    start = at
    if text.endswith(_FOLDER, 0, at):
        start -= len(_FOLDER)
    elif only_there:
        return None
    if text.endswith(_SCHEME, 0, start):
        start -= len(_SCHEME)
    elif start == at and text.endswith("./", 0, at):
        start -= 2
    if start == 0:
        return start
    before = text[start - 1]
    if before in _BEFORE or (before.isalnum() and not _apart(before, text[start])):
        return None
    return start


def _goes_on(text: str, end: int) -> bool:
    """Whether the word is only the beginning of a longer one."""
    after = text[end : end + _AHEAD]
    if after.startswith("."):
        after = after[1:]
        return after != "" and (after == "_" or after.isalnum())
    if not after:
        return False
    return after[0] in _AFTER or (after[0].isalnum() and not _apart(after[0], text[end - 1]))


def _apart(letter: str, edge: str) -> bool:
    """Whether a letter beside a word is none of it: scripts that put no spaces between words,
    or write particles on to them, beside a word that ends in Latin script.
    """
    return edge.isascii() and not letter.isascii() and _unspaced(ord(letter))


def _unspaced(point: int) -> bool:
    """Thai to Khmer, kana, Han, Hangul."""
    return (
        0x0E00 <= point <= 0x0EFF
        or 0x1780 <= point <= 0x17FF
        or 0x3040 <= point <= 0x30FF
        or 0x3400 <= point <= 0x9FFF
        or 0xAC00 <= point <= 0xD7AF
        or 0x20000 <= point <= 0x3FFFF
    )
