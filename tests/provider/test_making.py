"""Jobs whose process goes: what has ended stays so, and what was claimed is not forgotten."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from antiphon.items import Completed, Event, InProgress, Response, user
from antiphon.models import Text
from antiphon.provider import MemoryStore, Provider, Record, SqlStore, View

from .holding import Held
from .serving import PATIENCE, inside
from .sql_kit import rows, url_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider import making
    from provider.making import Making
else:
    from antiphon.provider import making
    from antiphon.provider.making import Making

pytestmark = pytest.mark.anyio

QUEUED = Response(id="resp_1", model="held", status="queued", background=True)


UNTIL = time.time() + 60


async def begun(store: MemoryStore, events: AsyncGenerator[Event, None]) -> Making:
    """A job in the hands of this process, which has not begun to drive it."""
    record = Record("local", QUEUED, [], View().data)
    await store.start(record, owner="me", until=UNTIL)
    return Making(
        store,
        record,
        events,
        owner="me",
        until=lambda: UNTIL,
        stopped=lambda: iter(()),
        told=[],
    )


async def test_a_job_that_has_ended_stays_so_though_its_process_goes_at_that_moment() -> None:
    closing, never = anyio.Event(), anyio.Event()

    async def run() -> AsyncGenerator[Event, None]:
        yield InProgress(response=QUEUED, sequence_number=0)
        ended = QUEUED.model_copy(update={"status": "completed"})
        yield Completed(response=ended, sequence_number=1)
        closing.set()
        await never.wait()  # a sandbox, say, takes its time to be handed back

    store = MemoryStore()
    mine = await begun(store, run())
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: mine.run(nullcontext(), every=60))
            await closing.wait()
            mine.leave()
    kept = await store.load("resp_1", principal="local")
    told = await store.told("resp_1", principal="local")
    assert kept is not None and kept.response.status == "completed"
    assert told is not None and told.over and len(told.events) == 2
    assert await store.stale(UNTIL + 60) == []  # nobody goes on with it


class Written(MemoryStore):
    """Notes the types of events that are written before the end."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    async def write(self, *given: Any, **options: Any) -> Any:
        self.seen += [json.loads(data)["type"] for _, data in options["events"]]
        return await super().write(*given, **options)


async def test_the_last_event_is_written_with_the_end_and_never_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else followers would have heard of an end, and a process that dies here would go on."""
    monkeypatch.setattr(making, "TOGETHER", 0)
    for steps in range(20):  # wherever the writer is when the end comes

        async def run(steps: int = steps) -> AsyncGenerator[Event, None]:
            yield InProgress(response=QUEUED, sequence_number=0)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            ended = QUEUED.model_copy(update={"status": "completed"})
            yield Completed(response=ended, sequence_number=1)

        store = Written()
        with anyio.fail_after(PATIENCE):
            await (await begun(store, run())).run(nullcontext(), every=60)
        told = await store.told("resp_1", principal="local")
        assert told is not None and told.over and len(told.events) == 2
        assert "response.completed" not in store.seen, steps


async def test_a_run_that_ends_far_ahead_of_its_store_is_kept_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "AHEAD", 5)
    held = Held()
    held.go.set()
    app = Provider(models=[held.model(*[Text("word ") for _ in range(20)])])
    async with inside(app) as client:
        with anyio.fail_after(PATIENCE):
            answer = await client.post("/v1/responses", json={"input": "hi", "background": True})
            path = f"/v1/responses/{answer.json()['id']}"
            await client.get(f"{path}?stream=true")
        whole = (await client.get(path)).json()
    await app.aclose()
    assert whole["status"] == "completed"
    assert whole["output"][0]["content"][0]["text"] == "word " * 20 + "done"


class Late(SqlStore):
    """Says when a claim is written, and answers when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(url_of(path))
        self.written = anyio.Event()
        self.answer = anyio.Event()

    async def claim(self, *given: Any, **options: Any) -> Record | None:
        record = await super().claim(*given, **options)
        self.written.set()
        await self.answer.wait()
        return record


async def test_a_job_that_was_claimed_while_a_provider_closed_is_let_go_of_at_once(
    tmp_path: Path,
) -> None:
    store = Late(tmp_path)
    view = {**View().data, "request": {"model": "held", "background": True}}
    await store.start(Record("local", QUEUED, [user("go")], view), owner="dead", until=0.0)
    app = Provider(models=[Held().model()], store=store)
    async with inside(app) as client:
        await client.get("/healthz")
        with anyio.fail_after(PATIENCE):
            await store.written.wait()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app.aclose)
                await anyio.lowlevel.checkpoint()
                store.answer.set()
    assert rows(tmp_path, "select until from antiphon_jobs") == [(0.0,)]
