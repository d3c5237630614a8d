"""Crowds: what many clients leave behind when they go, and what those who stay see of them."""

import asyncio
import json
import math
import os
import re
import socket
import struct
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text, model
from antiphon.provider import MemoryStore, Provider, Rate, SqlStore
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, tool

from .crowding import Crowd, open_generators, settled
from .serving import BUILT_IN, PATIENCE, Exchange, Serve, events_of, exchange, inside, types

pytestmark = pytest.mark.anyio

MANY = 200
KEPT = 60


class Waiting:
    """Models and a tool that wait for ever, and are counted."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self._news = anyio.Event()

    async def forever(self) -> None:
        self.begun += 1
        self._tell()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended += 1
            self._tell()

    async def until(self, begun: int) -> None:
        with anyio.fail_after(PATIENCE):
            while self.begun < begun:
                await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def provider(self, **options: Any) -> Provider:
        @model("thinker")
        async def thinker(request: ModelRequest) -> AsyncGenerator[Any, None]:
            yield Text("Well, ")
            await self.forever()

        @tool
        async def patience() -> str:
            """Waits."""
            await self.forever()
            return "never"

        caller = ScriptedModel([FunctionCall("patience", {})], name="caller", repeat=True)
        return Provider(models=[thinker, caller], tools=[patience], **options)

    async def crowd(self, app: Provider, many: int = MANY, **fields: Any) -> Crowd:
        """Many who wait: for words, in JSON, for a tool, and a quarter that takes no byte."""
        crowd = Crowd()
        for number in range(many):
            body: dict[str, Any] = {"model": "thinker", "input": "x", "stream": True, **fields}
            if number % 4 == 1:
                body["stream"] = False
            elif number % 4 == 2:
                body |= {"model": "caller", "tools": [BUILT_IN]}
            crowd.add(Exchange(app, body), stuck=number % 4 == 3)
        await crowd.come()
        await self.until(self.ended + many * 3 // 4)
        return crowd


# --- streams that are left ---------------------------------------------------


async def test_abandoned_streams_leave_no_task_no_generator_and_no_place_of_the_rate() -> None:
    waiting = Waiting()
    app = waiting.provider(rate=Rate(at_once=MANY), store=MemoryStore(limit=KEPT))
    await exchange(app, method="GET", path="/healthz")
    tasks, generators = len(asyncio.all_tasks()), open_generators()
    for _ in range(2):  # again: it needs every place that the first had
        crowd = await waiting.crowd(app)
        more = await exchange(app, {"model": "thinker", "input": "x"})
        assert more.status == 429, "the test does not fill the rate"
        await crowd.go()
        del crowd, more
        await settled(tasks)
        assert waiting.ended == waiting.begun
    assert open_generators() == generators


async def test_abandoned_streams_keep_no_more_than_the_store_is_to_keep() -> None:
    waiting, store = Waiting(), MemoryStore(limit=KEPT)
    app = waiting.provider(store=store)
    await (await waiting.crowd(app, store=False)).go()
    assert not store._shelves  # pyright: ignore[reportPrivateUsage]
    for _ in range(2):
        await (await waiting.crowd(app)).go()
        (shelf,) = store._shelves.values()  # pyright: ignore[reportPrivateUsage]
        assert len(shelf.records) == len(shelf.sizes) == KEPT
        assert {record.response.status for record in shelf.records.values()} == {"cancelled"}
        items = [item.id for record in shelf.records.values() for item in record.response.output]
        assert set(shelf.items) == set(items)


async def test_abandoned_streams_leave_no_cell_running_and_sandboxes_go_when_they_expire() -> None:
    now = 0.0
    sandboxes = LocalSandboxes(live=4, idle=60.0, clock=lambda: now)
    code = "import os\nprint('pid', os.getpid(), flush=True)\nwhile True: pass"
    script = ScriptedModel([FunctionCall("code_interpreter", {"code": code})], repeat=True)
    app = Provider(models=[script], tools=[CodeInterpreter(sandboxes)])
    crowd = Crowd()
    body = {"input": "x", "stream": True, "tools": [{"type": "code_interpreter"}]}
    for _ in range(4):
        crowd.add(Exchange(app, body, headers={"openresponses-extensions": "antiphon"}))
    await crowd.come()
    for one in crowd.all:
        await one.until(lambda one=one: b"pid " in one.body)
    await crowd.go()  # which waits for the cells to be stopped
    pids = [int(found) for one in crowd.all for found in re.findall(rb"pid (\d+)", one.body)]
    assert len(pids) == 4
    now = 61.0
    assert await sandboxes.sweep() == 4
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    await app.aclose()


def test_clients_that_vanish_from_real_sockets_leave_nothing(serving: Serve) -> None:
    over, ended = threading.Event(), 0

    @model("thinker")
    async def thinker(request: ModelRequest) -> AsyncGenerator[Any, None]:
        nonlocal ended
        try:
            yield Text("Well, ")
            await anyio.sleep_forever()
        finally:
            ended += 1
            if ended == MANY:
                over.set()

    @model("counter")
    async def counter(request: ModelRequest) -> AsyncGenerator[Any, None]:
        yield Text(str(len(asyncio.all_tasks())))

    with serving(Provider(models=[thinker, counter])) as url, httpx2.Client() as client:

        def tasks() -> int:
            answer = client.post(f"{url}/v1/responses", json={"model": "counter", "input": "x"})
            return int(answer.json()["output"][0]["content"][0]["text"])

        before = tasks()
        lines = [_asked(url, "thinker") for _ in range(MANY)]
        for line in lines:
            _read_until(line, b"Well, ")
        assert tasks() >= before + MANY
        for number, line in enumerate(lines):
            if number % 2:  # reset it, as a machine that was switched off and on again
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()
        assert over.wait(PATIENCE)
        assert any(tasks() <= before for _ in range(100))


def _asked(url: str, name: str, *, window: int | None = None) -> socket.socket:
    """A line on which a stream was asked for."""
    host, _, port = url.removeprefix("http://").partition(":")
    line = socket.socket()
    line.settimeout(PATIENCE)
    if window is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    line.connect((host, int(port)))
    body = json.dumps({"model": name, "input": "x", "stream": True}).encode()
    head = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    line.sendall(head + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    return line


def _read_until(line: socket.socket, wanted: bytes) -> None:
    came = b""
    while wanted not in came:
        data = line.recv(65536)
        assert data, came
        came += data


# --- readers that are slow ---------------------------------------------------


@model("teller")
async def teller(request: ModelRequest) -> AsyncGenerator[Any, None]:
    for _ in range(50):
        await anyio.lowlevel.checkpoint()
        yield Text("word ")


async def test_readers_that_take_nothing_stop_no_other_stream() -> None:
    pieces, said = 10_000, 0

    @model("flood")
    async def flood(request: ModelRequest) -> AsyncGenerator[Any, None]:
        nonlocal said
        for _ in range(pieces):  # it never waits of itself
            said += 1
            yield Text("x" * 100)

    app = Provider(models=[flood, teller], store=MemoryStore(limit=KEPT))
    crowd = Crowd()
    for _ in range(MANY):
        crowd.add(Exchange(app, {"model": "flood", "input": "x", "stream": True}))
    await crowd.come()
    for one in crowd.all:
        await one.until(lambda one=one: b"response.created" in one.body)
        one.gate = anyio.Event()
    for _ in range(3):
        told = await exchange(app, {"model": "teller", "input": "x", "stream": True})
        assert types(events_of(told.body)).count("response.output_text.delta") == 50
    stopped = said
    await exchange(app, {"model": "teller", "input": "x", "stream": True})
    assert said == stopped < MANY * pieces, "a model goes on though nobody takes what it says"
    await crowd.go()


def test_readers_that_take_nothing_from_real_sockets_hold_up_only_themselves(
    serving: Serve,
) -> None:
    pieces, said, ended, over = 2048, 0, 0, threading.Event()

    @model("flood")
    async def flood(request: ModelRequest) -> AsyncGenerator[Any, None]:
        nonlocal said, ended
        try:
            for _ in range(pieces):  # 64 MiB, more than lies between the two anywhere
                said += 1
                yield Text("x" * 32 * 1024)
        finally:
            ended += 1
            if ended == 8:
                over.set()

    app = Provider(models=[flood, teller], store=MemoryStore(limit=1))
    with serving(app) as url, httpx2.Client(timeout=PATIENCE) as client:
        lines = [_asked(url, "flood", window=4096) for _ in range(8)]
        for line in lines:
            assert line.recv(1)
        before = -1
        while said > before:  # until all stand still
            before = said
            for _ in range(20):
                body = {"model": "teller", "input": "x"}
                answer = client.post(f"{url}/v1/responses", json=body).json()
                assert answer["output"][0]["content"][0]["text"] == "word " * 50
        assert ended == 0
        assert said < 8 * pieces
        for line in lines:
            line.close()
        assert over.wait(PATIENCE)


# --- jobs --------------------------------------------------------------------


@model("worker")
async def worker(request: ModelRequest) -> AsyncGenerator[Any, None]:
    if sum(item.type == "function_call_output" for item in request.items) < 4:
        yield FunctionCall("step", {})
    else:
        yield Text("done")


@tool
async def step() -> str:
    """Takes a step."""
    await anyio.lowlevel.checkpoint()
    return "taken"


@pytest.mark.parametrize("kind", ["memory", "sql"])
async def test_a_hundred_jobs_at_once_end_and_leave_nothing(kind: str, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'antiphon.db'}"
    store = MemoryStore() if kind == "memory" else SqlStore(url)
    app = Provider(models=[worker], tools=[step], store=store, rate=Rate(at_once=100))
    body = {"model": "worker", "input": "x", "background": True, "tools": [BUILT_IN]}
    told: list[Any] = []
    before = len(asyncio.all_tasks())
    async with inside(app) as client:

        async def one() -> None:
            begun = (await client.post("/v1/responses", json=body)).json()
            await client.get(f"/v1/responses/{begun['id']}?stream=true")
            told.append((await client.get(f"/v1/responses/{begun['id']}")).json())

        await one()  # what looks after jobs is awake from here on
        await settled(before + 1)
        generators = open_generators()
        for _ in range(2):
            with anyio.fail_after(6 * PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for _ in range(100):
                        tasks.start_soon(one)
            await settled(before + 1)
        assert open_generators() == generators
    assert {(each["status"], len(each["output"])) for each in told} == {("completed", 5)}
    assert len({each["id"] for each in told}) == 201
    assert await store.stale(math.inf) == []
    await app.aclose()
    await settled(before)


async def test_followers_that_leave_early_neither_stop_the_job_nor_stay() -> None:
    go = anyio.Event()

    @model("story")
    async def story(request: ModelRequest) -> AsyncGenerator[Any, None]:
        yield Text("once ")
        await go.wait()
        yield Text("upon a time")

    app = Provider(models=[story])
    before, generators = len(asyncio.all_tasks()), open_generators()
    first = await exchange(app, {"model": "story", "input": "x", "background": True})
    path = f"/v1/responses/{json.loads(first.body)['id']}"
    faithful = await _following(app, path, 1)
    tasks = len(asyncio.all_tasks())
    await (await _following(app, path, MANY)).go()
    await settled(tasks)
    now = await exchange(app, method="GET", path=path)
    assert json.loads(now.body)["status"] == "in_progress"
    go.set()
    await faithful.end()
    assert types(events_of(faithful.all[0].body))[-1] == "response.completed"
    await settled(before + 1)  # who looks after jobs stays
    await app.aclose()
    await settled(before)
    del faithful
    assert open_generators() == generators


async def _following(app: Provider, path: str, many: int) -> Crowd:
    crowd = Crowd()
    for _ in range(many):
        one = Exchange(app, method="GET", path=path)
        one.scope["query_string"] = b"stream=true"
        crowd.add(one)
    await crowd.come()
    for one in crowd.all:
        await one.until(lambda one=one: b"once " in one.body)
    return crowd
