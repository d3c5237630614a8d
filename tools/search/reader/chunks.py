"""Chunks: a document cut into passages that overlap, at paragraphs and headings where it can be.

A token is estimated as four bytes of UTF-8: no model's own tokenizer is known here.
Above: `serve`. Below: `document`.
"""

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from .document import Document, fenced

_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_BLANK = re.compile(r"\n[ \t\r]*\n+")
_SOFT = re.compile(
    r"[.!?;\n\u3002\uff01\uff1f](?:(?<=\n)|(?<=[\u3002\uff01\uff1f])\n?|\s+)"
)  # begins with a character: looked for twice as fast as what lies between two
_SPACE = re.compile(r"\s+")


class Chunk(NamedTuple):
    """A passage.

    Attributes:
        text: What it says.
        heading: The headings that it stands under, outermost first, joined by ` > `.
        start: Where it begins in the text that was extracted, in characters.
        end: Where it ends there.
        pages: Its first and last page from 1, or None.
        lines: Its first and last line from 1 in the file, or None.
    """

    text: str
    heading: str
    start: int
    end: int
    pages: tuple[int, int] | None
    lines: tuple[int, int] | None

    @property
    def whole(self) -> str:
        """What an embedding model reads: the text under its headings, each said once."""
        missing = [part for part in self.heading.split(" > ") if part and part not in self.text]
        return "\n".join([*missing, self.text])


class _Unit(NamedTuple):
    start: int
    end: int
    tokens: int
    opens: bool  # a heading begins here
    page: bool  # a page does


def chunks_of(document: Document, *, most: int, overlap: int) -> Iterator[Chunk]:
    """Its passages, in order.

    Args:
        document: What to cut.
        most: Tokens that a passage may have.
        overlap: Tokens that a passage may share with the one before. One that begins at a
            heading shares none.
    """
    places = _Places(document)
    for start, end in _spans(list(_units(document, most)), most, overlap):
        text = document.text[start:end]
        bare = text.strip()
        if bare:
            start += len(text) - len(text.lstrip())
            yield places.chunk(bare, start, start + len(bare))


def _spans(units: list[_Unit], most: int, overlap: int) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(units):
        last, tokens = first, 0
        while last < len(units) and (last == first or tokens + units[last].tokens <= most):
            if (units[last].opens or units[last].page) and tokens * 2 >= most:
                break
            tokens += units[last].tokens
            last += 1
        yield units[first].start, units[last - 1].end
        if last == len(units):
            return
        first = last if units[last].opens else _back(units, first, last, overlap)


def _back(units: list[_Unit], first: int, last: int, overlap: int) -> int:
    """Where the next passage begins, so that it shares at most `overlap` tokens."""
    shared, at = 0, last
    while at - 1 > first and shared + units[at - 1].tokens <= overlap:
        at -= 1
        shared += units[at].tokens
    return at


def _units(document: Document, most: int) -> Iterator[_Unit]:
    """What is kept whole where it can be: paragraphs, blocks of code; else sentences, lines."""
    text = document.text
    opening = {offset for offset, _, _ in document.headings}
    pages = set(document.pages)
    cuts = {0, len(text), *opening, *pages}
    fences = [match.span() for match in _FENCE.finditer(text)] if fenced(text) else []
    cuts.update(edge for span in fences for edge in span)
    starts = [start for start, _ in fences]
    for match in _BLANK.finditer(text):
        inside = bisect_right(starts, match.end()) - 1
        if inside < 0 or match.end() >= fences[inside][1]:
            cuts.add(match.end())
    edges = sorted(cuts)
    for start, end in itertools.pairwise(edges):
        opens, page = start in opening, start in pages
        for part_start, part_end in _parts(text, start, end, most):
            yield _Unit(part_start, part_end, _tokens(text, part_start, part_end), opens, page)
            opens = page = False


def _parts(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    if _tokens(text, start, end) * 4 <= most:
        yield start, end
        return
    edges = [start, *(match.end() for match in _SOFT.finditer(text, max(0, start - 1), end)), end]
    for low, high in itertools.pairwise(edges):
        if low < high:
            yield from _pieces(text, low, high, most)


def _pieces(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """A sentence, or pieces of one that is too long: at spaces, else anywhere."""
    while _tokens(text, start, end) > most:
        width = most if not text[start : start + most * 4].isascii() else most * 4
        cut = start + width
        spaces = [match.end() for match in _SPACE.finditer(text, start + width // 2, cut)]
        cut = spaces[-1] if spaces else cut
        yield start, cut
        start = cut
    if start < end:
        yield start, end


def _tokens(text: str, start: int, end: int) -> int:
    if text.isascii():  # which costs nothing to ask
        return (end - start + 3) // 4
    part = text[start:end]
    size = len(part) if part.isascii() else len(part.encode("utf-8", "replace"))
    return (size + 3) // 4


class _Places:
    """Where an offset is: its page, its line, the headings above it."""

    def __init__(self, document: Document) -> None:
        self._pages = document.pages
        self._lines = (
            [match.start() for match in re.finditer("\n", document.text)]
            if document.lines
            else None
        )
        self._offsets = [offset for offset, _, _ in document.headings]
        self._paths: list[str] = []
        path: list[tuple[int, str]] = []
        for _, level, title in document.headings:
            path = [*(above for above in path if above[0] < level), (level, title)]
            self._paths.append(" > ".join(name for _, name in path))

    def chunk(self, text: str, start: int, end: int) -> Chunk:
        under = bisect_right(self._offsets, start) - 1
        heading = self._paths[under] if under >= 0 else ""
        pages = self._lines_or_pages(self._pages, start, end) if self._pages else None
        lines = None
        if self._lines is not None:
            first = bisect_right(self._lines, start - 1) + 1
            lines = (first, max(first, bisect_right(self._lines, end - 2) + 1))
        return Chunk(text, heading, start, end, pages, lines)

    def _lines_or_pages(self, edges: list[int], start: int, end: int) -> tuple[int, int]:
        first = max(1, bisect_right(edges, start))
        return first, max(first, bisect_right(edges, end - 1))
