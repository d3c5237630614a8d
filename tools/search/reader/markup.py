"""HTML: its text, with headings; scripts, styles and navigation left out.

Above: `extract`. Below: `document`, `texts`.
"""

from html.parser import HTMLParser

from .document import Document, Writer
from .texts import decoded

_HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "nav", "iframe", "object"})
_BLOCKS = frozenset(
    "address article aside blockquote br dd details div dl dt fieldset figure footer form header "
    "hr li main ol p pre section summary table td th tr ul".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out = Writer()
        self._hidden: list[str] = []
        self._title: list[str] | None = None
        self._preformatted = 0
        self._line: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if self._hidden:
            if tag == self._hidden[-1]:
                self._hidden.append(tag)
        elif tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _HEADINGS or tag == "title":
            self.flush()
            self._title = []
        elif tag in _BLOCKS:
            self.flush(cell=tag in ("td", "th"))
            self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag == self._hidden[-1]:
                self._hidden.pop()
        elif self._title is not None and (tag in _HEADINGS or tag == "title"):
            self.out.heading(_HEADINGS.get(tag, 1), " ".join(self._title))
            self._title = None
        elif tag in _BLOCKS:
            self.flush(cell=tag in ("td", "th"), end=tag in ("p", "tr", "table", "pre", "ul", "ol"))
            self._preformatted = max(0, self._preformatted - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._title is not None:
            self._title.append(data)
        elif data.strip() or self._preformatted:
            self._line.append(data if self._preformatted else " ".join(data.split()))

    def flush(self, *, cell: bool = False, end: bool = False) -> None:
        text = ("" if self._preformatted else " ").join(self._line).rstrip()
        self._line.clear()
        if text:
            self.out.write(text + (" | " if cell else "\n"))
        if end:
            self.out.write("\n")


def html(data: bytes) -> Document:
    """A page.

    Raises:
        Unreadable: It is not text.
    """
    reader = _Reader()
    reader.feed(decoded(data))
    reader.close()
    reader.flush()
    return reader.out.document()
