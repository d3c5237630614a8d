"""The obliging model does what it is asked, so that a provider can be tried with it."""

import json
from typing import Any

import pytest

from antiphon.agents import Agent, Result
from antiphon.items import Message, Reasoning
from antiphon.provider import Provider
from antiphon.testing.provider import obliging_model
from antiphon.tools import tool

from .serving import exchange

pytestmark = pytest.mark.anyio


@tool
async def get_weather(location: str) -> str:
    """The weather in a place.

    Args:
        location: The place.
    """
    return f"rain in {location}"


async def answer(asked: Any, **fields: Any) -> dict[str, Any]:
    app = Provider(models=[obliging_model])
    one = await exchange(app, {"input": asked, **fields})
    assert one.status == 200, one.body

    return json.loads(one.body)


def text(response: dict[str, Any]) -> str:
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


async def agent(asked: str) -> Result[str]:
    return await Agent(name="kit", model=obliging_model, tools=[get_weather]).run(asked)


async def test_it_calls_a_tool_that_is_named_and_tells_what_came_of_it() -> None:
    result = await agent("What's the weather like in San Francisco?")
    assert result.output_text == "The tools say: rain in San Francisco"


async def test_it_calls_a_tool_by_its_whole_name() -> None:
    result = await agent("How warm is it in Lisbon now? Use get_weather.")
    assert result.output_text == "The tools say: rain in Lisbon"


async def test_it_calls_once_for_each_place() -> None:
    result = await agent("What's the weather like in Paris and Tokyo?")
    assert result.output_text == "The tools say: rain in Paris; rain in Tokyo"


async def test_it_calls_nothing_that_nobody_named() -> None:
    result = await agent("Say hello.")
    assert [item.type for item in result.response.output] == ["message"]


FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "make_thing",
    "parameters": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ["a", "b"]},
            "count": {"type": "integer"},
            "size": {"type": ["number", "null"]},
            "good": {"type": "boolean"},
            "parts": {"type": "array"},
            "inner": {"type": "object", "properties": {"x": {}}, "required": ["x"]},
            "left_out": {"type": "string"},
        },
        "required": ["name", "kind", "count", "size", "good", "parts", "inner"],
    },
}


async def test_it_fills_arguments_by_their_schema() -> None:
    told = await answer("Hm.", tools=[FUNCTION], tool_choice="required")
    (call,) = told["output"]
    assert call["arguments"] == (
        '{"name": "Oslo", "kind": "a", "count": 1, "size": 1.5, "good": true, "parts": [], '
        '"inner": {"x": "Oslo"}}'
    )


ASK = "What's the weather like in Paris and Tokyo?"
WEATHER = {"type": "function", "name": "get_weather", "parameters": None}
TIME = {"type": "function", "name": "get_time", "parameters": None}
ONLY_TIME = [{"type": "function", "name": "get_time"}]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["get_weather", "get_weather"]),
        ({"parallel_tool_calls": False}, ["get_weather"]),
        ({"tool_choice": "none"}, []),
        ({"tool_choice": ONLY_TIME[0]}, ["get_time", "get_time"]),
        ({"tool_choice": {"type": "allowed_tools", "tools": ONLY_TIME}}, []),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": ONLY_TIME}},
            ["get_time", "get_time"],
        ),
        ({"tool_choice": {"type": "allowed_tools", "mode": "none", "tools": ONLY_TIME}}, []),
    ],
)
async def test_it_keeps_to_what_may_be_called(fields: dict[str, Any], names: list[str]) -> None:
    told = await answer(ASK, tools=[WEATHER, TIME], **fields)
    assert [item["name"] for item in told["output"] if item["type"] == "function_call"] == names


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Count from 3 to 6.", "3\n4\n5\n6"),
        ("Say the word kiwi, please.", "kiwi"),
        ("Say hello in exactly 3 words.", "Hello, dear friend."),
        ("What is my name?", "You never told me your name."),
        ("Tides?", "You said: Tides?"),
        ("", "Nobody has said anything."),
    ],
)
async def test_it_answers_by_rule(asked: str, said: str) -> None:
    assert text(await answer(asked)) == said


async def test_it_remembers_a_name() -> None:
    given = [{"role": "user", "content": say} for say in ("My name is Ada.", "What is my name?")]
    assert text(await answer(given)) == "Your name is Ada."


async def test_it_sees_what_is_not_text() -> None:
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
        {"type": "input_file", "file_data": "AA==", "filename": "a.txt"},
    ]
    assert text(await answer([{"role": "user", "content": parts}])) == "I see an image, a file."


async def test_it_writes_json_when_asked_to() -> None:
    schema: Any = {"type": "object", "properties": {"city": {}}, "required": ["city"]}
    form: Any = {"type": "json_schema", "name": "x", "schema": schema}
    assert text(await answer("A city.", text={"format": form})) == '{"city": "Oslo"}'
    form = {"type": "json_object"}
    assert text(await answer("A city.", text={"format": form})) == '{"answer": "Oslo"}'


@pytest.mark.parametrize(
    ("options", "thinks"),
    [
        ({"effort": "low"}, True),
        ({"summary": "auto"}, True),
        ({"effort": "none", "summary": "auto"}, False),
        ({}, False),
    ],
)
async def test_it_thinks_when_asked_to(options: dict[str, str], thinks: bool) -> None:
    told = await answer("Hm.", reasoning=options)
    assert [item["type"] for item in told["output"]] == ["reasoning", "message"][1 - thinks :]


async def test_it_stops_at_its_limit() -> None:
    told = await answer("Count from 1 to 100.", max_output_tokens=5)
    assert told["incomplete_details"] == {"reason": "max_output_tokens"}
    assert text(told) == "1\n2\n3\n4\n5"
    assert told["usage"]["output_tokens"] == 5


async def test_it_is_a_model_like_any_other() -> None:
    result = await Agent(name="a", model=obliging_model).run("Say the word pear.")
    assert isinstance(result.response.output[-1], Message)
    assert not any(isinstance(item, Reasoning) for item in result.response.output)
