"""openai-agents drives the provider: its own loop above, ours below."""

# Its classes are loaded by name: at the root of this checkout stands our own room `agents`.

import importlib
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from antiphon.items import Message
from antiphon.models import ModelRequest, Reasoning, ScriptedModel, Text, model
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

from .serving import BUILT_IN, PATIENCE, serve
from .voices import caller, climate, coder

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
sdk: Any = importlib.import_module("agents")

REPLAYED: list[list[str]] = []
"""The types of the items that the model `counter` was asked with, for each time."""


class City(BaseModel):
    name: str
    people: int


@model("counter")
async def counter(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Says how many user messages there are."""
    REPLAYED.append([item.type for item in request.items])
    asked = [item for item in request.items if isinstance(item, Message) and item.role == "user"]
    yield Text(str(len(asked)))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    answer = ScriptedModel(['{"name": "Oslo", "people": 717710}'], name="json", repeat=True)
    plain = ScriptedModel([[Reasoning("hm"), Text("Hello.")]], name="plain", repeat=True)
    models = [plain, caller, coder, counter, answer]
    provider = Provider(models=models, tools=[climate, CodeInterpreter(LocalSandboxes())])
    with serve(provider) as base:
        yield f"{base}/v1"


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE) as made:
        yield made


def agent_of(client: AsyncOpenAI, name: str, **fields: Any) -> Any:
    return sdk.Agent(
        name="guide", model=sdk.OpenAIResponsesModel(model=name, openai_client=client), **fields
    )


async def run(agent: Any, given: Any, **options: Any) -> Any:
    config = sdk.RunConfig(tracing_disabled=True)
    return await sdk.Runner.run(agent, given, run_config=config, max_turns=3, **options)


async def streamed(agent: Any, given: Any, **options: Any) -> tuple[Any, list[Any]]:
    config = sdk.RunConfig(tracing_disabled=True)
    result = sdk.Runner.run_streamed(agent, given, run_config=config, max_turns=3, **options)
    return result, [event async for event in result.stream_events()]


def test_agents_is_the_package_and_not_our_room() -> None:
    assert os.environ.get("PYTHONSAFEPATH"), "run the tests with PYTHONSAFEPATH=1"
    assert str(ROOT) not in sys.path
    found = Path(sdk.__file__)
    assert "site-packages" in found.parts, f"`agents` is {found}"


async def test_a_plain_answer(client: AsyncOpenAI) -> None:
    result = await run(agent_of(client, "plain", instructions="Be brief."), "Hi")
    assert result.final_output == "Hello."


async def test_a_plain_answer_streamed(client: AsyncOpenAI) -> None:
    result, events = await streamed(agent_of(client, "plain"), "Hi")
    assert result.final_output == "Hello."
    raw = [event.data.type for event in events if event.type == "raw_response_event"]
    assert "response.reasoning_text.delta" in raw
    assert raw[-1] == "response.completed"


def local_weather(city: str) -> str:
    """Today's weather."""
    return f"sunny in {city}"


async def test_a_function_tool_goes_round(client: AsyncOpenAI) -> None:
    agent = agent_of(client, "caller", tools=[sdk.function_tool(local_weather)])
    result = await run(agent, "Oslo?")
    assert result.final_output == "It is sunny in Oslo."
    again, _ = await streamed(agent, "Oslo?")
    assert again.final_output == "It is sunny in Oslo."


async def test_a_function_tool_goes_round_by_previous_response_id(client: AsyncOpenAI) -> None:
    agent = agent_of(client, "caller", tools=[sdk.function_tool(local_weather)])
    result = await run(agent, "Oslo?", auto_previous_response_id=True)
    assert result.final_output == "It is sunny in Oslo."


CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}


async def test_the_hosted_code_interpreter(client: AsyncOpenAI) -> None:
    agent = agent_of(client, "coder", tools=[sdk.CodeInterpreterTool(tool_config=CODE)])
    result = await run(agent, "6 times 7?")
    assert result.final_output == "It printed 42\n"
    again, events = await streamed(agent, "6 times 7?")
    assert again.final_output == "It printed 42\n"
    raw = [event.data.type for event in events if event.type == "raw_response_event"]
    assert "response.code_interpreter_call.interpreting" in raw


async def test_a_provider_run_function_by_the_hosted_mcp_tool(client: AsyncOpenAI) -> None:
    agent = agent_of(client, "caller", tools=[sdk.HostedMCPTool(tool_config=BUILT_IN)])
    result = await run(agent, "Oslo?")
    assert result.final_output == "It is mild in Oslo."
    assert [item.raw_item.type for item in result.new_items] == ["reasoning", "mcp_call", "message"]
    again, _ = await streamed(agent, "Oslo?")
    assert again.final_output == "It is mild in Oslo."


async def test_a_structured_output(client: AsyncOpenAI) -> None:
    result = await run(agent_of(client, "json", output_type=City), "Which city?")
    assert result.final_output == City(name="Oslo", people=717710)


async def test_a_session_replays_its_items(client: AsyncOpenAI) -> None:
    session = sdk.SQLiteSession("one")
    try:
        agent = agent_of(client, "counter")
        assert (await run(agent, "One", session=session)).final_output == "1"
        assert (await run(agent, "Two", session=session)).final_output == "2"
    finally:
        session.close()


@pytest.mark.parametrize(
    ("name", "tools", "read"),
    [
        ("plain", [], ["message", "reasoning", "message"]),
        (
            "caller",
            [sdk.HostedMCPTool(tool_config=BUILT_IN)],
            ["message", "reasoning", "function_call", "function_call_output", "message"],
        ),
        (
            "caller",
            [sdk.function_tool(local_weather)],
            ["message", "reasoning", "function_call", "function_call_output", "message"],
        ),
        (
            "coder",
            [sdk.CodeInterpreterTool(tool_config=CODE)],
            ["message", "function_call", "function_call_output", "message"],
        ),
    ],
    ids=["reasoning", "hosted function", "own function", "code"],
)
async def test_what_a_run_gave_is_taken_back(
    client: AsyncOpenAI, name: str, tools: list[Any], read: list[str]
) -> None:
    first = await run(agent_of(client, name, tools=tools), "Go on.")
    REPLAYED.clear()
    given = [*first.to_input_list(), {"role": "user", "content": "And?"}]
    assert (await run(agent_of(client, "counter"), given)).final_output == "2"
    assert REPLAYED == [[*read, "message"]]
