"""Servers whose terminal response and whose stream do not say the same."""

from typing import TYPE_CHECKING, Any

import pytest

from antiphon.items import Event, ItemAdded, ItemDone, Json, fold
from antiphon.models import ModelRequest, ResponsesModel

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

pytestmark = pytest.mark.anyio


def call(item_id: str, call_id: str, **more: Any) -> Json:
    return {
        "type": "function_call",
        "id": item_id,
        "call_id": call_id,
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    } | more


def message(item_id: str, text: str = "") -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    status = "completed" if text else "in_progress"
    head = {"type": "message", "id": item_id, "role": "assistant"}
    return head | {"status": status, "content": content}


def added(index: int, item: Json) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: Json) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def ended(*output: Json) -> Json:
    response = {"status": "completed", "output": list(output)}
    return {"type": "response.completed", "response": response}


M, N = message("m", "a"), message("n", "b")
C, D = call("x", "c1"), call("y", "c2")


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        pytest.param([added(5, C), done(5, C), ended(C)], ["x"], id="another place"),
        pytest.param([added(1, M), done(1, M), ended(M)], ["m"], id="a place too far"),
        pytest.param(
            [added(0, C), done(0, C), ended(call("z", "c1"))], ["x"], id="another id, same call"
        ),
        pytest.param(
            [added(0, M), done(0, M), ended(message("z", "a"))], ["m"], id="an id for each event"
        ),
        pytest.param(
            [added(3, M), done(3, M), ended(message("z", "a"))], ["m"], id="neither id nor place"
        ),
        pytest.param([added(1, C), done(1, C), ended(D, C)], ["x", "y"], id="one never streamed"),
        pytest.param([added(0, C), done(0, C), ended(D)], ["x", "y"], id="another call"),
        pytest.param([added(4, M), ended(N, M)], ["m", "n"], id="never finished"),
        pytest.param(
            [added(0, M), added(0, M), done(0, M), added(0, M), done(0, M), ended(M)],
            ["m"],
            id="added again after its end",
        ),
        pytest.param([ended(M, M)], ["m", "m"], id="one id for all"),
        pytest.param(
            [added(0, message("m")), done(0, M), added(1, C | {"id": "m"}), ended(M, C)],
            ["m", "m"],
            id="one id for two classes",
        ),
    ],
)
async def test_each_item_is_told_once_wherever_the_response_lists_it(
    stream: list[Json],
    said: list[str],
    server: "Server",
    reply: "type[Reply]",
    sse: Any,
    listen: "Listen",
) -> None:
    server.plays(reply([sse(*stream)]))
    asked = ResponsesModel("m", base_url=server.url)
    events: list[Event] = await listen(asked, ModelRequest(items=[]))
    await asked.aclose()
    places = [event.output_index for event in events if isinstance(event, ItemAdded)]
    ends = {event.output_index for event in events if isinstance(event, ItemDone)}
    assert len(places) == len(set(places)) and set(places) == ends
    starts = [event.item.id for event in events if isinstance(event, ItemAdded)]
    assert starts == said
    assert len(fold(events).output) == len(said)


def inside(name: str, **fields: Any) -> Json:
    return {"type": f"response.{name}", "item_id": "m", "output_index": 0, **fields}


def begun(name: str = "content_part", place: str = "content_index", **part: Any) -> Json:
    return inside(f"{name}.added", **{place: 0}, part=part)


TEXT: Json = {"type": "output_text", "text": "a", "annotations": []}
SUMMARY: Json = {"type": "summary_text", "text": "hm"}
THOUGHT: Json = {"type": "reasoning", "id": "m", "summary": [SUMMARY]}
WRITTEN = inside("output_text.done", content_index=0, text="a", logprobs=[])
OPENED = [added(0, message("m")), begun(type="output_text", text="", annotations=[])]
THINKING = [
    added(0, THOUGHT | {"summary": []}),
    begun("reasoning_summary_part", "summary_index", type="summary_text", text=""),
]
SAID = ["output_text.done", "content_part.done", "output_item.done"]
THOUGHT_OVER = ["reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"]


@pytest.mark.parametrize(
    ("stream", "ends"),
    [
        pytest.param([*OPENED, done(0, M), ended(M)], SAID, id="a text"),
        pytest.param([*OPENED, ended(M)], SAID, id="a text and its message"),
        pytest.param([*OPENED, WRITTEN, done(0, M), ended(M)], SAID, id="a part"),
        pytest.param([*THINKING, done(0, THOUGHT), ended(THOUGHT)], THOUGHT_OVER, id="a summary"),
        pytest.param(
            [added(0, C | {"arguments": ""}), done(0, C), ended(C)],
            ["function_call_arguments.done", "output_item.done"],
            id="arguments",
        ),
        pytest.param(
            [added(0, message("m")), WRITTEN, done(0, M), ended(M)],
            ["output_text.done", "output_item.done"],
            id="a part that was never begun has no end",
        ),
    ],
)
async def test_what_a_server_leaves_open_is_ended_before_its_item(
    stream: list[Json],
    ends: list[str],
    server: "Server",
    reply: "type[Reply]",
    sse: Any,
    listen: "Listen",
) -> None:
    server.plays(reply([sse(*stream)]))
    asked = ResponsesModel("m", base_url=server.url)
    events: list[Event] = await listen(asked, ModelRequest(items=[]))
    await asked.aclose()
    told = [event.type.removeprefix("response.") for event in events]
    assert [name for name in told if name.endswith(".done")] == ends
    texts = {getattr(event, "text", None) for event in events} - {None}
    assert texts <= {"a", "hm"}
