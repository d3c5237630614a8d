"""The context: a call and its output stand together, whatever a client sends."""

from typing import Any

import pytest

from antiphon.agents import loop
from antiphon.errors import RequestError
from antiphon.items import ITEMS
from antiphon.models import ScriptedModel

from .kit import asked, heard, play

pytestmark = pytest.mark.anyio

NOTE = "[no output was given for this call]"


def call(name: str, *, call_id: str | None = None) -> dict[str, Any]:
    call_id = call_id or f"call_{name}"
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"}


def output(name: str, text: str | None = None) -> dict[str, Any]:
    text = text or f"out {name}"
    return {"type": "function_call_output", "call_id": f"call_{name}", "output": text}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def short(item: dict[str, Any]) -> str:
    kind = item["type"]
    if kind == "function_call":
        return f"call {item['name']}"
    if kind == "function_call_output":
        return item["output"]
    return "thought" if kind == "reasoning" else item["content"]


async def read(
    given: list[dict[str, Any]], history: list[dict[str, Any]] | None = None
) -> list[str]:
    model = ScriptedModel(["ok"])
    before = ITEMS.validate_python(history or [])
    await play(asked(given), model, history=before)
    return [short(item) for item in heard(model)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([call("a"), output("a")], ["call a", "out a"]),
        (
            [call("a"), call("b"), output("b"), output("a")],
            ["call a", "call b", "out a", "out b"],
        ),
        (
            [call("a"), said("x"), output("a"), said("y")],
            ["call a", "out a", "x", "y"],
        ),
        (
            [call("a"), thought("hm"), call("b"), output("a"), output("b")],
            ["call a", "out a", "thought", "call b", "out b"],
        ),
        ([thought("hm"), call("a"), output("a")], ["thought", "call a", "out a"]),
        ([call("a")], ["call a", NOTE]),
        ([call("a"), said("x")], ["call a", NOTE, "x"]),
        (
            [call("a"), call("b"), output("b"), said("x")],
            ["call a", "call b", NOTE, "out b", "x"],
        ),
        (
            [call("a"), output("a", "1"), call("a"), output("a", "2")],
            ["call a", "1", "call a", "2"],
        ),
    ],
)
async def test_every_call_is_followed_by_its_output(
    given: list[dict[str, Any]], expected: list[str]
) -> None:
    assert await read(given) == expected


@pytest.mark.parametrize(
    ("given", "position"),
    [
        ([output("a")], 0),
        ([said("x"), output("a")], 1),
        ([call("b"), output("b"), output("a"), said("x")], 2),
        ([output("a"), call("a")], 0),
    ],
)
async def test_an_output_that_answers_no_call_is_refused_by_its_place(
    given: list[dict[str, Any]], position: int
) -> None:
    with pytest.raises(RequestError, match="'call_a'") as caught:
        await read(given)
    assert caught.value.param == f"input[{position}].call_id"
    assert caught.value.status == 400


async def test_an_output_may_answer_a_call_of_the_history() -> None:
    history = [said("x"), call("a"), call("b")]
    assert await read([output("b"), output("a")], history) == [
        "x",
        "call a",
        "call b",
        "out a",
        "out b",
    ]
    assert await read([said("y")], history) == ["x", "call a", "call b", NOTE, NOTE, "y"]


async def test_items_without_ids_get_calls_of_their_own() -> None:
    """Hosted items that a client replays without ids are told apart, wherever they come from."""
    hosted = {
        "type": "mcp_call",
        "server_label": "shop",
        "name": "price",
        "arguments": "{}",
        "output": "3",
    }
    model = ScriptedModel(["ok"])
    history = ITEMS.validate_python([hosted, hosted])
    await play(asked([hosted, hosted]), model, history=history)
    read = heard(model)
    assert [item["type"] for item in read] == ["function_call", "function_call_output"] * 4
    calls = [item["call_id"] for item in read]
    assert calls[::2] == calls[1::2]
    assert len(set(calls)) == 4, "two calls bear one id"


@pytest.mark.parametrize(
    ("item", "code", "status"),
    [
        ({"type": "item_reference", "id": "msg_1"}, "item_not_found", 404),
        ({"type": "compaction", "encrypted_content": "x"}, "unreadable_compaction", 400),
        (
            {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
            "approval_not_found",
            400,
        ),
        (
            {"type": "antiphon:approval_response", "approval_request_id": "a", "approve": True},
            "approval_not_found",
            400,
        ),
    ],
)
def test_what_cannot_be_read_here_is_refused_at_once(
    item: dict[str, Any], code: str, status: int
) -> None:
    with pytest.raises(RequestError) as caught:
        loop(asked([said("x"), item]), model=ScriptedModel(["never"]))
    assert caught.value.param == "input[1]"
    assert (caught.value.code, caught.value.status) == (code, status)


async def test_items_that_say_nothing_to_a_model_are_left_out() -> None:
    listing: dict[str, Any] = {
        "type": "mcp_list_tools",
        "server_label": "shop",
        "tools": [],
        "error": None,
    }
    unknown = {"type": "made_up", "id": "x", "anything": [1]}
    assert await read([said("x"), listing, unknown, said("y")]) == ["x", "y"]
