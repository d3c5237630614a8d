"""File search measured: how good its rankings are, and how long they take.

    python benchmarks/search.py quality --collection DIR [--embeddings URL --model NAME]
    python benchmarks/search.py speed --collection DIR --chunks 200000

`DIR` is a collection in BEIR layout (corpus.jsonl, queries.jsonl, qrels/*.tsv). `minilm.py` can
play the embedding server. Speeds are of passages put together from the collection's sentences,
with random vectors of 384 numbers: as many, and as common words, as a large store has.
"""

import argparse
import asyncio
import json
import math
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.tools import search as kept

ME = "local"
WIDTH = 384
PER_FILE = 50


class Collection:
    """Documents, queries, and how relevant each document is to each query."""

    def __init__(self, folder: Path) -> None:
        self.documents = {each["_id"]: each for each in _lines(folder / "corpus.jsonl")}
        self.queries = {each["_id"]: each["text"] for each in _lines(folder / "queries.jsonl")}
        self.relevant: dict[str, dict[str, int]] = {}
        for path in (folder / "qrels").glob("*.tsv"):
            for line in path.read_text("utf-8").splitlines()[1:]:
                query, document, grade = line.split("\t")
                self.relevant.setdefault(query, {})[document] = int(grade)

    def text(self, key: str) -> str:
        each = self.documents[key]
        return f"# {each.get('title', '')}\n\n{each['text']}\n"

    def score(self, ranking: dict[str, list[str]]) -> tuple[float, float]:
        """nDCG@10 and recall@10, means over the queries that have something relevant."""
        gains: list[float] = []
        recalls: list[float] = []
        for query, grades in self.relevant.items():
            good = {each for each, grade in grades.items() if grade > 0}
            if not good:
                continue
            listed = ranking[query][:10]
            given = [max(0, grades.get(each, 0)) for each in listed]
            best = sorted(grades.values(), reverse=True)[:10]
            gains.append(_gain(given) / _gain(best))
            recalls.append(len(good.intersection(listed)) / len(good))
        return sum(gains) / len(gains), sum(recalls) / len(recalls)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _gain(grades: list[int]) -> float:
    return sum(max(0, grade) / math.log2(at + 2) for at, grade in enumerate(grades))


class _Held:
    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    async def chunks(self) -> AsyncGenerator[bytes]:
        yield self._data


class Corpus:
    """The collection's documents as files."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Any]:
        yield _Held(self._collection.text(file_id).encode())


def store_of(name: str, model: str | None) -> kept.VectorStore:
    now = int(time.time())
    return kept.VectorStore(name, ME, name, created_at=now, last_active_at=now, model=model)


# --- quality ----------------------------------------------------------------------------------


async def quality(collection: Collection, url: str | None, model: str) -> None:
    """Rankings of every query by every ranker, through the whole library."""
    embedder = kept.HttpEmbedder(model, base_url=url, window=256) if url else None
    with tempfile.TemporaryDirectory() as folder:
        library = kept.Library(Path(folder) / "search.db", embedder=embedder)
        library.read_from(Corpus(collection))
        for name, pinned in (("words", None), ("both", library.model)):
            await library.engine.create(store_of(name, pinned))
            files = [kept.Attachment(key, f"{key}.md") for key in collection.documents]
            began = time.perf_counter()
            await library.engine.attach(name, files, principal=ME, at=int(time.time()))
            library.wake()
            while (store := await library.engine.store(name, principal=ME)) is not None:
                if not store.counts.in_progress:
                    break
                await asyncio.sleep(0.05)
            assert store is not None
            took = time.perf_counter() - began
            print(f"{name}: {store.counts.completed} files read in {took:.1f} s")
            if embedder is None:
                break
        await _rankings(collection, library)
        await library.aclose()


async def _rankings(collection: Collection, library: kept.Library) -> None:
    both = {"embedding_weight": 1, "text_weight": 1}
    rankers: list[tuple[str, str, dict[str, Any]]] = [("BM25", "words", {})]
    if library.model is not None:
        rankers += [
            ("vectors", "both", {"ranker": "none"}),
            ("hybrid (auto)", "both", {}),
            ("hybrid (RRF 1:1)", "both", {"hybrid_search": both}),
        ]
    print(f"{'':20} nDCG@10  recall@10")
    for name, store, options in rankers:
        ranking: dict[str, list[str]] = {}
        for key, query in collection.queries.items():
            found = await library.search(
                [store], [query], principal=ME, ranking=kept.ranking_of(options), limit=30
            )
            ranking[key] = list(dict.fromkeys(each.passage.file_id for each in found))
        gain, recall = collection.score(ranking)
        print(f"{name:20} {gain:.4f}   {recall:.4f}")


# --- speed ------------------------------------------------------------------------------------


async def speed(collection: Collection, number: int) -> None:
    """Ingest of so many passages, then searches with and without filters."""
    chance = random.Random(1)
    sentences = [
        sentence
        for each in collection.documents.values()
        for sentence in re.split(r"(?<= \.)\s+", each["text"])
        if len(sentence) > 40
    ]
    rows = np.random.default_rng(1).standard_normal((number, WIDTH), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        engine = kept.SqliteEngine(Path(folder) / "search.db")
        await engine.create(store_of("s", "random"))
        files = [
            kept.Attachment(f"f{at}", f"f{at}.md", {"pick": at % 100, "n": chance.random()})
            for at in range(number // PER_FILE)
        ]
        await engine.attach("s", files, principal=ME, at=1)
        texts = [" ".join(chance.choices(sentences, k=4)) for _ in range(number)]
        print(f"passages: {number:,} of {sum(map(len, texts)) / number:.0f} characters")
        began, spent = time.perf_counter(), 0.0
        for at in range(len(files)):
            job = await engine.claim("t", now=1, until=2)
            assert job is not None
            part = slice(at * PER_FILE, (at + 1) * PER_FILE)
            chunks = [kept.Chunk(text, "", 0, len(text), None, (1, 9)) for text in texts[part]]
            before = time.perf_counter()
            await engine.finish(job, chunks, kept.Vectors(rows[part], range(PER_FILE)))
            spent += time.perf_counter() - before
        took = time.perf_counter() - began
        print(f"ingest: {number / took:,.0f} passages/s, {number / spent:,.0f} written/s")
        del texts
        print(f"on disk: {_size(folder) / 1e6:,.0f} MB")
        await _searches(engine, list(collection.queries.values())[::4], rows)
        await engine.aclose()


def _size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).iterdir())


async def _searches(engine: kept.SqliteEngine, queries: list[str], rows: Any) -> None:
    one = kept.filter_of({"type": "eq", "key": "pick", "value": 7})
    forty = kept.filter_of({"type": "lt", "key": "pick", "value": 40})
    chance = np.random.default_rng(2)
    vectors = chance.normal(size=(len(queries), WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kinds: list[tuple[str, bool, Any, range]] = [
        ("words", False, None, range(100)),
        ("hybrid", True, None, range(100)),
        ("hybrid, 1%", True, one, range(7, 8)),
        ("hybrid, 40%", True, forty, range(40)),
    ]
    print(f"{'':14} p50 ms   p95 ms   of CPU p50   p95   recall@10 of vectors")
    for name, near, wanted, picks in kinds:
        took: list[float] = []
        spent: list[float] = []
        recalls: list[float] = []
        for at, text in enumerate([*queries[:5], *queries]):  # the first warm it up
            vector = vectors[at % len(queries)]
            query = kept.Query(text, vector if near else None, wanted)
            began, before = time.perf_counter(), time.process_time()
            given = await engine.candidates("s", query)
            await engine.passages([each.key for each in given.found[:10]])
            if at >= 5:
                took.append((time.perf_counter() - began) * 1e3)
                spent.append((time.process_time() - before) * 1e3)
            if near and at % 10 == 0:
                recalls.append(_recall(given, rows, vector, picks))
        recall = f"{min(recalls):.2f}" if recalls else ""
        shown = [f"{_at(each, share):8.1f}" for each in (took, spent) for share in (0.5, 0.95)]
        print(f"{name:12} {' '.join(shown)}   {recall}")
    own = rows.nbytes / 2**20
    print(
        f"memory: {_memory() - own:,.0f} MiB, without the benchmark's own {own:,.0f} MiB of vectors"
    )


def _memory() -> float:
    """MiB of this process that are no mapped files; where there is no /proc, of its peak."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("RssAnon:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _at(given: list[float], share: float) -> float:
    return sorted(given)[int(len(given) * share)]


def _recall(given: kept.Candidates, rows: Any, vector: Any, picks: range) -> float:
    """How many of the ten nearest that pass are among what was found."""
    near = rows @ vector
    order = [at for at in np.argsort(-near)[:4000] if int(at) // PER_FILE % 100 in picks]
    found = sorted((each.cosine or -1 for each in given.found if each.by_vector), reverse=True)
    best = [float(near[at]) for at in order[:10]]
    return sum(abs(one - other) < 1e-4 for one, other in zip(found, best, strict=False)) / 10


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["quality", "speed"])
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--embeddings", help="base URL, up to /v1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--chunks", type=int, default=10_000)
    asked = parser.parse_args()
    collection = Collection(asked.collection)
    if asked.what == "quality":
        asyncio.run(quality(collection, asked.embeddings, asked.model))
    else:
        asyncio.run(speed(collection, asked.chunks))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
