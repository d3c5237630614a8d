"""The code interpreter over sandboxes that do as they are told: events, receipts, containers."""

import json
from base64 import b64decode
from typing import Any

import pytest

from antiphon.errors import (
    SandboxBusy,
    SandboxError,
)
from antiphon.items import (
    CodeDelta,
    CodeInterpreterCall,
    CodeInterpreterTool,
    CodeOutputDelta,
    Event,
    Html,
    Image,
    Logs,
)
from antiphon.sandboxes import (
    CellEvent,
    Display,
    Finished,
    Output,
    Sandboxes,
    Started,
)
from antiphon.testing.tool import begin, check_call_events, check_hosted_tool, play
from antiphon.tools import CodeInterpreter, HostedTool, Scope

from .conftest import OK, FakeSandboxes

pytestmark = pytest.mark.anyio

PNG = Display("image/png", b"\x89PNG", "<Figure>")
AUTO = CodeInterpreterTool()


def written(code: str) -> str:
    return json.dumps({"code": code})


def receipt(events: list[Event]) -> CodeInterpreterCall:
    item = check_call_events(events)
    assert isinstance(item, CodeInterpreterCall)
    return item


async def ran(*script: CellEvent | Exception, code: str = "1") -> CodeInterpreterCall:
    """The receipt of one cell that does this."""
    (offer,) = CodeInterpreter(FakeSandboxes(*script)).offers(AUTO, Scope())
    return receipt(await play(offer, written(code)))


def logs(item: CodeInterpreterCall) -> str:
    assert item.outputs is not None
    return "".join(part.logs for part in item.outputs if isinstance(part, Logs))


async def test_it_keeps_the_conformance_of_hosted_tools() -> None:
    sandboxes: Sandboxes = FakeSandboxes()
    tool: HostedTool = CodeInterpreter(sandboxes)
    (item,) = await check_hosted_tool(tool, AUTO, written("print('é')\n"))
    assert isinstance(item, CodeInterpreterCall) and item.code == "print('é')\n"


async def test_the_events_of_a_cell_come_in_the_order_of_the_wire() -> None:
    said = Output("stdout", "1\n")
    (offer,) = CodeInterpreter(FakeSandboxes(Started(), said, OK)).offers(AUTO, Scope())
    events = await play(offer, '{"code":"print(1)\\n"}', cuts=10)

    assert [event.type.removeprefix("response.") for event in events] == [
        "output_item.added",
        "code_interpreter_call.in_progress",
        "code_interpreter_call_code.delta",
        "code_interpreter_call_code.delta",
        "code_interpreter_call_code.done",
        "code_interpreter_call.interpreting",
        "antiphon:code_interpreter_call.output",
        "code_interpreter_call.completed",
        "output_item.done",
    ]
    assert [event.delta for event in events if isinstance(event, CodeDelta)] == ["p", "rint(1)\n"]
    added: Any = events[0]
    assert added.item == CodeInterpreterCall(
        id="item_1", status="in_progress", container_id="cntr_0", code="", outputs=None
    )
    assert receipt(events).outputs == [Logs(logs="1\n")]


async def test_a_whole_call_gets_one_delta_even_if_no_fragment_came() -> None:
    (offer,) = CodeInterpreter(FakeSandboxes()).offers(AUTO, Scope())
    call = begin(offer)
    told = [*call.open(), *call.ready(written("a = 1"))]
    assert [event.delta for event in told if isinstance(event, CodeDelta)] == ["a = 1"]


async def test_output_values_and_images_are_in_the_receipt() -> None:
    item = await ran(
        Started(),
        Output("stdout", "out"),
        Output("stderr", "err"),
        Display("text/plain", b"42"),
        Display("text/html", b"<b>table</b>", "table"),
        PNG,
        Display("image/svg+xml", b"<svg/>", None),
        Display("text/html", b"<i>only</i>", None),
        OK,
    )
    assert item.outputs is not None
    assert item.outputs[0] == Logs(logs="outerr\n42\ntable\n<i>only</i>\n")
    urls = [part.url.split(",") for part in item.outputs if isinstance(part, Image)]
    assert [head for head, _ in urls] == ["data:image/png;base64", "data:image/svg+xml;base64"]
    assert [b64decode(body) for _, body in urls] == [b"\x89PNG", b"<svg/>"]


async def test_a_cell_without_output_has_an_empty_list_and_not_null() -> None:
    assert (await ran(Started(), OK)).outputs == []


async def test_code_that_raises_is_completed_with_its_traceback() -> None:
    item = await ran(Started(), Output("stdout", "a"), Finished("error", "ValueError: b", False, 1))
    assert (item.status, logs(item)) == ("completed", "a\nValueError: b\n")


@pytest.mark.parametrize("status", ["timeout", "crashed", "cancelled"])
async def test_code_that_was_stopped_has_failed_with_the_reason(status: Any) -> None:
    item = await ran(Started(), Output("stdout", "a\n"), Finished(status, "It died.", True, 2))
    assert item.status == "failed"
    assert logs(item) == "a\nIt died.\n[State was lost: interpreter generation 2 comes next.]\n"


async def test_lost_state_is_said_before_the_output_of_the_next_cell() -> None:
    item = await ran(Started(), Output("stdout", "a\n"), Finished("ok", None, True, 3))
    assert item.status == "completed"
    note, rest = logs(item).split("\n", 1)
    assert "State was lost before this cell" in note and "generation 3" in note
    assert rest == "a\n"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SandboxBusy("All are taken.", retry_after=3.2), "All are taken. Try again in 3 seconds."),
        (SandboxError("There is no engine."), "There is no engine."),
        (OSError("broken pipe"), "`code_interpreter` failed: OSError: broken pipe"),
    ],
    ids=repr,
)
async def test_code_that_could_not_run_has_failed_and_never_was_interpreting(
    error: Exception, words: str
) -> None:
    (offer,) = CodeInterpreter(FakeSandboxes(error)).offers(AUTO, Scope())
    events = await play(offer, written("1"))
    assert logs(receipt(events)) == words + "\n"
    assert not any(event.type.endswith(".interpreting") for event in events)


async def test_a_sandbox_that_never_says_how_a_cell_ended_has_failed_it() -> None:
    item = await ran(Started(), Output("stdout", "a"))
    assert (item.status, logs(item)) == ("failed", "a\nThe sandbox fell silent.\n")


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        ('{"code": "a = ', "are not JSON", "a = "),
        ("print(1)", "are not JSON", ""),
        ("[" * 100_000, "are not JSON", ""),
        ('{"code": 1}', "no `code` that is a string", ""),
        ('["code"]', "no `code` that is a string", ""),
        ('{"code": "a", "code": "b"}', "hold `code` twice", "a"),
    ],
    ids=["cut", "bare", "deep", "number", "list", "twice"],
)
async def test_malformed_arguments_fail_with_words_and_run_nothing(
    arguments: str, words: str, code: str
) -> None:
    sandboxes = FakeSandboxes()
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    item = receipt(await play(offer, arguments, cuts=1000))
    assert (item.status, item.code, sandboxes.opened) == ("failed", code, {})
    assert words in logs(item) and "Call it again" in logs(item)


async def test_bare_line_breaks_and_lone_surrogates_in_the_code_are_taken() -> None:
    sandboxes = FakeSandboxes()
    (offer,) = CodeInterpreter(sandboxes).offers(AUTO, Scope())
    await play(offer, '{"code": "a = 1\nb = \'\\ud83d\'"}', cuts=1)
    assert sandboxes.opened["cntr_0"].cells == ["a = 1\nb = '\ufffd'"]


async def test_long_output_is_kept_at_both_ends() -> None:
    script = [Output("stdout", f"{n:07}\n" * 1_000) for n in range(100)]
    item = await ran(Started(), *script, OK)
    kept = logs(item)
    assert kept.startswith("0000000\n") and kept.endswith("0000099\n")
    assert f"[{800_000 - 256 * 1024} characters left out]" in kept
    assert len(kept) < 256 * 1024 + 100


async def test_images_over_the_bound_are_left_out_with_a_note() -> None:
    large = Display("image/png", b"x" * (9 * 1024 * 1024), None)
    item = await ran(Started(), large, large, PNG, OK)
    assert item.outputs is not None
    assert sum(isinstance(part, Image) for part in item.outputs) == 2
    assert logs(item) == "[1 images left out: too large]\n"


async def test_tables_are_kept_as_html_too_up_to_a_bound() -> None:
    table = Display("text/html", b"<b>1</b>", "1")
    large = Display("text/html", b"x" * (1024 * 1024), "large")
    item = await ran(Started(), table, large, table, OK)
    assert item.outputs == [Logs(logs="1\nlarge\n1\n"), *[Html(html="<b>1</b>")] * 2]


async def test_unreadable_output_is_repaired() -> None:
    (offer,) = CodeInterpreter(FakeSandboxes(Started(), Output("stderr", "\ud83d"), OK)).offers(
        AUTO, Scope()
    )
    events = await play(offer, written("1"))
    (told,) = [event for event in events if isinstance(event, CodeOutputDelta)]
    assert (told.stream, told.delta, logs(receipt(events))) == ("stderr", "\ufffd", "\ufffd")
