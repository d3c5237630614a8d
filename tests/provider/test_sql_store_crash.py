"""Processes that are killed, and processes that begin at once: what is acknowledged is there."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from antiphon.provider import SqlStore

from .sql_kit import rows, url_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.store import record_of
else:
    from antiphon.testing.store import record_of

pytestmark = pytest.mark.anyio

SAVES = """
import sys, anyio
from antiphon.provider import SqlStore
from antiphon.testing.store import record_of

async def one(store, lane):
    for at in range(int(sys.argv[2])):
        before = f"resp_{lane}_{at - 1}" if at else None
        await store.save(record_of(f"{lane}_{at}", before=before, text="x" * 3000))
        print(lane, at, flush=True)

async def main():
    store = SqlStore(sys.argv[1])
    async with anyio.create_task_group() as tasks:
        for lane in sys.argv[3:]:
            tasks.start_soon(one, store, lane)
    await store.aclose()

anyio.run(main)
"""

MAKES = """
import sys, anyio
from antiphon.provider import SqlStore
from antiphon.testing.store import record_of

async def main():
    store = SqlStore(sys.argv[1])
    await store.start(record_of("job"), owner="one", until=1.0)
    for at in range(100_000):
        item = record_of(f"n{at}").response.output[1]
        events = [(2 * at, b"e" * 2000), (2 * at + 1, b"f")]
        await store.write("resp_job", owner="one", events=events, items=[(at, item)])
        print("job", at, flush=True)

anyio.run(main)
"""


def child(code: str, path: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A process that writes, and says on its standard output what was acknowledged."""
    return subprocess.Popen(
        [sys.executable, "-c", code, url_of(path), *arguments], stdout=subprocess.PIPE, text=True
    )


def killed(writer: "subprocess.Popen[str]", *, after: int) -> dict[str, int]:
    """Let it write for so many acknowledgements, kill it; the last one of each lane."""
    said: dict[str, int] = {}
    assert writer.stdout is not None
    with writer:
        for count, line in enumerate(writer.stdout, 1):
            if count == after:
                writer.send_signal(signal.SIGKILL)
            if line.endswith("\n"):  # what it said before it died counts, too
                lane, at = line.split()
                said[lane] = int(at)
    assert writer.returncode == -signal.SIGKILL
    return said


@pytest.mark.parametrize("after", [1, 10, 60])
async def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path, after: int) -> None:
    writer = child(SAVES, tmp_path, "100000", "a", "b", "c")
    said = await to_thread.run_sync(lambda: killed(writer, after=after))
    assert sum(said.values()) + len(said) >= after
    store = SqlStore(url_of(tmp_path))
    for lane, last in said.items():
        chain = await store.chain(f"resp_{lane}_{last}", principal="alice")
        assert (len(chain.items), chain.missing) == ((last + 1) * 3, None)
    await store.aclose()
    assert rows(tmp_path, "pragma integrity_check") == [("ok",)]
    assert rows(tmp_path, "pragma foreign_key_check") == []
    torn = "select response from antiphon_items group by response having count(*) != 3"
    assert rows(tmp_path, torn) == [], "a response is there whole or not at all"
    bare = "select id from antiphon_responses where pk not in (select response from antiphon_items)"
    assert rows(tmp_path, bare) == []


async def test_a_response_in_the_making_outlives_its_maker(tmp_path: Path) -> None:
    writer = child(MAKES, tmp_path)
    said = await to_thread.run_sync(lambda: killed(writer, after=25))
    store = SqlStore(url_of(tmp_path))
    assert await store.stale(1.0) == ["resp_job"]
    record = await store.claim("resp_job", owner="two", until=1e11)
    told = await store.told("resp_job", principal="alice", limit=100_000)
    assert record is not None and told is not None
    done = len(record.response.output)
    assert done > said["job"], "what was acknowledged is there"
    assert [number for number, _ in told.events] == [*range(2 * done)], "with its events"
    assert await store.finish(record_of("job"), owner="two") is True
    await store.aclose()
    assert rows(tmp_path, "pragma integrity_check") == [("ok",)]


async def test_processes_that_begin_at_once_share_a_new_database(tmp_path: Path) -> None:
    lanes = "abcde"
    writers = [child(SAVES, tmp_path, "10", lane) for lane in lanes]
    for writer in writers:
        await to_thread.run_sync(writer.communicate)
    assert [writer.returncode for writer in writers] == [0] * len(lanes)
    store = SqlStore(url_of(tmp_path))
    for lane in lanes:
        chain = await store.chain(f"resp_{lane}_9", principal="alice")
        assert (len(chain.items), chain.missing) == (30, None)
    assert await store.load("resp_a_0", principal="alice") is not None
    await store.aclose()
    assert rows(tmp_path, "select version from antiphon_schema") == [(1,)]


async def test_a_store_goes_on_while_another_process_writes(tmp_path: Path) -> None:
    writer = child(SAVES, tmp_path, "40", "a")
    store = SqlStore(url_of(tmp_path))
    for at in range(40):
        await store.save(record_of(f"mine_{at}"))
        assert await store.load(f"resp_mine_{at}", principal="alice") is not None
    await to_thread.run_sync(writer.communicate)
    assert writer.returncode == 0
    assert len((await store.chain("resp_a_39", principal="alice")).items) == 120
    await store.aclose()
