"""Text files: plain, Markdown, source code, CSV, JSON. Also: which bytes are text at all.

Above: `extract`. Below: `document`.
"""

import json
import re

from .document import MAX_TEXT, Document, Unreadable, fenced

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKDOWN = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_CODE = re.compile(
    r"^([ \t]*)(?:export |public |private |protected |static |pub(?:\([a-z]+\))? |async |abstract "
    r"|final )*(?:class|def|func|function|fn|struct|enum|trait|impl|interface|module|namespace"
    r"|type)[ \t]+([\w.:<>]+)",
    re.MULTILINE,
)
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def decoded(data: bytes) -> str:
    """The text that bytes are: UTF-8, UTF-16 with its mark, else Windows-1252.

    Raises:
        Unreadable: They are not text, or too much of it.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if len(text) > MAX_TEXT:
        raise Unreadable(f"expected at most {MAX_TEXT:,} characters, got {len(text):,}: split it")
    strange = sum(1 for _ in _CONTROL.finditer(text[:100_000])) + text[:100_000].count("\ufffd")
    if "\x00" in text[:100_000] or strange * 50 > min(len(text), 100_000):
        raise Unreadable("expected text, got binary data: name the file by what it is")
    return text.replace("\x00", "\ufffd")


def plain(data: bytes) -> Document:
    """Any text."""
    return Document(decoded(data), lines=True)


def markdown(data: bytes) -> Document:
    """Markdown, with its headings outside of code blocks."""
    document = plain(data)
    hidden = document.text
    if fenced(hidden):
        hidden = re.sub(
            r"^(```|~~~).*?^\1[^\n]*$",
            lambda found: " " * len(found[0]),
            hidden,
            flags=re.MULTILINE | re.DOTALL,
        )
    if "#" not in hidden:
        return document
    document.headings = [
        (found.start(), len(found[1]), found[2].strip()[:200])
        for found in _MARKDOWN.finditer(hidden)
    ]
    return document


def code(data: bytes) -> Document:
    """Source code: what it defines stands as headings."""
    document = plain(data)
    document.headings = [
        (found.start(), 1 + len(found[1].expandtabs(4)) // 2, found[2])
        for found in _CODE.finditer(document.text)
    ]
    return document


def table(data: bytes) -> Document:
    """Rows of text: the first, which names the columns, is the heading of all."""
    document = plain(data)
    head = document.text.lstrip().partition("\n")[0].strip()
    document.headings = [(0, 1, head[:200])] if head else []
    return document


def structured(data: bytes) -> Document:
    """JSON; what stands on few long lines is laid out, so that it can be cut and read."""
    document = plain(data)
    text = document.text
    if len(text) < 400 * (text.count("\n") + 1):
        return document
    try:
        laid = json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return document  # not quite JSON: it is text all the same
    if len(laid) > MAX_TEXT:
        return document
    return Document(laid)
