"""Limits that whoever serves sets: checked when they are set, kept when somebody asks for more."""

import json
import math
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from antiphon.errors import ConfigurationError, ModelError
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text, model
from antiphon.provider import Provider
from antiphon.tools import tool

from .refusing import items, problem, provider
from .serving import BUILT_IN, exchange

pytestmark = pytest.mark.anyio

HI = {"role": "user", "content": "hi"}
PART = {"type": "input_text", "text": "hi"}


@pytest.mark.parametrize("value", [0, -1, True, "5", None], ids=repr)
@pytest.mark.parametrize(
    "name", ["max_body", "max_items", "max_turns", "body_seconds", "keep_alive"]
)
def test_a_limit_that_is_none_is_said_at_once(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected"):
        provider(**{name: value})


@pytest.mark.parametrize("name", ["body_seconds", "keep_alive"])
def test_seconds_are_a_number(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected"):
        provider(**{name: math.nan})
    provider(**{name: 0.5})


def test_a_dialect_that_nobody_speaks_is_said_at_once() -> None:
    wrong: Any = "opena1"
    with pytest.raises(ConfigurationError, match="openresponses, openai, got 'opena1'"):
        provider(dialect=wrong)


# --- items -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([HI] * 10, 200),
        ([HI] * 11, 400),
        ([{"role": "user", "content": [PART] * 9}], 200),
        ([{"role": "user", "content": [PART] * 10}], 400),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": ""}] * 10}], 400),
        ([{"type": "reasoning", "summary": [], "content": [PART] * 10}], 400),
        ([{"type": "x_new", "content": [PART] * 10}], 400),
    ],
)
async def test_items_and_their_parts_are_counted(given: list[Any], status: int) -> None:
    one = await exchange(provider(max_items=10), items(*given))
    assert one.status == status, one.body
    if status == 400:
        assert (problem(one)["param"], problem(one)["code"]) == ("input", "too_many_items")


async def test_a_flood_of_objects_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parse(body: bytes) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("antiphon.provider.responses.CreateResponse.parse", parse)
    many: list[Any] = [{}] * 101
    body = {"input": "x", "tools": [{"type": "x_new", "many": many}]}
    one = await exchange(provider(max_items=10), body)
    assert one.status == 400, one.body
    assert (problem(one)["param"], problem(one)["code"]) == ("input", "too_many_items")


@pytest.mark.parametrize("text", ["{" * 1000, '\\"{' * 1000, "\\\\{" * 1000 + "\\"])
async def test_braces_in_texts_are_no_objects(text: str) -> None:
    one = await exchange(provider(max_items=10), {"input": text, "user": "{"})
    assert one.status == 200, one.body


async def test_many_items_are_served_by_default() -> None:
    assert (await exchange(provider(), items(*[HI] * 2000))).status == 200


# --- turns -------------------------------------------------------------------


@tool
async def again() -> str:
    """Once more."""
    return "again"


async def test_a_model_s_turns_are_bounded() -> None:
    script = ScriptedModel([FunctionCall("again", {})] * 9)
    app = Provider(models=[script], tools=[again], max_turns=3)
    one = await exchange(app, {"input": "x", "tools": [BUILT_IN]})
    told = json.loads(one.body)
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_turns"})
    assert len(script.requests) == 3


async def test_what_is_too_long_is_shortened_where_the_client_allows_it() -> None:
    @model("narrow")
    async def narrow(request: ModelRequest) -> AsyncGenerator[Any, None]:
        if len(request.items) > 2:
            raise ModelError("maximum context length is 2 items", status=400)
        yield Text("ok")

    app = Provider(models=[narrow])
    body = items(*[HI] * 9)
    allowed = await exchange(app, {**body, "truncation": "auto"})
    strict = await exchange(app, body)
    assert json.loads(allowed.body)["output"][0]["content"][0]["text"] == "ok"
    assert json.loads(allowed.body)["truncation"] == "auto"
    assert json.loads(strict.body)["status"] == "failed"
