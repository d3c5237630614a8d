"""Files that mean harm, and bodies that do: clear errors, and nothing leaves its container."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import io
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest
from starlette.types import Message

from antiphon.provider import DiskFiles, Provider
from antiphon.sandboxes import LocalSandboxes
from tests.sandboxes.docker_kit import docker as docker

from .filing import ALICE, FORM, Answer, ask, form, part, scope_of
from .harbour import (
    Harbour,
    content,
    harbour as harbour,
    names,
    place as place,
    provider_of,
    run,
    upload,
)
from .serving import Exchange

pytestmark = pytest.mark.anyio

LIMIT = 64 * 1024 * 1024


@pytest.fixture
async def provider(tmp_path: Path, request: Any) -> AsyncGenerator[Provider]:
    """One in this process, for what only ASGI shows; its parameter is how long it waits."""
    seconds: float = getattr(request, "param", 60.0)
    made = provider_of(tmp_path, LocalSandboxes(), body_seconds=seconds)
    yield made
    await made.aclose()


NAMES = {
    "../../etc/passwd": "passwd",
    "/etc/cron.d/job": "job",
    "C:\\Windows\\system.ini": "system.ini",
    "..": "file",
    ".antiphon-put-1": "antiphon-put-1",
    "": "upload",
    "a\u202etxt.exe": "atxt.exe",
    "x" * 300 + ".csv": "x" * 196 + ".csv",
    "-rf *; $(id) `id` 'q'.txt": "-rf *; $(id) `id` 'q'.txt",
    "\u00e9t\u00e9 \U0001f30a.csv": "\u00e9t\u00e9 \U0001f30a.csv",
}


async def test_names_of_uploads_are_made_harmless(harbour: Harbour) -> None:
    async with harbour.client() as client, harbour.http() as http:
        box = await client.containers.create(name="names")
        for position, (name, kept) in enumerate(NAMES.items()):
            made = await upload(client, box.id, name, str(position).encode())
            assert made.path == f"/mnt/data/{kept}"
            path = f"/containers/{box.id}/files/{made.id}/content"
            answer = await http.get(path)
            assert answer.content == str(position).encode()
            told = answer.headers["content-disposition"]
            assert told.startswith('attachment; filename="') and told.isprintable(), told
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-type"] == "application/octet-stream"
            assert "sandbox" in answer.headers["content-security-policy"]
        assert set(await names(client, box.id)) == set(NAMES.values())


async def test_files_of_code_are_listed_only_if_they_are_regular_and_well_named(
    harbour: Harbour,
) -> None:
    code = (
        "import os\nos.symlink('/etc/passwd', 'link')\nos.mkfifo('pipe')\nos.mkdir('folder')\n"
        "open('folder/inside', 'w').close()\nos.symlink('/dev/zero', 'zero')\n"
        "open('good', 'w').write('1')\nopen('new\\nline', 'w').close()\n"
        "open('turn\\u202e', 'w').close()\nopen(b'\\xff\\xfe', 'wb').close()\n"
    )
    async with harbour.client() as client:
        box = await client.containers.create(name="odd")
        await run(client, box.id, code)
        assert await names(client, box.id) == ["good"]


@pytest.mark.parametrize(
    "becomes",
    [
        "os.symlink('/etc/passwd', 'a')",
        "os.symlink('/dev/zero', 'a')",
        "os.mkfifo('a')",
        "os.mkdir('a')",
    ],
)
async def test_what_a_file_has_become_is_not_delivered_under_its_id(
    harbour: Harbour, becomes: str
) -> None:
    async with harbour.client() as client:
        box = await client.containers.create(name="swap")
        file = await upload(client, box.id, "a", b"1")
        await run(client, box.id, f"import os\nos.remove('a')\n{becomes}")
        with pytest.raises(openai.NotFoundError, match="there is no file"):
            await content(client, box.id, file.id)
        with pytest.raises(openai.NotFoundError, match="there is no file"):
            await client.containers.files.delete(file.id, container_id=box.id)
        said = await run(client, box.id, "print(os.path.lexists('a'))")
        assert "True" in said, "expected it to be left alone"


async def test_a_sparse_terabyte_is_told_of_and_not_delivered(harbour: Harbour) -> None:
    async with harbour.client() as client:
        box = await client.containers.create(name="sparse")
        await run(client, box.id, "open('huge', 'wb').truncate(2**40)")
        (file,) = (await client.containers.files.list(box.id)).data
        assert file.bytes == 2**40
        with pytest.raises(openai.UnprocessableEntityError, match=f"over {LIMIT}"):
            await content(client, box.id, file.id)
        await client.containers.files.delete(file.id, container_id=box.id)
        assert await names(client, box.id) == []


async def test_a_zip_bomb_is_a_file_like_any_other(harbour: Harbour) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("../../escaped", "big"):
            archive.writestr(name, bytes(50_000_000))
    bomb = packed.getvalue()
    async with harbour.client() as client:
        box = await client.containers.create(name="bomb")
        file = await upload(client, box.id, "bomb.xlsx", bomb)
        assert file.bytes == len(bomb) < 200_000
        assert await names(client, box.id) == ["bomb.xlsx"]
        assert await content(client, box.id, file.id) == bomb


async def test_what_is_under_a_running_cell_is_deleted_with_it(harbour: Harbour) -> None:
    ended = dict[str, Any]()
    async with harbour.client() as client:
        box = await client.containers.create(name="busy")
        file = await upload(client, box.id, "go", b"1")

        async def wait() -> None:
            code = "import os\nwhile os.path.exists('go'): pass\nopen('seen', 'w').close()\n"
            ended["said"] = await run(client, box.id, f"{code}while True: pass")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await client.containers.files.delete(file.id, container_id=box.id)
            while "seen" not in await names(client, box.id):  # files come while a cell runs
                pass
            await client.containers.delete(box.id)
        assert "closed" in ended["said"]


# --- bodies -----------------------------------------------------------------------------------


async def sent(
    app: Provider, body: list[bytes], headers: dict[str, str] | None = None, **options: Any
) -> Answer:
    """The answer to an upload into a new container, at the level of ASGI."""
    box = await made(app)
    path = f"/v1/containers/{box}/files"
    answer = await ask(app, "POST", path, body, headers={**ALICE, **(headers or FORM)}, **options)
    assert answer is not None
    listed = await ask(app, "GET", path)
    assert listed is not None and (answer.status == 200 or listed.json["data"] == [])
    return answer


async def made(app: Provider) -> str:
    headers = {**ALICE, "content-type": "application/json"}
    answer = await ask(app, "POST", "/v1/containers", [b'{"name": "x"}'], headers=headers)
    assert answer is not None and answer.status == 200, answer
    return answer.json["id"]


async def test_a_hundred_megabytes_are_refused_before_they_are_read(provider: Provider) -> None:
    announced = {**FORM, "content-length": str(100 * 1024 * 1024)}
    answer = await sent(provider, [b"--"], headers=announced, then="wait")
    assert answer.status == 413 and answer.error["code"] == "file_too_large"


async def test_more_bytes_than_a_file_may_have_are_refused_as_they_come(tmp_path: Path) -> None:
    files = DiskFiles(tmp_path / "small", max_bytes=3_000_000)
    app = provider_of(tmp_path, LocalSandboxes(), files=files)
    body = form(part("file", bytes(5_000_000), "big.bin"))
    chunks = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
    answer = await sent(app, chunks, then="wait")
    assert answer.status == 413 and "at most 3,000,000 bytes" in answer.error["message"]
    answer = await sent(app, [form(part("file", bytes(2_500_000), "fits.bin"))])
    assert answer.status == 200 and answer.json["bytes"] == 2_500_000
    await app.aclose()


@pytest.mark.parametrize("provider", [0.05], indirect=True)
async def test_a_body_that_does_not_come_is_a_408(provider: Provider) -> None:
    answer = await sent(provider, [form(part("file", b"x", "a"))[:-9]], then="wait")
    assert answer.status == 408, answer
    json = {"content-type": "application/json"}
    answer = await sent(provider, [b'{"file_id"'], headers=json, then="wait")
    assert answer.status == 408, answer


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (form(part("file", b"x", "a"))[:-9], FORM, 400, "invalid_multipart"),
        (form(part("file", b"x", "a"), part("file", b"y", "b")), FORM, 400, "invalid_multipart"),
        (form(part("other", b"x")), FORM, 400, "missing_required_parameter"),
        (form(part("file_id", b"file-0")), FORM, 404, "file_not_found"),
        (form(part("file_id", b"file-0"), part("file", b"x", "a")), FORM, 400, "invalid_value"),
        (
            b'{"file_id": "file-0", "file": "x"}',
            {"content-type": "application/json"},
            400,
            "invalid_value",
        ),
        (b"x", {"content-type": "multipart/form-data"}, 400, "invalid_multipart"),
        (b"x", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"content-type": "application/json"}, 400, "invalid_value"),
        (b'{"file_id": 1}', {"content-type": "application/json"}, 400, "invalid_value"),
        (b"{", {"content-type": "application/json"}, 400, "invalid_json"),
    ],
)
async def test_a_body_that_is_no_upload_is_refused(
    provider: Provider, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await sent(provider, [body], headers=headers)
    assert (answer.status, answer.error["code"]) == (status, code), answer


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"tab\tand\x1b[31mred\x7f.txt", "taband[31mred.txt"),
        (b"bell\x07\x00.csv", "bell.csv"),
        (b"\xff\xfe.csv", "\ufffd\ufffd.csv"),
        (b"a\xe2\x80\xa8b.csv", "ab.csv"),  # a line separator
        (b"\xe2\x81\xa6../x", "x"),
        (b".", "file"),
    ],
)
async def test_a_name_that_no_client_library_sends_is_made_harmless(
    provider: Provider, name: bytes, kept: str
) -> None:
    answer = await sent(provider, [form(part("file", b"x", name))])
    assert answer.status == 200 and answer.json["path"] == f"/mnt/data/{kept}", answer


async def test_without_keys_pages_of_other_sites_cannot_upload(tmp_path: Path) -> None:
    app = provider_of(tmp_path, LocalSandboxes(), api_keys=None)
    headers = {**FORM, "origin": "https://evil.example"}
    answer = await sent(app, [form(part("file", b"x", "a"))], headers=headers)
    assert answer.status == 403 and answer.error["code"] == "local_only"
    await app.aclose()


async def test_a_client_that_leaves_leaves_nothing(provider: Provider) -> None:
    box = await made(provider)
    path = f"/v1/containers/{box}/files"
    body = [form(part("file", b"x" * 100_000, "a"))[:70_000]]
    gone = await ask(provider, "POST", path, body, headers={**ALICE, **FORM}, then="leave")
    assert gone is None
    listed = await ask(provider, "GET", path)
    assert listed is not None and listed.json["data"] == []


async def test_clients_that_do_not_read_hold_four_contents_and_no_more(provider: Provider) -> None:
    box = await made(provider)
    path = f"/v1/containers/{box}/files"
    body = form(part("file", bytes(300_000), "a.bin"))
    file = await ask(provider, "POST", path, [body], headers={**ALICE, **FORM})
    assert file is not None and file.status == 200
    asked = [
        Exchange(
            provider, method="GET", path=f"{path}/{file.json['id']}/content", headers=dict(ALICE)
        )
        for _ in range(6)
    ]
    for one in asked:
        one.gate = anyio.Event()  # nothing is taken
    async with anyio.create_task_group() as tasks:
        for one in asked[:4]:
            tasks.start_soon(one.run)
            await one.until(lambda one=one: one.sent)
        for one in asked[4:]:
            tasks.start_soon(one.run)
        await ask(provider, "GET", path)  # others of this principal go on
        assert not any(one.sent for one in asked[4:])
        for one in asked:
            assert one.gate is not None
            one.gate.set()
    assert [len(one.body) for one in asked] == [300_000] * 6


async def waiting(app: Provider, path: str, count: int) -> list[Exchange]:
    """So many downloads whose client takes nothing."""
    asked = [Exchange(app, method="GET", path=path, headers=dict(ALICE)) for _ in range(count)]
    for one in asked:
        one.gate = anyio.Event()
    return asked


async def test_small_contents_wait_for_no_client_that_does_not_read(provider: Provider) -> None:
    box = await made(provider)
    path = f"/v1/containers/{box}/files"
    ids = list[str]()
    for name, data in (("large", bytes(300_000)), ("small", b"1")):
        body = form(part("file", data, name))
        file = await ask(provider, "POST", path, [body], headers={**ALICE, **FORM})
        assert file is not None
        ids.append(file.json["id"])
    stalled = await waiting(provider, f"{path}/{ids[0]}/content", 4)
    async with anyio.create_task_group() as tasks:
        for one in stalled:
            tasks.start_soon(one.run)
            await one.until(lambda one=one: one.sent)
        answer = await ask(provider, "GET", f"{path}/{ids[1]}/content")
        assert answer is not None and answer.body == b"1"
        for one in stalled:
            assert one.gate is not None
            one.gate.set()


@pytest.mark.parametrize("provider", [0.05], indirect=True)
async def test_a_client_that_takes_nothing_is_cut_off_in_time(provider: Provider) -> None:
    box = await made(provider)
    path = f"/v1/containers/{box}/files"
    body = form(part("file", bytes(300_000), "large"))
    file = await ask(provider, "POST", path, [body], headers={**ALICE, **FORM})
    assert file is not None
    stalled = await waiting(provider, f"{path}/{file.json['id']}/content", 5)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for one in stalled:
                tasks.start_soon(one.run)
    assert all(one.ended and len(one.body) < 300_000 for one in stalled)


async def test_large_uploads_on_their_way_are_four_and_small_ones_pass(tmp_path: Path) -> None:
    app = provider_of(tmp_path, LocalSandboxes())
    box = await made(app)
    path, headers = f"/v1/containers/{box}/files", {**ALICE, **FORM}
    large = form(part("file", bytes(1_500_000), "a"))
    async with anyio.create_task_group() as tasks:
        ends = [Slow(app, path, headers, large[:-20]) for _ in range(4)]
        for one in ends:
            tasks.start_soon(one.run)
            await one.waits.wait()
        answer = await ask(app, "POST", path, [large], headers=headers)
        assert answer is not None and answer.status == 429
        assert answer.error["code"] == "too_many_uploads" and "retry-after" in answer.headers
        small = await ask(app, "POST", path, [form(part("file", b"1", "s"))], headers=headers)
        assert small is not None and small.status == 200
        tasks.cancel_scope.cancel()
    answer = await ask(app, "POST", path, [large], headers=headers)
    assert answer is not None and answer.status == 200
    await app.aclose()


class Slow:
    """An upload whose end does not come."""

    def __init__(self, app: Provider, path: str, headers: dict[str, str], body: bytes) -> None:
        self._app, self._body = app, [body]
        self._scope = scope_of("POST", path, headers)
        self.waits = anyio.Event()

    async def run(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._body:
            self.waits.set()
            await anyio.sleep_forever()
        return {"type": "http.request", "body": self._body.pop(), "more_body": True}

    async def _send(self, message: Message) -> None:
        raise AssertionError(f"expected no answer, got {message}")


@pytest.mark.parametrize("limit", ["000000001" + "0" * 5_000, "0" * 5_000 + "1", "1" * 5_000])
async def test_a_limit_of_thousands_of_digits_is_refused_or_read(
    provider: Provider, limit: str
) -> None:
    answer = await ask(provider, "GET", f"/v1/containers?limit={limit}")
    assert answer is not None and answer.status in (200, 400), answer
    if answer.status == 400:
        assert answer.error["param"] == "limit"
