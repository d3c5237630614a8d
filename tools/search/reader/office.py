"""Office files (docx, pptx, xlsx): XML in a zip archive, read without trusting either.

No entry is unpacked beyond its bound, whatever the archive says; no XML may have a DTD, so that
there are no entities to expand or to fetch. Above: `extract`. Below: `document`.
Source: ECMA-376 (Office Open XML).
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from xml.parsers import expat

from .document import Document, Unreadable, Writer

MAX_ENTRY = 64_000_000
MAX_ENTRIES = 10_000

Start = Callable[[str, Mapping[str, str]], None]
End = Callable[[str], None]


class Archive:
    """The entries of an office file.

    Args:
        data: The file.
        kind: What it should be, such as `docx`.
        main: The entry without which it is none.

    Raises:
        Unreadable: It is not such a file.
    """

    def __init__(self, data: bytes, kind: str, main: str) -> None:
        if data.startswith(b"\xd0\xcf\x11\xe0"):
            raise Unreadable(
                f"expected a {kind}, got an encrypted or old binary Office file: "
                "save it without a password in a current format"
            )
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise Unreadable(f"expected a {kind} (a zip archive): {error}") from error
        self.names: list[str] = self._zip.namelist()
        if main not in self.names:
            raise Unreadable(f"expected a {kind}, but the archive has no {main}")
        if len(self.names) > MAX_ENTRIES:
            raise Unreadable(f"expected at most {MAX_ENTRIES:,} entries in a {kind}")
        self._left = 2 * MAX_ENTRY

    def numbered(self, pattern: str) -> list[str]:
        """Entries whose number is the pattern's group, in the order of these numbers."""
        found = ((re.fullmatch(pattern, name), name) for name in self.names)
        return [name for _, name in sorted((int(m[1]), name) for m, name in found if m)]

    def parse(self, name: str, start: Start, end: End, text: Callable[[str], None]) -> None:
        """Read one entry as XML; names come without their namespace.

        Raises:
            Unreadable: It is too large, broken, or has a DTD.
        """
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = lambda tag, attrs: start(
            tag.rpartition(" ")[2], {key.rpartition(" ")[2]: each for key, each in attrs.items()}
        )
        parser.EndElementHandler = lambda tag: end(tag.rpartition(" ")[2])
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = _no_dtd
        try:
            parser.Parse(self._read(name), True)
        except expat.ExpatError as error:
            raise Unreadable(f"{name}: expected XML: {error}") from error

    def _read(self, name: str) -> bytes:
        most = min(MAX_ENTRY, self._left)
        try:
            with self._zip.open(name) as entry:
                data = entry.read(most + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            RuntimeError,
            NotImplementedError,
            OSError,
        ) as error:
            raise Unreadable(f"{name}: expected a whole, unencrypted entry: {error}") from error
        if len(data) > most:
            raise Unreadable(f"{name}: expected at most {most:,} bytes when unpacked, got more")
        self._left -= len(data)
        return data


def _no_dtd(*declared: object) -> None:
    raise Unreadable("expected XML without a document type definition: it could name anything")


def docx(data: bytes) -> Document:
    """A text document: paragraphs, headings by their style, rows of tables."""
    archive = Archive(data, "docx", "word/document.xml")
    out = Writer()
    line: list[str] = []
    level = 0
    reading = False

    def start(tag: str, attrs: Mapping[str, str]) -> None:
        nonlocal level, reading
        if tag == "t":
            reading = True
        elif tag in ("tab", "br"):
            line.append("\t" if tag == "tab" else "\n")
        elif tag == "pStyle":
            found = re.fullmatch(r"[Hh]eading ?(\d)|([Tt]itle)", attrs.get("val", ""))
            level = int(found[1] or 1) if found else 0

    def end(tag: str) -> None:
        nonlocal level, reading
        if tag == "t":
            reading = False
        elif tag == "p":
            text = "".join(line).strip()
            line.clear()
            if text and level:
                out.heading(level, text)
            elif text:
                out.write(f"{text}\n\n")
            level = 0
        elif tag == "tc":
            out.write("| ")

    archive.parse(
        "word/document.xml", start, end, lambda text: line.append(text) if reading else None
    )
    return out.document()


def pptx(data: bytes) -> Document:
    """Slides, each a page; its first line is its heading."""
    archive = Archive(data, "pptx", "ppt/presentation.xml")
    out = Writer()
    for name in archive.numbered(r"ppt/slides/slide(\d+)\.xml"):
        lines: list[str] = []
        words: list[str] = []

        def start(tag: str, attrs: Mapping[str, str], words: list[str] = words) -> None:
            if tag == "br":
                words.append(" ")

        def end(tag: str, words: list[str] = words, lines: list[str] = lines) -> None:
            if tag == "p":
                lines.append("".join(words).strip())
                words.clear()

        archive.parse(name, start, end, words.append)
        shown = [line for line in lines if line]
        out.page()
        if shown:
            out.heading(1, shown[0])
        out.write("\n".join(shown[1:]) + "\n\n")
    return out.document()


def xlsx(data: bytes) -> Document:
    """Sheets, each under its name, a line a row."""
    archive = Archive(data, "xlsx", "xl/workbook.xml")
    strings = _strings(archive)
    titles: list[str] = []

    def sheet(tag: str, attrs: Mapping[str, str]) -> None:
        if tag == "sheet":
            titles.append(attrs.get("name", ""))

    archive.parse("xl/workbook.xml", sheet, lambda tag: None, lambda text: None)
    out = Writer()
    for at, name in enumerate(archive.numbered(r"xl/worksheets/sheet(\d+)\.xml")):
        out.heading(1, titles[at] if at < len(titles) else f"Sheet {at + 1}")
        reader = _Rows(out, strings)
        archive.parse(name, reader.start, reader.end, reader.text)
        out.write("\n")
    return out.document()


def _strings(archive: Archive) -> list[str]:
    found: list[str] = []
    if "xl/sharedStrings.xml" not in archive.names:
        return found
    words: list[str] = []
    reading = False

    def start(tag: str, attrs: Mapping[str, str]) -> None:
        nonlocal reading
        reading = reading or tag == "t"

    def end(tag: str) -> None:
        nonlocal reading
        if tag == "t":
            reading = False
        elif tag == "si":
            found.append("".join(words))
            words.clear()

    archive.parse(
        "xl/sharedStrings.xml", start, end, lambda text: words.append(text) if reading else None
    )
    return found


class _Rows:
    """The cells of a sheet as they come."""

    def __init__(self, out: Writer, strings: list[str]) -> None:
        self._out = out
        self._strings = strings
        self._row: list[str] = []
        self._cell: list[str] = []
        self._kind = ""
        self._reading = False

    def start(self, tag: str, attrs: Mapping[str, str]) -> None:
        if tag == "c":
            self._kind = attrs.get("t", "")
            self._cell.clear()
        elif tag in ("v", "t"):
            self._reading = True

    def end(self, tag: str) -> None:
        if tag in ("v", "t"):
            self._reading = False
        elif tag == "c":
            self._row.append(self._value("".join(self._cell)))
        elif tag == "row":
            if any(self._row):
                self._out.write(" | ".join(self._row) + "\n")
            self._row.clear()

    def text(self, text: str) -> None:
        if self._reading:
            self._cell.append(text)

    def _value(self, text: str) -> str:
        if self._kind == "s":
            known = text.isascii() and text.isdigit() and int(text) < len(self._strings)
            return self._strings[int(text)] if known else ""
        return {"0": "FALSE", "1": "TRUE"}.get(text, text) if self._kind == "b" else text
