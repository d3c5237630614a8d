"""Real clients, and a hosted tool of a type that none of them has ever heard of."""

# Its classes are loaded by name: at the root of this checkout stands our own room `agents`.
# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from antiphon.items import FunctionCallOutput, Message
from antiphon.models import FunctionCall, ModelRequest, Text, model
from antiphon.provider import Provider
from tests.tools.own_tools import Tally, units

from .serving import BUILT_IN, PATIENCE, serve
from .talking import checked, kinds, played, strictly

pytestmark = pytest.mark.anyio

sdk: Any = importlib.import_module("agents")
UNITS: Any = {"type": "acme:units", "digits": 1}
CALLS: dict[str, Any] = {
    "acme__units": {"value": 26.2, "source": "mi", "target": "km"},
    "acme__tally": {"text": "a b\na"},
}
READ: list[list[str]] = []


@model("acme")
async def acme(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Calls the one tool of a new question, and says what came of it."""
    READ.append([item.to_json().decode() for item in request.items])
    last = request.items[-1]
    if isinstance(last, FunctionCallOutput):
        yield Text(f"It says: {last.output}")
    elif isinstance(last, Message) and last.text.endswith("?") and request.tools:
        yield FunctionCall(request.tools[0].name, CALLS[request.tools[0].name])
    else:
        yield Text("You are welcome.")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(Provider(models=[acme], tools=[units, units.tool, Tally()])) as base:
        yield f"{base}/v1"


@pytest.fixture(scope="module")
def adding() -> Iterator[str]:
    """A provider that gives its tool to every request."""
    app = Provider(models=[acme], tools=[units], default_tools=[UNITS])
    with serve(app) as base:
        yield f"{base}/v1"


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE) as made:
        yield made


@pytest.fixture
async def aclient(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE) as made:
        yield made


def strangers(url: str) -> OpenAI:
    return OpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE)


# --- the openai SDK ----------------------------------------------------------


def test_the_openai_sdk_declares_the_type_and_reads_an_mcp_call(client: OpenAI) -> None:
    response = client.responses.create(model="acme", input="How far?", tools=[UNITS])
    call = response.output[0]
    assert call.type == "mcp_call"
    assert (call.name, call.output, call.error) == ("acme__units", "42.2 km", None)
    assert response.output_text == "It says: 42.2 km"


@pytest.mark.parametrize("tool", [UNITS, {"type": "acme:tally"}], ids=["function", "by hand"])
def test_every_event_that_the_openai_sdk_gets_is_one_that_it_knows(
    client: OpenAI, tool: Any
) -> None:
    events: list[Any] = list(
        client.responses.create(model="acme", input="?", tools=[tool], stream=True)
    )
    # Those with a response say what the client declared, which the SDK's own classes do not hold.
    inner = [(at, event) for at, event in enumerate(events) if not hasattr(event, "response")]
    assert [checked(event, at).type for at, event in inner][1:5] == [
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    assert events[-1].response.output_text.startswith("It says: ")


@pytest.mark.parametrize("given", [BUILT_IN, None], ids=["the built-in server", "by default"])
def test_a_client_that_never_names_the_type_gets_what_its_classes_hold(
    url: str, adding: str, given: Any
) -> None:
    """Strictly: every event and the whole response, in the SDK's own classes."""
    with strangers(adding if given is None else url) as client:
        tools: Any = [] if given is None else [given]
        events = played(
            client.responses.create(model="acme", input="How far?", tools=tools, stream=True)
        )
        with client.responses.stream(model="acme", input="How far?", tools=tools) as stream:
            final = stream.get_final_response()
    assert "response.mcp_call.completed" in kinds(events)
    assert strictly(events[-1].response).output_text.startswith("It says: 42.")
    assert final.output[0].type == "mcp_call"


def test_the_openai_sdk_sends_back_what_it_got(client: OpenAI) -> None:
    first = client.responses.create(model="acme", input="How far?", tools=[UNITS])
    then = READ[-1]
    given: Any = [
        {"role": "user", "content": "How far?"},
        *(item.model_dump(exclude_none=True) for item in first.output),
        {"role": "user", "content": "Thanks."},
    ]
    again = client.responses.create(model="acme", input=given, tools=[UNITS])
    assert again.output_text == "You are welcome."
    assert READ[-1][: len(then)] == then
    more = client.responses.create(
        model="acme", input="Thanks.", previous_response_id=first.id, tools=[UNITS]
    )
    assert more.output_text == "You are welcome."
    assert READ[-1][: len(then)] == then


# --- openai-agents -----------------------------------------------------------


def agent_of(client: AsyncOpenAI, *tools: Any) -> Any:
    made = sdk.OpenAIResponsesModel(model="acme", openai_client=client)
    return sdk.Agent(name="guide", model=made, tools=[*tools])


def built_in() -> Any:
    return sdk.HostedMCPTool(tool_config=BUILT_IN)


async def test_openai_agents_runs_it_as_a_hosted_mcp_tool(aclient: AsyncOpenAI) -> None:
    config = sdk.RunConfig(tracing_disabled=True)
    agent = agent_of(aclient, built_in())
    result = await sdk.Runner.run(agent, "How far?", run_config=config, max_turns=3)
    assert result.final_output == "It says: 42.165 km"
    assert [item.raw_item.type for item in result.new_items] == ["mcp_call", "message"]
    then = READ[-1]
    given = [*result.to_input_list(), {"role": "user", "content": "Thanks."}]
    again = await sdk.Runner.run(agent, given, run_config=config, max_turns=3)
    assert again.final_output == "You are welcome."
    assert READ[-1][: len(then)] == then


async def test_openai_agents_streams_what_a_provider_adds_by_itself(adding: str) -> None:
    config = sdk.RunConfig(tracing_disabled=True)
    async with AsyncOpenAI(base_url=adding, api_key="any", timeout=PATIENCE) as client:
        run = sdk.Runner.run_streamed(agent_of(client), "How far?", run_config=config, max_turns=3)
        events = [event async for event in run.stream_events()]
    assert run.final_output == "It says: 42.2 km"
    raw = [event.data.type for event in events if event.type == "raw_response_event"]
    assert "response.mcp_call.completed" in raw
    assert not [kind for kind in raw if ":" in kind]
