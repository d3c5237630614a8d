"""The menu: which names there are, where they lead, and what cannot be declared."""

import logging
from typing import Any

import pytest

from antiphon.agents import Agent
from antiphon.errors import RequestError
from antiphon.items import ArgumentsDone, FunctionCall as FunctionCallItem, ItemAdded, ToolCall
from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.tools import tool

from .kit import asked, end_of, heard, own, play

pytestmark = pytest.mark.anyio

BUILT_IN = {"type": "mcp", "server_label": "antiphon", "connector_id": "antiphon"}
SEARCH: dict[str, Any] = {"type": "function", "name": "search"}


@tool
async def weather(city: str) -> str:
    """Today's weather in a city."""
    return f"sunny in {city}"


@tool
async def time(city: str) -> str:
    """The time in a city."""
    return "noon"


def group(name: str, *functions: str) -> dict[str, Any]:
    tools = [{"type": "function", "name": function} for function in functions]
    return {"type": "namespace", "name": name, "description": "", "tools": tools}


async def shown(*tools: dict[str, Any]) -> list[str]:
    """The names that the model is shown for these definitions."""
    model = ScriptedModel(["ok"])
    await play(asked(tools=[*tools]), model, [weather, time])
    return [one.name for one in model.requests[0].tools]


SHOWN: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([SEARCH], ["search"]),
    (own("time"), ["time"]),
    ([BUILT_IN], ["weather", "time"]),
    ([{**BUILT_IN, "allowed_tools": ["time"]}], ["time"]),
    ([{**BUILT_IN, "allowed_tools": {"tool_names": ["time"]}}], ["time"]),
    ([{**BUILT_IN, "allowed_tools": []}], []),
    ([group("crm", "find", "add")], ["crm__find", "crm__add"]),
    ([group("crm", "find"), group("shop", "find")], ["crm__find", "shop__find"]),
    ([group("weather", "weather"), *own("weather")], ["weather__weather", "weather"]),
    ([SEARCH, *own("time"), group("crm", "find")], ["search", "time", "crm__find"]),
    ([{"type": "web_search"}, SEARCH], ["search"]),
    ([{"type": "made_up", "name": "x"}], []),
    ([{"type": "code_interpreter", "container": {"type": "auto"}}], []),
]


@pytest.mark.parametrize(("tools", "names"), SHOWN)
async def test_the_model_is_shown_what_is_declared_and_can_be_called(
    tools: list[dict[str, Any]], names: list[str]
) -> None:
    assert await shown(*tools) == names


@pytest.mark.parametrize(
    ("tools", "param", "code"),
    [
        ([SEARCH, SEARCH], "tools[1].name", "duplicate_tool"),
        ([*own("time"), {**SEARCH, "name": "time"}], "tools[1].name", "duplicate_tool"),
        ([*own("time"), *own("time")], "tools[1].name", "duplicate_tool"),
        ([*own("time"), BUILT_IN], "tools[1]", "duplicate_tool"),
        ([group("crm", "find", "find")], "tools[0].tools[1].name", "duplicate_tool"),
        ([{**SEARCH, "name": "crm__find"}, group("crm", "find")], "tools[1].tools[0].name", None),
        (own("nowhere"), "tools[0].name", "tool_not_found"),
        ([{**BUILT_IN, "allowed_tools": ["nowhere"]}], "tools[0]", "tool_not_found"),
        (
            [SEARCH, {"type": "mcp", "server_label": "antiphon", "server_url": "https://x.org"}],
            "tools[1].server_label",
            "reserved_label",
        ),
        (
            [{**BUILT_IN, "server_url": "https://x.org"}],
            "tools[0].server_label",
            "invalid_value",
        ),
        ([{**BUILT_IN, "server_label": "other"}], "tools[0].server_label", "invalid_value"),
        (
            [{**BUILT_IN, "require_approval": "sometimes"}],
            "tools[0].require_approval",
            "invalid_value",
        ),
    ],
)
async def test_what_cannot_be_declared_is_refused_by_its_place(
    tools: list[dict[str, Any]], param: str, code: str | None
) -> None:
    with pytest.raises(RequestError) as caught:
        await shown(*tools)
    assert caught.value.param == param
    assert caught.value.status == 400
    assert caught.value.code == (code or "duplicate_tool")


async def test_an_agent_with_two_tools_of_one_name_is_refused() -> None:
    agent = Agent(name="a", model=ScriptedModel(["never"]), tools=[weather, weather])
    with pytest.raises(RequestError, match="'weather' is declared already"):
        await agent.run("Hi")


async def test_only_what_is_declared_can_be_called() -> None:
    model = ScriptedModel([FunctionCall("weather", {"city": "Oslo"}), "ok"])
    response = end_of(await play(asked(tools=own("time")), model, [weather, time]))
    call = response.output[0]
    assert isinstance(call, ToolCall) and call.status == "failed"
    assert call.error == "there is no tool named 'weather'; you may call: time"


async def test_tools_that_nobody_runs_are_one_short_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unknown = [{"type": f"x{number}\n" + "y" * 10_000} for number in range(50)]
    group = {"type": "namespace", "name": "n", "description": "", "tools": unknown}
    with caplog.at_level(logging.WARNING):
        await play(asked(tools=[{"type": "secret"}, group]), ScriptedModel(["ok"]))
    (record,) = caplog.records
    said = record.getMessage()
    assert "(51)" in said
    assert "tools[0] 'secret', tools[1].tools[0] 'x0" in said
    assert (len(said) < 1000, "\n" in said) == (True, False)


async def test_a_function_in_a_namespace_is_called_by_its_own_name() -> None:
    model = ScriptedModel([[Text("hm"), FunctionCall("crm__find", {"id": 1})]], fragment=3)
    events = await play(asked(tools=[group("crm", "find")]), model)
    call = end_of(events).output[1]
    assert isinstance(call, FunctionCallItem)
    assert (call.name, call.namespace, call.arguments) == ("find", "crm", '{"id":1}')
    added = [event for event in events if isinstance(event, ItemAdded)][1].item
    assert isinstance(added, FunctionCallItem)
    assert (added.name, added.namespace) == ("find", "crm")
    done = [event for event in events if isinstance(event, ArgumentsDone)]
    assert [event.name for event in done] == ["find"]


async def test_a_call_in_a_namespace_comes_back_under_the_name_that_the_model_knows() -> None:
    model = ScriptedModel([FunctionCall("crm__find", {"id": 1}), "ok"])
    tools = [group("crm", "find")]
    first = end_of(await play(asked(tools=tools), model)).output
    call: Any = first[0]
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": "Ann"}
    await play(asked([*first, answer], tools=tools), model)
    (read, output) = heard(model)
    assert (read["name"], read["arguments"]) == ("crm__find", '{"id":1}')
    assert "namespace" not in read
    assert output["output"] == "Ann"


async def test_a_long_name_in_a_namespace_leads_to_its_function() -> None:
    tools = [group("n" * 40, "f" * 40)]
    (name,) = await shown(*tools)
    assert len(name) <= 64
    model = ScriptedModel([FunctionCall(name, {})])
    call: Any = end_of(await play(asked(tools=tools), model)).output[0]
    assert (call.name, call.namespace) == ("f" * 40, "n" * 40)
