"""Law 6: an item says what happened, when it happened."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio
from hypothesis import example, given, strategies as st

from antiphon.items import (
    ArgumentsDelta,
    CallStatus,
    CodeDelta,
    CodeInterpreterCall,
    CodeOutputDelta,
    Event,
    ItemDone,
    Logs,
    TextDelta,
    ToolCall,
)
from antiphon.models import FunctionCall as Call, ModelRequest, Reasoning, Speech, Text, model

from .kit import check_whole, events_of, play, request
from .paper import CELLS, OK_CELLS, Count, PaperSandboxes, kit
from .scripts import FRAGMENTS, LAW, Script, scripted

PIECES = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6)


def speaking(log: list[str], arguments: list[str], name: str) -> Any:
    """An engine that notes what it wrote before it writes it, and again when it is resumed."""

    async def fragments() -> AsyncIterator[str]:
        for fragment in arguments:
            log.append(f"write {fragment}")
            yield fragment
            log.append("resumed")

    @model("engine")
    async def engine(asked: ModelRequest) -> AsyncGenerator[Speech, None]:
        if not log:
            yield Call(name, fragments())
        else:
            yield Text("the end.")

    return engine


def cut(text: str, sizes: list[int]) -> list[str]:
    fragments: list[str] = []
    for size in sizes:
        fragments.append(text[:size])
        text = text[size:]
    return [fragment for fragment in [*fragments, text] if fragment]


@LAW
@given(code=st.text(max_size=20), sizes=st.lists(st.integers(1, 6), max_size=12))
@example(code="print('a\\n')", sizes=[3, 5, 1, 1, 1, 1, 1])
def test_code_is_seen_while_the_model_still_writes_it(code: str, sizes: list[int]) -> None:
    async def law() -> None:
        log: list[str] = []
        arguments = json.dumps({"code": code}, ensure_ascii=False)
        fragments = cut(arguments, sizes)
        engine = speaking(log, fragments, "code_interpreter")
        seen, written = "", ""
        async for event in events_of(request(), engine):
            if isinstance(event, CodeDelta):
                seen += event.delta
                assert log[-1].startswith("write "), (
                    "the model was resumed before its words went out"
                )
                written = "".join(line[6:] for line in log if line.startswith("write "))
                begun = written.removeprefix('{"code": "')
                assert seen and code.startswith(seen)
                # Nothing is held back but an escape that is not whole yet.
                assert len(json.dumps(seen, ensure_ascii=False)) - 2 >= len(begun.rstrip('"}')) - 6
        assert seen == code

    anyio.run(law)


@LAW
@given(words=st.text(alphabet="abc 123", min_size=1, max_size=20), size=st.integers(1, 5))
def test_every_fragment_of_plain_code_goes_out_before_the_next_is_asked_for(
    words: str, size: int
) -> None:
    async def law() -> None:
        log: list[str] = []
        fragments = [words[at : at + size] for at in range(0, len(words), size)]
        engine = speaking(log, ['{"code": "', *fragments, '"}'], "code_interpreter")
        async for event in events_of(request(), engine):
            if isinstance(event, CodeDelta):
                log.append(f"seen {event.delta}")
        for fragment in fragments:
            at = log.index(f"write {fragment}")
            assert log[at : at + 3] == [f"write {fragment}", f"seen {fragment}", "resumed"]
            del log[at : at + 3]

    anyio.run(law)


@LAW
@given(pieces=PIECES, kind=st.sampled_from([Text, Reasoning]))
def test_every_word_goes_out_before_the_next_is_asked_for(pieces: list[str], kind: Any) -> None:
    async def law() -> None:
        log: list[str] = []

        @model("engine")
        async def engine(asked: ModelRequest) -> AsyncGenerator[Speech, None]:
            for piece in pieces:
                log.append(f"write {piece}")
                yield kind(piece)

        async for event in events_of(request(), engine):
            if isinstance(delta := getattr(event, "delta", None), str):
                log.append(f"seen {delta}")
        assert log == [line for piece in pieces for line in (f"write {piece}", f"seen {piece}")]

    anyio.run(law)


@LAW
@given(pieces=PIECES, name=st.sampled_from(["echo", "nowhere", "ask", "crm__find"]))
def test_arguments_go_out_before_the_next_fragment_is_asked_for(
    pieces: list[str], name: str
) -> None:
    async def law() -> None:
        log: list[str] = []
        engine = speaking(log, pieces, name)
        async for event in events_of(request(), engine):
            if isinstance(event, ArgumentsDelta):
                log.append(f"seen {event.delta}")
        expected = [
            line for piece in pieces for line in (f"write {piece}", f"seen {piece}", "resumed")
        ]
        assert log == expected

    anyio.run(law)


CELL = st.sampled_from([*CELLS, "busy", "refuse", "bug"])


@LAW
@given(cells=st.lists(CELL, min_size=1, max_size=3), fragment=FRAGMENTS)
@example(cells=["busy", "hello", "crash"], fragment=None)
def test_interpreting_is_said_when_the_cell_has_started_and_not_before(
    cells: list[str], fragment: int | None
) -> None:
    async def law() -> None:
        backend = PaperSandboxes()
        script: Script = [[Call("code_interpreter", {"code": cell})] for cell in cells]
        spoken = scripted([*script, [Text("the end.")]], fragment)
        events: list[Event] = []
        async for event in events_of(request(), spoken, tools=kit(backend)):
            events.append(event)
            if isinstance(event, CallStatus) and event.type.endswith(".interpreting"):
                backend.log.append("interpreting")
            elif isinstance(event, ItemDone) and isinstance(event.item, CodeInterpreterCall):
                backend.log.append(f"done {event.item.status}")
        response = check_whole(events)
        expected: list[str] = []
        for cell in cells:
            if cell not in ("busy", "refuse"):
                expected.append(f"begin {cell}")
                expected += ["interpreting"] if cell != "mute" else []
                expected.append(f"end {cell}")
            expected.append(f"done {'completed' if cell in OK_CELLS else 'failed'}")
        assert backend.log == expected
        calls = [item for item in response.output if isinstance(item, CodeInterpreterCall)]
        for call, cell in zip(calls, cells, strict=True):
            check_receipt(call, cell)

    anyio.run(law)


def check_receipt(call: CodeInterpreterCall, cell: str) -> None:
    assert call.code == cell
    logs = "".join(part.logs for part in call.outputs or () if isinstance(part, Logs))
    for event in CELLS.get(cell, ()):
        if text := getattr(event, "text", None):
            assert text in logs, "what was printed is in the receipt"
        if error := getattr(event, "error", None):
            assert error in logs, "how it ended is in the receipt"
        if getattr(event, "state_lost", False):
            assert "State was lost" in logs
    if cell not in OK_CELLS:
        assert logs.strip(), "a failure says why"


@LAW
@given(
    calls=st.lists(
        st.sampled_from(["echo", "twice", "picture", "unable", "picky", "broken", "nowhere"]),
        min_size=1,
        max_size=4,
    )
)
def test_a_call_is_completed_if_it_gave_something_and_failed_if_it_did_not(
    calls: list[str],
) -> None:
    async def law() -> None:
        count = Count()
        script: Script = [[Call(name, {"text": "x"}) for name in calls], [Text("the end.")]]
        events = await play(request(), scripted(script), deps=count)
        response = check_whole(events)
        items = [item for item in response.output if isinstance(item, ToolCall)]
        for item, name in zip(items, calls, strict=True):
            good = name in ("echo", "twice", "picture")
            assert item.status == ("completed" if good else "failed")
            assert (item.error is None, item.output is not None) == (good, good)
            steps = [
                event.type
                for event in events
                if isinstance(event, CallStatus) and event.item_id == item.id
            ]
            assert steps == [f"antiphon:tool_call.{step}" for step in ("in_progress", item.status)]

    anyio.run(law)


def test_what_code_prints_is_told_while_it_runs() -> None:
    async def law() -> None:
        backend = PaperSandboxes()
        script: Script = [[Call("code_interpreter", {"code": "hello"})], [Text("the end.")]]
        async for event in events_of(request(), scripted(script), tools=kit(backend)):
            if isinstance(event, CodeOutputDelta):
                assert backend.log == ["begin hello"], "the cell has not ended yet"
            if isinstance(event, TextDelta):
                assert backend.log == ["begin hello", "end hello"]

    anyio.run(law)
