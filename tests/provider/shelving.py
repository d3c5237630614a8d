"""What the tests of vector stores share: the endpoints, over files in a folder and an index."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from openai import AsyncOpenAI
from starlette.routing import Router

from antiphon.provider import DiskFiles
from antiphon.tools import search as kept

from .keeping import KEYS
from .serving import PATIENCE

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.auth import Keys
    from provider.files_api import FilesApi
    from provider.manner import Manner
    from provider.rate import Rate, Throttle
    from provider.vector_stores import VectorStoresApi
    from testing.files import Hand
else:
    from antiphon.provider.auth import Keys
    from antiphon.provider.files_api import FilesApi
    from antiphon.provider.manner import Manner
    from antiphon.provider.rate import Rate, Throttle
    from antiphon.provider.vector_stores import VectorStoresApi
    from antiphon.testing.files import Hand


class Place:
    """Endpoints of files and vector stores over one folder, with a clock that is moved by hand."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = Hand()
        options.setdefault("clock", self.clock)
        self.files = DiskFiles(folder / "files", clock=self.clock)
        self.library = kept.Library(folder / "search.db", **options)
        manner = Manner(
            keys=Keys(KEYS),
            dialect=None,
            max_body=1_000_000,
            max_items=10_000,
            body_seconds=PATIENCE,
            keep_alive=PATIENCE,
            throttle=Throttle(Rate()),
        )
        self.api = VectorStoresApi(manner, self.library, self.files)
        files = FilesApi(manner.keys, self.files, readers=[self.library])
        self.app = Router([*files.routes(), *self.api.routes()])

    def http(self, key: str = "sk-a") -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app),
            base_url="http://here",
            headers={"authorization": f"Bearer {key}"},
        )

    def client(self, key: str = "sk-a") -> AsyncOpenAI:
        return AsyncOpenAI(
            api_key=key, base_url="http://here/v1", http_client=self.http(key), max_retries=0
        )

    async def aclose(self) -> None:
        await self.library.aclose()
        await self.files.aclose()


@asynccontextmanager
async def placed(folder: Path, **options: Any) -> AsyncGenerator[Place]:
    place = Place(folder, **options)
    try:
        yield place
    finally:
        await place.aclose()


async def uploaded(client: AsyncOpenAI, name: str, data: bytes | str) -> str:
    content = data.encode() if isinstance(data, str) else data
    return (await client.files.create(file=(name, content), purpose="user_data")).id


async def settled(client: AsyncOpenAI, store_id: str) -> Any:
    """The store, when every file of it has been read."""
    with anyio.fail_after(PATIENCE):
        while True:
            store = await client.vector_stores.retrieve(store_id)
            if not store.file_counts.in_progress:
                return store
