"""Ingest: what was acknowledged is read, once, whatever happens to the process that reads it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from antiphon.tools import search as kept

from .searching import (
    OWNER,
    PATIENCE,
    START,
    Files,
    Held,
    Letters,
    chunks_of,
    fault_of,
    filled,
    settled,
    store_of,
)

pytestmark = pytest.mark.anyio

DYING = """
import sys, anyio
from contextlib import asynccontextmanager
from pathlib import Path
from antiphon.tools import search as kept

class Slow:
    @property
    async def chunks(self):
        yield b"the words of a keel"

class Source:
    @asynccontextmanager
    async def open(self, file_id, *, principal):
        if file_id == "file-7":
            print("here", flush=True)
            await anyio.sleep_forever()
        yield Slow()

async def main():
    library = kept.Library(Path(sys.argv[1]), lease=30.0, workers=2)
    library.read_from(Source())
    await library.engine.create(kept.VectorStore("vs_a", "local", "a", 1, 1))
    files = [kept.Attachment(f"file-{at}", f"{at}.txt") for at in range(12)]
    await library.engine.attach("vs_a", files, principal="local", at=1)
    library.wake()
    await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
async def test_after_kill_9_the_next_process_reads_all_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "search.db"
    process = subprocess.Popen(  # noqa: ASYNC220  (it is waited for in a thread)
        [sys.executable, "-c", DYING, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert process.stdout is not None
    with anyio.fail_after(60):
        assert await anyio.to_thread.run_sync(process.stdout.readline) == b"here\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    later = time.time() + 31  # the claim of the dead has run out
    library = kept.Library(path, clock=lambda: later)
    source = Files()
    source.data = {f"file-{at}": b"the words of a keel" for at in range(12)}
    library.read_from(source)
    before = await library.engine.store("vs_a", principal=OWNER)
    assert before is not None and before.counts.total == 12 and before.counts.in_progress >= 1
    library.wake()
    store = await settled(library)
    assert store.counts == kept.Counts(completed=12)
    found = await library.search(["vs_a"], ["keel"], principal=OWNER, limit=50)
    assert len({each.passage.file_id for each in found}) == len(found) == 12, "none lost or torn"
    await library.aclose()


async def test_a_file_over_which_processes_die_is_given_up() -> None:
    library = kept.Library(clock=lambda: float(START))
    await library.engine.create(store_of())
    given = [kept.Attachment("file-x", "x.md")]
    await library.engine.attach("vs_a", given, principal=OWNER, at=START)
    for life in range(3):
        assert await library.engine.claim(f"t{life}", now=START, until=START) is not None
    library.read_from(Files())
    library.wake()
    await settled(library)
    fault = await fault_of(library, "x")
    assert fault.code == "server_error" and "3 processes died" in fault.message
    await library.aclose()


async def test_the_same_content_makes_no_second_embedding_call() -> None:
    letters = Letters()
    async with filled(
        {"a.md": "A keel.", "b.md": "A keel.", "c.md": "An oak."}, embedder=letters
    ) as library:
        assert set(letters.asked) == {"A keel.", "An oak."}
        asked = len(letters.asked)
        await library.engine.create(store_of("b", model=library.model))
        await library.engine.detach("vs_a", "file-a.md", principal=OWNER)
        given = [kept.Attachment("file-a.md", "a.md")]
        await library.engine.attach("vs_a", given, principal=OWNER, at=START)
        library.wake()
        await settled(library)
        assert len(letters.asked) == asked, "expected the vectors to be remembered"
        assert len(await chunks_of(library, "a.md")) == 1


async def test_an_embedder_that_fails_fails_the_file_and_not_its_neighbours() -> None:
    letters = Letters()
    letters.broken = True
    async with filled({"a.md": "A keel."}, embedder=letters) as library:
        fault = await fault_of(library, "a.md")
        assert (fault.code, "cannot be reached" in fault.message) == ("server_error", True)


async def test_a_store_of_another_model_is_not_mixed_with_this_one(tmp_path: Path) -> None:
    async with filled({"a.md": "A keel."}, embedder=Letters(), engine=tmp_path / "s.db"):
        pass
    library = kept.Library(tmp_path / "s.db", clock=lambda: float(START))
    with pytest.raises(kept.EmbedderError, match="'letters', and here is None"):
        await library.search(["vs_a"], ["keel"], principal=OWNER)
    await library.aclose()


async def test_a_long_passage_has_several_vectors_and_is_found_by_the_best() -> None:
    letters = Letters()
    text = "zzz " * 60 + "qqq " * 60 + "kkk " * 60
    async with filled({"a.txt": text, "b.txt": "zqk " * 20}, embedder=letters) as library:
        assert len(letters.asked) >= 4, "expected windows of 64 tokens"
        none = kept.ranking_of({"ranker": "none"})
        found = await library.search(["vs_a"], ["kkk kkk"], principal=OWNER, ranking=none)
    assert found[0].passage.filename == "a.txt" and found[0].score > 0.9


class Slow(Letters):
    """Answers when it is told to; a text with `bad` in it, it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.go = anyio.Event()

    async def passages(self, texts: Any) -> Any:
        self.calls.append(list(texts))
        await self.go.wait()
        if any("bad" in text for text in texts):
            raise kept.EmbedderError("the embedding server answered 400")
        return await super().passages(texts)


async def waiting(library: kept.Library, source: Files, texts: Sequence[str]) -> None:
    """A store with files of these texts, which are being read."""
    library.read_from(source)
    await library.engine.create(store_of(model=library.model))
    source.data.update({f"file-{at}": text.encode() for at, text in enumerate(texts)})
    given = [kept.Attachment(f"file-{at}", f"{at}.md") for at in range(len(texts))]
    await library.engine.attach("vs_a", given, principal=OWNER, at=START)
    library.wake()


class Counting(Files):
    """Says of how many files the reading has ended."""

    ended = 0

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Held | None]:
        async with super().open(file_id, principal=principal) as held:
            yield held
        self.ended += 1


@pytest.mark.parametrize("bad", [None, 7])
async def test_texts_of_many_files_go_out_together_and_a_bad_one_fails_its_own_file_alone(
    bad: int | None,
) -> None:
    slow, source = Slow(), Counting()
    library = kept.Library(embedder=slow, clock=lambda: float(START))
    await waiting(library, source, [f"Number {at}" + ", bad." * (at == bad) for at in range(20)])
    with anyio.fail_after(PATIENCE):
        while source.ended < 20:
            await anyio.lowlevel.checkpoint()
    slow.go.set()
    store = await settled(library)
    assert len({text for call in slow.calls for text in call}) == 20
    if bad is None:
        assert store.counts == kept.Counts(completed=20)
        assert len(slow.calls) <= 4, "expected calls with the texts of several files"
    else:
        assert store.counts == kept.Counts(completed=19, failed=1)
        assert "answered 400" in (await fault_of(library, "7")).message
    await library.aclose()


async def test_a_library_that_rested_in_the_middle_of_a_call_reads_on_when_it_wakes() -> None:
    slow = Slow()
    library = kept.Library(embedder=slow, clock=lambda: float(START))
    await waiting(library, Files(), [f"Number {at}" for at in range(5)])
    with anyio.fail_after(PATIENCE):
        while not slow.calls:
            await anyio.lowlevel.checkpoint()
    await library.rest()
    slow.go.set()
    library.wake()
    assert (await settled(library)).counts == kept.Counts(completed=5)
    await library.aclose()


class Late(kept.SqliteEngine):
    """Says of its first claim that it is written, and answers when it is told to."""

    def __init__(self, path: Path, fault: Exception | None = None) -> None:
        super().__init__(path)
        self.written = anyio.Event()
        self.answer = anyio.Event()
        self.fault = fault

    async def claim(self, *given: Any, **options: Any) -> kept.Job | None:
        job = await super().claim(*given, **options)
        self.written.set()
        await self.answer.wait()
        if self.fault is not None:
            raise self.fault
        return job


async def test_a_claim_that_was_written_while_a_library_came_to_rest_is_given_back(
    tmp_path: Path,
) -> None:
    late = Late(tmp_path / "s.db")
    library = kept.Library(late, clock=lambda: float(START), workers=1)
    await waiting(library, Files(), ["A keel."])
    with anyio.fail_after(PATIENCE):
        await late.written.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(library.rest)
            await anyio.lowlevel.checkpoint()
            late.answer.set()
    library.wake()
    assert (await settled(library)).counts == kept.Counts(completed=1)
    await library.aclose()


async def test_a_claim_that_fails_while_a_library_comes_to_rest_does_not_keep_it_awake(
    tmp_path: Path,
) -> None:
    late = Late(tmp_path / "s.db", OSError("the disk is gone"))
    library = kept.Library(late, clock=lambda: float(START), workers=1)
    await waiting(library, Files(), ["A keel."])
    with anyio.fail_after(PATIENCE):
        await late.written.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(library.rest)
            await anyio.lowlevel.checkpoint()
            late.answer.set()
    await library.aclose()


async def test_a_library_that_is_closed_gives_its_files_to_the_next_at_once(
    tmp_path: Path,
) -> None:
    slow = Slow()
    source = Files()
    for life in range(5):
        if life == 4:
            slow.go.set()
        library = kept.Library(tmp_path / "s.db", embedder=slow, clock=lambda: float(START))
        if life == 0:
            await waiting(library, source, ["A keel.", "An oak."])
        else:
            library.read_from(source)
            library.wake()
        with anyio.fail_after(PATIENCE):
            while len(slow.calls) <= life:
                await anyio.lowlevel.checkpoint()
        if life == 4:
            assert (await settled(library)).counts == kept.Counts(completed=2)
        await library.aclose()


class Stuck(Files):
    """One of its files does not come."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.asked = anyio.Event()

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Held | None]:
        if file_id == self.name:
            self.asked.set()
            await anyio.sleep_forever()
        async with super().open(file_id, principal=principal) as held:
            yield held


async def test_files_that_were_claimed_behind_one_that_does_not_come_are_given_to_others(
    tmp_path: Path,
) -> None:
    stuck = Stuck("file-20")
    one, two = (
        kept.Library(tmp_path / "s.db", clock=lambda: float(START), workers=1, lease=0.3)
        for _ in range(2)
    )
    await waiting(one, stuck, [f"Number {at}" for at in range(50)])
    with anyio.fail_after(PATIENCE):
        await stuck.asked.wait()
        others = Files()
        others.data = stuck.data
        two.read_from(others)
        two.wake()
        while True:
            store = await one.engine.store("vs_a", principal=OWNER)
            assert store is not None
            if store.counts == kept.Counts(completed=49, in_progress=1):
                break
            await anyio.lowlevel.checkpoint()
    await one.aclose()
    two.wake()
    assert (await settled(two)).counts == kept.Counts(completed=50)
    await two.aclose()


async def test_files_over_which_a_process_died_are_claimed_one_by_one(tmp_path: Path) -> None:
    stuck = Stuck("file-5")
    library = kept.Library(tmp_path / "s.db", clock=lambda: float(START), workers=1)
    library.read_from(stuck)
    stuck.data = {f"file-{at}": b"A keel." for at in range(20)}
    await library.engine.create(store_of())
    given = [kept.Attachment(name, f"{name}.md") for name in stuck.data]
    await library.engine.attach("vs_a", given, principal=OWNER, at=START)
    for _ in given:  # by one that died
        assert await library.engine.claim("t", now=START - 9, until=START - 1) is not None
    library.wake()
    with anyio.fail_after(PATIENCE):
        await stuck.asked.wait()
    job = await library.engine.claim("other", now=START, until=START + 9)
    assert job is not None and (job.attachment.file_id, job.attempts) == ("file-6", 2)
    await library.aclose()


async def test_texts_of_long_and_short_files_fill_calls_and_a_slow_server_is_spared() -> None:
    slow, source = Slow(), Counting()
    library = kept.Library(embedder=slow, clock=lambda: float(START))
    long = "\n\n".join(f"Number {at} of the long file. " + "word " * 30 for at in range(200))
    await waiting(library, source, [long, *(f"Number {at}" for at in range(40))])
    with anyio.fail_after(PATIENCE):
        while source.ended < 41 or len(slow.calls) < 2:
            await anyio.lowlevel.checkpoint()
    assert len(slow.calls) == 2, "expected a server that has not answered yet to be spared"
    slow.go.set()
    assert (await settled(library)).counts == kept.Counts(completed=41)
    sizes = [len(call) for call in slow.calls]
    assert max(sizes) <= 64 and sizes.count(64) >= len(sizes) - 2, sizes
    await library.aclose()
