"""/v1/files as users of the `openai` SDK have it, over real HTTP."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from antiphon.errors import ConfigurationError

from .filing import ALICE, Shelf, serving_files
from .serving import PATIENCE, serve

pytestmark = pytest.mark.anyio

DAY = 24 * 3600


@pytest.fixture
def here(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "files", limits={"max_bytes": 5_000_000, "quota": 12_000_000})


@pytest.fixture
def url(here: Shelf) -> Iterator[str]:
    with serve(here.app) as base:
        yield f"{base}/v1"


@pytest.fixture
def alice(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="sk-a", max_retries=0, timeout=PATIENCE) as made:
        yield made


@pytest.fixture
def bob(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="sk-b", max_retries=0, timeout=PATIENCE) as made:
        yield made


@pytest.fixture
async def aclient(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key="sk-a", max_retries=0, timeout=PATIENCE) as made:
        yield made


def fault(error: openai.APIStatusError) -> tuple[int, Any, Any]:
    """The status, code and param of an error."""
    return error.status_code, error.code, error.param


# --- a file's life -----------------------------------------------------------


def test_a_file_is_uploaded_read_and_deleted(alice: OpenAI, here: Shelf) -> None:
    content = bytes(range(256)) * 1000
    made = alice.files.create(file=("data.bin", content), purpose="user_data")
    assert made.id.startswith("file-")
    assert made.object == "file"
    assert made.bytes == len(content)
    assert made.filename == "data.bin"
    assert made.purpose == "user_data"
    assert made.status == "processed"
    assert made.created_at == int(here.clock())
    assert made.expires_at is None
    assert alice.files.retrieve(made.id) == made
    assert alice.files.content(made.id).read() == content
    gone = alice.files.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
    for act in alice.files.retrieve, alice.files.content, alice.files.delete:
        with pytest.raises(openai.NotFoundError) as caught:
            act(made.id)
        assert fault(caught.value) == (404, "file_not_found", None)
    assert here.left == (0, 0)


async def test_the_async_client_does_the_same(aclient: AsyncOpenAI) -> None:
    made = await aclient.files.create(file=("n\u00e9.md", b"# hi"), purpose="assistants")
    assert made.filename == "n\u00e9.md"
    assert (await aclient.files.content(made.id)).text == "# hi"
    assert [file.id async for file in aclient.files.list()] == [made.id]
    assert (await aclient.files.wait_for_processing(made.id)).id == made.id
    assert (await aclient.files.delete(made.id)).deleted


def test_files_come_from_paths_streams_and_bare_bytes(alice: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"from a path")
    with path.open("rb") as stream:
        given: list[Any] = [path, stream, b"from nowhere"]
        made = [alice.files.create(file=one, purpose="batch") for one in given]
    assert [file.filename for file in made] == ["notes.txt", "notes.txt", "upload"]
    assert alice.files.content(made[1].id).read() == b"from a path"


def test_an_empty_file_is_a_file(alice: OpenAI) -> None:
    made = alice.files.create(file=("empty", b""), purpose="evals")
    assert made.bytes == 0
    assert alice.files.content(made.id).read() == b""


def test_a_file_expires_when_its_owner_says(alice: OpenAI, here: Shelf) -> None:
    made = alice.files.create(
        file=("a", b"a"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert made.expires_at == made.created_at + 3600
    here.clock.time += 3599
    assert alice.files.content(made.id).read() == b"a"
    here.clock.time += 1
    with pytest.raises(openai.NotFoundError):
        alice.files.content(made.id)
    assert alice.files.list().data == []
    here.clock.time += 60  # what is used is swept once a minute
    assert alice.files.list().data == []
    assert here.left == (0, 0)


def test_a_batch_s_file_expires_after_30_days(alice: OpenAI) -> None:
    made = alice.files.create(file=("a", b"a"), purpose="batch")
    assert made.expires_at == made.created_at + 30 * DAY


# --- lists -------------------------------------------------------------------


def test_a_list_is_walked_page_by_page(alice: OpenAI) -> None:
    made = [alice.files.create(file=(f"{n}", b""), purpose="vision").id for n in range(5)]
    assert [file.id for file in alice.files.list(limit=2)] == made[::-1]
    assert [file.id for file in alice.files.list(limit=2, order="asc")] == made
    page = alice.files.list(limit=2, order="asc", after=made[0])
    assert [file.id for file in page.data] == made[1:3]
    assert page.has_more is True
    assert alice.files.list(limit=5).has_more is False


def test_a_list_is_of_one_purpose(alice: OpenAI) -> None:
    made = {
        purpose: alice.files.create(file=("a", b""), purpose=purpose)
        for purpose in ("vision", "fine-tune")
    }
    for purpose, file in made.items():
        assert alice.files.list(purpose=purpose).data == [file]
    assert alice.files.list(purpose="batch").data == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "\u0661"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1" * 5000}, "limit"),
        ({"order": "up"}, "order"),
    ],
)
def test_a_list_is_asked_for_in_words_that_are_known(
    alice: OpenAI, query: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        alice.files.list(extra_query=query)
    assert fault(caught.value) == (400, "invalid_value", param)


def test_a_list_says_where_it_begins_and_ends(alice: OpenAI, url: str) -> None:
    empty = httpx2.get(f"{url}/files", headers=ALICE).json()
    assert empty == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    made = [alice.files.create(file=("a", b""), purpose="batch").id for _ in range(3)]
    said = httpx2.get(f"{url}/files", headers=ALICE).json()
    assert (said["first_id"], said["last_id"]) == (made[2], made[0])


# --- owners ------------------------------------------------------------------


def test_anothers_file_and_an_absent_one_look_the_same(alice: OpenAI, bob: OpenAI) -> None:
    kept = alice.files.create(file=("a", b"secret"), purpose="user_data").id
    absent = "file-" + "0" * 48

    def after(file_id: str) -> object:
        return bob.files.list(after=file_id)

    acts: list[Callable[[str], object]] = [
        bob.files.retrieve,
        bob.files.content,
        bob.files.delete,
        after,
    ]
    for act in acts:
        faults: list[Any] = []
        for file_id in kept, absent:
            with pytest.raises(openai.NotFoundError) as caught:
                act(file_id)
            faults.append((*fault(caught.value), caught.value.message.replace(file_id, "")))
        assert faults[0] == faults[1]
    assert bob.files.list().data == []
    assert alice.files.content(kept).read() == b"secret"


@pytest.mark.parametrize("key", ["sk-wrong", "sk-a2x", "x sk-a"])
def test_a_stranger_is_refused_before_the_body_is_read(url: str, here: Shelf, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    for method, path in (
        ("POST", "/files"),
        ("GET", "/files"),
        ("GET", "/files/x"),
        ("DELETE", "/files/x"),
        ("GET", "/files/x/content"),
    ):
        said = httpx2.request(method, f"{url}{path}", headers=headers)
        assert said.status_code == 401, (method, path)
    assert not (here.folder / "index.db").exists()


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/files", "GET, POST"), ("/files/x", "DELETE, GET"), ("/files/x/content", "GET")],
)
def test_another_method(url: str, path: str, methods: str) -> None:
    said = httpx2.request("PATCH", f"{url}{path}", headers=ALICE)
    assert (said.status_code, said.headers["allow"]) == (405, methods)


# --- limits ------------------------------------------------------------------


def test_a_file_that_is_too_large_is_refused(alice: OpenAI, here: Shelf) -> None:
    alice.files.create(file=("fits", bytes(5_000_000)), purpose="user_data")
    for size in 5_000_001, 7_000_000:
        with pytest.raises(openai.APIStatusError) as caught:
            alice.files.create(file=("large", bytes(size)), purpose="user_data")
        assert fault(caught.value) == (413, "file_too_large", "file")
    assert here.left == (0, 1)


def test_a_principal_s_files_have_a_bound_of_their_own(alice: OpenAI, bob: OpenAI) -> None:
    made = [alice.files.create(file=("a", bytes(4_000_000)), purpose="batch") for _ in range(3)]
    with pytest.raises(openai.APIStatusError) as caught:
        alice.files.create(file=("a", b"x"), purpose="batch")
    assert fault(caught.value) == (413, "quota_exceeded", "file")
    bob.files.create(file=("a", bytes(4_000_000)), purpose="batch")
    alice.files.delete(made[0].id)
    alice.files.create(file=("a", bytes(4_000_000)), purpose="batch")


async def test_uploads_at_once_do_not_pass_the_bound_together(
    aclient: AsyncOpenAI, here: Shelf
) -> None:
    codes: list[Any] = []

    async def one() -> None:
        try:
            await aclient.files.create(file=("a", bytes(2_500_000)), purpose="batch")
        except openai.APIStatusError as error:
            codes.append(error.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(one)
    kept = [file.bytes async for file in aclient.files.list()]
    assert sum(kept) <= 12_000_000
    assert codes == ["quota_exceeded"] * (12 - len(kept))
    assert here.left == (0, len(kept))
    for _ in range((12_000_000 - sum(kept)) // 2_500_000):  # what was refused has taken no room
        await aclient.files.create(file=("a", bytes(2_500_000)), purpose="batch")


def test_uploads_without_their_parser_are_an_error_at_the_start(
    here: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> None:
        assert name == "python_multipart"

    monkeypatch.setattr("antiphon.provider.files_api.find_spec", nothing)
    with pytest.raises(ConfigurationError, match=r"pip install 'antiphon\[server\]'"):
        serving_files(here.files)


# --- what a browser makes of it ----------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
        ("a.js", "application/octet-stream"),
        ("a.xhtml", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("a.PNG", "image/png"),
        ("a.txt", "text/plain"),
    ],
)
def test_a_content_is_downloaded_and_never_shown(
    alice: OpenAI, url: str, name: str, kind: str
) -> None:
    made = alice.files.create(file=(name, b"<script>x</script>"), purpose="user_data")
    said = httpx2.get(f"{url}/files/{made.id}/content", headers=ALICE)
    assert said.headers["content-type"] == kind
    assert said.headers["content-disposition"].startswith("attachment; ")
    assert said.headers["x-content-type-options"] == "nosniff"
    assert said.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert said.headers["content-length"] == "18"
    assert said.headers["cache-control"] == "private, no-store"
    assert said.headers["repr-digest"].startswith("sha-256=:")
    assert said.headers["x-request-id"]


def test_a_name_in_any_script_survives_the_download(alice: OpenAI, url: str) -> None:
    made = alice.files.create(file=("\u5831\u544a \u00e9.pdf", b"%PDF-"), purpose="user_data")
    said = httpx2.get(f"{url}/files/{made.id}/content", headers=ALICE)
    assert said.headers["content-disposition"] == (
        "attachment; filename=\"__ _.pdf\"; filename*=UTF-8''%E5%A0%B1%E5%91%8A%20%C3%A9.pdf"
    )
