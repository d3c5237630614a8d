"""A server that is killed, again and again: every background response ends, whole and truthful."""

import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from .postgres_kit import postgres
from .serving import EXTENDED, events_of

pytestmark = pytest.mark.anyio

KILLS = int(os.environ.get("ANTIPHON_KILLS", "6"))
"""How often; fifty take a minute."""

JOBS, STEPS, PATIENCE = 8, 4, 120.0

SERVER = f"""
import socket, sys
import anyio, uvicorn
from antiphon.models import FunctionCall, Text, model
from antiphon.provider import Provider
from antiphon.tools import tool

@tool
async def note(step: int) -> str:
    "Note a step."
    await anyio.lowlevel.checkpoint()
    print("noted", flush=True)
    return f"noted {{step}}"

@model("worker")
async def worker(request):
    said = str([item.model_dump() for item in request.items])
    missing = [step for step in range({STEPS}) if f"noted {{step}}" not in said]
    if missing:
        yield Text("on it")
        for step in missing[:2]:
            yield FunctionCall("note", {{"step": step}})
    else:
        yield Text("all ")
        yield Text("done")

app = Provider(models=[worker], tools=[note], store=sys.argv[1], lease_seconds=0.3)
listening = socket.create_server(("127.0.0.1", 0))
print("port", listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])
"""


class Lines:
    """What a server prints, line by line."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._stream = TextReceiveStream(process.stdout)
        self._rest = ""

    async def next(self) -> str:
        while "\n" not in self._rest:
            self._rest += await self._stream.receive()
        line, _, self._rest = self._rest.partition("\n")
        return line


@asynccontextmanager
async def served(url: str) -> AsyncGenerator[tuple[httpx2.AsyncClient, Lines]]:
    """A server in a process of its own; killed at the end, whatever it is doing."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    process = await anyio.open_process(
        [sys.executable, "-c", SERVER, url], env=environment, stderr=None
    )
    try:
        lines = Lines(process)
        _, port = (await lines.next()).split()
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, headers=EXTENDED
        ) as client:
            yield client, lines
    finally:
        process.send_signal(signal.SIGKILL)
        await process.aclose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'antiphon.db'}"
        return
    with postgres() as server:
        yield server.fresh()


async def test_killed_at_random_points_nothing_is_lost_and_no_item_is_there_twice(
    url: str,
) -> None:
    chance = random.Random(7)
    body = {
        "model": "worker",
        "input": "go",
        "background": True,
        "tools": [{"type": "antiphon:function", "name": "note"}],
    }
    jobs: list[str] = []
    with anyio.fail_after(PATIENCE):
        for kill in range(KILLS):
            async with served(url) as (client, lines):
                while len(jobs) < JOBS * (kill + 1) // KILLS:
                    jobs.append((await client.post("/v1/responses", json=body)).json()["id"])
                for _ in range(chance.randrange(4) if kill else 2):
                    with anyio.move_on_after(2):  # all may be done already
                        await lines.next()
        async with served(url) as (client, _):
            for job in jobs:
                stream = await client.get(f"/v1/responses/{job}?stream=true")
                whole = (await client.get(f"/v1/responses/{job}")).json()
                check(events_of(stream.content), whole)


def check(events: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    """One response that was made by several processes."""
    assert whole["status"] == "completed", whole
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["output"] == whole["output"]
    ids = [item["id"] for item in whole["output"]]
    assert len(ids) == len(set(ids))
    added = Counter(e["item"]["id"] for e in events if e["type"] == "response.output_item.added")
    done = Counter(e["item"]["id"] for e in events if e["type"] == "response.output_item.done")
    assert added == done == Counter(ids)
    calls = [item for item in whole["output"] if item["type"] == "antiphon:tool_call"]
    finished = [call["output"] for call in calls if call["status"] == "completed"]
    assert sorted(finished) == [f"noted {step}" for step in range(STEPS)], json.dumps(calls)
    assert {call["status"] for call in calls} <= {"completed", "incomplete"}
    assert whole["output"][-1]["content"][0]["text"] == "all done"
