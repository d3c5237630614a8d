"""Office files and PDFs made by hand, whole and hostile."""

import io
import zipfile
from collections.abc import Mapping

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DRAW = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'


def archive(entries: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return out.getvalue()


def docx(*paragraphs: tuple[str, str], before: str = "") -> bytes:
    """Paragraphs of (style, text)."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'
        for style, text in paragraphs
    )
    document = (
        f"<?xml version='1.0'?>{before}<w:document {WORD}><w:body>{body}</w:body></w:document>"
    )
    return archive({"word/document.xml": document})


def pptx(*slides: list[str]) -> bytes:
    entries: dict[str, str | bytes] = {"ppt/presentation.xml": "<p/>"}
    for number, lines in enumerate(slides, start=1):
        shown = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
        entries[f"ppt/slides/slide{number}.xml"] = f"<p:sld xmlns:p='p' {DRAW}>{shown}</p:sld>"
    return archive(entries)


def xlsx() -> bytes:
    """A sheet `Boats` with a shared string, a number, a boolean and an inline string."""
    cells = (
        '<row><c t="s"><v>0</v></c><c><v>4.5</v></c></row>'
        '<row><c t="b"><v>1</v></c><c t="inlineStr"><is><t>oars</t></is></c></row>'
    )
    return archive(
        {
            "xl/workbook.xml": '<workbook><sheets><sheet name="Boats"/></sheets></workbook>',
            "xl/sharedStrings.xml": "<sst><si><r><t>ke</t></r><r><t>el</t></r></si></sst>",
            "xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{cells}</sheetData></worksheet>",
        }
    )


def pdf(*pages: str) -> bytes:
    """A PDF with one line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for at, text in enumerate(pages):
        drawn = f"BT /F1 3 Tf 72 700 Td ({text}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * at} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    out = b"%PDF-1.4\n"
    places: list[int] = []
    for number, each in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{each}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return out + f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode()


def zip_bomb() -> bytes:
    """A docx whose document is 300 MB of zeros, in 300 KB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        with made.open("word/document.xml", "w", force_zip64=True) as entry:
            for _ in range(300):
                entry.write(bytes(1_000_000))
    return out.getvalue()


LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
OUTSIDE = '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
