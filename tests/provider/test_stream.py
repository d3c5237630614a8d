"""Streams as bytes: frames, writes, numbers, dialects, and what becomes of a client that leaves."""

import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest

from antiphon.items import Response, fold, parse_event
from antiphon.models import FunctionCall, ModelRequest, Reasoning, ScriptedModel, Text, model
from antiphon.provider import MemoryStore, Provider, Store
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, Progress, tool

from .serving import (
    BUILT_IN,
    EXTENDED,
    OPENAI,
    PATIENCE,
    Exchange,
    Serve,
    event_of,
    events_of,
    exchange,
    inside,
    types,
)

pytestmark = pytest.mark.anyio

BODY: dict[str, Any] = {"input": "hi", "stream": True}
WITH_TOOLS = {**BODY, "tools": [BUILT_IN]}


class Held:
    """A model and a tool that wait, and note how they end."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.go = anyio.Event()
        self.ended: list[str] = []

    async def wait(self, who: str) -> None:
        self.asked.set()
        try:
            await self.go.wait()
        except BaseException as error:
            self.ended.append(f"{who}: {type(error).__name__}")
            raise

    def model(self, *before: Any, after: Any = Text("done")) -> Any:
        @model("held")
        async def held(request: ModelRequest) -> AsyncGenerator[Any, None]:
            for piece in before:
                yield piece
            await self.wait("model")
            yield after

        return held

    def tool(self) -> Any:
        @tool
        async def patience() -> str:
            """Waits."""
            await self.wait("tool")
            return "waited"

        return patience


@tool
async def walk() -> AsyncIterator[Progress | str]:
    """Goes a step, then arrives."""
    yield Progress("half way", 0.5)
    yield "there"


def walker(**options: Any) -> Provider:
    turns = [[Reasoning("hm"), FunctionCall("walk", {}, "call_1")], [Text("We "), Text("are.")]]
    return Provider(models=[ScriptedModel(turns, repeat=True)], tools=[walk], **options)


# --- frames ------------------------------------------------------------------


async def test_frames_are_event_and_data_and_nothing_else() -> None:
    done = await exchange(walker(), WITH_TOOLS)
    assert done.status == 200
    assert done.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert done.headers["cache-control"] == "no-store"
    assert done.headers["x-accel-buffering"] == "no"
    assert "content-length" not in done.headers
    assert b"\r" not in done.body
    frames = done.body.split(b"\n\n")
    assert frames.pop() == b""
    assert frames.pop() == b"data: [DONE]"
    for number, frame in enumerate(frames):
        assert event_of(frame)["sequence_number"] == number


async def test_every_write_holds_whole_frames() -> None:
    done = await exchange(walker(), WITH_TOOLS)
    assert len(done.writes) > 1
    for write in done.writes:
        assert write.startswith((b"event: ", b"data: [DONE]"))
        assert write.endswith(b"\n\n")


async def test_text_that_looks_like_a_frame_stays_data() -> None:
    hostile = "\n\nevent: x\ndata: y\r\n\r\n\u2028\u2029\x00\x85"
    done = await exchange(Provider(models=[ScriptedModel([hostile])]), BODY)
    events = events_of(done.body)
    assert events[4]["delta"] == hostile


async def test_a_burst_goes_out_in_one_write() -> None:
    words = [Text(f"{number} ") for number in range(100)]
    done = await exchange(Provider(models=[ScriptedModel([words])]), BODY)
    assert len(done.writes) == 3, "created; everything else; the end"
    assert done.writes[1].count(b"event: response.output_text.delta\n") == 100
    assert [event_of(f)["type"] for f in done.writes[0].split(b"\n\n")[:-1]] == ["response.created"]
    assert done.writes[2].startswith(b"event: response.completed\n")


async def test_what_is_ready_does_not_wait_for_what_is_not() -> None:
    held = Held()
    one = Exchange(Provider(models=[held.model(Text("first"))]), BODY)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: b'"delta":"first"' in one.body)
        assert b"response.output_text.done" not in one.body
        held.go.set()
    assert types(events_of(one.body))[-1] == "response.completed"


async def test_created_is_sent_before_the_model_is_asked() -> None:
    held = Held()
    one = Exchange(Provider(models=[held.model()]), BODY)
    one.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: one.sent)  # the head is held at the gate: nobody is asked
        assert not held.asked.is_set()
        one.gate.set()
        await one.until(lambda: b"response.created" in one.body)
        with anyio.fail_after(PATIENCE):
            await held.asked.wait()
        held.go.set()
    assert types(events_of(one.body))[:2] == ["response.created", "response.in_progress"]


async def test_the_end_comes_when_the_response_is_stored() -> None:
    """A client that continues the moment it reads the end finds what it continues."""

    class Slow(MemoryStore):
        async def save(self, record: Any) -> None:
            assert b"response.completed" not in one.body
            await anyio.lowlevel.checkpoint()
            await super().save(record)
            saved.append(record.response.id)

    saved: list[str] = []
    one = Exchange(Provider(models=[ScriptedModel(["x"])], store=Slow()), BODY)
    await one.run()
    assert [events_of(one.body)[-1]["response"]["id"]] == saved


# --- views -------------------------------------------------------------------

VIEWS: list[dict[str, str]] = [{}, EXTENDED, OPENAI, OPENAI | EXTENDED]


@pytest.mark.parametrize("headers", VIEWS)
async def test_numbers_have_no_gaps_and_events_fold_to_the_answer(headers: dict[str, str]) -> None:
    events = events_of((await exchange(walker(), WITH_TOOLS, headers=headers)).body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    folded = fold(parse_event(json.dumps(event).encode()) for event in events)
    assert folded == Response.model_validate_json(json.dumps(events[-1]["response"]))


async def test_extensions_go_to_those_who_ask() -> None:
    plain = types(events_of((await exchange(walker(), WITH_TOOLS)).body))
    full = types(events_of((await exchange(walker(), WITH_TOOLS, headers=EXTENDED)).body))
    assert not [kind for kind in plain if kind.startswith("antiphon:")]
    assert "antiphon:tool_call.progress" in full
    assert not [kind for kind in full if "mcp" in kind]
    assert len(full) == len(plain) + 1, "one progress event, and all else renamed"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("antiphon", True),
        ("Antiphon", True),
        ("other, antiphon", True),
        ("antiphonal", False),
        ("", False),
    ],
)
async def test_the_header_may_name_several_extensions(value: str, shown: bool) -> None:
    headers = {"openresponses-extensions": value}
    events = events_of((await exchange(walker(), WITH_TOOLS, headers=headers)).body)
    items = types([event["item"] for event in events if "item" in event])
    assert ("antiphon:tool_call" in items) is shown
    assert ("mcp_call" in items) is not shown


async def test_output_of_running_code_is_an_extension() -> None:
    def provider() -> Provider:
        script = ScriptedModel([FunctionCall("code_interpreter", {"code": "print(1)"}), "x"])
        return Provider(models=[script], tools=[CodeInterpreter(LocalSandboxes())])

    kind = "antiphon:code_interpreter_call.output"
    body = {**BODY, "tools": [{"type": "code_interpreter"}]}
    for headers, count in ({}, 0), (EXTENDED, 1):
        app = provider()
        events = events_of((await exchange(app, body, headers=headers)).body)
        await app.aclose()
        assert types(events).count(kind) == count
        assert [event["sequence_number"] for event in events] == list(range(len(events)))


STANDARD, THEIRS = "response.reasoning.delta", "response.reasoning_text.delta"


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, STANDARD),
        ({"user-agent": "python-httpx/0.28"}, STANDARD),
        ({"user-agent": "OpenAI/Python 1.99.0"}, THEIRS),
        ({"user-agent": "AsyncOpenAI/Python 3.0.0"}, THEIRS),
        ({"user-agent": "OpenAI/JS 5.0"}, THEIRS),
        ({"user-agent": "litellm/1.70"}, THEIRS),
        ({"user-agent": "my OpenAI/Python"}, STANDARD),
        ({"x-stainless-lang": "js"}, THEIRS),
        ({"originator": "codex_cli_rs"}, THEIRS),
        ({"openai-beta": "responses=experimental"}, THEIRS),
        ({"openresponses-version": "latest"}, STANDARD),
        ({"openresponses-version": "2026-01-15", "x-stainless-lang": "js"}, STANDARD),
        ({"openresponses-version": "2026-04-24", **OPENAI}, STANDARD),
    ],
)
async def test_the_dialect_is_known_by_headers(headers: dict[str, str], name: str) -> None:
    told = types(events_of((await exchange(walker(), WITH_TOOLS, headers=headers)).body))
    assert name in told
    assert {STANDARD, THEIRS} & set(told) == {name}, "one dialect, never both"


@pytest.mark.parametrize("headers", VIEWS)
async def test_a_configured_dialect_is_for_all(headers: dict[str, str]) -> None:
    for dialect, name in ("openai", THEIRS), ("openresponses", STANDARD):
        app = walker(dialect=dialect)
        assert name in types(events_of((await exchange(app, WITH_TOOLS, headers=headers)).body))


async def test_obfuscation_pads_text_when_asked() -> None:
    body = {**BODY, "stream_options": {"include_obfuscation": True}}
    script = ScriptedModel([[Text("a"), Text("bcd"), Text("e" * 40)]], repeat=True)
    app = Provider(models=[script])
    deltas = [
        event
        for event in events_of((await exchange(app, body)).body)
        if event["type"] == "response.output_text.delta"
    ]
    sizes = {(len(event["delta"]) + len(event["obfuscation"])) % 32 for event in deltas}
    assert sizes == {0}
    assert b"obfuscation" not in (await exchange(app, BODY)).body


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
    (record,) = store._records.values()  # pyright: ignore[reportPrivateUsage]
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


async def test_two_streams_do_not_share_anything() -> None:
    app = Provider(models=[ScriptedModel([["a", "b"]], repeat=True)])
    bodies: list[bytes] = []

    async def one() -> None:
        bodies.append((await exchange(app, BODY)).body)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one)
    ids = {events_of(body)[0]["response"]["id"] for body in bodies}
    assert len(ids) == 8


async def test_json_and_sse_tell_the_same_response() -> None:
    async with inside(walker()) as client:
        said = (await client.post("/v1/responses", json={**WITH_TOOLS, "stream": False})).json()
        streamed = await client.post("/v1/responses", json=WITH_TOOLS)
    told = events_of(streamed.content)[-1]["response"]
    shape = [item["type"] for item in said["output"]]
    assert shape == [item["type"] for item in told["output"]] == ["reasoning", "mcp_call", "message"]
    assert said.keys() == told.keys()
