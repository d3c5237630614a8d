"""What a file calls itself, and what it is called here."""

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from .filing import BORDER, Shelf, form, get, part, post, shelf as shelf, upload_form

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.files import disposition, safe_name
else:
    from antiphon.provider.files import disposition, safe_name

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\\\Windows\\\\system.ini", "system.ini"),
        ("\\\\\\\\host\\\\share\\\\x.txt", "x.txt"),
        ("..", "upload"),
        ("", "upload"),
        (".", "upload"),
        ("a/", "a"),
        (b"a\0b.txt", "ab.txt"),
        (b"a\tb\x1b[31m.txt", "ab[31m.txt"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\u2066a\u2069\u200b\ufeff.txt", "a.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        (b"\xff\xfe.txt", "\ufffd\ufffd.txt"),
        ("NUL", "_NUL"),
        ("con.txt", "_con.txt"),
        ("COM\u00b9.tar.gz", "_COM\u00b9.tar.gz"),
        ("a.txt:stream", "a.txt_stream"),
        ("<script>.html", "_script_.html"),
        ("trailing. . .", "trailing"),
        ("\u0645\u0644\u0641.pdf", "\u0645\u0644\u0641.pdf"),
        ("x" * 10_000 + ".pdf", "x" * 250 + ".pdf"),
        ("\u20ac" * 3_000 + ".pdf", "\u20ac" * 83 + ".pdf"),
        ("x." + "y" * 300, "x." + "y" * 252),
    ],
)
async def test_a_name_is_made_harmless(shelf: Shelf, given: str | bytes, kept: str) -> None:
    made = (await post(shelf.app, upload_form(filename=given))).json
    assert made["filename"] == kept
    found = await get(shelf.app, f"/v1/files/{made['id']}/content")
    assert found.body == b"hello"
    assert found.headers["content-disposition"].isascii()
    assert {path.name for path in (shelf.folder / "content").iterdir()} == {made["id"]}


async def test_a_name_in_the_form_that_is_forbidden_here_is_read_too(shelf: Shelf) -> None:
    told = b"Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''n%C3%A9%2F..%2Fx.txt"
    one = b"--%b\r\n%b\r\n\r\nhello\r\n" % (BORDER.encode(), told)
    assert (await post(shelf.app, form(part("purpose", "batch"), one))).json["filename"] == "x.txt"


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=40) | st.text("conNUL1.. _/\\:<\u0338\u200d", max_size=9))
def test_any_name_becomes_a_name_that_stays(name: str) -> None:
    kept = safe_name(name)
    assert safe_name(kept) == kept
    assert 1 <= len(kept.encode()) <= 255
    assert kept.strip(". ")
    assert not set('/\\<>:"|?*') & set(kept)
    assert not {unicodedata.category(each) for each in kept} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert unicodedata.is_normalized("NFC", kept)
    assert disposition(kept).isascii()
    assert disposition(kept).count('"') == 2
