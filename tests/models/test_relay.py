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
