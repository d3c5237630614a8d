"""Searching by words: BM25 over the passages of the files that pass a filter.

The filter is a condition on the rows that are scored, so what is cut off is always the worst of
those that pass. Above: `sqlite`. Below: FTS5. Everything blocks.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Final

from .engine import Query
from .filters import Compare, Filter, kind_of
from .sqlite_base import ORDINAL_BITS
from .sqlite_words import Postings
from .store import Value
from .words import terms

_LARGE: Final = 1_000
"""Passages from which on a store's commonest terms are left out of a query with others."""
_COMMON: Final = 0.5
"""Terms that stand in more of the passages than this have no weight in FTS5's BM25."""
_KNOWN: Final = 100_000
_SIGN: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Frequencies:
    """In how many passages of a store a term stands: asked for once, while the store is about as
    large as it was. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, str], tuple[int, int]] = OrderedDict()
        self._turn = threading.Lock()

    def of(self, rows: Connection, store: int, term: str, size: int) -> int:
        """The number, or nearly."""
        key = (store, term)
        with self._turn:
            known = self._known.get(key) if size >= _LARGE else None
        if known is not None and abs(size - known[1]) * 20 <= known[1]:
            return min(known[0], size)
        (number,) = rows.execute(
            f"SELECT count(*) FROM words_{store} WHERE words_{store} MATCH ?", (term,)
        ).fetchone()
        if not number or size < _LARGE:
            return number  # soon another; and it costs nothing to count
        with self._turn:
            self._known[key] = (number, size)
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return number


class WordSearch:
    """Finds by words, and remembers what that takes. Safe to use from several threads.

    Args:
        large: Passages of a store from which on numpy scores them, where it is installed.
    """

    def __init__(self, large: int) -> None:
        self._large = large
        self._frequencies = Frequencies()
        self._postings = Postings()

    def best(
        self, rows: Connection, store: int, query: Query, passing: Sequence[int] | None
    ) -> tuple[list[tuple[int, float]], float]:
        """The best passages (key, BM25), best first, and the weight of all terms.

        Args:
            rows: Reads the database in one state.
            store: Its number.
            query: What is looked for.
            passing: The numbers of the files that pass the query's filter; None for all.
        """
        (size,) = rows.execute(f"SELECT count(*) FROM words_{store}_docsize").fetchone()
        if not size:
            return [], 0.0
        counted = {
            term: self._frequencies.of(rows, store, term, size) for term in terms(query.text)
        }
        here = [term for term, number in counted.items() if number]
        if not here:
            return [], 0.0
        # A term that no passage has weighs as those of the query that some have: its own weight
        # would be the highest of all, and nothing could outweigh a misspelt word.
        weight = sum(_weight(counted[term], size) for term in here) * len(counted) / len(here)
        rare = [term for term in here if counted[term] <= size * _COMMON]
        asked = rare if rare and size >= _LARGE else here
        found = None
        if size >= self._large:
            found = self._postings.best(rows, store, asked, passing, query.limit)
        return _by_fts(rows, store, asked, query) if found is None else found, weight

    def forget(self, store: int) -> None:
        """A store is gone."""
        self._postings.forget(store)


def _by_fts(
    rows: Connection, store: int, asked: list[str], query: Query
) -> list[tuple[int, float]]:
    condition, arguments = passing(store, query.filters)
    return rows.execute(
        f"SELECT rowid, -bm25(words_{store}) AS score FROM words_{store}"
        f" WHERE words_{store} MATCH ? {condition} ORDER BY score DESC, rowid LIMIT ?",
        (" OR ".join(asked), *arguments, query.limit),
    ).fetchall()


def _weight(number: int, size: int) -> float:
    """What a term adds to a passage of average length that has it once."""
    return max(1e-6, math.log((size - number + 0.5) / (number + 0.5)))


def passing(store: int, wanted: Filter | None) -> tuple[str, list[Value]]:
    """A condition on the keys of chunks."""
    if wanted is None:
        return "", []
    condition, arguments = files(store, wanted)
    return f"AND (rowid >> {ORDINAL_BITS}) IN ({condition})", arguments


def files(store: int, wanted: Filter) -> tuple[str, list[Value]]:
    """A query for the numbers of the files that pass."""
    condition, arguments = _condition(store, wanted)
    return (
        f"SELECT seq FROM files WHERE store = ? AND status = 'completed' AND {condition}",
        [store, *arguments],
    )


def _condition(store: int, wanted: Filter) -> tuple[str, list[Value]]:
    if not isinstance(wanted, Compare):
        each = [_condition(store, one) for one in wanted.filters]
        joined = f" {wanted.type.upper()} ".join(text for text, _ in each)
        return f"({joined})", [value for _, values in each for value in values]
    comparisons: list[str] = []
    arguments: list[Value] = [store, wanted.key]
    sign = _SIGN.get(wanted.type, "=")
    for value in wanted.values:
        comparisons.append(f"(kind = ? AND value {sign} ?)")
        arguments += [kind_of(value), value]
    has = " OR ".join(comparisons) or "0"
    no = "NOT " if wanted.type in ("ne", "nin") else ""
    inner = f"SELECT file FROM attributes WHERE store = ? AND key = ? AND ({has})"
    return f"seq {no}IN ({inner})", arguments
