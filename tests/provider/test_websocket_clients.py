"""Real clients over the WebSocket: the `openai` SDK, sync and async, and openai-agents."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import importlib
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import ResponsesServerEvent

from antiphon.models import ModelRequest, Reasoning, ScriptedModel, Text, model
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter

from .serving import BUILT_IN, PATIENCE
from .voices import caller, climate, coder
from .websocketing import TERMINAL, served, socketed

pytestmark = pytest.mark.anyio

sdk: Any = importlib.import_module("agents")

KEY = "sk-test"
CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
CLASSES: set[type[Any]] = set(typing.get_args(typing.get_args(ResponsesServerEvent)[0]))


@model("counter")
async def counter(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Says how many items it was given."""
    yield Text(str(len(request.items)))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    plain = ScriptedModel([[Reasoning("hm"), Text("Hello.")]], name="plain", repeat=True)
    provider = Provider(
        models=[plain, caller, coder, counter],
        tools=[climate, CodeInterpreter(LocalSandboxes())],
        api_keys={KEY: "alice"},
    )
    with served(socketed(provider)) as base:
        yield base.replace("ws://", "http://")


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=PATIENCE) as made:
        yield made


# --- the openai SDK ----------------------------------------------------------


async def answer(line: Any, **fields: Any) -> list[Any]:
    """The events of one answer, each of a class of its own."""
    await line.response.create(**fields)
    events: list[Any] = []
    with anyio.fail_after(PATIENCE):
        while not events or events[-1].type not in TERMINAL:
            events.append(await line.recv())
            assert type(events[-1]) in CLASSES, events[-1]
    return events


async def test_the_sdk_goes_on_from_what_is_not_stored(client: AsyncOpenAI) -> None:
    async with client.responses.connect() as line:
        first = await answer(line, model="counter", input="a", store=False)
        after = first[-1].response.id
        second = await answer(
            line, model="counter", input="b", store=False, previous_response_id=after
        )
    assert first[-1].response.output_text == "1"
    assert second[-1].response.output_text == "3"
    assert [event.sequence_number for event in second] == list(range(len(second)))


async def test_the_sdk_is_spoken_to_in_its_dialect(client: AsyncOpenAI) -> None:
    async with client.responses.connect() as line:
        events = await answer(line, model="plain", input="Hi")
    assert "response.reasoning_text.delta" in [event.type for event in events]


async def test_the_sdk_warms_up(client: AsyncOpenAI) -> None:
    async with client.responses.connect() as line:
        warm = await answer(line, model="counter", input="a", store=False, generate=False)
        after = warm[-1].response.id
        assert warm[-1].response.output == []
        events = await answer(
            line, model="counter", input="b", store=False, previous_response_id=after
        )
    assert events[-1].response.output_text == "2"


async def test_the_sdk_sees_a_hosted_tool_and_its_streams_name(client: AsyncOpenAI) -> None:
    async with client.responses.connect() as line:
        events = await answer(
            line,
            model="coder",
            input="6 times 7?",
            tools=[CODE],
            include=["code_interpreter_call.outputs"],
            stream_id="one",
        )
    assert {event.stream_id for event in events} == {"one"}
    receipt = events[-1].response.output[0]
    assert (receipt.type, receipt.outputs[0].logs) == ("code_interpreter_call", "42\n")


async def test_the_sdk_reads_an_error_and_its_line_lives(client: AsyncOpenAI) -> None:
    async with client.responses.connect() as line:
        (event,) = await answer(line, model="counter", input="a", previous_response_id="resp_no")
        assert (event.status, event.error.code) == (400, "previous_response_not_found")
        assert event.error.param == "previous_response_id"
        events = await answer(line, model="counter", input="a")
    assert events[-1].response.output_text == "1"


async def test_the_sdk_connects_again_when_a_connections_time_is_over() -> None:
    again = anyio.Event()
    kinds: list[str] = []
    with served(socketed(Provider(models=[counter]), seconds=1)) as base:
        http = base.replace("ws://", "http://")
        async with (
            AsyncOpenAI(base_url=http, api_key=KEY) as client,
            client.responses.connect(
                on_reconnecting=lambda event: again.set(), initial_delay=0.01
            ) as line,
            anyio.create_task_group() as tasks,
        ):

            async def ask_again() -> None:
                await again.wait()
                await line.response.create(model="counter", input="a")

            tasks.start_soon(ask_again)
            with anyio.fail_after(PATIENCE):
                async for event in line:
                    kinds.append(event.type)
                    if event.type == "response.completed":
                        break
    assert kinds[:2] == ["error", "response.created"]


def test_the_sync_sdk_speaks_it_too(url: str) -> None:
    with (
        OpenAI(base_url=url, api_key=KEY, timeout=PATIENCE) as client,
        client.responses.connect() as line,
    ):
        line.response.create(model="caller", input="Oslo?", tools=[typing.cast("Any", BUILT_IN)])
        for event in line:
            if event.type == "response.completed":
                break
        else:
            raise AssertionError("it ended before its answer did")
    assert event.response.output_text == "It is mild in Oslo."


async def test_many_connections_of_the_sdk_at_once(client: AsyncOpenAI) -> None:
    texts: list[str] = []

    async def one() -> None:
        async with client.responses.connect() as line:
            events = await answer(line, model="coder", input="?", tools=[CODE])
            texts.append(events[-1].response.output_text)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one)
    assert texts == ["It printed 42\n"] * 5


# --- openai-agents -----------------------------------------------------------


def local_weather(city: str) -> str:
    """Today's weather."""
    return f"sunny in {city}"


@pytest.fixture
async def agent(client: AsyncOpenAI) -> AsyncIterator[Any]:
    made: list[Any] = []

    def agent_of(name: str, **fields: Any) -> Any:
        kind = sdk.OpenAIResponsesWSModel(model=name, openai_client=client)
        made.append(kind)
        return sdk.Agent(name="guide", model=kind, **fields)

    yield agent_of
    for kind in made:
        await kind.close()


async def run(agent: Any, given: Any, **options: Any) -> Any:
    config = sdk.RunConfig(tracing_disabled=True)
    return await sdk.Runner.run(agent, given, run_config=config, max_turns=3, **options)


async def test_agents_run_over_it(agent: Any) -> None:
    assert (await run(agent("plain", instructions="Be brief."), "Hi")).final_output == "Hello."


async def test_agents_stream_over_it(agent: Any) -> None:
    config = sdk.RunConfig(tracing_disabled=True)
    result = sdk.Runner.run_streamed(agent("plain"), "Hi", run_config=config)
    raw = [e.data.type async for e in result.stream_events() if e.type == "raw_response_event"]
    assert "response.reasoning_text.delta" in raw
    assert raw[-1] == "response.completed"
    assert result.final_output == "Hello."


@pytest.mark.parametrize("store", [True, False])
async def test_an_agent_calls_its_own_function_on_one_connection(agent: Any, store: bool) -> None:
    """With `store: false` its second turn goes on from what only this connection knows."""
    options = sdk.ModelSettings(store=store)
    made = agent("caller", tools=[sdk.function_tool(local_weather)], model_settings=options)
    result = await run(made, "Oslo?", auto_previous_response_id=True)
    assert result.final_output == "It is sunny in Oslo."
    replayed = await run(made, "Oslo?")
    assert replayed.final_output == "It is sunny in Oslo."


async def test_an_agent_uses_hosted_tools_over_it(agent: Any) -> None:
    hosted = agent("caller", tools=[sdk.HostedMCPTool(tool_config=BUILT_IN)])
    assert (await run(hosted, "Oslo?")).final_output == "It is mild in Oslo."
    code = agent("coder", tools=[sdk.CodeInterpreterTool(tool_config=CODE)])
    assert (await run(code, "6 times 7?")).final_output == "It printed 42\n"


async def test_an_agents_websocket_session_goes_on(url: str) -> None:
    sdk.set_tracing_disabled(True)
    async with sdk.responses_websocket_session(
        api_key=KEY, base_url=url, unknown_prefix_mode="model_id"
    ) as session:
        agent = sdk.Agent(
            name="guide", model="counter", model_settings=sdk.ModelSettings(store=False)
        )
        first = await session.run(agent, "a")
        second = await session.run(agent, "b", previous_response_id=first.last_response_id)
    assert (first.final_output, second.final_output) == ("1", "3")
