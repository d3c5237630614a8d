"""Conformance of file stores: any `FileStore`, held to what the provider relies on.

`check_files` puts a store through every rule: content, owners, lists, limits, expiry, and uploads
that come to nothing. It raises AssertionError with what was expected and what came.
Source: the Protocol `antiphon.provider.FileStore`.
"""

import hashlib
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from antiphon.errors import RequestError
from antiphon.items import Clock
from antiphon.provider import FileStore, StoredFile

OWNER, OTHER = "alice", "mallory"
ABSENT = "file-" + 48 * "0"

NAMES = (
    "report.pdf",
    "",
    "..",
    "../../etc/passwd",
    "C:\\temp\\NUL.txt",
    "a\x00b\r\nc.txt",
    "\u202egnp.exe",
    "e\u0301t\u00e9.md",
    "\ud800",
    "x" * 10_000 + ".csv",
)
"""Names that a store has to keep in a harmless form."""


class Hand:
    """A clock that stands still until it is moved.

    Attributes:
        time: Seconds since 1970.
    """

    def __init__(self) -> None:
        self.time: float = 1_700_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.time


class MakeFiles(Protocol):
    """Makes an empty store of its own for each check."""

    def __call__(self, *, max_bytes: int, quota: int, clock: Clock) -> Awaitable[FileStore]:
        """An empty store with these limits (bytes of a file, bytes of a principal)."""
        ...


class Bench:
    """A store under test and the clock that it reads."""

    def __init__(self, make: MakeFiles) -> None:
        self._make = make
        self.clock: Hand = Hand()

    @asynccontextmanager
    async def store(
        self, *, max_bytes: int = 10_000_000, quota: int = 10_000_000
    ) -> AsyncGenerator[FileStore]:
        """An empty store; it is closed twice, which is no error."""
        files = await self._make(max_bytes=max_bytes, quota=quota, clock=self.clock)
        try:
            yield files
        finally:
            await files.aclose()
            await files.aclose()


async def check_files(make: MakeFiles) -> None:
    """Every rule, each on stores of its own.

    Args:
        make: Makes an empty store with the given limits and clock.
    """
    checks: Sequence[Callable[[Bench], Awaitable[None]]] = (
        _keeps_what_it_is_given,
        _makes_names_harmless,
        _hides_what_is_anothers,
        _deletes,
        _lists_in_order,
        _lists_by_purpose,
        _leaves_nothing_of_what_is_not_finished,
        _is_used_once,
        _bounds_a_file,
        _bounds_a_principal,
        _bounds_many_at_once,
        _forgets_what_expires,
    )
    for check in checks:
        await check(Bench(make))


async def put(
    files: FileStore,
    *chunks: bytes,
    principal: str = OWNER,
    filename: str = "a.txt",
    purpose: str = "user_data",
    expires_after: int | None = None,
) -> StoredFile:
    """Keep a file of these chunks."""
    async with files.upload(principal=principal) as upload:
        for chunk in chunks:
            await upload.write(chunk)
        return await upload.finish(filename=filename, purpose=purpose, expires_after=expires_after)


async def read(files: FileStore, file_id: str, *, principal: str = OWNER) -> bytes | None:
    """The whole content; None where there is no such file."""
    async with files.open(file_id, principal=principal) as content:
        if content is None:
            return None
        return b"".join([chunk async for chunk in content.chunks])


async def refused(files: FileStore, *chunks: bytes, principal: str = OWNER) -> str | None:
    """The code with which a file of these chunks is refused."""
    try:
        await put(files, *chunks, principal=principal)
    except RequestError as error:
        assert error.status == 413, f"expected status 413, got {error.status}"
        return error.code
    return None


async def _keeps_what_it_is_given(bench: Bench) -> None:
    large = [bytes([number]) * 700_001 for number in range(4)]
    async with bench.store() as files:
        for chunks in ([], [b""], [b"a", b"", b"bc"], [bytes(range(256))], large):
            whole = b"".join(chunks)
            file = await put(files, *chunks, filename="n.bin", purpose="vision")
            assert file.bytes == len(whole), f"expected {len(whole)} bytes, got {file.bytes}"
            assert file.sha256 == hashlib.sha256(whole).hexdigest(), "the digest is another's"
            assert (file.principal, file.filename, file.purpose) == (OWNER, "n.bin", "vision")
            assert file.created_at == int(bench.clock()), f"got created_at {file.created_at}"
            assert file.expires_at is None, f"expected no expiry, got {file.expires_at}"
            assert await files.load(file.id, principal=OWNER) == file, "it has changed"
            assert await read(files, file.id) == whole, "the content has changed"
            async with files.open(file.id, principal=OWNER) as content:
                assert content is not None, "expected the file; got None"
                assert content.file == file, "it has changed"
                sizes = [len(chunk) async for chunk in content.chunks]
                assert max(sizes, default=0) <= 1024 * 1024, f"a chunk of {max(sizes)} bytes"


async def _makes_names_harmless(bench: Bench) -> None:
    async with bench.store() as files:
        for name in NAMES:
            file = await put(files, filename=name)
            kept = file.filename
            assert 0 < len(kept.encode()) <= 255, f"{name[:50]!r} became {kept!r}"
            assert not set("/\\\0\r\n\u202e") & set(kept), f"{name[:50]!r} became {kept!r}"
            assert kept.strip(". "), f"{name[:50]!r} became {kept!r}"
            assert unicodedata.is_normalized("NFC", kept), f"{name[:50]!r} became {kept!r}"
            assert kept.endswith(".csv") or not name.endswith(".csv"), "the extension is lost"
            assert await files.load(file.id, principal=OWNER) == file, "it has changed"


async def _hides_what_is_anothers(bench: Bench) -> None:
    async with bench.store() as files:
        file = await put(files, b"secret")
        for file_id in file.id, ABSENT, "", "../x", "file-\0", "\ud800":
            assert await files.load(file_id, principal=OTHER) is None, "another's is not hidden"
            assert await read(files, file_id, principal=OTHER) is None, "another's can be read"
            assert await files.delete(file_id, principal=OTHER) is False, "another's was deleted"
            page = await files.page(principal=OTHER, after=file_id)
            assert page is None, "another's place in a list is not hidden"
        page = await files.page(principal=OTHER)
        assert page is not None, "expected an empty page, got None"
        assert page.files == [], "another's is listed"
        assert await files.load(file.id, principal="") is None, "nobody is somebody"
        assert await read(files, file.id) == b"secret", "it is gone for its owner"


async def _deletes(bench: Bench) -> None:
    async with bench.store(quota=10) as files:
        file = await put(files, b"0123456789")
        assert await refused(files, b"0") == "quota_exceeded", "expected the quota to be used up"
        assert await files.delete(file.id, principal=OWNER) is True, "expected it to be deleted"
        assert await files.delete(file.id, principal=OWNER) is False, "it was deleted twice"
        assert await files.load(file.id, principal=OWNER) is None, "it is still there"
        assert await read(files, file.id) is None, "its content is still there"
        again = await put(files, b"0123456789")
        assert again.id != file.id, "an id was given twice"


async def _lists_in_order(bench: Bench) -> None:
    async with bench.store() as files:
        made: list[StoredFile] = []
        for number in range(7):
            bench.clock.time += number % 2  # some at the same second
            made.append(await put(files, filename=f"{number}.txt"))
        for order, wanted in ("asc", made), ("desc", made[::-1]):
            for limit in 1, 3, 7, 100:
                assert await _walk(files, order, limit) == wanted, f"{order} by {limit}"
        page = await files.page(principal=OWNER)
        assert page is not None, "expected a page, got None"
        assert page.files == made[::-1], "expected the newest first"
        assert page.has_more is False, "there is no more"


async def _walk(files: FileStore, order: str, limit: int) -> list[StoredFile]:
    """All files, page by page."""
    seen: list[StoredFile] = []
    while True:
        page = await files.page(
            principal=OWNER,
            after=seen[-1].id if seen else None,
            limit=limit,
            order="asc" if order == "asc" else "desc",
        )
        assert page is not None, "the list was lost on the way"
        assert len(page.files) <= limit, f"expected at most {limit}, got {len(page.files)}"
        seen += page.files
        if not page.has_more:
            return seen
        assert page.files, "an empty page is said to have more after it"


async def _lists_by_purpose(bench: Bench) -> None:
    async with bench.store() as files:
        for purpose in "batch", "vision", "batch":
            await put(files, purpose=purpose)
        for purpose, count in ("batch", 2), ("vision", 1), ("evals", 0), ("", 0), (None, 3):
            page = await files.page(principal=OWNER, purpose=purpose)
            assert page is not None, "expected a page, got None"
            assert len(page.files) == count, f"{purpose}: expected {count}, got {len(page.files)}"


async def _leaves_nothing_of_what_is_not_finished(bench: Bench) -> None:
    async with bench.store(quota=3_000_000) as files:
        try:
            async with files.upload(principal=OWNER) as upload:
                await upload.write(bytes(2_000_000))
                raise ConnectionResetError
        except ConnectionResetError:
            pass
        with anyio.CancelScope() as scope:
            async with files.upload(principal=OWNER) as upload:
                await upload.write(bytes(2_000_000))
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught, "the upload swallowed its cancellation"
        async with files.upload(principal=OWNER) as upload:
            await upload.write(bytes(2_000_000))
        page = await files.page(principal=OWNER)
        assert page is not None, "expected a page, got None"
        assert page.files == [], "an upload that was not finished is listed"
        assert await refused(files, bytes(3_000_000)) is None, "its room was not given back"


async def _is_used_once(bench: Bench) -> None:
    async with bench.store() as files:
        async with files.upload(principal=OWNER) as upload:
            await upload.finish(filename="a", purpose="batch")
            for late in upload.write(b"x"), upload.finish(filename="b", purpose="batch"):
                try:
                    await late
                except RuntimeError:
                    continue
                raise AssertionError("expected RuntimeError of an upload that is over")
        page = await files.page(principal=OWNER)
        assert page is not None, "expected a page, got None"
        assert [(file.filename, file.bytes) for file in page.files] == [("a", 0)]


async def _bounds_a_file(bench: Bench) -> None:
    async with bench.store(max_bytes=2_000_000) as files:
        assert files.max_bytes == 2_000_000, f"got max_bytes {files.max_bytes}"
        assert await refused(files, bytes(1_999_999), b"x") is None, "expected it to fit"
        code = await refused(files, bytes(1_999_999), b"xy")
        assert code == "file_too_large", f"expected file_too_large, got {code}"


async def _bounds_a_principal(bench: Bench) -> None:
    async with bench.store(quota=3_000_000) as files:
        assert await refused(files, bytes(1_500_000)) is None, "expected room"
        code = await refused(files, bytes(1_500_001))
        assert code == "quota_exceeded", f"expected quota_exceeded, got {code}"
        assert await refused(files, bytes(1_500_000)) is None, "expected room for what is left"
        assert await refused(files, bytes(3_000_000), principal=OTHER) is None, "another's room"


async def _bounds_many_at_once(bench: Bench) -> None:
    codes: list[str | None] = []
    async with bench.store(quota=5_000_000) as files:

        async def one() -> None:
            codes.append(await refused(files, *(bytes(100_000) for _ in range(10))))

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(one)
        page = await files.page(principal=OWNER)
        assert page is not None, "expected a page, got None"
        total = sum(file.bytes for file in page.files)
        assert total <= 5_000_000, f"expected at most 5,000,000 bytes to be kept, got {total:,}"
        assert len(page.files) == codes.count(None), "a file was refused and kept, or the reverse"
        assert set(codes) <= {None, "quota_exceeded"}, f"got {codes}"
        left = (5_000_000 - total) // 1_000_000
        for _ in range(left):
            assert await refused(files, bytes(1_000_000)) is None, "room was not given back"
        assert await refused(files, bytes(1_000_000)) == "quota_exceeded", "there is too much room"


async def _forgets_what_expires(bench: Bench) -> None:
    async with bench.store(quota=6) as files:
        file = await put(files, b"soon", expires_after=3600)
        end = file.created_at + 3600
        assert file.expires_at == end, f"expected expires_at {end}, got {file.expires_at}"
        stays = await put(files, b"st")
        bench.clock.time = end - 0.5
        assert await read(files, file.id) == b"soon", "it has gone too early"
        bench.clock.time = end
        assert await files.load(file.id, principal=OWNER) is None, "it is still there"
        assert await read(files, file.id) is None, "its content is still served"
        assert await files.delete(file.id, principal=OWNER) is False, "it was deleted once more"
        assert await files.page(principal=OWNER, after=file.id) is None, "it still has a place"
        page = await files.page(principal=OWNER)
        assert page is not None, "expected a page, got None"
        assert page.files == [stays], "it is still listed"
        await files.sweep()
        assert await refused(files, b"room") is None, "its room was not given back"
        assert await files.sweep() == 0, "it was swept twice"
