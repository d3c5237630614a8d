"""Vectors of files' passages: remembered ones, or asked for together with those of other files.

Small files would cost a call each otherwise, and an embedding server does many texts in about the
time of one. Above: `ingest`. Below: `embed`, `engine`. Not here: how texts are cut (`windows`).
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final

from .embed import Embedder, EmbedderError
from .engine import Engine, Matrix

_FULL: Final = 64
"""Texts that make a call full: a second one at the same time is worth it."""
_CALLS: Final = 2
"""Calls at the same time: the server has work while an answer is read."""


@dataclass(slots=True, eq=False)
class _Wanted:
    """Texts of one file by their keys, and what becomes of them."""

    texts: dict[bytes, str]
    made: asyncio.Future[dict[bytes, bytes]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Embedding:
    """Makes vectors, and remembers them.

    Args:
        engine: Remembers them.
        embedder: Makes them.
    """

    def __init__(self, engine: Engine, embedder: Embedder) -> None:
        self._engine = engine
        self._embedder = embedder
        self._waiting: list[_Wanted] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._asking = 0

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
            self._call()
            known.update(await wanted.made)
        joined = b"".join(known[key] for key in keys)
        return np.frombuffer(joined, "<f4").reshape(len(keys), -1)

    async def aclose(self) -> None:
        """Give up what is asked for; what is asked for from now on is another matter."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        self._waiting.clear()
        self._asking = 0

    def _call(self) -> None:
        """Ask, where there is enough for a call more."""
        if self._asking < _CALLS and self._enough(self._asking):
            self._asking += 1
            call = asyncio.create_task(self._ask(), context=Context())
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _enough(self, others: int) -> bool:
        """Whether to ask for what waits: beside another call, only where it fills one."""
        if not others:
            return bool(self._waiting)
        return sum(len(each.texts) for each in self._waiting) >= _FULL

    async def _ask(self) -> None:
        while self._enough(self._asking - 1):
            number, some = 0, list[_Wanted]()
            while self._waiting and number < _FULL:
                some.append(self._waiting.pop(0))
                number += len(some[-1].texts)
            if len(some) == 1 or not await self._made(some):
                for each in some:  # whose text it was that cannot be embedded
                    await self._made([each])
        self._asking -= 1  # not a moment later: who comes now has to ask

    async def _made(self, some: Sequence[_Wanted]) -> bool:
        """Make what is wanted; False where several were wanted and it could not be done."""
        texts = {key: text for each in some for key, text in each.texts.items()}
        try:
            rows = await self._embedder.passages(list(texts.values()))
            made = {key: _bytes(row) for key, row in zip(texts, rows, strict=True)}
            await self._engine.remember(made)
        except Exception as error:
            if len(some) > 1 and isinstance(error, EmbedderError):
                return False
            for each in some:
                if not each.made.done():
                    each.made.set_exception(error)
                    each.made.exception()  # whoever wanted it may be gone
            return True
        for each in some:
            if not each.made.done():
                each.made.set_result(made)
        return True


def _key(embedder: Embedder, text: str) -> bytes:
    told = f"{embedder.model}\0{embedder.passage_prefix}\0{text}"
    return hashlib.sha256(told.encode("utf-8", "replace")).digest()


def _bytes(row: Any) -> bytes:
    return row.astype("<f4", copy=False).tobytes()
