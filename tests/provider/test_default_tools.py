"""The operator's default tools, and the client's own: the client's definition wins."""

from typing import Any

import pytest

from antiphon.agents import Agent
from antiphon.items import FunctionTool
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import tool

from .keeping import fault
from .serving import BUILT_IN, EXTENDED, exchange

pytestmark = pytest.mark.anyio


@tool
async def tide() -> str:
    """The tide."""
    return "high"


@tool
async def moon() -> str:
    """The moon."""
    return "full"


OWN = {"type": "antiphon:function", "name": "tide"}
FOREIGN = {"type": "mcp", "server_label": "wiki", "server_url": "https://x.example"}
AGENT: dict[str, Any] = {"type": "antiphon:agent", "name": "reader", "model": "small"}


async def seen(default: dict[str, Any], *tools: dict[str, Any]) -> list[str]:
    """The menu of a request with these tools."""
    script = ScriptedModel(["hi"], name="m")
    app = Provider(models=[script], tools=[tide, moon], default_tools=[default])
    one = await exchange(app, {"input": "x", "tools": list(tools)})
    assert one.status == 200, one.body
    return [function.name for function in script.requests[0].tools]


async def test_another_mcp_server_of_the_client_s_displaces_none_of_the_defaults() -> None:
    assert await seen(BUILT_IN, FOREIGN) == ["tide", "moon"]


async def test_the_same_mcp_server_is_declared_once() -> None:
    assert await seen(BUILT_IN, {**BUILT_IN, "allowed_tools": ["moon"]}) == ["moon"]


@pytest.mark.parametrize(
    "declared",
    [{"type": "function", "name": "tide"}, OWN, {**BUILT_IN, "allowed_tools": ["tide"]}],
    ids=["its own function", "the provider's", "the provider's by mcp"],
)
async def test_a_client_s_function_displaces_the_default_of_its_name(
    declared: dict[str, Any],
) -> None:
    assert await seen(OWN, declared) == ["tide"]


@pytest.mark.parametrize("declared", [{"type": "function", "name": "tide"}, OWN])
async def test_a_default_server_keeps_the_functions_that_the_client_has_no_own_of(
    declared: dict[str, Any],
) -> None:
    assert await seen(BUILT_IN, declared) == ["tide", "moon"]


@pytest.mark.parametrize("names", [5, {"t": 1}, [{}], [5]], ids=repr)
async def test_names_that_are_none_are_the_client_s_fault(names: Any) -> None:
    app = Provider(models=[ScriptedModel(["hi"])], tools=[tide], default_tools=[OWN])
    declared = {**BUILT_IN, "allowed_tools": {"tool_names": names}}
    one = await exchange(app, {"input": "x", "tools": [declared]})
    assert one.status == 400, one.body
    assert fault(one)["param"].startswith("tools[0]")


# --- agents inside requests --------------------------------------------------


def calling(small: Any, **options: Any) -> Provider:
    big = ScriptedModel([FunctionCall("reader", {"input": "q"}), "end"], name="big")
    options.setdefault("models", [big, small])
    return Provider(tools=[tide, moon], default_tools=[OWN], **options)


async def test_an_inline_agent_has_the_tools_that_it_was_given_and_no_others() -> None:
    menus: list[list[str]] = []
    for tools in [], [BUILT_IN]:
        small = ScriptedModel(["read"], name="small")
        body = {"model": "big", "input": "x", "tools": [{**AGENT, "tools": tools}]}
        one = await exchange(calling(small), body, headers=EXTENDED)
        assert one.status == 200, one.body
        menus.append([function.name for function in small.requests[0].tools])
    assert menus == [[], ["tide", "moon"]]


@pytest.mark.parametrize("own", [tide, FunctionTool(name="ask")], ids=["twice", "for a client"])
async def test_an_inline_agent_that_cannot_run_is_refused_before_anything_is_created(
    own: Any,
) -> None:
    served = Agent(name="small", model=ScriptedModel([]), tools=[own])
    big = ScriptedModel([], name="big")
    app = Provider(models=[big], agents=[served], tools=[tide])
    body = {"model": "big", "input": "x", "tools": [{**AGENT, "tools": [OWN]}]}
    one = await exchange(app, body, headers=EXTENDED)
    assert one.status == 400, one.body
    assert fault(one)["param"] in ("tools[0].tools", "tools[0].model")
    assert big.requests == []
