"""The files of a request, as models read them."""

import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from antiphon.errors import RequestError
from antiphon.items import ITEM, Item, Message
from antiphon.provider import Content, DiskFiles

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.documents import Documents
    from provider.files import Held
    from testing.files import OTHER, OWNER, put
else:
    from antiphon.provider.documents import Documents
    from antiphon.provider.files import Held
    from antiphon.testing.files import OTHER, OWNER, put

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
IMAGES = {
    "png": PNG,
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(20),
    "gif": b"GIF89a" + bytes(20),
    "webp": b"RIFF\x20\0\0\0WEBPVP8 " + bytes(20),
}
PDF = b"%PDF-1.7\nall of it is text"
ABSENT = "file-" + "0" * 48
Part = dict[str, Any]


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[DiskFiles]:
    store = DiskFiles(tmp_path / "files")
    yield store
    await store.aclose()


def said(*parts: Part, role: str = "user") -> Item:
    return ITEM.validate_python({"type": "message", "role": role, "content": list(parts)})


def file_part(**fields: Any) -> Part:
    return {"type": "input_file", **fields}


def data_url(data: bytes, kind: str = "application/octet-stream") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


async def shown(files: DiskFiles, *parts: Part, **options: Any) -> list[Part]:
    """The parts of a message as a model gets them."""
    documents = Documents(files, principal=OWNER, **options)
    (item,) = await documents.read([said(*parts)])
    assert isinstance(item, Message)
    assert isinstance(item.content, list)
    return [part.model_dump(exclude_none=True) for part in item.content]


async def refused(files: DiskFiles, *parts: Part, **options: Any) -> tuple[int, Any, Any]:
    """The status, code and param with which a message is refused."""
    with pytest.raises(RequestError) as caught:
        await shown(files, *parts, **options)
    return caught.value.status, caught.value.code, caught.value.param


def between_marks(text: str) -> tuple[str, str]:
    """The head of a text part, and what stands between its marks."""
    head, _, rest = text.partition("\n")
    mark = re.search(r"mark ([0-9a-f]{32})\]$", head)
    assert mark
    body, end, after = rest.partition(f"\n[end of file {mark[1]}]")
    assert end, text
    assert after == ""
    return head, body


# --- text --------------------------------------------------------------------


async def test_a_stored_text_is_read_as_text_under_its_name(files: DiskFiles) -> None:
    kept = await put(files, "# h\u00e9llo".encode(), filename='no"tes.md')
    (part,) = await shown(files, file_part(file_id=kept.id))
    assert part["type"] == "input_text"
    head, body = between_marks(part["text"])
    assert head.startswith('[file "no_tes.md", 8 bytes; ')
    assert body == "# h\u00e9llo"


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.txt", b"", ""),
        ("a.bin", b"plain", "plain"),
        ("a.json", b'{"a": 1}', '{"a": 1}'),
        ("a.html", b"<b>x</b>", "<b>x</b>"),
        ("a.txt", b"\xef\xbb\xbfbom", "bom"),
        ("a.txt", "\ufeffwide \u20ac".encode("utf-16-le"), "wide \u20ac"),
        ("a.csv", b"caf\xe9;\x80", "caf\u00e9;\u20ac"),
        ("a.log", b"\x1b[31mred\x1b[0m\ttab\r\n", "\x1b[31mred\x1b[0m\ttab\r\n"),
        ("\u202e../x.txt", b"x", "x"),
    ],
)
@pytest.mark.parametrize("stored", [True, False])
async def test_text_is_known_by_its_bytes(
    files: DiskFiles, name: str, data: bytes, text: str, stored: bool
) -> None:
    part = file_part(filename=name, file_data=data_url(data))
    if stored:
        part = file_part(file_id=(await put(files, data, filename=name)).id)
    (found,) = await shown(files, part)
    assert between_marks(found["text"])[1] == text
    assert "\u202e" not in found["text"]


@pytest.mark.parametrize(
    "data", ["data:text/plain;base64,aGk=", "data:,hi", "data:text/plain,%68i", "aGk=", "aG\nk"]
)
async def test_a_request_s_own_bytes_come_in_many_forms(files: DiskFiles, data: str) -> None:
    (part,) = await shown(files, file_part(file_data=data, filename="a.txt"))
    assert between_marks(part["text"])[1] == "hi"


@pytest.mark.parametrize("data", ["data:", "data:;base64", "a", "a!b=", "\u00e9", "data:;base64,?"])
async def test_what_is_no_data_is_refused(files: DiskFiles, data: str) -> None:
    assert await refused(files, file_part(file_data=data)) == (
        400,
        "invalid_value",
        "input[0].content[0].file_data",
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=10))
def test_no_text_forges_its_own_mark(text: str, name: str) -> None:
    data = text.encode()
    one = Held(name, len(data), data).text()
    if one is None:
        return  # it has bytes that no text has
    inner = Held(name, len(one.text.encode()), one.text.encode()).text()
    assert inner is not None
    assert between_marks(inner.text)[1] == one.text


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(("size", "kept"), [(999, 999), (1000, 1000), (1001, 999)])
async def test_a_long_text_is_cut_and_says_so(
    files: DiskFiles, stored: bool, size: int, kept: int
) -> None:
    data = b"x" * (size % 2) + "\u00e9".encode() * (size // 2)
    part = file_part(file_data=data_url(data))
    if stored:
        part = file_part(file_id=(await put(files, data)).id)
    (found,) = await shown(files, part, max_text=1000)
    _, body = between_marks(found["text"])
    text, _, note = body.partition("\n")
    assert len(text.encode()) == kept  # no character is cut in two
    assert note == ("" if size <= 1000 else "[cut off: these are the first 1,000 bytes]")


class Counting(DiskFiles):
    """Counts the bytes that are read."""

    taken = 0

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Content | None]:
        async with super().open(file_id, principal=principal) as content:
            assert content is not None
            yield Content(content.file, self._count(content.chunks))

    async def _count(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.taken += len(chunk)
            yield chunk


@pytest.mark.parametrize("data", [b"text", b"\0"])
async def test_no_more_is_read_than_is_needed(tmp_path: Path, data: bytes) -> None:
    files = Counting(tmp_path / "files")
    try:
        part = file_part(file_id=(await put(files, data * (9_000_000 // len(data)))).id)
        if data == b"text":
            (found,) = await shown(files, part, max_files=2_000_000)
            assert 1_000_000 < len(found["text"]) < 1_100_000
        else:
            assert (await refused(files, part, max_files=2_000_000))[0] == 413
        assert files.taken < 3_000_000
    finally:
        await files.aclose()


# --- images and others -------------------------------------------------------


@pytest.mark.parametrize("kind", IMAGES)
async def test_an_image_becomes_an_image(files: DiskFiles, kind: str) -> None:
    kept = await put(files, IMAGES[kind], filename="lies.txt")
    url = data_url(IMAGES[kind], f"image/{kind}")
    image = {"type": "input_image", "image_url": url, "detail": "auto"}
    given = [
        file_part(file_id=kept.id),
        file_part(file_data=data_url(IMAGES[kind])),
        {"type": "input_image", "file_id": kept.id, "detail": "low"},
    ]
    assert await shown(files, *given) == [image, image, {**image, "detail": "low"}]


async def test_an_image_is_never_cut(files: DiskFiles) -> None:
    data = PNG + bytes(2_000)
    kept = await put(files, data)
    parts = file_part(file_id=kept.id), file_part(file_data=data_url(data))
    for found in await shown(files, *parts, max_text=1_000):
        assert found["image_url"] == data_url(data, "image/png")


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.pdf", PDF, "application/pdf"),
        ("a.bin", PDF, "application/pdf"),
        ("a.zip", b"PK\3\4\0", "application/octet-stream"),
        (
            "a.docx",
            b"PK\3\4\0",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("a.dat", b"caf\xe9", "application/octet-stream"),
    ],
)
async def test_what_is_neither_goes_on_as_it_is(
    files: DiskFiles, name: str, data: bytes, kind: str
) -> None:
    kept = await put(files, data, filename=name)
    own = file_part(filename=name, file_data=data_url(data, "x/y"))
    assert await shown(files, file_part(file_id=kept.id), own) == [
        file_part(filename=name, file_data=data_url(data, kind)),
        own,
    ]


async def test_a_model_that_takes_no_files_is_given_none(files: DiskFiles) -> None:
    kept = await put(files, PDF)
    for part, field in (
        (file_part(file_id=kept.id), "file_id"),
        (file_part(file_data=data_url(PDF)), "file_data"),
    ):
        param = f"input[0].content[0].{field}"
        found = await refused(files, part, takes_files=False)
        assert found == (400, "unsupported_file", param)
    text = await put(files, b"hi")
    assert await shown(files, file_part(file_id=text.id), takes_files=False)


async def test_a_file_that_is_no_image_is_not_shown_as_one(files: DiskFiles) -> None:
    kept = await put(files, b"text")
    part = {"type": "input_image", "file_id": kept.id}
    assert await refused(files, {"type": "input_text", "text": "x"}, part) == (
        400,
        "invalid_value",
        "input[0].content[1].file_id",
    )


async def test_urls_are_left_to_the_model_s_server(files: DiskFiles) -> None:
    parts = [
        file_part(file_url="https://example.com/a.pdf"),
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
    ]
    assert await shown(files, *parts) == parts


# --- which, whose, how much --------------------------------------------------


@pytest.mark.parametrize("kind", ["input_file", "input_image"])
async def test_anothers_file_and_an_absent_one_look_the_same(files: DiskFiles, kind: str) -> None:
    theirs = await put(files, PNG, principal=OTHER)
    for file_id in theirs.id, ABSENT, "", "../../etc/passwd", "x" * 10_000, "\0":
        found = await refused(files, {"type": kind, "file_id": file_id})
        assert found == (404, "file_not_found", "input[0].content[0].file_id")
    item = said({"type": kind, "file_id": theirs.id})
    assert await Documents(files, principal=OTHER).read([item]) != [item]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"filename": "a.txt"}, "missing_required_parameter"),
        ({"file_id": ABSENT, "file_data": "aGk="}, "invalid_value"),
        ({"file_id": ABSENT, "file_url": "https://example.com/"}, "invalid_value"),
    ],
)
async def test_a_part_names_one_file(files: DiskFiles, fields: Part, code: str) -> None:
    assert await refused(files, file_part(**fields)) == (400, code, "input[0].content[0]")


async def test_files_are_found_in_what_clients_send_and_what_models_saw_stays(
    files: DiskFiles,
) -> None:
    kept = await put(files, b"hi")
    part = file_part(file_id=kept.id)
    output = {"type": "function_call_output", "call_id": "c", "output": [part]}
    custom = {"type": "custom_tool_call_output", "call_id": "c", "output": [part]}
    own: Part = {
        "type": "antiphon:tool_call",
        "id": "t",
        "status": "completed",
        "name": "f",
        "arguments": "{}",
        "output": [file_part(file_data=data_url(b"hi"))],
    }
    given = [
        said(part, role="user"),
        said(part, role="developer"),
        ITEM.validate_python(output),
        ITEM.validate_python(custom),
        said(own["output"][0], role="assistant"),
        ITEM.validate_python(own),
        said({"type": "input_text", "text": "x"}),
        ITEM.validate_python({"role": "user", "content": "words"}),
        ITEM.validate_python({"type": "x_new", "content": [part]}),
    ]
    found = await Documents(files, principal=OWNER).read(given)
    changed = [one is not other for one, other in zip(given, found, strict=True)]
    assert changed == [True] * 4 + [False] * 5
    assert given[0] == said(part)  # what was given is what is kept
    assert "hi" in str(found[2])


async def test_what_was_said_before_has_no_place_in_this_request(files: DiskFiles) -> None:
    documents = Documents(files, principal=OWNER)
    for part in file_part(file_id=ABSENT), file_part():
        with pytest.raises(RequestError) as caught:
            await documents.read([said(part)], before=True)
        assert caught.value.param == "previous_response_id"


async def test_a_request_brings_in_so_much_and_no_more(files: DiskFiles) -> None:
    kept = await put(files, b"\0" + bytes(1_999_999))
    part = file_part(file_id=kept.id)
    param = "input[0].content[2].file_id"
    assert len(await shown(files, part, part, max_files=4_000_000)) == 2
    assert await refused(files, part, part, part, max_files=4_000_000) == (
        413,
        "file_too_large",
        param,
    )
    found = await refused(files, part, max_files=1_999_999)
    assert found == (413, "file_too_large", "input[0].content[0].file_id")


async def test_what_came_before_counts_with_what_comes_now(files: DiskFiles) -> None:
    part = file_part(file_id=(await put(files, b"\0" * 600)).id)
    documents = Documents(files, principal=OWNER, max_files=1_000)
    await documents.read([said(part)], before=True)
    with pytest.raises(RequestError, match="1,000 bytes"):
        await documents.read([said(part)])


async def test_a_file_that_is_deleted_is_not_read_again(files: DiskFiles) -> None:
    kept = await put(files, b"hi")
    part = file_part(file_id=kept.id)
    assert await shown(files, part)
    await files.delete(kept.id, principal=OWNER)
    assert (await refused(files, part))[1] == "file_not_found"
