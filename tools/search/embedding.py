"""Vectors of files' passages: remembered ones, or asked for together with those of other files.

Small files would cost a call each otherwise, and an embedding server does many texts in about the
time of one. Above: `ingest`. Below: `embed`, `engine`. Not here: how texts are cut (`windows`).
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .embed import Embedder, EmbedderError
from .engine import Engine, Matrix

_FULL: Final = 64
"""Texts that make a call full: a second one at the same time is worth it."""
_CALLS: Final = 2
"""Calls at the same time: the server has work while an answer is read."""
_MORE: Final = 4
_FAST: Final = 1.0
"""Calls at the same time where the last took less than so many seconds: most of that is the way
there. A slower server would answer the last of them when nobody waits any more.
"""


@dataclass(slots=True, eq=False)
class _Wanted:
    """Texts of one file by their keys, which of them are not asked for, and what becomes of all."""

    texts: dict[bytes, str]
    left: deque[bytes] = field(init=False)
    got: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    made: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __post_init__(self) -> None:
        self.left = deque(self.texts)


_Part: TypeAlias = tuple[_Wanted, dict[bytes, str]]
"""Some texts of a file."""


class Embedding:
    """Makes vectors, and remembers them.

    Args:
        engine: Remembers them.
        embedder: Makes them.
    """

    def __init__(self, engine: Engine, embedder: Embedder) -> None:
        self._engine = engine
        self._embedder = embedder
        self._waiting: deque[_Wanted] = deque()
        self._texts = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._asking = 0
        self._most = _CALLS

    async def vectors(self, texts: Sequence[str]) -> Matrix:
        """A row for each text; one that was embedded once is not sent again.

        Raises:
            EmbedderError: It cannot be done now. Other files' texts are no reason for it.
        """
        import numpy as np

        keys = [_key(self._embedder, text) for text in texts]
        known = dict(await self._engine.recall(list(dict.fromkeys(keys))))
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            wanted = _Wanted(new)
            self._waiting.append(wanted)
            self._texts += len(new)
            self._call()
            await wanted.made
            known.update(wanted.got)
        joined = b"".join(known[key] for key in keys)
        return np.frombuffer(joined, "<f4").reshape(len(keys), -1)

    async def aclose(self) -> None:
        """Give up what is asked for; what is asked for from now on is another matter."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        self._waiting.clear()
        self._texts = self._asking = 0

    def _call(self) -> None:
        """Ask, where there is enough for more calls."""
        while self._asking < self._most and self._enough(self._asking):
            parts = self._taken()
            self._asking += 1
            call = asyncio.create_task(self._ask(parts), context=Context())
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _enough(self, others: int) -> bool:
        """Whether to ask for what waits: beside another call, only where it fills one."""
        return self._texts >= (_FULL if others else 1)

    def _taken(self) -> list[_Part]:
        """The texts of the next call, of as many files as it takes to fill it."""
        parts: list[_Part] = []
        room = _FULL
        while self._waiting and room:
            wanted = self._waiting[0]
            some = [wanted.left.popleft() for _ in range(min(room, len(wanted.left)))]
            parts.append((wanted, {key: wanted.texts[key] for key in some}))
            room -= len(some)
            if not wanted.left:
                self._waiting.popleft()
        self._texts -= _FULL - room
        return parts

    async def _ask(self, parts: list[_Part]) -> None:
        while True:
            if len(parts) == 1 or not await self._made(parts):
                for each in parts:  # whose text it was that cannot be embedded
                    await self._made([each])
            if not self._enough(self._asking - 1):
                break
            parts = self._taken()
        self._asking -= 1  # not a moment later: who comes now has to ask

    async def _made(self, parts: Sequence[_Part]) -> bool:
        """Make what is wanted; False where several wanted it and it could not be done."""
        texts = {key: text for _, some in parts for key, text in some.items()}
        began = time.monotonic()
        try:
            rows = await self._embedder.passages(list(texts.values()))
            self._most = _MORE if time.monotonic() - began < _FAST else _CALLS
            made = {key: _bytes(row) for key, row in zip(texts, rows, strict=True)}
            await self._engine.remember(made)
        except Exception as error:
            if len(parts) > 1 and isinstance(error, EmbedderError):
                return False
            for wanted, _ in parts:
                self._failed(wanted, error)
            return True
        for wanted, some in parts:
            wanted.got.update((key, made[key]) for key in some)
            if len(wanted.got) == len(wanted.texts) and not wanted.made.done():
                wanted.made.set_result(None)
        return True

    def _failed(self, wanted: _Wanted, error: Exception) -> None:
        """A file that cannot have all of its vectors wants no more of them."""
        self._texts -= len(wanted.left)
        wanted.left.clear()
        if wanted in self._waiting:
            self._waiting.remove(wanted)
        if not wanted.made.done():
            wanted.made.set_exception(error)
            wanted.made.exception()  # whoever wanted it may be gone


def _key(embedder: Embedder, text: str) -> bytes:
    told = f"{embedder.model}\0{embedder.passage_prefix}\0{text}"
    return hashlib.sha256(told.encode("utf-8", "replace")).digest()


def _bytes(row: Any) -> bytes:
    return row.astype("<f4", copy=False).tobytes()
