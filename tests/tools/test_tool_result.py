"""What a `@tool` gives: results as content, and progress on the way."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import anyio
import pytest

from antiphon.errors import ToolFailed
from antiphon.items import InputFile, InputImage, InputText, ToolCall, ToolProgress
from antiphon.testing.tool import SLOT, begin, check_call_events, play
from antiphon.tools import Progress, tool

from .receipts import Colour, Pair, Point, failure, gives, receipt

pytestmark = pytest.mark.anyio


# --- results


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ("text", "text"),
        ('"quoted"', '"quoted"'),
        ("", ""),
        (None, ""),
        (3, "3"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), '"NaN"'),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ([], "[]"),
        (Point(x=1), '{"x":1,"y":0}'),
        (Pair(1, 2), '{"a":1,"b":2}'),
        ([Point(x=1)], '[{"x":1,"y":0}]'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (Colour.RED, '"red"'),
        ("half \ud83d", "half \ufffd"),
    ],
    ids=repr,
)
async def test_a_result_reads_so(result: Any, output: str) -> None:
    assert (await gives(result)).output == output


async def test_parts_stay_parts() -> None:
    image = InputImage(image_url="data:image/png;base64,AA==")
    assert (await gives(image)).output == [image]
    several = ["look:", image, InputText(text="b"), InputFile(file_url="https://example.org/a")]
    assert (await gives(several)).output == [InputText(text="look:"), *several[1:]]


async def test_a_list_of_parts_and_other_things_is_a_failure() -> None:
    item = await gives([InputText(text="a"), 3])
    assert item.error is not None
    assert "a list of parts with a int in it" in item.error


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (b"\x00", "gave bytes, which a model cannot read"),
        (object(), "gave a object, which JSON cannot say"),
        ({"a": object()}, "gave a dict, which JSON cannot say"),
        ({"a": b"\xff"}, "gave a dict, which JSON cannot say"),
    ],
)
async def test_a_result_that_json_cannot_say_is_a_failure(result: Any, words: str) -> None:
    item = await gives(result)
    assert item.status == "failed"
    assert item.error is not None and words in item.error


async def test_a_result_that_contains_itself_is_a_failure() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert (await gives(loop)).status == "failed"


async def test_a_long_result_is_cut_with_a_note() -> None:
    item = await gives("x" * (1024 * 1024 + 5))
    assert isinstance(item.output, str)
    assert item.output.endswith("x\n[truncated: the first 1048576 of 1048581 characters]")
    parts = (await gives([InputText(text="x" * 1024 * 1024), InputText(text="yz")])).output
    assert isinstance(parts, list)
    assert parts[1] == InputText(text="\n[truncated: the first 0 of 2 characters]")


# --- progress


async def test_progress_is_told_as_it_comes_and_one_value_is_the_result() -> None:
    @tool
    async def count(to: int) -> AsyncIterator[Progress | str]:
        for number in range(to):
            yield Progress(f"at {number}", fraction=number / to)
        yield f"counted {to}"
        yield Progress("tidy", fraction=7)

    events = await play(count, '{"to": 2}')
    item = check_call_events(events)
    told = [event for event in events if isinstance(event, ToolProgress)]
    assert [(event.message, event.fraction) for event in told] == [
        ("at 0", 0.0),
        ("at 1", 0.5),
        ("tidy", 1.0),
    ]
    assert isinstance(item, ToolCall) and item.output == "counted 2"


@pytest.mark.parametrize(("results", "words"), [(0, "yielded no result"), (2, "two results")])
async def test_a_stream_with_another_number_of_results_fails(results: int, words: str) -> None:
    closed: list[bool] = []

    @tool
    async def give() -> AsyncIterator[int]:
        try:
            for number in range(results):
                yield number
        finally:
            closed.append(True)

    assert words in await failure(give)
    assert closed


async def test_a_stream_may_give_none_and_may_fail_after_progress() -> None:
    @tool
    async def give(fail: bool) -> AsyncIterator[Progress | None]:
        yield Progress("begun")
        if fail:
            raise ToolFailed("the disk is full")
        yield None

    assert (await receipt(give, {"fail": False})).output == ""
    assert await failure(give, {"fail": True}) == "the disk is full"


async def test_a_stream_over_time_is_stopped() -> None:
    @tool(timeout=0.01)
    async def give() -> AsyncIterator[Progress]:
        yield Progress("begun")
        await anyio.sleep_forever()

    with anyio.fail_after(60):
        assert "took longer than its 0.01 seconds" in await failure(give)


async def test_a_stream_whose_reader_leaves_is_closed() -> None:
    closed: list[bool] = []

    @tool
    async def give() -> AsyncIterator[Progress]:
        try:
            yield Progress("begun")
        finally:
            closed.append(True)

    call = begin(give)
    call.ready("{}")
    events: Any = call.run()
    assert (await anext(events)).item_id == SLOT.item_id
    await events.aclose()
    assert closed
