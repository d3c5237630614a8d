"""Several who write at once, who leave before it is their turn, and who close meanwhile."""

import asyncio
import sqlite3
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import from_thread
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from antiphon.errors import ConfigurationError
from antiphon.items import user
from antiphon.provider import Approval, Conversation, SqlStore

from .serving import PATIENCE
from .sql_kit import engine_of, rows, threads_of, url_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.store import record_of
else:
    from antiphon.testing.store import record_of

pytestmark = pytest.mark.anyio


class Gate:
    """Holds a store's first transaction until it is opened; counts its commits."""

    def __init__(self, store: SqlStore) -> None:
        self.begun = anyio.Event()
        self.commits = 0
        self._go = Event()
        event.listen(engine_of(store), "begin", self._begin)
        event.listen(engine_of(store), "commit", self._commit)

    def _begin(self, _: object) -> None:
        if not self._go.is_set():
            from_thread.run_sync(self.begun.set)
            assert self._go.wait(PATIENCE)

    def _commit(self, _: object) -> None:
        self.commits += 1

    def open(self) -> None:
        self._go.set()


async def settled() -> None:
    """Everybody who can has taken its place in the line."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_those_who_wait_are_written_in_one_transaction(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("taken"))
    await store.ask(Approval("apr_a", "alice", "digest", 1e11))
    gate, refused = Gate(store), list[object]()

    async def start_what_is_there() -> None:
        try:
            await store.start(record_of("taken"), owner="one", until=1.0)
        except IntegrityError as error:
            refused.append(error)

    async def use_up_what_is_not_all_there() -> None:
        refused.append(await store.consume(["apr_a", "apr_b"], principal="alice", at=1.0))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.save, record_of("first"))
            await gate.begun.wait()
            for at in range(10):
                tasks.start_soon(store.save, record_of(f"{at}"))
            tasks.start_soon(start_what_is_there)
            tasks.start_soon(use_up_what_is_not_all_there)
            await settled()
            gate.open()
    assert gate.commits == 2
    assert len(refused) == 2 and False in refused, "who fails takes back only what it did"
    assert await store.consume(["apr_a"], principal="alice", at=1.0) is True, "all that it did"
    for name in ("taken", "first", *"0123456789"):
        assert await store.load(f"resp_{name}", principal="alice") is not None
    await store.aclose()


@pytest.mark.parametrize("leaves", ["in the line", "at its head"])
async def test_who_leaves_the_line_takes_nobody_along(tmp_path: Path, leaves: str) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("before"))
    gate, threads = Gate(store), threads_of(store)
    others = range(int(threads.total_tokens) if leaves == "at its head" else 0)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.save, record_of("first"))
            await gate.begun.wait()
            for other in others:  # the last of them gets the first's thread, before `a` does
                tasks.start_soon(threads.acquire_on_behalf_of, other)
            await settled()
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(store.save, record_of("a"))
                await settled()
                tasks.start_soon(store.save, record_of("b"))
                await settled()
                if leaves == "at its head":
                    gate.open()
                    while not {*others} <= {*threads.statistics().borrowers}:
                        await anyio.lowlevel.checkpoint()
                    await settled()
                leaving.cancel_scope.cancel()
            gate.open()
            for other in others:
                threads.release_on_behalf_of(other)
    assert await store.load("resp_a", principal="alice") is None
    assert await store.load("resp_b", principal="alice") is not None
    await store.aclose()


async def test_who_cannot_open_the_database_is_told_each(tmp_path: Path) -> None:
    store, told = SqlStore(url_of(tmp_path / "nowhere")), list[Exception]()

    async def save(name: str) -> None:
        try:
            await store.save(record_of(name))
        except ConfigurationError as error:
            told.append(error)

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(save, name)
    assert len(told) == 3
    await store.aclose()


async def test_a_client_that_leaves_does_not_lock_the_database(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("a"))
    with anyio.fail_after(PATIENCE):
        for _ in range(20):
            async with anyio.create_task_group() as tasks:
                for name in "bcd":
                    tasks.start_soon(store.save, record_of(name))
                    tasks.start_soon(lambda: store.load("resp_a", principal="alice"))
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        await store.save(record_of("e"))
    assert await store.load("resp_e", principal="alice") is not None
    await store.aclose()


async def test_closing_waits_for_what_is_being_saved(tmp_path: Path) -> None:
    store, begun, go = SqlStore(url_of(tmp_path)), anyio.Event(), Event()
    await store.open()
    order: list[str] = []

    def begin(_: object) -> None:
        from_thread.run_sync(begun.set)
        go.wait(PATIENCE)

    event.listen(engine_of(store), "begin", begin)
    event.listen(engine_of(store), "commit", lambda *_: order.append("committed"))
    event.listen(engine_of(store), "engine_disposed", lambda *_: order.append("closed"))
    closed = anyio.Event()

    async def close() -> None:
        await store.aclose()
        closed.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.save, record_of("a"))
        with anyio.fail_after(PATIENCE):
            await begun.wait()
        tasks.start_soon(close)
        with anyio.move_on_after(0.2):
            await closed.wait()
        go.set()
    assert order == ["committed", "closed"]
    assert rows(tmp_path, "select id from antiphon_responses") == [("resp_a",)]


async def test_who_is_cut_off_while_others_wishes_are_written_has_none_written_twice(
    tmp_path: Path,
) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("taken"))
    gate, begun, go = Gate(store), anyio.Event(), Event()
    database: Any = store._database  # pyright: ignore[reportPrivateUsage]

    def slowly(_: object) -> None:
        from_thread.run_sync(begun.set)
        assert go.wait(PATIENCE)

    with anyio.fail_after(PATIENCE):
        first = asyncio.create_task(store.save(record_of("first")))
        await gate.begun.wait()
        head = asyncio.create_task(database.write(slowly))
        await settled()
        other = asyncio.create_task(store.create_conversation(Conversation("conv_1", "alice", 1)))
        await settled()
        gate.open()
        await begun.wait()
        head.cancel()  # natively, as a server that stops does: no scope shields from that
        await settled()
        go.set()
        await first
        assert await other == []
        with pytest.raises(asyncio.CancelledError):
            await head
    assert rows(tmp_path, "select count(*) from antiphon_conversations") == [(1,)]
    await store.aclose()


async def test_of_many_who_write_when_it_is_time_one_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, swept = SqlStore(url_of(tmp_path)), list[int]()

    async def sweep() -> int:
        swept.append(1)
        await settled()
        return 0

    monkeypatch.setattr(store, "sweep", sweep)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for at in range(10):
                tasks.start_soon(store.save, record_of(f"{at}"))
    assert len(swept) == 1
    await store.aclose()


async def test_more_items_than_a_query_takes_values_are_added_and_found(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))

    def limit(driver: Any, _: object) -> None:
        driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1100)

    event.listen(engine_of(store), "connect", limit)
    many = [user("x").model_copy(update={"id": f"msg_{at}"}) for at in range(1500)]
    await store.create_conversation(Conversation("conv_1", "alice", 1), many)
    again = await store.append("conv_1", many, principal="alice")
    assert again is not None and {item.id for item in again}.isdisjoint(item.id for item in many)
    found = await store.items([item.id or "" for item in again], principal="alice")
    assert len(found) == 1500
    await store.aclose()
