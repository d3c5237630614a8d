"""Which extractor reads which file: by its name's ending, held against its first bytes.

Above: `serve`. Below: one file a family of formats.
"""

from collections.abc import Callable
from pathlib import PurePath

from .document import BINARY, Document, Unreadable
from .markup import html
from .office import docx, pptx, xlsx
from .pdf import pdf
from .texts import code, markdown, plain, structured, table

_TEXT = "txt text log rst adoc asc tex srt vtt ini cfg conf toml yaml yml env xml svg diff patch"
_CODE = (
    "py pyi js mjs cjs jsx ts tsx java kt kts c h cc cpp cxx hpp hh cs go rs rb php swift scala sh "
    "bash zsh ps1 sql lua pl pm r jl m dart ex exs erl hs ml fs clj css scss proto graphql tf vue"
)
_HOW: dict[str, Callable[[bytes], Document]] = {
    **dict.fromkeys(_TEXT.split(), plain),
    **dict.fromkeys(_CODE.split(), code),
    "md": markdown,
    "markdown": markdown,
    "mdx": markdown,
    "html": html,
    "htm": html,
    "xhtml": html,
    "csv": table,
    "tsv": table,
    "json": structured,
    "jsonl": plain,
    "ndjson": plain,
    "ipynb": structured,
    "docx": docx,
    "pptx": pptx,
    "xlsx": xlsx,
    "pdf": pdf,
}
_OTHER = {b"%PDF-": "a PDF", b"PK\x03\x04": "a zip archive", b"\xd0\xcf\x11\xe0": "an Office file"}


def extract(name: str, data: bytes) -> Document:
    """The text of a file.

    Args:
        name: What it is called; its ending says what it is.
        data: Its bytes.

    Raises:
        Unreadable: It cannot be read, or there is no text in it.
    """
    if not data:
        raise Unreadable("the file is empty: expected at least one byte")
    suffix = PurePath(name).suffix.lower().lstrip(".")
    how = _HOW.get(suffix, plain)
    if suffix not in BINARY:
        got = next((what for magic, what in _OTHER.items() if data.startswith(magic)), None)
        if got:
            raise Unreadable(f"expected text in a file named .{suffix}, got {got}: rename it")
    try:
        document = how(data)
    except Unreadable as error:
        if how is plain and suffix not in _HOW:
            known = ", ".join(sorted({"md", "txt", "html", "csv", "json", "docx", "pptx"}))
            raise Unreadable(
                f"files named .{suffix} cannot be read: send pdf, xlsx, {known} or other text",
                "unsupported_file",
            ) from error
        raise
    if not document.text.strip():
        hint = ": it may hold scanned pages; run them through OCR first" if how is pdf else ""
        raise Unreadable(f"no text was found in the file{hint}")
    return document
