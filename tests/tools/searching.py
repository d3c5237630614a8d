"""What the tests of file search share: files in memory, and libraries that have read them."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from antiphon.tools import search as kept

OWNER = "local"
PATIENCE = 60.0
START = 1_700_000_000


class Held:
    """One file, open."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        async def given() -> AsyncIterator[bytes]:
            for at in range(0, len(self._data), 1 << 20):
                yield self._data[at : at + (1 << 20)]

        return given()


class Files:
    """Files of the owner, by their ids."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    @asynccontextmanager
    async def open(self, file_id: str, *, principal: str) -> AsyncGenerator[Held | None]:
        mine = principal == OWNER and file_id in self.data
        yield Held(self.data[file_id]) if mine else None


class Letters:
    """An embedder that counts letters, and what it was asked for."""

    model = "letters"
    window = 64
    passage_prefix = ""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False

    async def passages(self, texts: Any) -> Any:
        import numpy as np

        if self.broken:
            raise kept.EmbedderError("the embedding server cannot be reached")
        self.asked += texts
        return np.asarray([_counted(text) for text in texts], np.float32)

    async def query(self, text: str) -> Any:
        return (await self.passages([text]))[0]

    async def aclose(self) -> None: ...


def _counted(text: str) -> list[float]:
    numbers = [text.lower().count(chr(97 + at)) + 0.01 for at in range(26)]
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


def store_of(name: str = "a", **fields: Any) -> kept.VectorStore:
    return kept.VectorStore(
        id=f"vs_{name}",
        principal=OWNER,
        name=name,
        created_at=START,
        last_active_at=START,
        **fields,
    )


async def settled(library: kept.Library, store_id: str = "vs_a") -> kept.VectorStore:
    """The store, when every file of it has been read."""
    with anyio.fail_after(PATIENCE):
        return await library.settled(store_id, principal=OWNER)


@asynccontextmanager
async def filled(
    files: Mapping[str, bytes | str],
    *,
    attributes: Mapping[str, dict[str, Any]] | None = None,
    chunking: kept.Chunking = kept.Chunking(),  # noqa: B008  (it cannot be changed)
    **options: Any,
) -> AsyncGenerator[kept.Library]:
    """A library whose store `vs_a` has these files, each under its name, all read."""
    options.setdefault("clock", lambda: float(START))
    library = kept.Library(**options)
    source = Files()
    for name, data in files.items():
        source.data[f"file-{name}"] = data.encode() if isinstance(data, str) else data
    try:
        library.read_from(source)
        await library.engine.create(store_of(model=library.model))
        given = [
            kept.Attachment(f"file-{name}", name, (attributes or {}).get(name, {}), chunking)
            for name in files
        ]
        await library.engine.attach("vs_a", given, principal=OWNER, at=START)
        library.wake()
        await settled(library)
        yield library
    finally:
        await library.aclose()


async def fault_of(library: kept.Library, name: str) -> kept.Fault:
    """Why a file failed, which it has to have done."""
    file = await library.engine.file("vs_a", f"file-{name}", principal=OWNER)
    assert file is not None and file.status == "failed" and file.fault is not None, file
    return file.fault


async def chunks_of(library: kept.Library, name: str) -> list[kept.Chunk]:
    """The passages of a file, which has to be completed."""
    file = await library.engine.file("vs_a", f"file-{name}", principal=OWNER)
    assert file is not None and file.status == "completed", file
    content = await library.engine.content("vs_a", f"file-{name}", principal=OWNER)
    assert content is not None
    return [each.chunk for each in content]
