"""Sub-agents as tools: a whole run is one call, its items inside one item."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import anyio
import httpx2
import pytest

from antiphon.agents import Agent, ContextPolicy, Delegate, Setting
from antiphon.errors import ConfigurationError
from antiphon.items import (
    AgentCall,
    AgentEvent,
    CreateResponse,
    Event,
    Fold,
    FunctionTool,
    Incomplete,
    Item,
    ItemDone,
    McpCall,
    Message,
    ResponseEvent,
    TextDelta,
    ToolCall,
    fold,
)
from antiphon.models import (
    Failure,
    FunctionCall,
    ModelRequest,
    ScriptedModel,
    Speech,
    Stop,
    Text,
    Usage,
)
from antiphon.provider import Provider
from antiphon.tools import tool

pytestmark = pytest.mark.anyio


@tool
async def look_up(word: str) -> str:
    """What a word means."""
    return f"{word}: a word"


def reader(*turns: Speech | list[Speech], **options: Any) -> Agent[str]:
    script: Sequence[Any] = turns or [
        [FunctionCall("look_up", {"word": "tide"}), Usage(10, 5)],
        [Text("A tide is a word."), Usage(20, 7)],
    ]
    return Agent(
        name="reader",
        model=ScriptedModel(script, name="small", repeat=True),
        instructions="Read and tell.",
        tools=[look_up],
        **options,
    )


def caller(child: Agent[str], *turns: Any, context: ContextPolicy = "fresh") -> Agent[str]:
    script = turns or [
        [FunctionCall("reader", {"input": "What is a tide?"}), Usage(100, 50)],
        [Text("It is a word."), Usage(200, 70)],
    ]
    return Agent(name="editor", model=ScriptedModel(script), tools=[child.as_tool(context=context)])


def call_of(items: Sequence[Item]) -> AgentCall:
    (call,) = [item for item in items if isinstance(item, AgentCall)]
    return call


async def test_a_call_of_an_agent_holds_its_whole_run_and_its_answer_is_read() -> None:
    editor = caller(reader())
    result = await editor.run("Explain tides.")
    call = call_of(result.response.output)
    assert (call.status, call.agent, call.input) == ("completed", "reader", "What is a tide?")
    assert [type(item) for item in call.output] == [ToolCall, Message]
    assert result.output_text == "It is a word."
    model = editor.model
    assert isinstance(model, ScriptedModel)
    heard = model.requests[1].items[-1]
    assert getattr(heard, "output", None) == "A tide is a word."


async def test_usage_sums_the_runs_inside_and_each_call_tells_its_own_share() -> None:
    result = await caller(reader()).run("Explain tides.")
    call = call_of(result.response.output)
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens) == (30, 12)
    assert (result.usage.input_tokens, result.usage.output_tokens) == (330, 132)


async def test_a_child_s_events_stream_live_inside_its_caller_s() -> None:
    events = [event async for event in caller(reader()).stream("Explain tides.")]
    inner = [event.event for event in events if isinstance(event, AgentEvent)]
    assert [event.sequence_number for event in inner] == list(range(len(inner)))
    assert "".join(event.delta for event in inner if isinstance(event, TextDelta)) == (
        "A tide is a word."
    )
    child = fold(inner)
    terminal = events[-1]
    assert isinstance(terminal, ResponseEvent)
    assert call_of(terminal.response.output).output == child.output


async def test_the_fold_builds_a_call_from_its_child_s_events_alone() -> None:
    folded = Fold()
    whole: AgentCall | None = None
    async for event in caller(reader()).stream("Explain tides."):
        if isinstance(event, ItemDone) and isinstance(event.item, AgentCall):
            whole = event.item
            continue
        folded.add(event)
    assert whole is not None
    assert call_of(folded.output).output == whole.output


def counted(items: Sequence[Item], words: str) -> Sequence[Item]:
    return [Message(role="user", content=f"{len(items)} {words}")]


@pytest.mark.parametrize(
    ("context", "read"),
    [
        ("fresh", ["What is a tide?"]),
        ("parent", ["Explain tides.", "What is a tide?"]),
        (counted, None),
    ],
)
async def test_the_context_policy_says_what_a_child_reads(
    context: ContextPolicy, read: list[str] | None
) -> None:
    child = reader([Text("Read.")])
    await caller(child, context=context).run("Explain tides.")
    model = child.model
    assert isinstance(model, ScriptedModel)
    texts = [item.text for item in model.requests[0].items if isinstance(item, Message)]
    assert texts == (read or ["1 What is a tide?"])


async def test_children_of_one_turn_run_side_by_side() -> None:
    met = anyio.Event()
    arrived = 0

    @tool
    async def meet() -> str:
        """Wait until both are here."""
        nonlocal arrived
        arrived += 1
        if arrived == 2:
            met.set()
        await met.wait()
        return "met"

    child = Agent(
        name="reader",
        model=ScriptedModel(
            [[FunctionCall("meet", {})], [FunctionCall("meet", {})], [Text("a")], [Text("b")]]
        ),
        instructions="Meet.",
        tools=[meet],
    )
    both: list[Speech] = [FunctionCall("reader", {"input": name}) for name in "ab"]
    with anyio.fail_after(60):
        result = await caller(child, both, [Text("Done.")]).run("Go.")
    calls = [item for item in result.response.output if isinstance(item, AgentCall)]
    assert [call.status for call in calls] == ["completed", "completed"]


async def test_a_child_s_failure_is_told_to_its_caller_which_goes_on() -> None:
    editor = caller(reader([Failure("overloaded", "no room")]))
    result = await editor.run("Explain tides.")
    call = call_of(result.response.output)
    assert (call.status, call.error) == ("failed", "no room")
    assert result.response.status == "completed"


async def test_a_child_that_is_cut_keeps_its_items_and_says_why() -> None:
    result = await caller(reader([Text("A ti"), Stop("max_output_tokens")])).run("Explain.")
    call = call_of(result.response.output)
    assert call.status == "failed"
    assert call.error == "it ended early: max_output_tokens"
    assert [getattr(item, "text", "") for item in call.output] == ["A ti"]


@pytest.mark.parametrize("arguments", ['{"input": 5}', "{}", "tides", '{"input": "a", "b": 1}'])
async def test_arguments_that_are_not_an_input_fail_the_call_before_anything_runs(
    arguments: str,
) -> None:
    child = reader()
    turns = [[FunctionCall("reader", arguments)], [Text("Sorry.")]]
    result = await caller(child, *turns).run("Explain.")
    call = call_of(result.response.output)
    assert call.status == "failed"
    assert call.error is not None
    assert call.error.startswith('expected {"input": "..."}')
    assert isinstance(child.model, ScriptedModel)
    assert child.model.requests == []


async def test_max_tool_calls_counts_at_any_depth() -> None:
    child = reader()
    editor = Agent(
        name="editor",
        model=ScriptedModel([[FunctionCall("reader", {"input": "x"})], [Text("Done.")]]),
        tools=[child.as_tool()],
        options={"max_tool_calls": 1},
    )
    result = await editor.run("Go.")
    inner = call_of(result.response.output).output[0]
    assert isinstance(inner, ToolCall)
    assert inner.status == "failed"
    assert inner.error is not None
    assert "max_tool_calls" in inner.error


async def test_an_agent_that_calls_itself_without_end_is_stopped_by_the_depth() -> None:
    def again(request: ModelRequest) -> Speech:
        asked = request.items[-1].type == "message"
        return FunctionCall("again", {"input": "deeper"}) if asked else Text("Enough.")

    result = await circular(ScriptedModel([again], repeat=True)).run("Go.")
    depth, call = 1, call_of(result.response.output)
    while any(isinstance(item, AgentCall) for item in call.output):
        depth, call = depth + 1, call_of(call.output)
    assert depth == 9
    assert call.error is not None
    assert call.error.startswith("agents stand 8 deep")


def circular(model: ScriptedModel) -> Agent[str]:
    """An agent whose only tool is itself."""

    async def serve(request: CreateResponse, setting: Setting) -> AsyncGenerator[Event, None]:
        async for event in agent.serve(request, setting):
            yield event

    function = reader().as_tool().function.model_copy(update={"name": "again"})
    itself = Delegate("again", function, serve, "fresh")
    agent = Agent(name="again", model=model, instructions="Go deeper.", tools=[itself])
    return agent


async def test_cancelling_closes_the_whole_subtree() -> None:
    working = anyio.Event()

    @tool
    async def hang() -> str:
        """Never end."""
        working.set()
        await anyio.sleep_forever()
        return ""

    child = Agent(
        name="reader",
        model=ScriptedModel([[Text("So far."), FunctionCall("hang", {})]]),
        instructions="Hang.",
        tools=[hang],
    )
    told: list[Event] = []

    async def watch() -> None:
        async for event in caller(child).stream("Go."):
            told.append(event)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await working.wait()
            tasks.cancel_scope.cancel()
    last = told[-1]
    assert isinstance(last, Incomplete)
    assert last.response.status == "cancelled"
    call = call_of(last.response.output)
    assert call.status == "incomplete"
    assert [getattr(item, "status", "") for item in call.output] == ["completed", "incomplete"]


async def test_a_client_sees_a_receipt_and_one_that_opted_in_sees_the_run() -> None:
    model = ScriptedModel(
        [[FunctionCall("reader", {"input": "What is a tide?"})], [Text("It is a word.")]],
        name="big",
        repeat=True,
    )
    app = Provider(models=[model], tools=[reader().as_tool()])
    body = {
        "model": "big",
        "input": "Explain tides.",
        "tools": [
            {"type": "mcp", "server_label": "antiphon", "connector_id": "antiphon"},
        ],
    }
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://localhost"
    ) as client:
        plain = (await client.post("/v1/responses", json=body)).json()
        opted = {"OpenResponses-Extensions": "antiphon"}
        whole = (await client.post("/v1/responses", json=body, headers=opted)).json()
        stream = await client.post("/v1/responses", json={**body, "stream": True})
    receipt = McpCall.model_validate(plain["output"][0])
    assert (receipt.name, receipt.output) == ("reader", "A tide is a word.")
    assert json.loads(receipt.arguments) == {"input": "What is a tide?"}
    assert [item["type"] for item in whole["output"]] == ["antiphon:agent_call", "message"]
    assert [item["type"] for item in whole["output"][0]["output"]] == [
        "antiphon:tool_call",
        "message",
    ]
    assert "antiphon:" not in stream.text.replace('"antiphon"', "")
    assert "event: response.mcp_call.completed" in stream.text


@pytest.mark.parametrize(
    ("agent", "options", "said"),
    [
        (Agent(name="a b", model=ScriptedModel([]), instructions="x"), {}, "letters, digits"),
        (Agent(name="a", model=ScriptedModel([])), {}, "expected a description"),
        (Agent(name="a", model=ScriptedModel([]), instructions="x"), {"name": "é"}, "letters"),
    ],
)
async def test_an_agent_that_cannot_be_a_tool_says_why(
    agent: Agent[str], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        agent.as_tool(**options)


async def test_the_function_of_an_agent_takes_one_text() -> None:
    function = reader().as_tool(description="Reads.").function
    assert isinstance(function, FunctionTool)
    assert function.description == "Reads."
    assert function.parameters is not None
    assert list(function.parameters["properties"]) == ["input"]
