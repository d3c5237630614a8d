"""Vectors in memory: every one of a store is compared with the query's, none is left out.

They lie in blocks that grow by whole files, so that a file more costs no copy of the rest.
Above: `sqlite`. Below: numpy, which an extra installs. Not here: where vectors are kept.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from .sqlite_base import ORDINAL_BITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS: Final = 16_384
"""Rows of a block."""
_FEW: Final = 5
"""Where fewer than one row in so many passes, those are copied before they are compared."""
_EMPTY: Final = 4
"""One row in so many may be of files that were taken out."""


class _Block:
    """Rows of whole files; the first `used` are there."""

    def __init__(self, rows: int, dimensions: int) -> None:
        import numpy as np

        self.rows: NDArray[np.float32] = np.zeros((rows, dimensions), np.float32)
        self.keys: NDArray[np.int64] = np.full(rows, -1, np.int64)
        self.files: NDArray[np.int32] = np.zeros(rows, np.int32)  # places in the store's list
        self.used = 0


class StoreVectors:
    """The vectors of one store.

    Attributes:
        seen: Up to where its rows were read from the database.
        removals: How often files had been taken out of the store when that was last looked at.
        turn: Held while rows are added or dropped; searching needs no turn.
    """

    def __init__(self, removals: int) -> None:
        self.seen = 0
        self.removals = removals
        self.turn: Any = threading.Lock()
        self._blocks: list[_Block] = []
        self._places: dict[int, tuple[_Block, int, int]] = {}
        self._files: list[int] = []
        self._dropped = 0

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        blocks = self._blocks
        return sum(each.rows.nbytes + each.keys.nbytes + each.files.nbytes for each in blocks)

    def add(self, file: int, chunks: bytes, rows: bytes) -> None:
        """The vectors of one more file, as they are kept."""
        import numpy as np

        keys = np.frombuffer(chunks, "<i8") + (file << ORDINAL_BITS)
        given = np.frombuffer(rows, "<f4").reshape(len(keys), -1)
        block = self._blocks[-1] if self._blocks else None
        if block is None or block.used + len(keys) > len(block.keys):
            first = min(_ROWS, 1024) if block is None else _ROWS
            block = _Block(max(first, len(keys)), given.shape[1])
            self._blocks.append(block)
        start, end = block.used, block.used + len(keys)
        block.rows[start:end] = given
        block.keys[start:end] = keys
        block.files[start:end] = len(self._files)
        self._files.append(file)
        block.used = end  # last: whoever searches meanwhile sees whole rows only
        self._places[file] = (block, start, end)

    def keep(self, files: Collection[int]) -> bool:
        """Drop the rows of all other files; False where so many are empty that it is to be begun
        anew.
        """
        for file in self._places.keys() - files:
            block, start, end = self._places.pop(file)
            block.keys[start:end] = -1  # is told from a chunk's
            block.rows[start:end] = 0
            self._dropped += end - start
        return self._dropped * _EMPTY <= sum(block.used for block in self._blocks)

    def nearest(
        self, vector: "NDArray[np.float32]", limit: int, passing: Sequence[int] | None
    ) -> list[tuple[int, float]]:
        """The best chunks (key, cosine), each by the best of its vectors.

        Args:
            vector: The query's, of length 1.
            limit: How many at most.
            passing: The numbers of the files that may be found; None for all.
        """
        import numpy as np

        there = [(block, block.used) for block in self._blocks]
        passes = None
        if passing is not None:
            passes = np.isin(np.asarray(self._files, np.int64), np.asarray(passing, np.int64))
        keys: list[NDArray[np.int64]] = []
        scores: list[NDArray[np.float32]] = []
        for block, used in there:
            rows, mine = block.rows[:used], block.keys[:used]
            kept = slice(None) if passes is None else np.flatnonzero(passes[block.files[:used]])
            if passes is not None and len(mine[kept]) * _FEW < used:
                near = np.vecdot(rows[kept], vector)
            else:
                near = np.vecdot(rows, vector)[kept]  # `@` wakes BLAS threads: 10x the CPU
            keys.append(mine[kept])
            scores.append(near)
        if not keys:
            return []
        return _best(np.concatenate(keys), np.concatenate(scores), limit)

    def cosines(self, vector: "NDArray[np.float32]", keys: Iterable[int]) -> dict[int, float]:
        """The best cosine of each of these chunks, where it has vectors."""
        found: dict[int, float] = {}
        for key in keys:
            place = self._places.get(key >> ORDINAL_BITS)
            if place is None:
                continue
            block, start, end = place
            mine = block.keys[start:end] == key
            if mine.any():
                found[key] = float((block.rows[start:end][mine] @ vector).max())
        return found


def _best(keys: Any, scores: Any, limit: int) -> list[tuple[int, float]]:
    import numpy as np

    wanted = limit
    while True:
        wanted = min(wanted * 2, len(scores))
        some = np.argpartition(-scores, wanted - 1)[:wanted] if wanted < len(scores) else None
        near, mine = (scores, keys) if some is None else (scores[some], keys[some])
        order = np.lexsort((mine, -near))  # ties by their keys
        best: dict[int, float] = {}
        for at in cast("list[int]", order.tolist()):
            if mine[at] >= 0:  # it was not dropped meanwhile
                best.setdefault(int(mine[at]), float(near[at]))
            if len(best) == limit:
                return list(best.items())
        if some is None:
            return list(best.items())


class Memory:
    """The stores whose vectors are in memory; the ones that were not used for longest go first.

    Args:
        most: Bytes that all of them may have together; one store is always kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn = threading.Lock()
        self._stores: OrderedDict[int, StoreVectors] = OrderedDict()

    def of(self, store: int, removals: int) -> StoreVectors:
        """A store's vectors, as far as they are known."""
        with self._turn:
            known = self._stores.get(store)
            if known is None:
                known = self._stores[store] = StoreVectors(removals)
            self._stores.move_to_end(store)
            return known

    def trim(self) -> None:
        """Let go of what is too much."""
        with self._turn:
            while len(self._stores) > 1 and self._size() > self._most:
                self._stores.popitem(last=False)

    def forget(self, store: int) -> None:
        """A store is gone."""
        with self._turn:
            self._stores.pop(store, None)

    def _size(self) -> int:
        return sum(each.size for each in self._stores.values())
