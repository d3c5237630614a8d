"""Silence is filled, and a client that leaves ends its response as it stood."""

import json
import threading
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from antiphon.agents import Agent
from antiphon.items import Event, Response
from antiphon.models import FunctionCall, ModelRequest, Reasoning, ScriptedModel, Text, model
from antiphon.provider import MemoryStore, Provider, Record
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

from .holding import BODY, WITH_TOOLS, Held, walk
from .serving import (
    EXTENDED,
    PATIENCE,
    Exchange,
    Serve,
    events_of,
    exchange,
    types,
)

pytestmark = pytest.mark.anyio

# --- keep-alive --------------------------------------------------------------


@pytest.mark.parametrize("slow", ["model", "tool"])
@pytest.mark.parametrize(("streaming", "sign"), [(True, b": keep-alive\n\n"), (False, b" ")])
async def test_silence_is_filled(slow: str, streaming: bool, sign: bytes) -> None:
    held = Held()
    quick = ScriptedModel([FunctionCall("patience", {}), "done"], name="held")
    app = Provider(
        models=[held.model() if slow == "model" else quick],
        tools=[held.tool()],
        keep_alive=0.05,
    )
    one = Exchange(app, {**WITH_TOOLS, "stream": streaming})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: one.writes.count(sign) >= 2)
        held.go.set()
    if streaming:
        assert types(events_of(one.body))[-1] == "response.completed"
    else:
        assert one.headers["content-type"] == "application/json"
        assert one.body.startswith(b"  ")
        assert json.loads(one.body)["status"] == "completed"


# --- a client that leaves ----------------------------------------------------


async def left(app: Provider, body: dict[str, Any], held: Held) -> Exchange:
    """An exchange whose client leaves as soon as the model or the tool is held."""
    one = Exchange(app, body)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        with anyio.fail_after(PATIENCE):
            await held.asked.wait()
            one.leave()
            while not one.ended:
                await anyio.lowlevel.checkpoint()
    return one


async def only(store: MemoryStore) -> Response:
    """The one response that is stored."""
    (record,) = store._shelves["local"].records.values()  # pyright: ignore[reportPrivateUsage]
    return record.response


@pytest.mark.parametrize("streaming", [True, False])
async def test_leaving_cancels_the_model_and_stores_a_cancelled_response(streaming: bool) -> None:
    held, store = Held(), MemoryStore()
    app = Provider(models=[held.model(Reasoning("hm"), Text("It was"))], store=store)
    one = await left(app, {**BODY, "stream": streaming}, held)
    assert held.ended == ["model: CancelledError"]
    stored = await only(store)
    assert stored.status == "cancelled"
    assert stored.incomplete_details is not None
    assert stored.incomplete_details.reason == "cancelled"
    assert [(item.type, getattr(item, "status", "")) for item in stored.output] == [
        ("reasoning", "completed"),
        ("message", "incomplete"),
    ]
    assert stored.output_text == "It was"
    assert b"[DONE]" not in one.body
    shown = await exchange(app, method="GET", path=f"/v1/responses/{stored.id}")
    assert json.loads(shown.body)["status"] == "cancelled"


@pytest.mark.parametrize("streaming", [True, False])
async def test_leaving_cancels_the_tool_and_closes_its_item(streaming: bool) -> None:
    held, store = Held(), MemoryStore()
    script = ScriptedModel([[FunctionCall("patience", {}), FunctionCall("walk", {})], "never"])
    app = Provider(models=[script], tools=[held.tool(), walk], store=store)
    await left(app, {**WITH_TOOLS, "stream": streaming}, held)
    assert held.ended == ["tool: CancelledError"]
    stored = await only(store)
    assert stored.status == "cancelled"
    call = stored.output[0]
    assert (call.type, getattr(call, "status", ""), getattr(call, "error", "")) == (
        "antiphon:tool_call",
        "incomplete",
        "cancelled",
    )
    assert len(script.requests) == 1


async def test_a_cancelled_response_can_be_continued() -> None:
    held = Held()
    again = ScriptedModel(["yes"], name="again")
    store = MemoryStore()
    app = Provider(models=[held.model(Text("It was")), again], store=store)
    await left(app, {**BODY, "model": "held"}, held)
    stored = await only(store)
    body = {"model": "again", "input": "go on", "previous_response_id": stored.id}
    done = await exchange(app, body)
    assert json.loads(done.body)["status"] == "completed"
    assert len(again.requests[0].items) == 3


async def test_leaving_during_a_burst_is_a_cancelled_response_too() -> None:
    """The last words of a run are kept wherever in the burst the line was cut."""
    held, store = Held(), MemoryStore()
    words = [Text(f"{number} ") for number in range(251)]
    app = Provider(models=[held.model(*words)], store=store)
    await left(app, BODY, held)
    assert (await only(store)).status == "cancelled"


async def test_leaving_while_bytes_wait_cancels_as_well() -> None:
    held, store = Held(), MemoryStore()
    one = Exchange(Provider(models=[held.model(Text("x"))], store=store), BODY)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: b"response.created" in one.body)
        one.gate = anyio.Event()  # nothing more gets through
        await one.until(lambda: b'"delta":"x"' in one.body)
        one.leave()
        await one.until(lambda: one.ended)
    assert held.ended == ["model: CancelledError"]
    assert (await only(store)).status == "cancelled"


async def test_leaving_while_code_runs_hands_the_sandbox_back() -> None:
    store, sandboxes = MemoryStore(), LocalSandboxes()
    code = "print('on', flush=True)\nwhile True: pass"
    script = ScriptedModel([FunctionCall("code_interpreter", {"code": code}), "x"])
    app = Provider(models=[script], tools=[CodeInterpreter(sandboxes)], store=store)
    one = Exchange(app, {**BODY, "tools": [{"type": "code_interpreter"}]}, headers=EXTENDED)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: b"code_interpreter_call.output" in one.body)
        one.leave()
        await one.until(lambda: one.ended)
    call = (await only(store)).output[0]
    assert (call.type, getattr(call, "status", "")) == ("code_interpreter_call", "incomplete")
    container = getattr(call, "container_id", "")
    with anyio.fail_after(PATIENCE):
        sandbox = await sandboxes.open(container_id=container, principal="local")
        told = [event async for event in sandbox.run("print(1)")]
    assert getattr(told[-1], "status", "") == "ok"
    await app.aclose()


async def test_leaving_before_anything_was_sent_is_no_error() -> None:
    held = Held()
    one = Exchange(Provider(models=[held.model()]), BODY)
    one.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: one.sent)
        one.leave()
        await one.until(lambda: one.ended)
    assert not held.asked.is_set()


async def test_leaving_before_anything_was_sent_leaves_nothing_open() -> None:
    """The run that was begun is closed before the request is over, not when memory is tidied."""
    told: list[str] = []

    class Noticing(Agent[str]):
        async def serve(self, *args: Any, **options: Any) -> AsyncGenerator[Event, None]:
            try:
                async for event in super().serve(*args, **options):
                    yield event
            finally:
                told.append("closed")

    inner = Provider(agents=[Noticing(name="guide", model=ScriptedModel(["x"]))])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)
        told.append("over")

    one = Exchange(app, BODY)
    one.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: one.sent)
        one.leave()
        await one.until(lambda: one.ended)
    assert told == ["closed", "over"]


@pytest.mark.parametrize("streaming", [False, True])
async def test_leaving_while_the_response_is_being_stored_does_not_lose_it(streaming: bool) -> None:
    saving, release = anyio.Event(), anyio.Event()

    class Slow(MemoryStore):
        async def save(self, record: Record) -> None:
            saving.set()
            await release.wait()
            await super().save(record)

    store = Slow()
    app = Provider(models=[ScriptedModel(["x"])], store=store)
    one = Exchange(app, {**BODY, "stream": streaming})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        with anyio.fail_after(PATIENCE):
            await saving.wait()
        one.leave()
        for _ in range(10):  # time enough for a cancellation to get there
            await anyio.lowlevel.checkpoint()
        release.set()
        await one.until(lambda: one.ended)
    assert (await only(store)).status == "completed"


def test_leaving_is_noticed_over_a_real_socket(serving: Serve) -> None:
    ended = threading.Event()

    @model("endless")
    async def endless(request: ModelRequest) -> AsyncGenerator[Any, None]:
        try:
            yield Text("once")
            await anyio.sleep_forever()
        finally:
            ended.set()

    with serving(Provider(models=[endless])) as url:
        with httpx2.stream("POST", f"{url}/v1/responses", json=BODY, timeout=PATIENCE) as answer:
            for chunk in answer.iter_raw():
                if b'"once"' in chunk:
                    break
        assert ended.wait(PATIENCE)
