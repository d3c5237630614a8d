"""Files as passages: every format with its places, and files that were made to do harm."""

import json
import re
import zipfile
from io import BytesIO
from itertools import pairwise
from typing import Any

import anyio
import pytest

from antiphon.tools import search as kept

from .office_files import LAUGHS, OUTSIDE, docx, pdf, pptx, xlsx, zip_bomb
from .searching import chunks_of, fault_of, filled

pytestmark = pytest.mark.anyio

SMALL = kept.Chunking(100, 50)


async def test_text_keeps_its_lines_and_headings() -> None:
    text = "# Boats\n\nFirst.\n\n## Keels\n\n" + "A keel is deep. " * 30 + "\n"
    async with filled({"a.md": text}, chunking=SMALL) as library:
        first, *rest = await chunks_of(library, "a.md")
    assert (first.heading, first.lines) == ("Boats", (1, 7))
    assert rest and rest[-1].heading == "Boats > Keels" and rest[-1].lines == (7, 7)
    for chunk in (first, *rest):
        assert text[chunk.start : chunk.end] == chunk.text, "expected offsets into the text"
        assert len(chunk.text) <= 400, "expected at most 100 tokens of four characters"


async def test_passages_overlap_within_a_section_and_cover_all_of_the_text() -> None:
    text = " ".join(f"Sentence number {number} stands here." for number in range(200))
    async with filled({"a.txt": text}, chunking=SMALL) as library:
        chunks = await chunks_of(library, "a.txt")
    assert len(chunks) > 20
    for before, after in pairwise(chunks):
        assert before.start < after.start <= before.end, "expected no gap"
        assert before.end - after.start <= 200, "expected at most 50 tokens shared"
    assert (chunks[0].start, chunks[-1].end) == (0, len(text))


async def test_code_blocks_are_kept_whole_and_their_signs_are_no_headings() -> None:
    block = "```sh\n# not a heading\n\nls\n```"
    text = f"# Real\n\n{'Words. ' * 50}\n\n{block}\n\nMore.\n"
    async with filled({"a.md": text}, chunking=SMALL) as library:
        chunks = await chunks_of(library, "a.md")
    assert {chunk.heading for chunk in chunks} == {"Real"}
    assert any(block in chunk.text for chunk in chunks)


async def test_every_format_is_read_with_its_places() -> None:
    page = (
        "<html><head><title>Site</title><style>x{}</style></head><body><nav>menu</nav>"
        "<h1>Boats</h1><p>A <b>keel</b> &amp; oars</p><script>bad()</script></body></html>"
    )
    files: dict[str, bytes | str] = {
        "a.html": page,
        "a.docx": docx(("Heading1", "Boats"), ("", "A keel"), ("Heading2", "Oars"), ("", "Two")),
        "a.pptx": pptx(["Boats", "A keel"], ["Trees", "An oak"]),
        "a.xlsx": xlsx(),
        "a.pdf": pdf("A keel", "An oak"),
        "a.csv": "name,depth\nkeel,4\n",
        "a.json": json.dumps({"boat": {"keel": ["deep"] * 80}}),
        "a.py": "import os\n\n\nclass Boat:\n    def sail(self):\n        pass\n",
        "a.utf16.txt": "\ufeffkeel \u6771".encode("utf-16-le"),
        "latin.txt": "caf\u00e9 au lait".encode("cp1252"),
    }
    async with filled(files) as library:
        got = {name: await chunks_of(library, name) for name in files}
    texts = {name: " ".join(chunk.text for chunk in chunks) for name, chunks in got.items()}
    assert "A keel & oars" in texts["a.html"]
    assert "menu" not in texts["a.html"] and "bad" not in texts["a.html"]
    assert "Two" in texts["a.docx"] and got["a.docx"][0].heading == "Boats"
    assert "An oak" in texts["a.pptx"] and got["a.pptx"][0].pages == (1, 2)
    assert "keel | 4.5" in texts["a.xlsx"] and "TRUE | oars" in texts["a.xlsx"]
    assert got["a.xlsx"][0].heading == "Boats"
    assert "A keel" in texts["a.pdf"] and got["a.pdf"][0].pages == (1, 2)
    assert got["a.csv"][0].heading == "name,depth" and got["a.csv"][0].lines == (1, 2)
    assert '"keel"' in texts["a.json"] and "\n" in texts["a.json"]
    assert "class Boat" in texts["a.py"]
    assert texts["a.utf16.txt"] == "keel \u6771" and texts["latin.txt"] == "caf\u00e9 au lait"


async def test_a_page_of_a_long_pdf_is_known() -> None:
    pages = [f"page {number} " + "words " * 40 for number in range(1, 9)]
    async with filled({"a.pdf": pdf(*pages)}, chunking=SMALL) as library:
        found = await library.search(["vs_a"], ["page 6"], principal="local", limit=30)
    assert any(each.passage.chunk.pages == (6, 6) for each in found), found


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty.txt": (b"", "the file is empty"),
    "blank.md": (b" \n\t\n", "no text was found"),
    "binary.txt": (bytes(range(256)) * 20, "expected text, got binary data"),
    "really.txt": (pdf("keel"), "got a PDF: rename it"),
    "really.docx": (b"just words", "expected a docx (a zip archive)"),
    "other.docx": (xlsx(), "has no word/document.xml"),
    "locked.docx": (b"\xd0\xcf\x11\xe0" + bytes(600), "encrypted or old binary Office"),
    "cut.docx": (docx(("", "A keel"))[:-30], "expected a docx (a zip archive)"),
    "laughs.docx": (docx(("", "&c;"), before=LAUGHS), "without a document type definition"),
    "outside.docx": (docx(("", "&x;"), before=OUTSIDE), "without a document type definition"),
    "bomb.docx": (zip_bomb(), "bytes when unpacked, got more"),
    "broken.pptx": (pptx(["<unclosed"]), "expected XML"),
    "cut.pdf": (pdf("A keel")[:60], "expected a whole PDF"),
    "words.pdf": (b"just words", "expected a PDF, which begins with %PDF-"),
    "scanned.pdf": (pdf(""), "OCR"),
    "program.exe": (b"MZ\x00\x01" * 50, "files named .exe cannot be read"),
}


async def test_hostile_files_fail_and_say_why_and_those_beside_them_are_read() -> None:
    files = {name: data for name, (data, _) in HOSTILE.items()}
    async with filled({**files, "good.md": "A keel."}) as library:
        for name, (_, words) in HOSTILE.items():
            fault = await fault_of(library, name)
            assert words in fault.message, f"{name}: {fault}"
            assert fault.code == ("unsupported_file" if name == "program.exe" else "invalid_file")
        assert (await chunks_of(library, "good.md"))[0].text == "A keel."
        found = await library.search(["vs_a"], ["root daemon keel"], principal="local")
        assert [each.passage.filename for each in found] == ["good.md"]


async def test_an_encrypted_entry_is_told_from_a_broken_one() -> None:
    data = bytearray(docx(("", "A keel")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1  # "encrypted", in both headers
    assert zipfile.is_zipfile(BytesIO(data))
    async with filled({"a.docx": bytes(data)}) as library:
        assert "unencrypted" in (await fault_of(library, "a.docx")).message


SLOW = "<p>" + "<b " * 3_000_000
"""Looked at again and again from every `<` on, by a parser of HTML that has room for it."""


@pytest.mark.parametrize(
    ("readers", "words"),
    [
        (kept.Readers(memory=256 * 1024**2), "more memory"),
        (kept.Readers(memory=16 * 1024**3, seconds=1.0), "more than 1 seconds|memory or time"),
    ],
)
async def test_a_reader_that_takes_too_much_is_ended_and_the_next_file_is_read(
    readers: kept.Readers, words: str
) -> None:
    async with filled({"slow.html": SLOW, "good.md": "A keel."}, readers=readers) as library:
        assert re.search(words, (await fault_of(library, "slow.html")).message)
        assert len(await chunks_of(library, "good.md")) == 1


async def test_a_small_text_that_takes_too_much_fails_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Any] = []
    start = anyio.open_process

    async def counted(*given: Any, **options: Any) -> Any:
        started.append(given)
        return await start(*given, **options)

    monkeypatch.setattr(anyio, "open_process", counted)
    texts = {f"{at}.md": f"A keel {at}." for at in range(20)}
    slow = SLOW[:250_000]
    readers = kept.Readers(seconds=1.0)
    async with filled(
        {**texts, "slow.html": slow, "good.md": "A keel."}, readers=readers
    ) as library:
        message = (await fault_of(library, "slow.html")).message
        assert re.search("more than 1 seconds|fall silent", message)
        for name in (*texts, "good.md"):
            assert len(await chunks_of(library, name)) == 1
    assert len(started) <= 3, "expected a process to read many, and another in the place of one"
