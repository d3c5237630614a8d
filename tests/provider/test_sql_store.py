"""A store in a database: conformance, what a chain costs, and that everything outlives it."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from anyio import to_thread
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import Message
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import MemoryStore, Provider, SqlStore, Store, store_of

from .keeping import ALICE, BOB, KEYS, ask, delete, get, provider, whoami
from .serving import BUILT_IN, EXTENDED
from .sql_kit import engine_of, files_of, rows, statements, url_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.store import history, sql_tables
    from testing.store import check_durable_store, check_store, record_of
else:
    from antiphon.provider.store import history, sql_tables
    from antiphon.testing.store import check_durable_store, check_store, record_of

pytestmark = pytest.mark.anyio

# --- conformance -------------------------------------------------------------


async def test_a_database_is_a_store(tmp_path: Path) -> None:
    made: list[Path] = []

    async def make() -> Store:
        made.append(tmp_path / str(len(made)))
        made[-1].mkdir()
        return SqlStore(url_of(made[-1]))

    await check_store(make)


async def test_a_database_outlives_its_store_and_serves_several(tmp_path: Path) -> None:
    made: list[Path] = []

    async def make() -> Any:
        path = tmp_path / str(len(made))
        path.mkdir()
        made.append(path)

        async def open_one() -> Store:
            return SqlStore(url_of(path))

        return open_one

    await check_durable_store(make)


async def test_nothing_is_said_that_only_sqlite_understands(tmp_path: Path) -> None:
    """Every statement of the conformance suite can be said to PostgreSQL, too."""
    said: set[str] = set()

    def note(_: Any, statement: Any, *__: Any) -> None:
        said.add(str(statement.compile(dialect=postgresql.dialect())))

    made: list[SqlStore] = []

    async def make() -> Store:
        path = tmp_path / str(len(made))
        path.mkdir()
        made.append(SqlStore(url_of(path)))
        event.listen(engine_of(made[-1]), "before_execute", note)
        return made[-1]

    await check_store(make)
    assert {each.split()[0] for each in said} >= {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}
    assert any("FOR UPDATE" in each for each in said)
    for table in sql_tables.responses.metadata.sorted_tables:
        assert "BLOB" not in str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for index in table.indexes:
            CreateIndex(index).compile(dialect=postgresql.dialect())


# --- chains ------------------------------------------------------------------


async def test_a_long_chain_takes_as_many_queries_as_a_short_one(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    for at in range(100):
        await store.save(record_of(f"{at}", before=f"resp_{at - 1}" if at else None))
    taken: list[int] = []
    for at in 3, 99:
        record = await store.load(f"resp_{at}", principal="alice")
        assert record is not None
        with statements(store) as seen:
            said = await history(store, record)
        assert len(said) == (at + 1) * 3
        taken.append(len(seen))
    assert taken == [1, 1]
    await store.aclose()


async def test_each_item_is_written_once(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    size = 0
    for at in range(20):
        record = record_of(f"{at}", before=f"resp_{at - 1}" if at else None)
        await store.save(record)
        size += sum(len(item.to_json()) for item in (*record.given, *record.response.output))
    await store.aclose()
    ((count, total, envelopes),) = rows(
        tmp_path,
        "select count(*), sum(length(json)), "
        "(select sum(instr(envelope, 'answer')) from antiphon_responses) from antiphon_items",
    )
    assert (count, total, envelopes) == (60, size, 0)


async def test_a_chain_that_has_lost_its_beginning_is_told_so(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    for at in range(3):
        await store.save(record_of(f"{at}", before=f"resp_{at - 1}" if at else None))
    await store.delete("resp_0", principal="alice")
    record = await store.load("resp_2", principal="alice")
    assert record is not None
    with pytest.raises(RequestError, match="'resp_0' before it is kept no longer") as caught:
        await history(store, record)
    assert (caught.value.status, caught.value.code) == (404, "previous_response_not_found")
    await store.aclose()


# --- behind a provider -------------------------------------------------------


async def test_a_conversation_goes_on_in_another_process_s_store(tmp_path: Path) -> None:
    script = ScriptedModel([[FunctionCall("whoami", {})], "one", "two"])
    first = Provider(
        models=[script], tools=[whoami], api_keys=KEYS, store=SqlStore(url_of(tmp_path))
    )
    said = await ask(first, input="1", tools=[BUILT_IN])
    await first.aclose()
    second = Provider(
        models=[script], tools=[whoami], api_keys=KEYS, store=SqlStore(url_of(tmp_path))
    )
    assert json.loads((await get(second, said["id"])).body) == said
    full = json.loads((await get(second, said["id"], ALICE | EXTENDED)).body)
    assert full["output"][0]["type"] == "antiphon:tool_call"
    assert (await get(second, said["id"], BOB)).status == 404
    await ask(second, input="2", previous_response_id=said["id"])
    words = [item.text for item in script.requests[-1].items if isinstance(item, Message)]
    assert words == ["1", "one", "2"]
    assert [item.type for item in script.requests[-1].items][1:3] == [
        "function_call",
        "function_call_output",
    ]
    assert (await delete(second, said["id"])).status == 200
    assert (await get(second, said["id"])).status == 404
    await second.aclose()


# --- opening -----------------------------------------------------------------


async def test_a_url_names_a_store(tmp_path: Path) -> None:
    assert isinstance(store_of(None), MemoryStore)
    assert isinstance(store_of("memory://"), MemoryStore)
    given = MemoryStore()
    assert store_of(given) is given
    found = store_of(url_of(tmp_path))
    assert isinstance(found, SqlStore)
    await found.save(record_of("a"))
    await found.aclose()
    assert (tmp_path / "a.db").exists()
    strange: Any = 7
    with pytest.raises(ConfigurationError, match="expected a Store or a URL"):
        store_of(strange)


@pytest.mark.parametrize(
    "url",
    [
        "antiphon.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///file:x?mode=memory&uri=true",
        "sqlite+aiosqlite://folder/antiphon.db",
        "mysql://u:hidden@h/d",
    ],
)
def test_other_urls_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sqlite\+aiosqlite:///antiphon.db") as caught:
        SqlStore(url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("limits", [{"limit": 0}, {"max_age": 0}, {"max_age": -1.0}])
def test_a_database_needs_sensible_limits(limits: Any) -> None:
    with pytest.raises(ConfigurationError):
        SqlStore(**limits)


async def test_what_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("dear diary, " * 1000)
    for url in url_of(tmp_path), url_of(tmp_path / "nowhere"), url_of(tmp_path)[:-5]:
        store = SqlStore(url)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="expected a SQLite database at"):
                await store.load("resp_a", principal="alice")
        await store.aclose()


async def test_a_closed_store_stays_closed(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("a"))
    await store.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await store.load("resp_a", principal="alice")
    assert [*files_of(tmp_path)] == ["a.db"], "its log is put away"


async def test_opening_tries_again_where_another_process_is_in_between(tmp_path: Path) -> None:
    """While another one writes to a file that has no log yet, SQLite refuses without waiting."""
    store = SqlStore(url_of(tmp_path))
    acts = [("journal_mode", "begin immediate"), ("auto_vacuum", "commit")]
    with closing(
        sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    ) as other:

        def trace(statement: str) -> None:
            if acts and acts[0][0] in statement:
                other.execute(acts.pop(0)[1])

        def note(driver: Any, _: object) -> None:
            driver.set_trace_callback(trace)

        event.listen(engine_of(store), "connect", note)
        await store.save(record_of("a"))
    assert acts == []
    await store.aclose()


async def test_only_its_user_may_read_the_file(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    await store.save(record_of("a"))
    assert files_of(tmp_path) == {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600}
    await store.aclose()


def test_without_sqlalchemy_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("antiphon.provider.store.sql")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'antiphon\[server\]'"):
        store_of("sqlite+aiosqlite:///x.db")
    assert isinstance(store_of("memory://"), MemoryStore)


async def test_a_provider_in_memory_imports_no_database() -> None:
    code = "import sys, antiphon.provider as p; p.MemoryStore(); print('sqlalchemy' in sys.modules)"
    done = await to_thread.run_sync(
        lambda: subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    )
    assert done.stdout.split() == [b"False"], done.stderr


async def test_a_provider_serves_from_a_database_as_from_memory(tmp_path: Path) -> None:
    store = SqlStore(url_of(tmp_path))
    told: list[Any] = []
    for each in store, MemoryStore():
        app = provider([FunctionCall("whoami", {})], "x", store=each, clock=lambda: 5.0)
        said = await ask(app, tools=[BUILT_IN], metadata={"a": "b"})
        kept = json.loads((await get(app, said["id"])).body)
        assert kept == said
        told.append(sorted(kept))
    assert told[0] == told[1]
    await store.aclose()
