"""Jobs that another process left behind, and what becomes of those that nobody can read."""

import json
import logging
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from antiphon.models import ModelRequest, Text, model
from antiphon.provider import Provider, Rate, Record, SqlStore

from .serving import PATIENCE, inside

pytestmark = pytest.mark.anyio

BODY = {"model": "teller", "input": "go"}


class Place:
    """A database, and Providers over it whose model waits until it is let go on."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "antiphon.db"
        self.told = anyio.Event()
        self.go = anyio.Event()

    def provider(self, **options: Any) -> Provider:
        @model("teller")
        async def teller(request: ModelRequest) -> AsyncGenerator[Any, None]:
            yield Text("once ")
            self.told.set()
            await self.go.wait()
            yield Text("upon a time")

        url = f"sqlite+aiosqlite:///{self.path}"
        given: dict[str, Any] = {"store": url, "lease_seconds": 0.1, **options}
        return Provider(models=[teller], **given)

    async def left(self) -> str:
        """A job that a Provider has begun and let go of; its id."""
        one = self.provider()
        async with inside(one) as client:
            answer = await client.post("/v1/responses", json={**BODY, "background": True})
            with anyio.fail_after(PATIENCE):
                await self.told.wait()
        await one.aclose()
        return answer.json()["id"]

    def sql(self, query: str, *values: Any) -> list[Any]:
        """Look at what is kept, or change it."""
        database = sqlite3.connect(self.path)
        rows = database.execute(query, values).fetchall()
        database.commit()
        database.close()
        return rows


def other_request(place: Place) -> None:
    """What an older or newer version may have kept."""
    ((view,),) = place.sql("select view from antiphon_responses")
    view = json.loads(view)
    view["request"]["temperature"] = "s3cret"
    place.sql("update antiphon_responses set view = ?", json.dumps(view).encode())


def other_events(place: Place) -> None:
    place.sql("update antiphon_events set json = ?", b'{"type":"s3cret"')


@pytest.mark.parametrize("change", [other_request, other_events])
async def test_a_job_that_nobody_can_read_ends_failed_and_once(
    tmp_path: Path, change: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path)
    left = await place.left()
    change(place)
    two = place.provider()
    with caplog.at_level(logging.ERROR):
        async with inside(two) as client:
            whole: Any = {"status": "in_progress"}
            with anyio.fail_after(PATIENCE):
                while whole["status"] == "in_progress":
                    whole = (await client.get(f"/v1/responses/{left}")).json()
        await two.aclose()
    assert (whole["status"], whole["error"]["code"]) == ("failed", "interrupted")
    assert any(left in record.getMessage() for record in caplog.records)
    assert "s3cret" not in caplog.text
    assert place.sql("select * from antiphon_jobs") == []


async def test_a_job_that_was_taken_over_takes_a_place_of_its_principal_s_rate(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    left = await place.left()
    place.told = anyio.Event()
    two = place.provider(rate=Rate(at_once=1))
    async with inside(two) as client:
        await client.get("/healthz")
        with anyio.fail_after(PATIENCE):
            await place.told.wait()
        refused = await client.post("/v1/responses", json=BODY)
        place.go.set()
        with anyio.fail_after(PATIENCE):
            await client.get(f"/v1/responses/{left}?stream=true")
            while (await client.post("/v1/responses", json=BODY)).status_code != 200:
                await anyio.lowlevel.checkpoint()
    await two.aclose()
    assert refused.status_code == 429


class Late(SqlStore):
    """Says of a claim that it is written, and answers when it is told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.written = anyio.Event()
        self.answer = anyio.Event()

    async def claim(self, response_id: str, *, owner: str, until: float) -> Record | None:
        record = await super().claim(response_id, owner=owner, until=until)
        self.written.set()
        await self.answer.wait()
        return record


async def test_a_job_that_was_claimed_while_its_provider_closed_is_let_go_of_at_once(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    await place.left()
    late = Late(f"sqlite+aiosqlite:///{place.path}")
    two = place.provider(store=late, lease_seconds=600)
    with anyio.fail_after(PATIENCE):
        async with inside(two) as client, anyio.create_task_group() as tasks:
            await client.get("/healthz")
            await late.written.wait()
            tasks.start_soon(two.aclose)
            await anyio.wait_all_tasks_blocked()
            late.answer.set()
    assert place.sql("select until from antiphon_jobs") == [(0.0,)]


class Slow(SqlStore):
    """Answers that it has a job when that has been found to be nobody's twice."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.found = 0
        self.twice = anyio.Event()
        self.claimed: list[str] = []

    async def start(self, record: Record, *, owner: str, until: float) -> None:
        await super().start(record, owner=owner, until=until)
        with anyio.fail_after(PATIENCE):
            await self.twice.wait()

    async def stale(self, at: float, *, limit: int = 100) -> list[str]:
        found = await super().stale(at, limit=limit)
        self.found += len(found)
        if self.found >= 2:
            self.twice.set()
        return found

    async def claim(self, response_id: str, *, owner: str, until: float) -> Record | None:
        self.claimed.append(response_id)
        return await super().claim(response_id, owner=owner, until=until)


async def test_a_job_that_begins_slowly_is_not_taken_over_by_the_process_that_begins_it(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    place.go.set()
    slow = Slow(f"sqlite+aiosqlite:///{place.path}")
    one = place.provider(store=slow, lease_seconds=0.05)
    async with inside(one) as client:
        begun = await client.post("/v1/responses", json={**BODY, "background": True})
        taken = list(slow.claimed)
        with anyio.fail_after(PATIENCE):
            await client.get(f"/v1/responses/{begun.json()['id']}?stream=true")
    await one.aclose()
    assert (begun.status_code, taken) == (200, [])
