"""Writing together: many writes become one transaction, and each is as safe as if it were alone."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from antiphon.tools import search as kept

from .searching import OWNER, PATIENCE, START, Files, settled, store_of

pytestmark = pytest.mark.anyio

DYING = """
import os, signal, sys, threading, anyio
from pathlib import Path
from antiphon.tools import search as kept
from antiphon.tools.search import sqlite_queue, sqlite_writer

sqlite_writer._LONGEST = 60.0
finish, all_wait, begun = sqlite_queue.finish, threading.Event(), []

def slow(rows, job, chunks, vectors):
    all_wait.wait()
    begun.append(job)
    done = finish(rows, job, chunks, vectors)
    if len(begun) == 9:
        print("here", rows.total_changes, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return done

sqlite_queue.finish = slow

async def main():
    engine = kept.SqliteEngine(Path(sys.argv[1]))
    await engine.create(kept.VectorStore("vs_a", "local", "a", 1, 1))
    files = [kept.Attachment(f"file-{at}", f"{at}.txt") for at in range(12)]
    await engine.attach("vs_a", files, principal="local", at=1)
    chunks = [kept.Chunk(f"the words of a keel {at}", "", 0, 9, None, None) for at in range(3)]

    async def one(job):
        assert await engine.finish(job, chunks, None)
        print("kept", job.attachment.file_id, flush=True)

    for number in (4, 8):
        all_wait.clear()
        jobs = [await engine.claim("t", now=1, until=2) for _ in range(number)]
        async with anyio.create_task_group() as group:
            for job in jobs:
                group.start_soon(one, job)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            all_wait.set()

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
async def test_a_kill_9_amid_a_transaction_of_many_files_loses_none_and_tears_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "search.db"
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            [sys.executable, "-c", DYING, str(path)],
            capture_output=True,
            timeout=PATIENCE,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
    )
    said = done.stdout.decode().splitlines()
    assert done.returncode == -9, done.stderr.decode()
    told = {line.split()[1] for line in said if line.startswith("kept")}
    assert told == {f"file-{at}" for at in range(4)} and said[-1].startswith("here")
    library = kept.Library(path, clock=lambda: float(START))
    source = Files()
    source.data = {f"file-{at}": b"the words of a keel" for at in range(12)}
    library.read_from(source)
    before = await library.engine.store("vs_a", principal=OWNER)
    assert before is not None and before.counts == kept.Counts(completed=4, in_progress=8)
    found = await library.search(["vs_a"], ["keel"], principal=OWNER, limit=50)
    assert len(found) == 12, "expected three passages of each file that was told to be kept"
    library.wake()
    assert (await settled(library)).counts == kept.Counts(completed=12)
    await library.aclose()


async def test_what_fails_among_writes_at_the_same_time_fails_alone(tmp_path: Path) -> None:
    engine = kept.SqliteEngine(tmp_path / "s.db")
    names = ["a", "b", "c", "b", "d"]
    given = await asyncio.gather(
        *(engine.create(store_of(name)) for name in names), return_exceptions=True
    )
    assert sum(isinstance(each, Exception) for each in given) == 1, given
    for name in names:
        assert await engine.store(f"vs_{name}", principal=OWNER) is not None
    await engine.aclose()


async def test_a_write_that_was_given_up_before_it_began_is_not_made(tmp_path: Path) -> None:
    engine = kept.SqliteEngine(tmp_path / "s.db")
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # so that no more than the first begins
    asked = [asyncio.ensure_future(engine.create(store_of(f"{at}"))) for at in range(9)]
    await anyio.lowlevel.checkpoint()
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    other.execute("ROLLBACK")
    await engine.create(store_of("last"))
    there = [await engine.store(f"vs_{at}", principal=OWNER) for at in range(9)]
    assert sum(each is not None for each in there) <= 1
    assert await engine.store("vs_last", principal=OWNER) is not None
    await engine.aclose()
    other.close()
