"""Reading files into stores: how fast, alone and beside an embedder, and how fast FTS5 is alone.

CPU is that of all processes: this one, and the readers with their children. Above: `search`.
"""

import asyncio
import random
import re
import resource
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from search_speed import ME, store_of

from antiphon.tools import search as kept

WINDOW = 256
_TOKENS = "porter unicode61 remove_diacritics 2"


class _Held:
    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    async def chunks(self) -> AsyncGenerator[bytes]:
        for at in range(0, len(self._data), 1 << 18):
            yield self._data[at : at + (1 << 18)]


class Files:
    """Files in memory, by their ids."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Any]:
        yield _Held(self._texts[file_id].encode())


async def read(
    library: kept.Library,
    name: str,
    model: str | None,
    keys: Iterable[str],
    chunking: kept.Chunking = kept.Chunking(),  # noqa: B008  (it cannot be changed)
) -> float:
    """A store with all files, and the seconds that it took to read them."""
    await library.engine.create(store_of(name, model))
    files = [kept.Attachment(key, f"{key}.md", {}, chunking) for key in keys]
    await library.engine.attach(name, files, principal=ME, at=int(time.time()))
    began = time.perf_counter()
    library.wake()
    store = await library.settled(name, principal=ME)
    assert store.counts.completed == len(files), store.counts
    return time.perf_counter() - began


class Noting:
    """An embedder that keeps what it was asked for.

    Args:
        embedder: What it asks; None for one that does one call at a time, on no core.
        call: Seconds that a call takes.
        text: Seconds that a text takes more.
    """

    passage_prefix = ""
    window = WINDOW

    def __init__(
        self, embedder: kept.HttpEmbedder | None, call: float = 0.0, text: float = 0.0
    ) -> None:
        self.asked: list[str] = []
        self.calls = 0
        self.model = "paced" if embedder is None else embedder.model
        self._embedder = embedder
        self._call, self._text = call, text
        self._turn = asyncio.Lock()

    async def passages(self, texts: Sequence[str]) -> Any:
        """A row for each text."""
        self.asked += texts
        self.calls += -(-len(texts) // 64)
        if self._embedder is not None:
            return await self._embedder.passages(texts)
        for at in range(0, len(texts), 64):
            async with self._turn:
                await asyncio.sleep(self._call + self._text * len(texts[at : at + 64]))
        return np.full((len(texts), 384), 384**-0.5, np.float32)

    async def query(self, text: str) -> Any:
        """The vector of a query."""
        return (await self.passages([text]))[0]

    async def aclose(self) -> None:
        """Give back connections."""
        if self._embedder is not None:
            await self._embedder.aclose()


def _spent() -> float:
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(each.ru_utime + each.ru_stime for each in map(resource.getrusage, who))


async def _measured(
    name: str,
    texts: Mapping[str, str],
    embedder: Noting | None = None,
    chunking: kept.Chunking = kept.Chunking(),  # noqa: B008  (it cannot be changed)
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "search.db"
        library = kept.Library(path, embedder=embedder)
        library.read_from(Files(texts))
        before = _spent()
        took = await read(library, "s", library.model, texts, chunking)
        own = list(embedder.asked) if embedder is not None else []
        calls = embedder.calls if embedder is not None else 0
        alone = 0.0
        if embedder is not None:
            spent = _spent() - before
            began = time.perf_counter()
            await embedder.passages(own)
            alone = time.perf_counter() - began
            before = _spent() - spent
        await library.aclose()  # the readers' CPU is known when they have ended
        spent = _spent() - before
        with sqlite3.connect(path) as rows:
            number, size = rows.execute("SELECT count(*), avg(length(text)) FROM chunks").fetchone()
        rows.close()
    print(f"{name}: {len(texts)} files, {number} passages of {size:.0f} characters, {took:.1f} s")
    print(f"    by the clock {len(texts) / took:,.0f} files/s, {number / took:,.0f} passages/s;")
    print(f"    of all CPU {len(texts) / spent:,.0f} files/s, {number / spent:,.0f} passages/s")
    if embedder is not None:
        print(f"    {len(own)} texts in {calls} calls; the embedder alone: {alone:.1f} s,", end=" ")
        print(f"{alone / took:.2f} of that")


def _ceiling(name: str, passages: Sequence[str]) -> None:
    """FTS5 alone, in memory, all in one transaction: what no ingest into it can pass."""
    rows = sqlite3.connect(":memory:", isolation_level=None)
    rows.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='{_TOKENS}')")
    before, began = time.process_time(), time.perf_counter()
    rows.execute("BEGIN")
    rows.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", enumerate(passages))
    rows.execute("COMMIT")
    spent, took = time.process_time() - before, time.perf_counter() - began
    rows.close()
    print(f"FTS5 alone, {name}: {len(passages) / spent:,.0f} passages/s of CPU,", end=" ")
    print(f"{len(passages) / took:,.0f} by the clock")


async def ingest(documents: Mapping[str, str], url: str | None, model: str) -> None:
    """Files and passages a second; with vectors, beside the embedder's own rate."""
    chance = random.Random(1)
    split = (re.split(r"(?<= \.)\s+", each) for each in documents.values())
    sentences = [each for some in split for each in some if len(each) > 40]
    kinds = {"short": (4, kept.Chunking(170, 0)), "long": (20, kept.Chunking(900, 0))}
    for name, (size, chunking) in kinds.items():
        passages = [" ".join(chance.choices(sentences, k=size)) for _ in range(20_000)]
        _ceiling(f"{name} passages", passages)
        for number in (10, 400):
            each = len(passages) // number
            files = {
                f"f{at}": "\n\n".join(passages[at * each : (at + 1) * each]) for at in range(number)
            }
            await _measured(f"{name} passages", files, chunking=chunking)
    await _measured("small files", documents)
    for call, text in ((0.005, 0.005), (0.02, 0.001)):
        paced = Noting(None, call, text)
        await _measured(f"embedder of {call} s a call, {text} s a text", documents, paced)
    if url is not None:
        own = kept.HttpEmbedder(model, base_url=url, window=WINDOW)
        await _measured(model, documents, Noting(own))
