"""Searching by words in a large store: all of its passages are scored at once, by numpy.

FTS5 finds passages fast and scores them slowly (1 us for each that has a term of the query; numpy
takes 5 ns). So what FTS5 has of a term is read when the term is first asked for, and stays in
memory while the store is as it was. The scores are those of FTS5's own bm25().
Above: `sqlite_find`. Below: FTS5's vocabulary (`terms_N`); numpy, which an extra installs.
"""

import math
import sqlite3
import threading
import weakref
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from sqlite3 import Connection
from typing import TYPE_CHECKING, Final, TypeAlias

from .sqlite_base import ORDINAL_BITS, TOKENS
from .sqlite_files import completed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_K1: Final = 1.2
_B: Final = 0.75
"""The constants of FTS5's bm25()."""
_WORDS: Final = 100_000
"""Words whose tokens are remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class _Passages:
    """All passages of a store, as they were at one time.

    Attributes:
        removals: How often files had been taken out of the store.
        settled: The key below which no passage comes any more.
        keys: Of each passage, ascending.
        tokens: Of each passage, how many it has.
        norms: Of each passage, what its length makes of k1.
        files: The numbers of its files, ascending.
        places: Of each passage, the place of its file among these.
    """

    removals: int
    settled: int
    keys: "NDArray[np.int64]"
    tokens: "NDArray[np.int32]"
    norms: "NDArray[np.float64]"
    files: "NDArray[np.int64]"
    places: "NDArray[np.int32]"

    @property
    def size(self) -> int:
        """Bytes."""
        arrays = self.keys, self.tokens, self.norms, self.files, self.places
        return sum(each.nbytes for each in arrays)

    def without_others(self, files: Collection[int]) -> "_Passages":
        """The passages of these files alone; good for no more than to be read on from."""
        import numpy as np

        kept = np.isin(self.files, np.fromiter(files, np.int64, len(files)))[self.places]
        return replace(self, keys=self.keys[kept], tokens=self.tokens[kept])


@dataclass(frozen=True, slots=True, eq=False)
class _Term:
    """The passages that a term stands in, and how often; `of` says what their places mean."""

    of: _Passages
    places: "NDArray[np.int32]"
    times: "NDArray[np.uint16]"

    @property
    def size(self) -> int:
        """Bytes."""
        return self.places.nbytes + self.times.nbytes + 200


_Held: TypeAlias = _Passages | _Term


class Postings:
    """What is in memory of the words of large stores. Safe to use from several threads.

    Args:
        most: Bytes of it; what was not used for longest goes first.
    """

    def __init__(self, most: int = 128 * 1024**2) -> None:
        self._most = most
        self._able = find_spec("numpy") is not None
        self._turn = threading.Lock()
        self._held: OrderedDict[tuple[int, str], _Held] = OrderedDict()
        self._size = 0
        self._tokens = _Tokens()

    def best(
        self,
        rows: Connection,
        store: int,
        terms: Sequence[str],
        passing: Sequence[int] | None,
        limit: int,
    ) -> list[tuple[int, float]] | None:
        """The best passages (key, BM25), best first; None where FTS5 itself has to be asked.

        Args:
            rows: Reads the database in one state.
            store: Its number.
            terms: Quoted.
            passing: The numbers of the files that may be found; None for all.
            limit: How many at most.
        """
        if not self._able:
            return None
        tokens = [self._tokens.of(term) for term in terms]
        if any(len(each) > 1 for each in tokens):
            return None  # a phrase, as of Chinese: vocabularies know no neighbours
        passages = self._passages(rows, store)
        held = [self._term(rows, store, passages, token) for each in tokens for token in each]
        scores = _scores(passages, held)
        if passing is not None:
            scores[~_within(passages, passing)] = 0.0
        return _top(passages.keys, scores, limit)

    def forget(self, store: int) -> None:
        """A store is gone."""
        with self._turn:
            for key in [key for key in self._held if key[0] == store]:
                self._size -= self._held.pop(key).size

    def _passages(self, rows: Connection, store: int) -> _Passages:
        told = "SELECT removals, (SELECT count(*) FROM words_{0}_docsize) FROM stores WHERE seq = ?"
        removals, number = rows.execute(told.format(store), (store,)).fetchone()
        known = self._known((store, ""))
        before = known if isinstance(known, _Passages) and known.removals <= removals else None
        if before is not None and before.removals < removals:
            before = before.without_others(completed(rows, store))
        elif before is not None and len(before.keys) == number:
            return before
        if before is not None and len(before.keys) > number:
            before = None  # this reader sees an older state
        read = _read(rows, store, removals, before)
        self._hold((store, ""), read)
        return read

    def _term(self, rows: Connection, store: int, passages: _Passages, token: str) -> _Term:
        known = self._known((store, token))
        if isinstance(known, _Term) and known.of is passages:
            return known
        read = _posted(rows, store, passages, token)
        self._hold((store, token), read)
        return read

    def _known(self, key: tuple[int, str]) -> _Held | None:
        with self._turn:
            known = self._held.get(key)
            if known is not None:
                self._held.move_to_end(key)
            return known

    def _hold(self, key: tuple[int, str], new: _Held) -> None:
        with self._turn:
            old = self._held.pop(key, None)
            self._held[key] = new
            self._size += new.size - (0 if old is None else old.size)
            while self._size > self._most and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1].size


class _Tokens:
    """What FTS5 makes of words: it alone knows how they are stemmed."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._known: dict[str, list[str]] = {}
        self._rows = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._rows.close)
        self._rows.execute(f"CREATE VIRTUAL TABLE asked USING fts5(text, tokenize='{TOKENS}')")
        self._rows.execute("CREATE VIRTUAL TABLE told USING fts5vocab(asked, instance)")

    def of(self, term: str) -> list[str]:
        """Its tokens, one after another."""
        with self._turn:
            known = self._known.get(term)
            if known is None:
                self._rows.execute("INSERT INTO asked (rowid, text) VALUES (1, ?)", (term,))
                told = self._rows.execute("SELECT term FROM told ORDER BY offset").fetchall()
                self._rows.execute("DELETE FROM asked")
                if len(self._known) >= _WORDS:
                    self._known.clear()
                known = self._known[term] = [token for (token,) in told]
            return known


def _read(rows: Connection, store: int, removals: int, before: _Passages | None) -> _Passages:
    """The passages of a store; of those that were known before only what may have changed."""
    import numpy as np

    (waits,) = rows.execute("SELECT min(seq) FROM files WHERE status = 'in_progress'").fetchone()
    first = 0 if before is None else before.settled
    told = rows.execute(
        f"SELECT id, sz FROM words_{store}_docsize WHERE id >= ? ORDER BY id", (first,)
    )
    new = np.asarray([(key, _number(size)) for key, size in told], np.int64).reshape(-1, 2)
    keys, tokens = new[:, 0], new[:, 1].astype(np.int32)
    if before is not None:
        same = int(np.searchsorted(before.keys, first))
        keys = np.concatenate((before.keys[:same], keys))
        tokens = np.concatenate((before.tokens[:same], tokens))
    own = keys >> ORDINAL_BITS
    files, places = np.unique(own, return_inverse=True)
    norms = _K1 * (1 - _B + _B * tokens / (tokens.sum() / max(1, len(keys))))
    # Files are read in about the order of their numbers: behind the first that waits, some may
    # still come in before others.
    settled = (int(files[-1]) + 1 if len(files) else 0) if waits is None else int(waits)
    return _Passages(
        removals,
        settled << ORDINAL_BITS,
        np.ascontiguousarray(keys),
        tokens,
        norms,
        files,
        places.astype(np.int32),
    )


def _number(varint: bytes) -> int:
    """A number as SQLite writes it: seven bits a byte, the highest first."""
    number = 0
    for byte in varint:
        number = number << 7 | byte & 0x7F
    return number


def _posted(rows: Connection, store: int, passages: _Passages, token: str) -> _Term:
    """What FTS5 has of a token. As one text: a row for each would take three times as long."""
    import numpy as np

    (told,) = rows.execute(
        f"SELECT group_concat(doc) FROM terms_{store} WHERE term = ?", (token,)
    ).fetchone()
    given = np.fromstring(told, np.int64, sep=",") if told else np.zeros(0, np.int64)
    keys, times = np.unique(given, return_counts=True)
    places = np.searchsorted(passages.keys, keys).astype(np.int32)
    return _Term(passages, places, times.clip(max=0xFFFF).astype(np.uint16))


def _scores(passages: _Passages, terms: Sequence[_Term]) -> "NDArray[np.float64]":
    """BM25 of every passage; 0 where it has no term."""
    import numpy as np

    number = len(passages.keys)
    scores = np.zeros(number)
    for each in terms:
        has = len(each.places)
        told = math.log((number - has + 0.5) / (has + 0.5))
        weight = told if told > 0 else 1e-6
        times = each.times.astype(np.float64)
        given = (times * (_K1 + 1)) / (times + passages.norms[each.places])
        scores[each.places] += weight * given  # no place is named twice
    return scores


def _within(passages: _Passages, files: Sequence[int]) -> "NDArray[np.bool_]":
    """Which passages are of these files."""
    import numpy as np

    return np.isin(passages.files, np.asarray(files, np.int64))[passages.places]


def _top(
    keys: "NDArray[np.int64]", scores: "NDArray[np.float64]", limit: int
) -> list[tuple[int, float]]:
    """The best, by their keys where they are equally good."""
    import numpy as np

    least = 0.0
    if len(scores) > limit:
        least = float(np.partition(scores, len(scores) - limit)[len(scores) - limit])
    some = np.flatnonzero(scores >= least if least > 0 else scores > 0)
    order = some[np.lexsort((keys[some], -scores[some]))[:limit]]
    return [(int(keys[at]), float(scores[at])) for at in order]
