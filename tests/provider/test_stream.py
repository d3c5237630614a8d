"""Streams as bytes: frames, writes, numbers, dialects and extensions."""

import json
from typing import Any

import anyio
import pytest

from antiphon.items import Response, fold, parse_event
from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.provider import MemoryStore, Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

from .holding import BODY, WITH_TOOLS, Held, walker
from .serving import (
    EXTENDED,
    OPENAI,
    PATIENCE,
    Exchange,
    event_of,
    events_of,
    exchange,
    inside,
    types,
)

pytestmark = pytest.mark.anyio

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
    assert (
        shape == [item["type"] for item in told["output"]] == ["reasoning", "mcp_call", "message"]
    )
    assert said.keys() == told.keys()
