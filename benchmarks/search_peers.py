"""Others that search: LanceDB (words, vectors and both) and bm25s (words), where installed.

Each as its documentation says, with stemming and stop words of English. Above: `search`,
`search_speed`.
"""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_speed import PICKS, Load


class Lance:
    """A LanceDB table, written at once, with an index of words and none of vectors: exact, too."""

    near = True

    def __init__(self, folder: Path) -> None:
        self._base: Any = importlib.import_module("lancedb").connect(str(folder / "lance"))
        rerankers: Any = importlib.import_module("lancedb.rerankers")
        self._reranker: Any = rerankers.RRFReranker()
        self._table: Any = None

    def fill(self, load: Load) -> None:
        """Take all of it in."""
        self.take(load.texts, load.rows, [load.pick(at) for at in range(len(load.texts))])

    def take(self, texts: Sequence[str], rows: Any, picks: Sequence[int]) -> None:
        """Texts with their vectors; the place of each is its id."""
        arrow: Any = importlib.import_module("pyarrow")
        flat = arrow.array(rows.reshape(-1))
        columns = {
            "id": arrow.array(range(len(texts))),
            "text": arrow.array(list(texts)),
            "pick": arrow.array(list(picks)),
            "vector": arrow.FixedSizeListArray.from_arrays(flat, rows.shape[1]),
        }
        self._table = self._base.create_table("passages", arrow.table(columns))
        self._table.create_fts_index("text")

    def find(self, text: str, vector: Any, picks: int = PICKS, limit: int = 10) -> list[int]:
        """The best passages by words, or by both."""
        if vector is None:
            asked = self._table.search(text, query_type="fts")
        else:
            asked = self._table.search(query_type="hybrid").vector(vector).text(text)
            asked = asked.rerank(self._reranker)
        return self._listed(asked, picks, limit)

    def nearest(self, vector: Any, limit: int) -> list[int]:
        """The best passages by vectors."""
        return self._listed(self._table.search(vector), PICKS, limit)

    def _listed(self, asked: Any, picks: int, limit: int) -> list[int]:
        if picks < PICKS:
            asked = asked.where(f"pick < {picks}", prefilter=True)
        return [each["id"] for each in asked.select(["id"]).limit(limit).to_list()]

    def close(self) -> None:
        """Let go of the table."""
        self._table = None


class Bm25s:
    """bm25s in memory, with numpy; by words alone, so vectors and filters are left out."""

    near = False

    def __init__(self, folder: Path) -> None:
        self._library: Any = importlib.import_module("bm25s")
        self._stemmer: Any = importlib.import_module("Stemmer").Stemmer("english")
        self._index: Any = self._library.BM25()

    def fill(self, load: Load) -> None:
        """Take all of it in."""
        self.take(load.texts)

    def take(self, texts: Sequence[str]) -> None:
        """Texts; the place of each is its id."""
        self._index.index(self._tokens(list(texts)), show_progress=False)

    def _tokens(self, texts: list[str]) -> Any:
        return self._library.tokenize(
            texts, stopwords="en", stemmer=self._stemmer, show_progress=False
        )

    def find(self, text: str, vector: Any, picks: int = PICKS, limit: int = 10) -> list[int]:
        """The best passages by words."""
        found, _ = self._index.retrieve(self._tokens([text]), k=limit, show_progress=False)
        return [int(each) for each in found[0]]

    def close(self) -> None:
        """Let go of the index."""
        self._index = None


def installed(name: str) -> bool:
    """Whether a peer can take part; says so where it cannot."""
    os.environ.setdefault("LANCE_LOG", "error")  # it warns of each search
    try:
        for module in {"lancedb": ("lancedb", "pyarrow"), "bm25s": ("bm25s", "Stemmer")}[name]:
            importlib.import_module(module)
    except ImportError as error:
        print(f"{name} takes no part: {error}")
        return False
    return True
