"""Room that is given back: of stores that were removed, and of those that have expired."""

import sqlite3
from pathlib import Path

import anyio
import pytest

from antiphon.errors import RequestError
from antiphon.tools import search as kept

from .searching import OWNER, PATIENCE, START, Files, settled, store_of

pytestmark = pytest.mark.anyio

DAY = 86_400
TEXT = "A keel keeps a boat upright, whatever the wind says about it. " * 8


async def fill(engine: kept.Engine, name: str, files: int, passages: int) -> None:
    import numpy as np

    rows = np.ones((passages, 64), np.float32) / 8
    given = [kept.Attachment(f"file-{at}", f"{at}.md", {"n": at}) for at in range(files)]
    await engine.attach(f"vs_{name}", given, principal=OWNER, at=START)
    for _ in given:
        job = await engine.claim("t", now=START, until=START + 9)
        assert job is not None
        chunks = [kept.Chunk(TEXT, "", 0, len(TEXT), None, None)] * passages
        assert await engine.finish(job, chunks, kept.Vectors(rows, range(passages)))


def size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


@pytest.mark.parametrize("how", ["removed", "expired"])
async def test_the_file_shrinks_again_in_bits_between_which_others_write(
    tmp_path: Path, how: str
) -> None:
    engine = kept.SqliteEngine(tmp_path / "search.db")
    await engine.create(store_of("a", model="m", expires_days=1))
    await engine.create(store_of("b", model="m"))
    await fill(engine, "a", files=20, passages=200)
    full = size(tmp_path)
    if how == "removed":
        assert await engine.remove("vs_a", principal=OWNER)
    bits = 0
    while await engine.purge(START + DAY):
        bits += 1
        if bits == 3:
            await fill(engine, "b", files=1, passages=1)
        if bits % 5 == 0:  # as after a crash
            await engine.aclose()
            engine = kept.SqliteEngine(tmp_path / "search.db")
    assert bits > 4000 / 500, "expected many small bits, not one large one"
    await engine.aclose()
    assert size(tmp_path) < full / 10
    again = kept.SqliteEngine(tmp_path / "search.db")
    found = await again.candidates("vs_b", kept.Query("keel"))
    assert len(found.found) == 1
    await again.aclose()


async def test_nothing_of_a_removed_store_is_left(tmp_path: Path) -> None:
    engine = kept.SqliteEngine(tmp_path / "search.db")
    await engine.create(store_of())
    await fill(engine, "a", files=2, passages=3)
    assert await engine.remove("vs_a", principal=OWNER)
    while await engine.purge(START):
        pass
    await engine.aclose()
    with sqlite3.connect(tmp_path / "search.db") as rows:
        (left,) = rows.execute(
            "SELECT count(*) FROM sqlite_master WHERE name GLOB 'words_*' OR name GLOB 'terms_*'"
        ).fetchone()
        assert left == 0
        for table in ("chunks", "files", "vectors", "attributes", "gone"):
            assert rows.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    rows.close()


async def test_a_library_that_is_awake_gives_back_what_has_expired(tmp_path: Path) -> None:
    now = float(START)
    library = kept.Library(tmp_path / "search.db", clock=lambda: now, lease=0.02)
    library.read_from(Files())
    await library.engine.create(store_of(expires_days=1))
    await fill(library.engine, "a", files=2, passages=3)
    library.wake()
    assert (await settled(library)).counts.completed == 2
    now += DAY
    with anyio.fail_after(PATIENCE):
        while True:
            store = await library.engine.store("vs_a", principal=OWNER)
            assert store is not None
            if store.ended:
                break
            await anyio.lowlevel.checkpoint()
    assert store.usage_bytes == 0
    with pytest.raises(RequestError, match="expired"):
        await library.search(["vs_a"], ["keel"], principal=OWNER)
    await library.aclose()
