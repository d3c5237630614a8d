"""A document: the text of a file, with what is known of its places.

Above: `chunks`. Below: nothing; the extractors make it.
"""

from dataclasses import dataclass, field

MAX_TEXT = 32_000_000
"""Characters of text that one file may have."""
BINARY = frozenset({"docx", "pptx", "xlsx", "pdf"})
"""Endings of files that are no text; readers of text are plain Python, those of these are not."""


class Unreadable(Exception):
    """A file that cannot be read.

    Args:
        message: What was expected, what came, what to do.
        code: `invalid_file` or `unsupported_file`, as the wire has them.
    """

    def __init__(self, message: str, code: str = "invalid_file") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(slots=True)
class Document:
    """Text and its structure.

    Attributes:
        text: All of it.
        pages: Where each page (or slide) begins in the text; empty where there are none.
        headings: (offset, level from 1, title), in order.
        lines: Whether the lines of the text are those of the file.
    """

    text: str = ""
    pages: list[int] = field(default_factory=list[int])
    headings: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    lines: bool = False


class Writer:
    """Writes a document piece by piece, within its bound."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._pages: list[int] = []
        self._headings: list[tuple[int, int, str]] = []

    def page(self) -> None:
        """A page begins."""
        self._pages.append(self._size)

    def heading(self, level: int, title: str) -> None:
        """A heading, on a line of its own."""
        title = " ".join(title.split())
        if title:
            self._headings.append((self._size, level, title[:200]))
            self.write(f"{title}\n\n")

    def write(self, text: str) -> None:
        """More text.

        Raises:
            Unreadable: There is more than a file may have.
        """
        self._size += len(text)
        if self._size > MAX_TEXT:
            raise Unreadable(
                f"expected at most {MAX_TEXT:,} characters of text, got more: split the file"
            )
        self._parts.append(text)

    def document(self) -> Document:
        """What was written."""
        return Document("".join(self._parts), self._pages, self._headings)


def fenced(text: str) -> bool:
    """Whether there may be blocks of code between fences: far faster than looking for them."""
    return "```" in text or "~~~" in text
