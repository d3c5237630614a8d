"""PDF: the text of its pages, by pypdfium2.

Above: `extract`. Below: `document`.
"""

from .document import Document, Unreadable, Writer

MAX_PAGES = 10_000


def pdf(data: bytes) -> Document:
    """The text of every page.

    Raises:
        Unreadable: It is no PDF, encrypted, broken, or pypdfium2 is not here.
    """
    if b"%PDF-" not in data[:1024]:
        raise Unreadable("expected a PDF, which begins with %PDF-: name the file by what it is")
    try:
        import pypdfium2  # pyright: ignore[reportMissingTypeStubs]  (an extra's)
    except ImportError as error:
        raise Unreadable(
            "PDF cannot be read here: pip install 'antiphon[search]'", "unsupported_file"
        ) from error
    out = Writer()
    try:
        opened = pypdfium2.PdfDocument(data)
        if len(opened) > MAX_PAGES:
            raise Unreadable(f"expected at most {MAX_PAGES:,} pages, got {len(opened):,}: split it")
        for number in range(len(opened)):
            page = opened[number]
            text = page.get_textpage().get_text_bounded()  # pyright: ignore[reportUnknownMemberType]
            out.page()
            out.write(text.replace("\r\n", "\n").replace("\ufffe", "") + "\n\n")
            page.close()
    except pypdfium2.PdfiumError as error:
        said = str(error)
        if "assword" in said:
            raise Unreadable("the PDF is encrypted: save it without a password") from error
        raise Unreadable(f"expected a whole PDF: {said}") from error
    return out.document()
