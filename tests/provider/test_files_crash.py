"""Files and crashes: what a killed process leaves behind, and processes that share a folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from antiphon.provider import FileStore

from .filing import POSIX, code_of, names, opened, page_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.files import OWNER, Hand, put, read
else:
    from antiphon.testing.files import OWNER, Hand, put, read

pytestmark = pytest.mark.anyio

CHILD = """
import os, signal, sys
import anyio
from antiphon.provider import DiskFiles
from antiphon.provider.files import upload as uploading

async def main(folder, how):
    files = DiskFiles(folder)
    if how == "begins":
        print((await files.page(principal="alice")).files, flush=True)
        return await files.aclose()
    if how == "dies listing":
        uploading._sync = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
    async with files.upload(principal="alice") as upload:
        for _ in range(5):
            await upload.write(bytes(1_000_000))
        print("written", flush=True)
        if how == "waits":
            await anyio.to_thread.run_sync(sys.stdin.readline)
        await upload.finish(filename="a", purpose="batch")
    if how == "dies kept":
        os.kill(os.getpid(), signal.SIGKILL)
    await files.aclose()

anyio.run(main, *sys.argv[1:])
"""


@contextmanager
def child(folder: Path, how: str) -> Generator[subprocess.Popen[str]]:
    """Another process at the folder; it is killed in the end."""
    command = [sys.executable, "-c", CHILD, str(folder), how]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# --- crashes -----------------------------------------------------------------


@POSIX
async def test_what_a_killed_process_was_writing_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    with child(folder, "waits") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    incoming, content = names(folder)
    assert (len(incoming), content) == (1, set())  # it was on its way
    async with opened(folder, quota=5_000_000) as files:
        assert await page_of(files) == []
        assert names(folder) == (set(), set())
        await put(files, bytes(5_000_000))  # and its room is free


@POSIX
async def test_what_a_process_was_listing_when_it_was_killed_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    with child(folder, "dies listing") as process:
        assert process.wait() == -signal.SIGKILL
    incoming, content = names(folder)
    assert (incoming, len(content)) == (set(), 1)  # in its place, and not yet listed
    async with opened(folder) as files:
        assert await page_of(files) == []
        assert names(folder) == (set(), set())


@POSIX
async def test_what_was_kept_outlives_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    with child(folder, "dies kept") as process:
        assert process.wait() == -signal.SIGKILL
    async with opened(folder) as files:
        (file,) = await page_of(files)
        assert await read(files, file.id) == bytes(5_000_000)
        assert names(folder) == (set(), {file.id})


@POSIX
async def test_the_room_of_a_killed_process_is_free_within_a_minute(tmp_path: Path) -> None:
    folder, clock = tmp_path / "f", Hand()
    async with opened(folder, quota=5_000_000, clock=clock) as files:
        assert await page_of(files) == []
        with child(folder, "waits") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "written\n"
            assert await code_of(put(files, bytes(5_000_000))) == "quota_exceeded"
        process.wait()
        assert len(names(folder)[0]) == 1
        clock.time += 60
        await put(files, bytes(5_000_000))
        assert names(folder)[0] == set()


async def test_what_is_deleted_between_finding_and_opening_it_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "f") as files, opened(tmp_path / "f") as others:
        file = await put(files, b"x")
        opening, deleted = os.open, anyio.Event()

        def late(path: Any, *rest: Any) -> int:
            if Path(path).name == file.id and not deleted.is_set():
                deleted.set()
                anyio.from_thread.run(delete)
            return opening(path, *rest)

        async def delete() -> None:
            assert await others.delete(file.id, principal=OWNER)

        monkeypatch.setattr("antiphon.provider.files.disk.os.open", late)
        assert await read(files, file.id) is None
        assert deleted.is_set()


# --- other processes ---------------------------------------------------------


@POSIX
async def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    with child(folder, "waits") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        async with opened(folder, quota=6_000_000) as files:  # opening it sweeps
            assert await page_of(files) == []
            assert len(names(folder)[0]) == 1
            # The other process has written 4 MB of its 5 to the disk; they count here, too.
            assert await code_of(put(files, bytes(2_500_000))) == "quota_exceeded"
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert process.wait() == 0
            (file,) = await page_of(files)
            assert file.bytes == 5_000_000


async def test_stores_over_one_folder_keep_one_bound(tmp_path: Path) -> None:
    codes: list[str | None] = []

    async def many(files: FileStore) -> None:
        for _ in range(10):
            codes.append(await code_of(put(files, *[bytes(50_000)] * 6)))

    async with opened(tmp_path / "f", quota=2_000_000) as first:
        async with opened(tmp_path / "f", quota=2_000_000) as second:
            async with anyio.create_task_group() as tasks:
                for files in (first, second) * 3:
                    tasks.start_soon(many, files)
            kept = await page_of(first)
            assert kept == await page_of(second)
    assert sum(file.bytes for file in kept) <= 2_000_000
    assert codes.count(None) == len(kept)
    assert set(codes) == {None, "quota_exceeded"}


def test_many_processes_may_begin_a_folder_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path / "f"), "begins"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(6)]
    said = [process.communicate()[0] for process in started]
    assert said == [b"[]\n"] * 6
    assert [process.returncode for process in started] == [0] * 6
