"""Uploads by those who mean no good: forms that are none, floods, and slow senders."""

import os
import random
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import pytest
from hypothesis import given, settings, strategies as st
from starlette.types import Message

from antiphon.errors import RequestError

from .filing import (
    ALICE,
    BORDER,
    FORM,
    Shelf,
    ask,
    form,
    get,
    part,
    post,
    scope_of,
    serving_files,
    shelf as shelf,
    upload_form,
)
from .serving import PATIENCE, serve

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.files.form import MAX_OVERHEAD, Form
else:
    from antiphon.provider.files.form import MAX_OVERHEAD, Form

pytestmark = pytest.mark.anyio

# --- fields ------------------------------------------------------------------


async def test_the_order_of_fields_is_free(shelf: Shelf) -> None:
    fields = [
        part("expires_after[seconds]", "3600"),
        part("file", b"hello", "a.txt"),
        part("x_unknown", b"\xff" * 100_000),
        part("expires_after[anchor]", "created_at"),
        part("purpose", "vision"),
    ]
    for turn in range(len(fields)):
        made = (await post(shelf.app, form(*fields[turn:], *fields[:turn]))).json
        assert made["purpose"] == "vision"
        assert made["expires_at"] == made["created_at"] + 3600


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (form(part("purpose", "batch")), "missing_required_parameter", "file"),
        (form(part("file", b"x", "a")), "missing_required_parameter", "purpose"),
        (form(), "missing_required_parameter", "file"),
        (upload_form(purpose="world_domination"), "invalid_value", "purpose"),
        (upload_form(purpose=""), "invalid_value", "purpose"),
        (
            upload_form(seconds="3600"),
            "missing_required_parameter",
            "expires_after[anchor]",
        ),
        (
            upload_form(anchor="created_at"),
            "missing_required_parameter",
            "expires_after[seconds]",
        ),
        (
            upload_form(anchor="now", seconds="3600"),
            "invalid_value",
            "expires_after[anchor]",
        ),
    ],
)
async def test_a_field_that_is_missing_or_wrong_is_named(
    shelf: Shelf, body: bytes, code: str, param: str
) -> None:
    error = (await post(shelf.app, body, status=400)).error
    assert (error["code"], error["param"]) == (code, param)
    if param == "purpose":
        for purpose in "assistants", "batch", "fine-tune", "vision", "user_data", "evals":
            assert purpose in error["message"]
    assert shelf.left == (0, 0)


@pytest.mark.parametrize("seconds", ["3599", "2592001", "", "-3600", "1e9", "3600.5", "9" * 4000])
async def test_an_expiry_out_of_bounds(shelf: Shelf, seconds: str) -> None:
    body = upload_form(anchor="created_at", seconds=seconds)
    error = (await post(shelf.app, body, status=400)).error
    assert (error["code"], error["param"]) == ("invalid_value", "expires_after[seconds]")


async def test_a_wrong_purpose_is_refused_before_the_file_has_come(shelf: Shelf) -> None:
    body = upload_form(bytes(200_000), purpose="x")
    headers = {**ALICE, **FORM}
    one = await ask(shelf.app, "POST", "/v1/files", [body[:70_000]], headers=headers, then="wait")
    assert one is not None
    assert one.error["param"] == "purpose"


# --- forms that are none -----------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/mixed; boundary=x", "text/plain; \xff", "multipart"]
)
async def test_another_content_type(shelf: Shelf, kind: str) -> None:
    one = await post(shelf.app, b"{}", status=415, headers={"content-type": kind})
    assert one.error["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'x' * 300}",
    ],
)
async def test_a_boundary_that_is_none(shelf: Shelf, kind: str) -> None:
    one = await post(shelf.app, upload_form(), status=400, headers={"content-type": kind})
    assert one.error["code"] == "invalid_multipart"


WHOLE = upload_form()
HEAD = b"--%b\r\n" % BORDER.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"no form at all",
        WHOLE[:-20],
        WHOLE.replace(b"--\r\n", b"\r\n"),
        WHOLE.replace(BORDER.encode(), b"another"),
        HEAD + b"X" * 100_000,
        HEAD + b"X-Long: " + b"y" * 100_000,
        HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(20)) + WHOLE[len(HEAD) :],
        HEAD + b"X-Long: " + b"y" * 20_000 + b"\r\n" + WHOLE[len(HEAD) :],
        HEAD + b"\r\nno disposition\r\n" + WHOLE,
        part("x", "") + HEAD + b"\r\nno disposition\r\n" + WHOLE,
        HEAD + b"Content-Disposition: attachment; name=x\r\n\r\n\r\n" + WHOLE,
        HEAD + b"Content-Disposition: form-data\r\n\r\n\r\n" + WHOLE,
        HEAD + b"Bad Header\r\n\r\n" + WHOLE,
        form(part("purpose", "batch"), part("purpose", "batch"), part("file", b"x", "a")),
        form(part("purpose", "batch"), part("file", b"x", "a"), part("file", b"y", "b")),
        form(part("purpose", b"\xff"), part("file", b"x", "a")),
        form(part("purpose", "x" * 5_000), part("file", b"x", "a")),
        WHOLE.replace(b"octet-stream", b"octet-stream\r\nContent-Transfer-Encoding: base64"),
    ],
)
async def test_a_form_that_is_none(shelf: Shelf, body: bytes) -> None:
    one = await post(shelf.app, body, status=400)
    assert one.error["code"] == "invalid_multipart"
    assert shelf.left == (0, 0)
    await post(shelf.app, upload_form())


async def test_a_hundred_thousand_fields(shelf: Shelf) -> None:
    body = form(*(part(f"f{number}", "") for number in range(100_000)), WHOLE)
    one = await post(shelf.app, body, status=400)
    assert "more than 64 parts" in one.error["message"]


def endless(head: bytes) -> Iterator[bytes]:
    """A form that goes on for longer than anybody wants to read."""
    yield head
    for _ in range(2 * MAX_OVERHEAD // 10_000):
        yield b"y" * 10_000
    raise AssertionError("it was read to its end")


@pytest.mark.parametrize(
    "head", [HEAD + b'Content-Disposition: form-data; name="x_other"\r\n\r\n', WHOLE]
)
async def test_what_is_no_file_has_a_bound_of_its_own(shelf: Shelf, head: bytes) -> None:
    one = await ask(shelf.app, "POST", "/v1/files", endless(head), headers={**ALICE, **FORM})
    assert one is not None
    assert one.status == 413
    assert one.error["code"] == "request_too_large"
    assert shelf.left == (0, 0)


@pytest.mark.parametrize("said", [str(1024**4), "9" * 5_000])
async def test_a_body_that_is_too_large_by_its_own_word_is_not_read(
    shelf: Shelf, said: str
) -> None:
    headers = {**ALICE, **FORM, "content-length": said}
    one = await ask(shelf.app, "POST", "/v1/files", headers=headers, then="wait")
    assert one is not None
    assert (one.status, one.error["code"]) == (413, "file_too_large")


@pytest.mark.parametrize("said", ["", "\u00b2", "-1", "many", "1e9"])
async def test_a_length_that_is_none_is_passed_over(shelf: Shelf, said: str) -> None:
    await post(shelf.app, upload_form(), headers={"content-length": said})


# --- other sites' pages ------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost:8000", 200),
        ("http://localhost:3000", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://[", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_no_other_site_s_page_uploads_to_a_provider_without_keys(
    shelf: Shelf, origin: str | None, status: int
) -> None:
    app = serving_files(shelf.files, None)
    headers = {"host": "localhost:8000"} | ({} if origin is None else {"origin": origin})
    one = await post(app, upload_form(), status=status, headers=headers)
    if status == 403:
        assert one.error["type"] == "permission_error"
    keyed = await post(shelf.app, upload_form(), headers=headers)  # no browser has a key
    assert keyed.status == 200


# --- the parser, however the bytes are cut -----------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"\r\n--", BORDER.encode(), b"\r\n", b"-", b"--", b"\r", b"\n", b"x\0"]),
        max_size=12,
    ).map(b"".join),
    st.integers(0, 2**32),
)
def test_a_file_is_the_same_however_its_form_is_cut(content: bytes, seed: int) -> None:
    if b"\r\n--" + BORDER.encode() in b"\r\n" + content:
        content = content.replace(BORDER.encode(), b"")
    body, chance = upload_form(content), random.Random(seed)
    one = Form(FORM["content-type"], known=("purpose",))
    found = b""
    while body:
        size = chance.randint(1, 12)
        found += b"".join(one.feed(body[:size]))
        body = body[size:]
    assert one.end() == "a.txt"
    assert one.fields == {"purpose": "user_data"}
    assert found == content


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(0, len(WHOLE)), st.integers(0, 40))
def test_a_broken_form_is_read_or_refused(noise: bytes, at: int, gone: int) -> None:
    one = Form(FORM["content-type"], known=("purpose",))
    try:
        one.feed(WHOLE[:at] + noise + WHOLE[at + gone :])
        one.end()
    except RequestError as error:
        assert error.status == 400


# --- those who stop ----------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10, 200, 3_000_000])
async def test_a_client_that_leaves_leaves_nothing(shelf: Shelf, size: int) -> None:
    body = upload_form(bytes(4_000_000))[:size]
    seen: list[tuple[int, int]] = []
    one = await ask(
        shelf.app,
        "POST",
        "/v1/files",
        [body[at : at + 65_536] for at in range(0, size, 65_536)],
        headers={**ALICE, **FORM},
        then="leave",
        at=lambda: seen.append(shelf.left),
    )
    assert one is None
    assert seen == [(1, 0)]  # it had begun
    assert shelf.left == (0, 0)
    assert (await get(shelf.app, "/v1/files")).json["data"] == []


@pytest.mark.parametrize("chunks", [[], [WHOLE[:30]], [b"-"] * 3])
async def test_a_body_that_stops_is_timed_out(shelf: Shelf, chunks: list[bytes]) -> None:
    slow = Shelf(shelf.folder, idle_seconds=0.02)
    one = await ask(slow.app, "POST", "/v1/files", chunks, headers={**ALICE, **FORM}, then="wait")
    assert one is not None
    assert (one.status, one.error["code"]) == (408, "request_timeout")
    assert slow.left == (0, 0)
    await slow.files.aclose()


def test_half_an_upload_over_a_real_socket_leaves_nothing(tmp_path: Path) -> None:
    head = (
        b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-a\r\n"
        b"Content-Type: %b\r\nContent-Length: 5000000\r\n\r\n" % FORM["content-type"].encode()
    )
    slow = Shelf(tmp_path / "files", idle_seconds=0.2)
    with serve(slow.app) as url:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        with socket.create_connection((parts.hostname, parts.port), PATIENCE) as line:
            line.sendall(head + upload_form(bytes(2_000_000))[:2_000_000])
            assert line.recv(64).startswith(b"HTTP/1.1 408 ")
        with socket.create_connection((parts.hostname, parts.port), PATIENCE) as line:
            line.sendall(head.replace(b"5000000", b"%d" % (len(WHOLE) - 9)) + WHOLE)
            assert line.recv(64).startswith(b"HTTP/1.1 400 ")  # its last boundary is beyond it
    assert slow.left == (0, 0)


async def test_a_reader_that_leaves_leaves_nothing_open(shelf: Shelf) -> None:
    made = (await post(shelf.app, upload_form(bytes(9_000_000)))).json
    path = f"/v1/files/{made['id']}/content"
    assert len((await get(shelf.app, path)).body) == 9_000_000
    before = len(os.listdir("/dev/fd"))
    sent: list[Message] = []

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if message.get("body"):
            raise OSError("the line is cut")

    with anyio.fail_after(PATIENCE):
        await shelf.app(scope_of("GET", path), receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert len(os.listdir("/dev/fd")) == before


# --- memory ------------------------------------------------------------------


async def test_memory_stays_flat_however_large_a_file_is(shelf: Shelf) -> None:
    size, block = 48 * 1024 * 1024, bytes(64 * 1024)
    head, tail = upload_form(b"\0").split(b"\0")

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(size // len(block)):
            yield block
        yield tail

    tracemalloc.start()
    try:
        one = await ask(shelf.app, "POST", "/v1/files", body(), headers={**ALICE, **FORM})
        assert one is not None
        assert one.json["bytes"] == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024, f"{peak:,} bytes"


async def test_many_files_may_be_on_their_way_at_once(shelf: Shelf) -> None:
    made: list[str] = []

    async def one(number: int) -> None:
        body = upload_form(bytes([number]) * 300_000, f"{number}.bin")
        made.append((await post(shelf.app, body)).json["id"])

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(one, number)
    assert len(set(made)) == 40
    for file_id in made:
        file = (await get(shelf.app, f"/v1/files/{file_id}")).json
        content = (await get(shelf.app, f"/v1/files/{file_id}/content")).body
        assert content == bytes([int(file["filename"][:-4])]) * 300_000
