"""What the tests of files share: the endpoints over a folder, and forms made by hand."""

import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Scope

from antiphon.errors import RequestError
from antiphon.provider import DiskFiles, FilePage, FileStore, StoredFile

from .keeping import KEYS
from .serving import PATIENCE

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.auth import Keys
    from provider.files_api import FilesApi
    from testing.files import OWNER, Hand
else:
    from antiphon.provider.auth import Keys
    from antiphon.provider.files_api import FilesApi
    from antiphon.testing.files import OWNER, Hand

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and signals of POSIX")

BORDER = "border-7d8f"
FORM = {"content-type": f"multipart/form-data; boundary={BORDER}"}
ALICE = {"authorization": "Bearer sk-a"}
BOB = {"authorization": "Bearer sk-b"}


def serving_files(files: FileStore, keys: dict[str, str] | None = KEYS, **options: Any) -> Router:
    """The endpoints of files alone, as an application that closes the store at its end."""

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await files.aclose()

    return Router(FilesApi(Keys(keys), files, **options).routes(), lifespan=lifespan)


@asynccontextmanager
async def opened(folder: Path, **options: Any) -> AsyncGenerator[DiskFiles]:
    """A store over the folder."""
    files = DiskFiles(folder, **options)
    try:
        yield files
    finally:
        await files.aclose()


async def page_of(files: FileStore) -> list[StoredFile]:
    page = await files.page(principal=OWNER)
    assert isinstance(page, FilePage)
    return page.files


def names(folder: Path) -> tuple[set[str], set[str]]:
    """What stands in `incoming` and in `content`."""
    incoming, content = (set(os.listdir(folder / name)) for name in ("incoming", "content"))
    return incoming, content


@dataclass
class Shelf:
    """Endpoints over a folder of their own, with a clock that is moved by hand."""

    folder: Path
    clock: Hand = field(default_factory=Hand)
    limits: dict[str, int] = field(default_factory=dict[str, int])
    idle_seconds: float = PATIENCE

    def __post_init__(self) -> None:
        self.files = DiskFiles(self.folder, clock=self.clock, **self.limits)
        self.app = serving_files(self.files, idle_seconds=self.idle_seconds)

    @property
    def left(self) -> tuple[int, int]:
        """How many uploads and how many contents stand in the folder."""
        return tuple(  # pyright: ignore[reportReturnType]
            sum(1 for _ in (self.folder / name).iterdir()) for name in ("incoming", "content")
        )


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    """Endpoints over an empty folder."""
    one = Shelf(tmp_path / "files")
    yield one
    await one.files.aclose()


def part(name: str, content: bytes | str, filename: str | bytes | None = None) -> bytes:
    """One part of a form; a file name is written as it is."""
    content = content if isinstance(content, bytes) else content.encode()
    head = b'Content-Disposition: form-data; name="%b"' % name.encode()
    if filename is not None:
        given = filename if isinstance(filename, bytes) else filename.encode()
        head += b'; filename="%b"\r\nContent-Type: application/octet-stream' % given
    return b"--%b\r\n%b\r\n\r\n%b\r\n" % (BORDER.encode(), head, content)


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--%b--\r\n" % BORDER.encode()


def upload_form(
    content: bytes = b"hello",
    filename: str | bytes = "a.txt",
    purpose: str = "user_data",
    **expires_after: str,
) -> bytes:
    """A form with a file, its purpose, and `anchor` or `seconds` of an expiry."""
    fields = [part(f"expires_after[{name}]", value) for name, value in expires_after.items()]
    return form(part("purpose", purpose), *fields, part("file", content, filename))


@dataclass
class Answer:
    """What an application said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of an answer, which has to be one."""
        said = self.json
        assert said.keys() == {"error"}, said
        assert said["error"].keys() == {"message", "type", "param", "code"}
        return said["error"]


def scope_of(method: str, path: str, headers: dict[str, str] = ALICE) -> Scope:
    """A request from this machine, as a server tells an application of it."""
    path, _, query = path.partition("?")
    given = {"host": "localhost", **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(errors="replace"),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 80),
    }


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    chunks: Iterable[bytes] = (),
    *,
    headers: dict[str, str] = ALICE,
    then: str = "end",
    at: Callable[[], None] = lambda: None,
) -> Answer | None:
    """One exchange at the level of ASGI.

    Args:
        chunks: The body, as it arrives.
        then: After the chunks: `end` of the body, `leave` (the client is gone), `wait` for ever.
        at: Called when all chunks have been taken.

    Returns:
        None where nothing was answered.
    """
    scope = scope_of(method, path, headers)
    waiting = iter(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        chunk = next(waiting, None)
        if chunk is not None:
            return {"type": "http.request", "body": chunk, "more_body": True}
        at()
        if then == "wait":
            await anyio.sleep_forever()
        if then == "leave":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    with anyio.fail_after(PATIENCE):
        await app(scope, receive, send)
    if not sent:
        return None
    told = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(m.get("body", b"") for m in sent[1:]))


async def post(app: ASGIApp, body: bytes, *, status: int = 200, **options: Any) -> Answer:
    """Upload a form in one piece."""
    headers = {**ALICE, **FORM, **options.pop("headers", {})}
    one = await ask(app, "POST", "/v1/files", [body], headers=headers, **options)
    assert one is not None
    assert one.status == status, one.body
    return one


async def get(app: ASGIApp, path: str, **options: Any) -> Answer:
    """What is at a path."""
    one = await ask(app, "GET", path, **options)
    assert one is not None
    return one


async def code_of(work: Any) -> str | None:
    """The code of the RequestError that something ends with; None where it ends well."""
    try:
        await work
    except RequestError as error:
        return error.code
    return None
