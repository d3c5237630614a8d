"""How long a database keeps what, that deletion deletes, and how it comes by a newer schema."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, text

from antiphon.errors import ConfigurationError
from antiphon.items import user
from antiphon.provider import Approval, Conversation, SqlStore

from .sql_kit import Time, counts, rows, url_of, written

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.store import sql_tables
    from testing.store import record_of
else:
    from antiphon.provider.store import sql_tables
    from antiphon.testing.store import record_of

pytestmark = pytest.mark.anyio

SECRET = "the-treasure-is-under-the-oak"
DAY = 24 * 3600.0

# --- retention ---------------------------------------------------------------


async def test_a_response_is_kept_for_thirty_days(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock)
    await store.save(record_of("a"))
    clock.at += 30 * DAY - 1
    assert await store.load("resp_a", principal="alice") is not None
    clock.at += 1
    assert await store.load("resp_a", principal="alice") is None
    assert not await store.items(["msg_a"], principal="alice")
    assert (await store.chain("resp_a", principal="alice")).missing == "resp_a"
    assert await store.told("resp_a", principal="alice") is None
    assert await store.delete("resp_a", principal="alice") is False
    assert counts(tmp_path) == {"responses": 1, "items": 3}, "absent before it is swept"
    await store.save(record_of("b"))
    assert counts(tmp_path) == {"responses": 1, "items": 3}, "swept by who writes"
    await store.aclose()


async def test_what_has_no_age_is_kept(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock, max_age=None)
    await store.save(record_of("a"))
    clock.at += 10_000 * DAY
    assert await store.sweep() == 0
    assert await store.load("resp_a", principal="alice") is not None
    await store.aclose()


async def test_a_sweep_takes_a_bounded_step(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock, max_age=DAY)
    for at in range(230):
        await store.save(record_of(f"{at}", before=f"resp_{at - 1}" if at else None))
    clock.at += DAY / 2
    await store.save(record_of("new"))
    clock.at += DAY / 2
    assert [await store.sweep() for _ in range(4)] == [100, 100, 30, 0]
    assert counts(tmp_path) == {"responses": 1, "items": 3}
    await store.aclose()


async def test_writers_sweep_until_nothing_old_is_left(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock, max_age=DAY)
    for at in range(150):
        await store.save(record_of(f"{at}"))
    clock.at += DAY
    await store.save(record_of("x"))
    assert counts(tmp_path)["responses"] == 51
    await store.save(record_of("y"))
    assert counts(tmp_path)["responses"] == 2
    await store.aclose()


async def test_each_principal_keeps_its_newest(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path), limit=3)
    await store.save(record_of("theirs", principal="mallory"))
    for name in "abcde":
        await store.save(record_of(name))
    kept = [name for name in "abcde" if await store.load(f"resp_{name}", principal="alice")]
    assert kept == ["c", "d", "e"]
    assert not await store.items(["msg_b"], principal="alice")
    assert await store.load("resp_theirs", principal="mallory") is not None
    await store.start(record_of("f"), owner="one", until=0.0)
    assert await store.load("resp_c", principal="alice") is None
    assert counts(tmp_path)["responses"] == 4
    await store.aclose()


async def test_expired_approvals_are_swept_and_live_ones_stay(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock)
    await store.ask(Approval("apr_a", "alice", "d", clock.at + 10))
    await store.ask(Approval("apr_b", "alice", "d", clock.at + 100))
    clock.at += 10
    assert await store.approval("apr_a", principal="alice") is None
    assert await store.consume(["apr_a"], principal="alice", at=clock.at) is False
    assert await store.sweep() == 1
    assert [found for (found,) in rows(tmp_path, "select id from antiphon_approvals")] == ["apr_b"]
    await store.aclose()


async def test_conversations_stay_when_their_responses_are_old(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock, max_age=DAY)
    await store.create_conversation(Conversation("conv_a", "alice", 1), [user("hello")])
    record = record_of("a")
    await store.save(type(record)("alice", record.response, record.given, {}, "conv_a"))
    clock.at += DAY
    assert await store.sweep() == 1
    assert counts(tmp_path) == {"conversations": 1, "items": 4}
    said = await store.said("conv_a", principal="alice")
    assert said is not None and len(said) == 4
    assert await store.items(["msg_a"], principal="alice")
    await store.aclose()


# --- deletion ----------------------------------------------------------------


async def test_what_is_deleted_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    for name in "abc":
        await store.save(record_of(name, text=SECRET if name == "b" else "answer"))
    assert written(tmp_path, SECRET) != [], "or this test sees nothing"
    await store.delete("resp_b", principal="alice")
    assert written(tmp_path, SECRET) == []
    assert counts(tmp_path) == {"responses": 2, "items": 6}
    await store.aclose()
    assert written(tmp_path, SECRET) == []


async def test_a_deleted_background_response_takes_its_events_along(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.start(record_of("a"), owner="one", until=0.0)
    await store.write("resp_a", owner="one", events=[(0, SECRET.encode()), (1, b"x" * 9000)])
    await store.finish(record_of("a"), owner="one", events=[(2, SECRET.encode())])
    assert counts(tmp_path)["events"] == 3
    assert await store.delete("resp_a", principal="alice") is True
    assert (counts(tmp_path), written(tmp_path, SECRET)) == ({}, [])
    await store.aclose()


async def test_a_deleted_conversation_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    about = Conversation("conv_a", "alice", 1, {"note": SECRET})
    kept = await store.create_conversation(about, [user(SECRET + "1"), user(SECRET + "2")])
    await store.delete_item("conv_a", kept[0].id or "", principal="alice")
    assert written(tmp_path, SECRET + "1") == []
    assert written(tmp_path, SECRET + "2") != []
    await store.delete_conversation("conv_a", principal="alice")
    assert (counts(tmp_path), written(tmp_path, SECRET)) == ({}, [])
    await store.aclose()


async def test_what_is_swept_is_nowhere_in_the_files(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock, max_age=DAY)
    await store.save(record_of("a", text=SECRET))
    clock.at += DAY
    assert written(tmp_path, SECRET) != []
    assert await store.sweep() == 1
    assert written(tmp_path, SECRET) == []
    await store.aclose()


async def test_what_a_reader_holds_on_to_is_removed_by_the_next_sweep(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock)
    await store.save(record_of("a", text=SECRET))
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as reader:
        reader.execute("begin")
        assert reader.execute("select count(*) from antiphon_items").fetchone() == (3,)
        assert await store.delete("resp_a", principal="alice") is True
        assert await store.load("resp_a", principal="alice") is None
        assert written(tmp_path, SECRET) != [], "or this test holds nothing"
    clock.at += 60
    await store.save(record_of("b"))
    assert written(tmp_path, SECRET) == []
    await store.aclose()


async def test_room_is_given_back(tmp_path: Path) -> None:
    clock = Time()
    store = SqlStore(url_of(tmp_path), clock=clock, max_age=DAY)
    for at in range(20):
        await store.save(record_of(f"{at}", text="x" * 50_000))
    await store.aclose()
    before = (tmp_path / "a.db").stat().st_size
    assert before > 1_000_000
    store = SqlStore(url_of(tmp_path), clock=clock, max_age=DAY)
    clock.at += DAY
    await store.sweep()
    await store.aclose()
    assert (tmp_path / "a.db").stat().st_size < before / 5


# --- schema ------------------------------------------------------------------


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("a"))
    await store.aclose()
    _set(tmp_path, sql_tables.VERSION + 1)
    store = SqlStore(url_of(tmp_path))
    with pytest.raises(ConfigurationError, match="a newer antiphon has been here"):
        await store.load("resp_a", principal="alice")
    await store.aclose()


async def test_an_older_schema_takes_each_step_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("a"))
    await store.aclose()
    taken: list[int] = []

    def step(version: int) -> Callable[[Connection], None]:
        def take(connection: Connection) -> None:
            taken.append(version)
            connection.execute(text(f"create table step_{version} (x)"))

        return take

    newest = sql_tables.VERSION + 2
    monkeypatch.setattr(sql_tables, "VERSION", newest)
    for version in newest - 1, newest:
        monkeypatch.setitem(sql_tables.STEPS, version, step(version))
    for _ in range(2):
        store = SqlStore(url_of(tmp_path))
        assert await store.load("resp_a", principal="alice") is not None
        await store.aclose()
    assert taken == [newest - 1, newest]
    assert rows(tmp_path, "select version from antiphon_schema") == [(newest,)]


async def test_a_step_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("a"))
    await store.aclose()
    version = sql_tables.VERSION

    def step(connection: Connection) -> None:
        connection.execute(text("create table half (x)"))
        raise RuntimeError("no")

    monkeypatch.setattr(sql_tables, "VERSION", version + 1)
    monkeypatch.setitem(sql_tables.STEPS, version + 1, step)
    store = SqlStore(url_of(tmp_path))
    with pytest.raises(RuntimeError, match="no"):
        await store.load("resp_a", principal="alice")
    await store.aclose()
    assert rows(tmp_path, "select name from sqlite_master where name='half'") == []
    monkeypatch.setattr(sql_tables, "VERSION", version)
    store = SqlStore(url_of(tmp_path))
    assert await store.load("resp_a", principal="alice") is not None
    await store.aclose()


def _set(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path / "a.db")) as database:
        database.execute("update antiphon_schema set version = ?", (version,))
        database.commit()
