"""Words in large stores: numpy gives the passages and the scores that FTS5 gives."""

import random
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from antiphon.tools import search as kept

from .searching import OWNER, START, store_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.search import check_engine
else:
    from antiphon.testing.search import check_engine

pytestmark = pytest.mark.anyio

VOCABULARY = [f"{a}{b}ing" for a in ("sail", "keel", "mast", "r\u00f6w", "tow") for b in "abcdefgh"]
QUERIES = (
    "saila",
    "sailaing keelb masta",
    "the R\u00d6WA of a towb, towb and 'mastc'?",
    "nothing keelh",
    "nothing at all",
    "s\u00e0iled towd_maste",
    "\u6771\u4eac saila",
    " ".join(VOCABULARY),
)
FILTERS = (None, {"type": "lt", "key": "n", "value": 3}, {"type": "eq", "key": "n", "value": 99})


def texts(chance: random.Random, number: int) -> list[str]:
    weights = [1 / (at + 1) for at in range(len(VOCABULARY))]
    return [
        " ".join(chance.choices(VOCABULARY, weights, k=chance.randrange(1, 40)))
        + " \u6771\u4eac" * (at % 9 == 0)
        for at in range(number)
    ]


async def claimed(engine: kept.Engine) -> kept.Job:
    job = await engine.claim("t", now=START, until=START + 9)
    assert job is not None
    return job


async def finish(engine: kept.Engine, job: kept.Job, given: Sequence[str]) -> None:
    chunks = [kept.Chunk(text, "", 0, len(text), None, None) for text in given]
    assert await engine.finish(job, chunks, None)


async def attach(engine: kept.Engine, numbers: range) -> None:
    files = [kept.Attachment(f"file-{at}", f"{at}.md", {"n": at % 6}) for at in numbers]
    await engine.attach("vs_a", files, principal=OWNER, at=START)


async def agrees_with_fts(engine: kept.Engine, path: Path) -> None:
    """What the engine finds is what another that scores by FTS5 alone finds in the same file."""
    other = kept.SqliteEngine(path, large=1 << 60)
    asked = [
        kept.Query(text, None, kept.filter_of(told), limit)
        for text in QUERIES
        for told in FILTERS
        for limit in (3, 1_000)
    ]
    expected = [await other.candidates("vs_a", each) for each in asked]
    await other.aclose()
    assert any(each.found for each in expected)
    for query, wanted in zip(asked, expected, strict=True):
        got = await engine.candidates("vs_a", query)
        assert got.weight == pytest.approx(wanted.weight)
        assert [each.key for each in got.found] == [each.key for each in wanted.found], query
        assert [each.words for each in got.found] == pytest.approx(
            [each.words for each in wanted.found]
        )


async def test_scores_are_those_of_fts_while_files_come_out_of_order_and_go(tmp_path: Path) -> None:
    path = tmp_path / "search.db"
    engine = kept.SqliteEngine(path, large=1)
    chance = random.Random(3)
    await engine.create(store_of())
    await attach(engine, range(12))
    jobs = [await claimed(engine) for _ in range(12)]
    for place in (0, 1, 3, 2, 7, 6, 4, 5, 9, 11, 10, 8):
        await finish(engine, jobs[place], texts(chance, 25))
        if place % 3 == 0:
            await agrees_with_fts(engine, path)
    assert await engine.detach("vs_a", "file-4", principal=OWNER)
    await agrees_with_fts(engine, path)
    await attach(engine, range(2, 3))  # is read anew, as the last
    await finish(engine, await claimed(engine), texts(chance, 25))
    await agrees_with_fts(engine, path)
    assert await engine.describe("vs_a", "file-7", {"n": 99}, principal=OWNER) is not None
    await agrees_with_fts(engine, path)
    await engine.aclose()


async def test_the_conformance_of_engines_holds_however_words_are_scored(tmp_path: Path) -> None:
    made = 0

    async def make() -> kept.Engine:
        nonlocal made
        made += 1
        return kept.SqliteEngine(tmp_path / f"{made}.db", large=1)

    await check_engine(make)


async def test_a_large_store_is_scored_by_numpy_and_ranked_as_by_fts(tmp_path: Path) -> None:
    path = tmp_path / "search.db"
    engine = kept.SqliteEngine(path)
    chance = random.Random(4)
    await engine.create(store_of())
    await attach(engine, range(6))
    for _ in range(6):
        await finish(engine, await claimed(engine), texts(chance, 1_000))
    await agrees_with_fts(engine, path)
    await engine.aclose()


async def test_without_numpy_fts_scores_stores_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    engine = kept.SqliteEngine(tmp_path / "search.db", large=1)
    await engine.create(store_of())
    await attach(engine, range(1))
    await finish(engine, await claimed(engine), ["saila keelb", "keelb"])
    assert len((await engine.candidates("vs_a", kept.Query("keelb"))).found) == 2
    await engine.aclose()


async def test_vectors_follow_files_that_go_and_come(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "search.db"
    engine = kept.SqliteEngine(path, large=1)
    chance = np.random.default_rng(5)
    await engine.create(store_of(model="m"))

    async def put(number: int) -> None:
        await attach(engine, range(number, number + 1))
        chunks = [kept.Chunk(f"saila {at}", "", 0, 1, None, None) for at in range(7)]
        rows = chance.normal(size=(7, 8)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        assert await engine.finish(await claimed(engine), chunks, kept.Vectors(rows, range(7)))

    async def agrees() -> None:
        fresh = kept.SqliteEngine(path, large=1 << 60)
        for told in FILTERS:
            vector = chance.normal(size=8).astype(np.float32)
            for limit in (5, 1_000):
                query = kept.Query("saila", vector, kept.filter_of(told), limit)
                mine, theirs = [await each.candidates("vs_a", query) for each in (engine, fresh)]
                found = [{each.key: each for each in given.found} for given in (mine, theirs)]
                assert found[0].keys() == found[1].keys()
                for key, each in found[0].items():
                    assert each.cosine == pytest.approx(found[1][key].cosine, abs=1e-6)
                    assert each.by_vector == found[1][key].by_vector
        await fresh.aclose()

    for number in range(12):
        await put(number)
    await agrees()
    for number in (0, 5, 11, 5, 3, 2, 1):
        assert await engine.detach("vs_a", f"file-{number}", principal=OWNER)
        await agrees()
        if number == 5:
            await put(number)
    await agrees()
    await engine.aclose()


async def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "search.db"
    engine = kept.SqliteEngine(path)
    await engine.create(store_of())
    await attach(engine, range(1))
    await finish(engine, await claimed(engine), ["saila keelb"])
    await engine.aclose()
    with sqlite3.connect(path) as rows:  # as it was written then
        for statement in (
            "DROP TABLE terms_1",
            "DROP TABLE gone",
            "DROP INDEX stores_expiring",
            "ALTER TABLE stores DROP COLUMN ended",
            "ALTER TABLE files DROP COLUMN source",
            "PRAGMA user_version = 1",
        ):
            rows.execute(statement)
    rows.close()
    engine = kept.SqliteEngine(path, large=1)
    found = await engine.candidates("vs_a", kept.Query("saila"))
    assert len(found.found) == 1
    assert await engine.remove("vs_a", principal=OWNER)
    while await engine.purge(START):
        pass
    await engine.aclose()
