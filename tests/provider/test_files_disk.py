"""The folder of files: conformance, and whoever else has a hand in it."""

import os
import sqlite3
import stat
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import Clock
from antiphon.provider import DiskFiles, FileStore

from .filing import POSIX, code_of, names, opened, page_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.files import OWNER, Hand, check_files, put, read
else:
    from antiphon.testing.files import OWNER, Hand, check_files, put, read

pytestmark = pytest.mark.anyio

# --- conformance -------------------------------------------------------------


async def test_a_folder_conforms(tmp_path: Path) -> None:
    number = count()

    async def make(*, max_bytes: int, quota: int, clock: Clock) -> FileStore:
        folder = tmp_path / str(next(number))
        return DiskFiles(folder, max_bytes=max_bytes, quota=quota, clock=clock)

    await check_files(make)


async def test_a_temporary_folder_conforms_and_is_gone_in_the_end() -> None:
    made: list[Path] = []

    async def make(*, max_bytes: int, quota: int, clock: Clock) -> FileStore:
        files = DiskFiles(max_bytes=max_bytes, quota=quota, clock=clock)
        async with files.upload(principal="nobody"):
            opened = files._opened  # pyright: ignore[reportPrivateUsage]
            assert opened is not None
            made.append(opened.content.parent)
        return files

    await check_files(make)
    assert made
    assert not any(folder.exists() for folder in made)


async def test_a_principal_has_so_many_files(tmp_path: Path) -> None:
    async with opened(tmp_path / "f", max_files=2) as files:
        first = await put(files)
        async with files.upload(principal=OWNER):  # one on its way counts
            assert await code_of(put(files)) == "quota_exceeded"
        await put(files)
        assert await code_of(put(files)) == "quota_exceeded"
        assert await code_of(put(files, principal="bob")) is None
        await files.delete(first.id, principal=OWNER)
        await put(files)


@pytest.mark.parametrize("limit", ["max_bytes", "quota", "max_files"])
def test_a_limit_of_nothing_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(ConfigurationError, match=limit):
        DiskFiles(tmp_path / "f", **{limit: 0})  # pyright: ignore[reportArgumentType]


# --- the folder itself -------------------------------------------------------


@POSIX
async def test_only_the_owner_may_look_into_the_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(tmp_path / "a" / "f") as files:
            file = await put(files, b"x")
            async with files.upload(principal=OWNER) as upload:
                await upload.write(b"x")
                found = {
                    str(path.relative_to(tmp_path / "a")): stat.S_IMODE(path.lstat().st_mode)
                    for path in (tmp_path / "a").rglob("*")
                }
    finally:
        os.umask(before)
    upload_name = next(name for name in found if name.startswith("f/incoming/"))
    assert found == {
        "f": 0o700,
        "f/incoming": 0o700,
        "f/content": 0o700,
        f"f/content/{file.id}": 0o600,
        upload_name: 0o600,
        "f/index.db": 0o600,
        "f/index.db-wal": 0o600,
        "f/index.db-shm": 0o600,
    }


@POSIX
def test_a_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="chmod go-w"):
        DiskFiles(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    with pytest.raises(ConfigurationError, match="expected a folder"):
        DiskFiles(path)


async def test_an_index_of_a_later_version_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "f") as files:
        await put(files)
    connection = sqlite3.connect(tmp_path / "f" / "index.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(ConfigurationError, match="version 1, got 9"):
        await DiskFiles(tmp_path / "f").page(principal=OWNER)


@POSIX
async def test_a_link_in_place_of_a_content_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"xyz")
    async with opened(tmp_path / "f") as files:
        file = await put(files, b"abc")
        content = tmp_path / "f" / "content" / file.id
        content.unlink()
        content.symlink_to(secret)
        with pytest.raises(OSError, match="symbolic"):
            await read(files, file.id)


async def test_a_content_that_was_changed_is_not_served(tmp_path: Path) -> None:
    async with opened(tmp_path / "f") as files:
        file = await put(files, b"abc")
        (tmp_path / "f" / "content" / file.id).write_bytes(b"abcd")
        with pytest.raises(OSError, match="somebody changed the folder"):
            await read(files, file.id)
        (tmp_path / "f" / "content" / file.id).unlink()
        with pytest.raises(FileNotFoundError):
            await read(files, file.id)
        assert await files.delete(file.id, principal=OWNER)


@POSIX
async def test_a_reader_reads_on_when_the_file_is_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path / "f") as files:
        file = await put(files, bytes(3_000_000))
        async with files.open(file.id, principal=OWNER) as content:
            assert content is not None
            size = len(await anext(content.chunks))
            assert await files.delete(file.id, principal=OWNER)
            assert names(tmp_path / "f") == (set(), set())
            assert size + sum([len(chunk) async for chunk in content.chunks]) == 3_000_000


async def test_what_expires_is_removed_once_a_minute_at_most(tmp_path: Path) -> None:
    clock = Hand()
    async with opened(tmp_path / "f", clock=clock) as files:
        made = [await put(files, b"x", expires_after=seconds) for seconds in (30, 90, 120)]
        clock.time += 59
        await page_of(files)
        assert names(tmp_path / "f")[1] == {file.id for file in made}
        clock.time += 1
        await page_of(files)
        assert names(tmp_path / "f")[1] == {file.id for file in made[1:]}
        clock.time += 30
        assert await files.sweep() == 1
        assert names(tmp_path / "f")[1] == {made[2].id}


async def test_a_disk_that_is_full_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "f", quota=2_000_000) as files:
        await put(files, b"x")

        def full(handle: int, data: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("antiphon.provider.files.upload.os.write", full)
            with pytest.raises(OSError, match="No space left"):
                await put(files, bytes(1_500_000))
        assert len(names(tmp_path / "f")[1]) == 1
        assert names(tmp_path / "f")[0] == set()
        await put(files, bytes(1_500_000))


async def test_a_disk_that_takes_a_little_at_a_time_gets_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, data = os.write, os.urandom(1_100_000)

    def little(handle: int, data: memoryview) -> int:
        return writing(handle, data[:70_000])

    monkeypatch.setattr("antiphon.provider.files.upload.os.write", little)
    async with opened(tmp_path / "f") as files:
        file = await put(files, data)
        assert await read(files, file.id) == data


async def test_an_upload_that_cannot_be_listed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    async with opened(tmp_path / "f", quota=2_000_000) as files:
        with monkeypatch.context() as patched:
            patched.setattr("antiphon.provider.files.upload._sync", broken)
            with pytest.raises(OSError, match="Input/output error"):
                await put(files, bytes(1_500_000))
        assert names(tmp_path / "f") == (set(), set())
        assert await page_of(files) == []
        await put(files, bytes(1_500_000))


async def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    files = DiskFiles(tmp_path / "f")
    file = await put(files, b"x")
    await files.aclose()
    assert await read(files, file.id) == b"x"
    await files.aclose()


async def test_an_upload_that_was_left_is_not_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path / "f") as files:
        async with files.upload(principal=OWNER) as upload:
            await upload.write(b"x")
        for late in upload.write(b"x"), upload.finish(filename="a", purpose="batch"):
            with pytest.raises(RuntimeError, match="left"):
                await late
        assert await page_of(files) == []


async def test_an_upload_that_was_refused_is_not_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path / "f", max_bytes=3) as files:
        async with files.upload(principal=OWNER) as upload:
            with pytest.raises(RequestError):
                await upload.write(b"abcd")
            with pytest.raises(RuntimeError, match="over"):
                await upload.finish(filename="a", purpose="batch")
        assert await page_of(files) == []
