"""SqlStore on PostgreSQL: what every store must do, and what is PostgreSQL's alone."""

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.errors import ConfigurationError
from antiphon.provider import SqlStore, Store

from .postgres_kit import Server, postgres

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.store import check_durable_store, check_store, record_of
else:
    from antiphon.testing.store import check_durable_store, check_store, record_of

pytestmark = pytest.mark.anyio

OWNER = "alice"
PATIENCE = 120.0


@pytest.fixture
def server() -> Generator[Server]:
    with postgres() as made:
        yield made


async def test_it_is_a_store(server: Server) -> None:
    async def make() -> Store:
        return SqlStore(server.fresh(), max_age=None)

    with anyio.fail_after(PATIENCE):
        await check_store(make)


async def test_several_processes_share_it_and_it_outlives_them(server: Server) -> None:
    async def make() -> Callable[[], Awaitable[Store]]:
        url = server.fresh()

        async def open_one() -> Store:
            return SqlStore(url, max_age=None)

        return open_one

    with anyio.fail_after(PATIENCE):
        await check_durable_store(make)


async def test_who_is_overtaken_begins_anew(server: Server) -> None:
    url = server.fresh()
    stores = [SqlStore(url) for _ in range(3)]
    await stores[0].open()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for store in stores:
                for _ in range(10):  # the same row, all at once
                    group.start_soon(store.save, record_of("a"))
    found = await stores[0].load("resp_a", principal=OWNER)
    assert found is not None
    assert len(found.response.output) == 2
    for store in stores:
        await store.aclose()


async def test_connections_that_were_cut_are_made_anew(server: Server) -> None:
    store = SqlStore(server.fresh())
    await store.save(record_of("a"))
    assert server.cut() > 0
    with anyio.fail_after(PATIENCE):
        assert await store.load("resp_a", principal=OWNER) is not None
        await store.save(record_of("b"))
    await store.aclose()


async def test_ids_that_postgresql_cannot_hold_find_nothing(server: Server) -> None:
    store = SqlStore(server.fresh())
    assert await store.load("resp_\0", principal=OWNER) is None
    assert not await store.items(["msg_\0"], principal=OWNER)
    assert await store.conversation("conv_\0", principal=OWNER) is None
    await store.aclose()


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    store = SqlStore("postgresql://me:hidden@127.0.0.1:1/db")
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:1/db") as caught:
        await store.open()
    assert "hidden" not in str(caught.value)
    await store.aclose()


@pytest.mark.parametrize("url", ["postgresql+asyncpg://me:hidden@h/db", "postgresql://me:hidden@h"])
def test_another_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user") as caught:
        SqlStore(url)
    assert "hidden" not in str(caught.value)
