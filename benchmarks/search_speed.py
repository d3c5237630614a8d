"""Searching a large store: how long it takes, and what it finds; ours and others'.

Passages are put together from the collection's sentences, with random vectors of 384 numbers: as
many, and as common words, as a large store has. Above: `search`. Below: `search_peers`.
"""

import asyncio
import random
import re
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from antiphon.tools import search as kept

ME = "local"
WIDTH = 384
PER_FILE = 50
AT_ONCE = 16
"""Files that are on their way in at the same time; ingest has up to 256."""
PICKS = 100
"""Values of the attribute that filters ask for; each has as many files as any other."""


@dataclass(frozen=True)
class Load:
    """What is searched, and what is asked."""

    texts: list[str]
    rows: Any
    queries: list[str]
    vectors: Any

    def pick(self, at: int) -> int:
        """The attribute of a passage's file."""
        return at // PER_FILE % PICKS


def load_of(documents: Iterable[str], queries: Sequence[str], number: int) -> Load:
    """So many passages, and a quarter of the queries."""
    chance, numbers = random.Random(1), np.random.default_rng(1)
    split = (re.split(r"(?<= \.)\s+", each) for each in documents)
    sentences = [each for some in split for each in some if len(each) > 40]
    asked = list(queries)[::4]
    rows = numbers.standard_normal((number, WIDTH), dtype=np.float32)
    vectors = numbers.standard_normal((len(asked), WIDTH), dtype=np.float32)
    return Load(
        [" ".join(chance.choices(sentences, k=4)) for _ in range(number)],
        rows / np.linalg.norm(rows, axis=1, keepdims=True),
        asked,
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    )


class Searched(Protocol):
    """Something that holds the load and is searched.

    Attributes:
        near: Whether it has vectors.
    """

    near: bool

    def fill(self, load: Load) -> None:
        """Take all of it in."""
        ...

    def find(self, text: str, vector: Any, picks: int) -> list[int]:
        """The ten best passages of files whose pick is below `picks`; by words without a vector."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


class Ours:
    """The engine alone: files as they are read, candidates, and the ranking of them."""

    near = True

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._engine = kept.SqliteEngine(folder / "search.db")
        self._held: dict[int, int] = {}

    def fill(self, load: Load) -> None:
        """Take all of it in."""
        self._runner.run(self._fill(load))

    async def _fill(self, load: Load) -> None:
        await self._engine.create(store_of("s", "random"))
        number = len(load.texts)
        files = [
            kept.Attachment(f"f{at}", f"f{at}.md", {"pick": load.pick(at), "n": at / number})
            for at in range(0, number, PER_FILE)
        ]
        await self._engine.attach("s", files, principal=ME, at=1)
        left = iter(range(0, number, PER_FILE))
        await asyncio.gather(*(self._take(load, left) for _ in range(AT_ONCE)))

    async def _take(self, load: Load, left: Iterator[int]) -> None:
        for _ in left:
            job = await self._engine.claim("t", now=1, until=2)
            assert job is not None
            first = int(job.attachment.file_id[1:])
            texts = load.texts[first : first + PER_FILE]
            chunks = [kept.Chunk(each, "", 0, len(each), None, (1, 9)) for each in texts]
            vectors = kept.Vectors(load.rows[first : first + PER_FILE], range(len(texts)))
            await self._engine.finish(job, chunks, vectors)

    def find(self, text: str, vector: Any, picks: int) -> list[int]:
        """The ten best passages, as places in the load."""
        return self._runner.run(self._find(text, vector, picks))

    async def _find(self, text: str, vector: Any, picks: int) -> list[int]:
        query = kept.Query(text, vector, below(picks))
        given = await self._engine.candidates("s", query)
        best = [key for key, _ in kept.ranked(given, kept.Ranking())[:10]]
        passages = await self._engine.passages(best)
        return [_place(passages[key]) for key in best]

    def missed(self, load: Load, at: int, picks: int) -> float:
        """Of the ten best by words and the ten by vectors that pass: the share not found."""
        return self._runner.run(self._missed(load, at, picks))

    async def _missed(self, load: Load, at: int, picks: int) -> float:
        text, vector = load.queries[at], load.vectors[at]
        given = await self._engine.candidates("s", kept.Query(text, vector, below(picks)))
        near = load.rows @ vector
        passes = np.arange(len(near)) // PER_FILE % PICKS < picks
        wanted = np.sort(near[passes])[::-1][:10]
        cosines = [each.cosine or 0.0 for each in given.found if each.by_vector]
        found = np.sort(cosines)[::-1][:10]
        lost = int((np.abs(wanted - found) > 1e-4).sum())
        every = kept.Query(text, None, None, len(load.texts))
        all_said = (await self._engine.candidates("s", every)).found
        passing = [each for each in all_said if load.pick(self._seat(each.key)) < picks]
        said = sorted((each.words or 0.0 for each in passing), reverse=True)[:10]
        got = sorted((each.words or 0.0 for each in given.found), reverse=True)[:10]
        lost += sum(abs(one - other) > 1e-6 for one, other in zip(said, got, strict=True))
        return lost / (len(wanted) + len(said))

    def _seat(self, key: int) -> int:
        """The place in the load of a passage by its key: files were read in their order."""
        return ((key >> 20) - 1) * PER_FILE + (key & 0xFFFFF)

    def close(self) -> None:
        """Close the engine."""
        self._runner.run(self._engine.aclose())
        self._runner.close()


def store_of(name: str, model: str | None) -> kept.VectorStore:
    """A store that is to be made."""
    now = int(time.time())
    return kept.VectorStore(name, ME, name, created_at=now, last_active_at=now, model=model)


def below(picks: int) -> kept.Filter | None:
    """The filter that lets so many of a hundred files pass."""
    told = {"type": "lt", "key": "pick", "value": picks}
    return None if picks >= PICKS else kept.filter_of(told)


def _place(passage: kept.Passage) -> int:
    return int(passage.file_id[1:]) + (passage.key & 0xFFFFF)


def speed(name: str, searched: Searched, load: Load, folder: Path) -> None:
    """Fill it, then search it with and without filters."""
    number = len(load.texts)
    began, before = time.perf_counter(), time.process_time()
    searched.fill(load)
    took, spent = time.perf_counter() - began, time.process_time() - before
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"\n{name}: {number:,} passages")
    print(f"ingest {number / took:,.0f}/s, {number / spent:,.0f}/s of CPU; {size / 1e6:,.0f} MB")
    began, before = time.perf_counter(), time.process_time()
    searched.find("nothing that anybody says", load.vectors[0], PICKS)
    took, spent = time.perf_counter() - began, time.process_time() - before
    print(f"first search: {took * 1e3:.0f} ms, {spent * 1e3:.0f} of CPU")
    print(f"{'':22} CPU p50   p95 ms   by the clock p50   p95")
    for kind, near, picks in (
        ("hybrid, new terms" if searched.near else "words, new terms", searched.near, PICKS),
        ("words", False, PICKS),
        ("hybrid", True, PICKS),
        ("hybrid, filter 1%", True, 1),
        ("hybrid, filter 40%", True, 40),
    ):
        if searched.near or not near:
            _searches(kind, searched, load, near, picks)
    if isinstance(searched, Ours):
        for picks in (1, 40):
            some = range(0, len(load.queries), 4)
            worst = max(searched.missed(load, at, picks) for at in some)
            print(f"recall@10 of either search at {picks}%, the worst: {1 - worst:.2f}")
    own = load.rows.nbytes / 2**20 + sum(map(len, load.texts)) / 2**20
    print(f"memory: {_memory() - own:,.0f} MiB, without {own:,.0f} MiB of the benchmark's own")


def _searches(kind: str, searched: Searched, load: Load, near: bool, picks: int) -> None:
    took: list[float] = []
    spent: list[float] = []
    for text, vector in zip(load.queries, load.vectors, strict=True):
        began, before = time.perf_counter(), time.process_time()
        searched.find(text, vector if near else None, picks)
        took.append((time.perf_counter() - began) * 1e3)
        spent.append((time.process_time() - before) * 1e3)
    shown = [_at(each, share) for each in (spent, took) for share in (0.5, 0.95)]
    print(f"{kind:20} {shown[0]:8.1f} {shown[1]:8.1f} {shown[2]:15.1f} {shown[3]:8.1f}")


def _at(given: list[float], share: float) -> float:
    return sorted(given)[int(len(given) * share)]


def _memory() -> float:
    """MiB of this process that are no mapped files; where there is no /proc, of its peak."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("RssAnon:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(name: str, make: Any, load: Load) -> None:
    """Measure one of those that hold the load."""
    with tempfile.TemporaryDirectory() as folder:
        searched = make(Path(folder))
        try:
            speed(name, searched, load, Path(folder))
        finally:
            searched.close()
