"""The text of an HTML page, by the standard library: what a reader would read, links kept.

Pages are written by strangers: the time is bounded, and a construct that never ends is dropped.
Above: `fetcher`.
"""

import re
import time
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

_SKIPPED: Final = frozenset(
    {"script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "select"}
)
_BLOCKS: Final = frozenset(
    (
        "address article aside blockquote br caption dd div dl dt fieldset figcaption figure "
        "footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tbody tfoot "
        "thead tr ul"
    ).split()
)
_PIECE: Final = 16 * 1024
_UNENDED: Final = 256 * 1024
_BLANKS: Final = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES: Final = re.compile(r"\s*\n\s*\n\s*")

SECONDS: Final = 5.0
"""How long one page may take; what was read by then is its text."""


def text_of_html(html: str, *, base: str, seconds: float = SECONDS) -> tuple[str, str]:
    """The title and the text of a page.

    Args:
        html: Its source.
        base: Its URL, for links.
        seconds: How long to read.
    """
    reader = _Reader(base)
    deadline = time.monotonic() + seconds
    # In pieces: a page that is made to be slow is slow in each by itself, and then time is up.
    for at in range(0, len(html), _PIECE):
        if time.monotonic() > deadline:
            break
        reader.feed(html[at : at + _PIECE])
        if len(reader.rawdata) > _UNENDED:
            reader.rawdata = ""  # pyright: ignore[reportAttributeAccessIssue]
    return " ".join(reader.title.split()), _tidy("".join(reader.out))


def _tidy(text: str) -> str:
    lines = (line.strip() for line in _BLANKS.sub(" ", text).split("\n"))
    return _LINES.sub("\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str = base
        self.title: str = ""
        self.out: list[str] = []
        self._skipping = 0
        self._in_title = False
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._skipping += 1
        elif tag == "title":
            self._in_title = not self.title
        elif tag in _BLOCKS:
            self.out.append("\n- " if tag == "li" else "\n")
        elif tag in ("td", "th"):
            self.out.append(" | ")
        elif tag == "a" and len(self._links) < 100:
            self._links.append((self._target(dict(attrs).get("href")), len(self.out)))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self._skipping = max(0, self._skipping - 1)
        elif tag == "title":
            self._in_title = False
        elif tag in _BLOCKS:
            self.out.append("\n\n" if tag in ("p", "h1", "h2", "h3", "table") else "\n")
        elif tag == "a" and self._links:
            target, begin = self._links.pop()
            label = " ".join("".join(self.out[begin:]).split())
            if target and label:
                self.out[begin:] = [f"[{label}]({target})"]

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._skipping:
            self.out.append(data if "\n" not in data else data.replace("\n", " "))

    def _target(self, href: str | None) -> str:
        """Where a link leads, if that can be opened and is somewhere else."""
        if not href or href.startswith("#"):
            return ""
        try:
            url = urljoin(self.base, href.strip())
        except ValueError:
            return ""
        return url if url.startswith(("http://", "https://")) and len(url) <= 500 else ""
