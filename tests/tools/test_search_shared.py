"""An index that several processes have open: each reads what it can read, and leaves the rest."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from antiphon.tools import FileSearch, search as kept

from .searching import OWNER, PATIENCE, START, Files, Held, Letters, fault_of, settled, store_of

pytestmark = pytest.mark.anyio

LEASE = 0.2


@asynccontextmanager
async def reading(
    path: Path,
    *names: str,
    source: str = "",
    embedder: kept.Embedder | None = None,
    at: float = START,
) -> AsyncGenerator[kept.Library]:
    """A library on an index, whose source of this name has these files."""
    library = kept.Library(path, embedder=embedder, clock=lambda: at, lease=LEASE)
    files = Files()
    files.data = {f"file-{name}": b"a keel" for name in names}
    library.read_from(files, name=source)
    try:
        yield library
    finally:
        await library.aclose()


async def attach(library: kept.Library, *names: str, source: str = "", to: str = "vs_a") -> None:
    given = [kept.Attachment(f"file-{name}", f"{name}.md", source=source) for name in names]
    await library.engine.attach(to, given, principal=OWNER, at=START)


async def test_two_searches_that_are_given_files_share_an_index_at_once(tmp_path: Path) -> None:
    found: list[int] = []

    async def one(name: str) -> None:
        given = [(f"{name}{at}.md", f"# {name} {at}\n\nwords".encode()) for at in range(60)]
        tool = FileSearch(tmp_path / "x.db", files=given)
        stack.push_async_callback(tool.aclose)
        files = tool._files  # pyright: ignore[reportPrivateUsage]  (no model is needed to ask)
        assert files is not None
        store_id = await files.store()
        (store,) = await tool.library.stores([store_id], principal="antiphon:files")
        found.append(store.counts.completed)

    async with AsyncExitStack() as stack:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(one, "alpha")
                group.start_soon(one, "beta")
    assert found == [60, 60]


async def test_a_file_of_anothers_source_is_left_to_whoever_has_that_source(
    tmp_path: Path,
) -> None:
    async with reading(tmp_path / "x.db", "mine") as mine:
        await mine.engine.create(store_of())
        await mine.engine.create(store_of("w"))
        await attach(mine, "theirs", source="elsewhere:/docs/a.md")
        await attach(mine, "mine", to="vs_w")
        mine.wake()
        assert (await settled(mine, "vs_w")).counts == kept.Counts(completed=1), "it goes on"
        store = await mine.engine.store("vs_a", principal=OWNER)
        assert store is not None and store.counts == kept.Counts(in_progress=1)
        async with reading(tmp_path / "x.db", source="elsewhere") as theirs:
            source = Files()
            source.data["/docs/a.md"] = b"an oak"  # what stands behind the colon, it is asked for
            theirs.read_from(source, name="elsewhere")
            theirs.wake()
            assert (await settled(theirs)).counts == kept.Counts(completed=1)


async def test_a_file_that_its_own_source_has_no_more_fails_and_says_so(tmp_path: Path) -> None:
    async with reading(tmp_path / "x.db") as library:
        await library.engine.create(store_of())
        await attach(library, "gone")
        library.wake()
        await settled(library)
        fault = await fault_of(library, "gone")
        assert (fault.code, fault.message) == ("invalid_file", "the file is not there any more")


async def test_a_file_waits_for_a_process_that_has_its_stores_embedding_model(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.db"
    async with reading(path, "a", "b") as bare:
        await bare.engine.create(store_of("w"))
        await bare.engine.create(store_of(model="letters"))
        await attach(bare, "a")
        await attach(bare, "b", to="vs_w")
        bare.wake()
        assert (await settled(bare, "vs_w")).counts == kept.Counts(completed=1), "it goes on"
        store = await bare.engine.store("vs_a", principal=OWNER)
        assert store is not None and store.counts == kept.Counts(in_progress=1)
        async with reading(path, "a", embedder=Letters()) as able:
            able.wake()
            assert (await settled(able)).counts == kept.Counts(completed=1)


async def test_where_nobody_has_the_embedding_model_the_files_fail_and_say_so(
    tmp_path: Path,
) -> None:
    names = [str(at) for at in range(30)]
    async with reading(tmp_path / "x.db", *names, at=START + 60) as bare:
        await bare.engine.create(store_of(model="letters"))
        await attach(bare, *names)
        bare.wake()
        assert (await settled(bare)).counts == kept.Counts(failed=30)
        fault = await fault_of(bare, "0")
        assert fault.code == "server_error" and "embedding model 'letters'" in fault.message


async def test_while_somebody_reads_with_an_embedding_model_others_leave_its_files(
    tmp_path: Path,
) -> None:
    late = START + 60
    engine = kept.SqliteEngine(tmp_path / "x.db")
    await engine.create(store_of(model="letters"))
    given = [kept.Attachment(f"file-{name}", name) for name in "ab"]
    await engine.attach("vs_a", given, principal=OWNER, at=START)
    theirs = await engine.claim("one", now=late, until=late + 30, models=["letters"])
    assert theirs is not None and theirs.attachment.file_id == "file-a"
    assert await engine.claim("two", now=late, until=late + 30, models=[]) is None
    assert await engine.fail(theirs, kept.Fault("server_error", "it ended"))
    assert await engine.claim("two", now=START + 29, until=START + 59, models=[]) is None
    assert await engine.claim("two", now=late, until=late + 30, models=[]) is not None
    await engine.aclose()


class Named(Files):
    """Says what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Held | None]:
        self.asked.append(file_id)
        async with super().open(file_id, principal=principal) as held:
            yield held


async def test_a_source_is_asked_for_its_own_files_only() -> None:
    library = kept.Library(clock=lambda: float(START))
    one, two = Named(), Named()
    one.data["file-a"] = two.data["file-b"] = b"a keel"
    library.read_from(one)
    library.read_from(two, name="two")
    await library.engine.create(store_of())
    await attach(library, "a")
    await attach(library, "b", source="two")
    library.wake()
    assert (await settled(library)).counts == kept.Counts(completed=2)
    assert (one.asked, two.asked) == (["file-a"], ["file-b"])
    await library.aclose()


async def test_an_index_of_the_second_version_is_taken_over_with_what_waits_in_it(
    tmp_path: Path,
) -> None:
    async with reading(tmp_path / "x.db") as library:
        await library.engine.create(store_of())
        await attach(library, "a")
    with sqlite3.connect(tmp_path / "x.db") as rows:  # as it was written then
        rows.execute("ALTER TABLE files DROP COLUMN source")
        rows.execute("PRAGMA user_version = 2")
    rows.close()
    async with reading(tmp_path / "x.db", "a") as library:
        library.wake()
        assert (await settled(library)).counts == kept.Counts(completed=1)
