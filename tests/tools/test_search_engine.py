"""The engine on SQLite: the conformance of engines, several handles on one file, its edges."""

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.errors import ConfigurationError
from antiphon.tools import search as kept

from .searching import OWNER, START, store_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.search import check_engine
else:
    from antiphon.testing.search import check_engine

pytestmark = pytest.mark.anyio


async def test_it_keeps_the_conformance_of_search_engines(tmp_path: Path) -> None:
    made = 0

    async def make() -> kept.Engine:
        nonlocal made
        made += 1
        return kept.SqliteEngine(tmp_path / f"{made}.db")

    await check_engine(make)
    assert made > 10


async def test_two_processes_share_one_file_and_see_each_others_vectors(tmp_path: Path) -> None:
    import numpy as np

    one, two = (kept.SqliteEngine(tmp_path / "search.db") for _ in range(2))
    await one.create(store_of(model="m"))
    vector = np.asarray([1, 0], np.float32)
    for number, engine in enumerate((one, two, one, two)):
        name = f"file-{number}"
        await engine.attach("vs_a", [kept.Attachment(name, name)], principal=OWNER, at=START)
        job = await two.claim("t", now=START, until=START + 9)
        assert job is not None
        rows = kept.Vectors(np.asarray([[1, 0]], np.float32), [0])
        assert await two.finish(job, [kept.Chunk(name, "", 0, 6, None, None)], rows)
        for each in one, two:
            found = await each.candidates("vs_a", kept.Query("zebra", vector))
            assert len(found.found) == number + 1
    assert await two.detach("vs_a", "file-0", principal=OWNER)
    assert len((await one.candidates("vs_a", kept.Query("zebra", vector))).found) == 3
    await one.aclose()
    await two.aclose()


async def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    engine = kept.SqliteEngine(tmp_path / "deep" / "search.db")
    await engine.create(store_of())
    assert {path.stat().st_mode & 0o77 for path in (tmp_path / "deep").iterdir()} == {0}
    await engine.aclose()


async def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "search.db") as rows:
        rows.execute("PRAGMA user_version = 99")
    rows.close()
    with pytest.raises(ConfigurationError, match="version 3, got 99"):
        kept.SqliteEngine(tmp_path / "search.db")


async def test_vectors_of_another_length_fail_the_file_and_not_the_store(tmp_path: Path) -> None:
    import numpy as np

    engine = kept.SqliteEngine(tmp_path / "search.db")
    await engine.create(store_of(model="m"))
    for number, width in enumerate((2, 3)):
        name = f"file-{number}"
        await engine.attach("vs_a", [kept.Attachment(name, name)], principal=OWNER, at=START)
        job = await engine.claim("t", now=START, until=START + 9)
        assert job is not None
        rows = kept.Vectors(np.ones((1, width), np.float32), [0])
        await engine.finish(job, [kept.Chunk("x", "", 0, 1, None, None)], rows)
    failed = await engine.file("vs_a", "file-1", principal=OWNER)
    assert failed is not None and failed.fault is not None
    assert "expected vectors of 2 numbers" in failed.fault.message
    await engine.aclose()


async def test_memory_holds_as_many_stores_as_it_may(tmp_path: Path) -> None:
    import numpy as np

    engine = kept.SqliteEngine(tmp_path / "search.db", memory=1)
    vector = np.asarray([1, 0], np.float32)
    for name in "ab":
        await engine.create(store_of(name, model="m"))
        given = [kept.Attachment(f"file-{name}", name)]
        await engine.attach(f"vs_{name}", given, principal=OWNER, at=START)
        job = await engine.claim("t", now=START, until=START + 9)
        assert job is not None
        rows = kept.Vectors(np.asarray([[1, 0]], np.float32), [0])
        await engine.finish(job, [kept.Chunk(name, "", 0, 1, None, None)], rows)
    with anyio.fail_after(60):
        for name in "abab":
            found = await engine.candidates(f"vs_{name}", kept.Query("zebra", vector))
            assert len(found.found) == 1
    await engine.aclose()
