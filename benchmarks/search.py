"""File search measured: how good its rankings are, and how long they take.

    python benchmarks/search.py quality --collection DIR [--embeddings URL --model NAME]
    python benchmarks/search.py speed --collection DIR --chunks 200000 [--who ours|lancedb|bm25s]
    python benchmarks/search.py ingest --collection DIR [--embeddings URL --model NAME]

`DIR` is a collection in BEIR layout (corpus.jsonl, queries.jsonl, qrels/*.tsv). `minilm.py` can
play the embedding server; `search_peers.py` says who else takes part. Below: `search_speed`,
`search_ingest`.
"""

import argparse
import asyncio
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from search_ingest import WINDOW, Files, ingest, read
from search_peers import Bm25s, Lance, installed
from search_speed import ME, Ours, load_of, measured

from antiphon.tools import search as kept

DEEP = 30
"""Passages of a ranking, of which the first ten files count."""


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

    @property
    def texts(self) -> dict[str, str]:
        """The documents as files."""
        return {key: self.text(key) for key in self.documents}

    def text(self, key: str) -> str:
        each = self.documents[key]
        return f"# {each.get('title', '')}\n\n{each['text']}\n"

    def fits(self, query: str, key: str) -> bool:
        """Whether a document is relevant to a query."""
        return self.relevant.get(query, {}).get(key, 0) > 0

    def score(
        self, ranking: dict[str, list[str]], wanted: Callable[[int], bool] = lambda at: True
    ) -> tuple[float, float]:
        """nDCG@10 and recall@10, means over the queries that have something relevant.

        Args:
            ranking: Documents of each query, best first.
            wanted: Which queries count, by their places.
        """
        gains: list[float] = []
        recalls: list[float] = []
        for at, query in enumerate(self.queries):
            grades = self.relevant.get(query, {})
            good = {each for each, grade in grades.items() if grade > 0}
            if not good or not wanted(at):
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


# --- quality ----------------------------------------------------------------------------------


async def quality(collection: Collection, url: str | None, model: str) -> None:
    """Rankings of every query by every ranker, through the whole library; others' beside them."""
    embedder = kept.HttpEmbedder(model, base_url=url, window=WINDOW) if url else None
    with tempfile.TemporaryDirectory() as folder:
        library = kept.Library(Path(folder) / "search.db", embedder=embedder)
        library.read_from(Files(collection.texts))
        for name, pinned in {"words": None, "both": library.model}.items():
            if name == "words" or pinned:
                await read(library, name, pinned, collection.documents)
        print(f"{'':22} nDCG@10  recall@10   odd queries  even ones")
        await _rankings(collection, library)
        await _peers(collection, embedder, Path(folder))
        if embedder is not None:
            await _shares(collection, library.engine, embedder)
        await _odd(collection, library)
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
    for name, store, options in rankers:
        ranking: dict[str, list[str]] = {}
        scored: list[tuple[float, bool]] = []
        for key, query in collection.queries.items():
            found = await library.search(
                [store], [query], principal=ME, ranking=kept.ranking_of(options), limit=DEEP
            )
            ranking[key] = list(dict.fromkeys(each.passage.file_id for each in found))
            scored += [(each.score, collection.fits(key, each.passage.file_id)) for each in found]
        _show(name, collection, ranking)
        _scored(scored)


def _show(name: str, collection: Collection, ranking: dict[str, list[str]]) -> None:
    gain, recall = collection.score(ranking)
    halves = [collection.score(ranking, partial(_half, rest))[0] for rest in (1, 0)]
    print(f"{name:22} {gain:.4f}   {recall:.4f}      {halves[0]:.4f}       {halves[1]:.4f}")


def _scored(scored: list[tuple[float, bool]]) -> None:
    """How often a passage of a score is relevant, over all queries."""
    shown: list[str] = []
    for least in range(10):
        fits = [fits for score, fits in scored if least <= min(score, 0.999) * 10 < least + 1]
        if len(fits) >= 20:
            shown.append(f"0.{least}: {sum(fits) / len(fits):.2f}")
    print("    relevant, by score:", "  ".join(shown))


def _half(rest: int, at: int) -> bool:
    return at % 2 == rest


async def _peers(collection: Collection, embedder: kept.HttpEmbedder | None, folder: Path) -> None:
    """The others, each with whole documents, and with our vectors of them."""
    keys = list(collection.documents)
    texts = [collection.text(key) for key in keys]

    def show(name: str, find: Callable[[str, str], Iterable[int]]) -> None:
        ranked = {key: [keys[at] for at in find(key, q)] for key, q in collection.queries.items()}
        _show(name, collection, ranked)

    if installed("bm25s"):
        other = Bm25s(folder)
        other.take(texts)
        show("bm25s", lambda key, query: other.find(query, None))
    if embedder is None or not installed("lancedb"):
        return
    lance = Lance(folder)
    lance.take(
        texts, await embedder.passages([text[: WINDOW * 4] for text in texts]), [0] * len(keys)
    )
    near = {key: await embedder.query(query) for key, query in collection.queries.items()}
    show("LanceDB, words", lambda key, query: lance.find(query, None))
    show("LanceDB, vectors", lambda key, query: lance.nearest(near[key], 10))
    show("LanceDB, hybrid", lambda key, query: lance.find(query, near[key]))


async def _shares(collection: Collection, engine: kept.Engine, embedder: kept.HttpEmbedder) -> None:
    """The vectors' share of the fused score, chosen on one half of the queries, on the other."""
    shares = [round(at * 0.05, 2) for at in range(21)]
    rankings: dict[float, dict[str, list[str]]] = {share: {} for share in shares}
    for key, query in collection.queries.items():
        given = await engine.candidates("both", kept.Query(query, await embedder.query(query)))
        found = given.found
        passages = await engine.passages([each.key for each in found])
        near = np.asarray([max(0.0, each.cosine or 0.0) for each in found])
        said = 1 - 4.0 ** -(np.asarray([each.words or 0.0 for each in found]) / given.weight)
        for share in shares:
            fused = share * near + (1 - share) * said
            order = [passages[found[int(at)].key].file_id for at in np.argsort(-fused)[:DEEP]]
            rankings[share][key] = list(dict.fromkeys(order))
    for rest, name in ((1, "odd"), (0, "even")):
        own = {
            share: collection.score(rankings[share], partial(_half, rest))[0] for share in shares
        }
        best = max(own, key=own.__getitem__)
        held = collection.score(rankings[best], partial(_half, 1 - rest))[0]
        ours = collection.score(rankings[0.55], partial(_half, 1 - rest))[0]
        print(
            f"share chosen on {name} queries: {best} ({own[best]:.4f}); on the others"
            f" {held:.4f}, 0.55 has {ours:.4f}"
        )


async def _odd(collection: Collection, library: kept.Library) -> None:
    """Signs that are syntax somewhere change neither rankings nor make errors."""
    shapes = "what's {}?", '"{}', "({}) AND NOT", "+{} -", "text:{}*", "^{} {{[", "'{}'; --", "{}\\"
    errors = 0
    for at, query in enumerate(collection.queries.values()):
        asked = shapes[at % len(shapes)].format(query.replace(" ", " ' ", 1))
        try:
            found = await library.search(["words"], [asked], principal=ME)
            errors += not found
        except Exception as error:
            errors += 1
            print(f"{asked!r}: {error!r}")
    print(f"queries full of signs: {len(collection.queries)}, errors or empty answers: {errors}")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["quality", "speed", "ingest"])
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--embeddings", help="base URL, up to /v1; ingest has a stand-in")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--who", choices=["ours", "lancedb", "bm25s"], default="ours")
    asked = parser.parse_args()
    collection = Collection(asked.collection)
    if asked.what == "speed":
        if asked.who == "ours" or installed(asked.who):
            make = {"ours": Ours, "lancedb": Lance, "bm25s": Bm25s}[asked.who]
            texts = (each["text"] for each in collection.documents.values())
            load = load_of(texts, list(collection.queries.values()), asked.chunks)
            measured(asked.who, make, load)
    elif asked.what == "quality":
        asyncio.run(quality(collection, asked.embeddings, asked.model))
    else:
        asyncio.run(ingest(collection.texts, asked.embeddings, asked.model))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
