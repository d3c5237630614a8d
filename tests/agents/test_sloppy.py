"""Models and tools that misbehave: doubled ends, cancellations of their own, calls without end."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar

import anyio
import httpx2
import pytest

from antiphon.agents import Agent, budget, loop
from antiphon.errors import ConfigurationError
from antiphon.items import (
    AgentCall,
    AgentEvent,
    ArgumentsDone,
    Completed,
    CreateResponse,
    Event,
    FunctionCall as FunctionCallItem,
    FunctionTool,
    ItemAdded,
    ItemDone,
    Message,
    Response,
    ShellCallOutput,
    ShellOutcome,
    ShellOutput,
    TextDelta,
    ToolCall,
)
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text
from antiphon.provider import Provider
from antiphon.tools import ANEW, ArgumentsCall, Scope, Slot, tool

from .kit import Raw, asked, end_of, own, play

pytestmark = pytest.mark.anyio

runs: list[str] = []


@tool
async def note(word: str) -> str:
    """Write a word down."""
    runs.append(word)
    return word


@tool
async def stumble() -> str:
    """Be cancelled from inside."""
    inner = asyncio.ensure_future(asyncio.Event().wait())
    inner.cancel()
    await inner
    return "never"


@tool
async def leave() -> str:
    """End the program, or try to."""
    sys.exit(3)


class Upstream:
    """A model that says these events, whatever it is asked, and once it has been answered, ends."""

    name = "upstream"

    def __init__(self, *events: Event) -> None:
        self._events = events
        self._asked = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        self._asked += 1
        for event in self._events if self._asked == 1 else ():
            yield event.model_copy(deep=True)
        yield Completed(response=Response(id="r", status="completed"))

    async def aclose(self) -> None:
        """Nothing is held."""


def call(name: str = "note", arguments: str = '{"word": "a"}', **fields: Any) -> FunctionCallItem:
    return FunctionCallItem(
        id="fc_1", call_id="c1", name=name, arguments=arguments, status="completed", **fields
    )


def opened(item: Any, index: int = 0) -> ItemAdded:
    return ItemAdded(output_index=index, item=item)


async def told(*events: Event) -> list[Event]:
    runs.clear()
    tools: Any = [{"type": "antiphon:function", "name": "note"}]
    request = CreateResponse.model_validate({"input": "Go.", "tools": tools})
    return [event async for event in loop(request, model=Upstream(*events), tools=[note])]


async def test_an_item_that_ends_twice_runs_once_and_is_told_once() -> None:
    done = ItemDone(output_index=0, item=call())
    events = await told(opened(call(arguments="")), done, done)
    assert runs == ["a"]
    assert len([event for event in events if isinstance(event, ItemDone)]) == 1


async def test_an_item_that_begins_twice_is_one_item() -> None:
    begun = opened(call(arguments=""))
    events = await told(begun, begun, ItemDone(output_index=0, item=call()))
    assert runs == ["a"]
    assert len([event for event in events if isinstance(event, ItemAdded)]) == 1


async def test_nothing_is_told_of_an_item_after_its_end() -> None:
    message = Message(id="m", status="completed", role="assistant", content=[])
    late = TextDelta(item_id="m", output_index=0, content_index=0, delta="late")
    events = await told(opened(message), ItemDone(output_index=0, item=message), late)
    assert not [event for event in events if isinstance(event, TextDelta)]
    assert events[-1].type == "response.completed"


async def test_an_item_that_changes_its_kind_fails_the_response() -> None:
    message = Message(id="m", status="in_progress", role="assistant", content=[])
    events = await told(opened(message), ItemDone(output_index=0, item=call()))
    last: Any = events[-1]
    assert (last.type, last.response.error.code) == ("response.failed", "invalid_stream")
    assert runs == []


async def test_arguments_that_are_said_whole_twice_are_run_once() -> None:
    whole = ArgumentsDone(item_id="fc_1", output_index=0, arguments='{"word": "a"}')
    await told(opened(call(arguments="")), whole, whole, ItemDone(output_index=0, item=call()))
    assert runs == ["a"]


@pytest.mark.parametrize(("name", "said"), [("stumble", "CancelledError"), ("leave", "SystemExit")])
async def test_a_tool_that_is_cancelled_from_inside_fails_and_its_neighbours_go_on(
    name: str, said: str
) -> None:
    runs.clear()
    script = [[FunctionCall(name, {}), FunctionCall("note", {"word": "b"})], [Text("On.")]]
    agent = Agent(name="a", model=ScriptedModel(script), tools=[note, stumble, leave])
    with anyio.fail_after(60):
        result = await agent.run("Go.")
    broken, fine, _ = result.response.output
    assert isinstance(broken, ToolCall) and isinstance(fine, ToolCall)
    assert (broken.status, fine.status, runs) == ("failed", "completed", ["b"])
    assert broken.error is not None and said in broken.error
    assert result.output_text == "On."


class Cancelling(Raw):
    """A model that is cancelled from inside."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        yield ItemAdded(output_index=0, item=Message(id="m", role="assistant", content=[]))
        raise asyncio.CancelledError


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_a_model_that_is_cancelled_from_inside_fails_the_response(
    seconds: float | None,
) -> None:
    held = None if seconds is None else budget(seconds=seconds)
    agent = Agent(name="a", model=Cancelling(), budget=held)
    response = end_of([event async for event in agent.stream("go")])
    assert response.error is not None
    assert response.error.message == "internal error: cancelled from inside"


async def test_one_that_stands_alone_fails_too() -> None:
    script = [[FunctionCall("stumble", {})], [Text("On.")]]
    result = await Agent(name="a", model=ScriptedModel(script), tools=[stumble]).run("Go.")
    assert result.output_text == "On."


async def test_a_model_that_calls_without_end_is_stopped_when_nothing_may_run() -> None:
    model = ScriptedModel([FunctionCall("note", {"word": "x"})], repeat=True)
    agent = Agent(name="a", model=model, tools=[note], options={"max_tool_calls": 1})
    result = await agent.run("Go.")
    assert result.response.status == "completed"
    assert len(model.requests) == 3
    assert [request.tool_choice for request in model.requests] == ["auto", "auto", "none"]


async def test_a_model_that_calls_what_is_not_there_for_ever_is_cut() -> None:
    model = ScriptedModel([FunctionCall("nowhere", {})], repeat=True)
    result = await Agent(name="a", model=model, tools=[note]).run("Go.")
    assert result.response.incomplete_details is not None
    assert result.response.incomplete_details.reason == "no_progress"
    assert len(model.requests) == 16


async def test_a_child_has_a_bound_of_its_own_beside_its_caller_s() -> None:
    runs.clear()
    script = [[FunctionCall("note", {"word": word}) for word in "abc"], [Text("Done.")]]
    child = Agent(
        name="child",
        model=ScriptedModel(script),
        instructions="Note.",
        tools=[note],
        options={"max_tool_calls": 1},
    )
    big = ScriptedModel([[FunctionCall("child", {"input": "x"})], [Text("Done.")]])
    await Agent(name="big", model=big, tools=[child.as_tool()]).run("Go.")
    assert runs == ["a"]


async def test_a_call_is_read_back_under_the_name_that_was_called() -> None:
    child = Agent(
        name="Reader of books", model=ScriptedModel([Text("Read.")]), instructions="Read."
    )
    big = ScriptedModel([[FunctionCall("ask_reader", {"input": "x"})], [Text("Done.")]])
    result = await Agent(name="big", model=big, tools=[child.as_tool(name="ask_reader")]).run("Go.")
    heard = [item for item in big.requests[1].items if isinstance(item, FunctionCallItem)]
    assert [item.name for item in heard] == ["ask_reader"]
    (run,) = [item for item in result.response.output if isinstance(item, AgentCall)]
    assert (run.agent, run.name) == ("Reader of books", "ask_reader")


def test_an_agent_that_needs_a_client_is_no_tool() -> None:
    ask = FunctionTool(name="ask", parameters={})
    agent = Agent(name="child", model=ScriptedModel([]), instructions="Ask.", tools=[ask])
    for description in (None, "Asks."):
        with pytest.raises(ConfigurationError, match="for a client to run"):
            agent.as_tool(description=description)


@pytest.mark.parametrize(
    ("allowed", "param"),
    [
        ({"tool_names": 5}, "tools[0].allowed_tools.tool_names"),
        ({"tool_names": "note"}, "tools[0].allowed_tools.tool_names"),
        ({"read_only": True}, "tools[0].allowed_tools.read_only"),
    ],
)
async def test_a_filter_that_is_none_is_refused(allowed: dict[str, Any], param: str) -> None:
    app = Provider(models=[ScriptedModel([Text("Hi.")], name="m")], tools=[note])
    built_in = {"type": "mcp", "server_label": "antiphon", "connector_id": "antiphon"}
    body = {"model": "m", "input": "Go.", "tools": [{**built_in, "allowed_tools": allowed}]}
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/v1/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


class Native(Upstream):
    """A model that searches the web itself."""

    native = frozenset({"web_search"})

    def __init__(self) -> None:
        super().__init__()
        self.choices: list[Any] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        self.choices.append(request.tool_choice)
        async for event in super().stream(request):
            yield event


async def test_what_a_model_runs_itself_can_be_chosen() -> None:
    model = Native()
    request = CreateResponse.model_validate(
        {
            "input": "Go.",
            "tools": [{"type": "web_search"}],
            "tool_choice": {"type": "web_search"},
        }
    )
    events = [event async for event in loop(request, model=model)]
    assert events[-1].type == "response.completed"
    assert model.choices[0].type == "web_search"


async def test_a_sub_agent_s_event_that_makes_no_sense_fails_the_response() -> None:
    run = AgentCall(id="ac", status="in_progress", agent="far")
    inner = TextDelta(item_id="m", output_index=3, content_index=0, delta="x")
    events = await told(opened(run), AgentEvent(item_id="ac", output_index=0, event=inner))
    last: Any = events[-1]
    assert (last.type, last.response.error.code) == ("response.failed", "invalid_stream")
    assert [event.sequence_number for event in events] == list(range(len(events)))


class Twice(ArgumentsCall):
    """A call that is over, and then breaks while it hands back what it held."""

    steps: ClassVar[str] = "antiphon:tool_call"

    def item(self, status: str) -> ToolCall:
        return ToolCall(
            id=self.slot.item_id,
            status=status,
            name="breaks",
            arguments=self.arguments,
            output="ok",
        )

    def fail(self, reason: str) -> Iterable[Event]:
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        for event in self.end("completed"):
            yield event
        raise RuntimeError


class Halfway(Twice):
    """A call that is over, and breaks before its output is."""

    def output(self, status: str, *lines: ShellOutput) -> ShellCallOutput:
        return ShellCallOutput(id="sho_1", call_id="c", status=status, output=[*lines])

    def refuse(self, reason: str) -> Iterable[Event]:
        line = ShellOutput(stdout="", stderr=reason, outcome=ShellOutcome(type="exit", exit_code=1))
        return (ItemDone(output_index=ANEW, item=self.output("incomplete", line)),)

    async def run(self) -> AsyncIterator[Event]:
        yield ItemAdded(output_index=ANEW, item=self.output("in_progress"))
        async for event in super().run():
            yield event


class Breaks:
    """A tool whose calls break."""

    item_type = "antiphon:tool_call"
    parallel = True
    function = FunctionTool(name="breaks")

    def __init__(self, kind: type[Twice]) -> None:
        self._kind = kind

    def begin(self, call: FunctionCallItem, slot: Slot, scope: Scope) -> Twice:
        return self._kind(slot)


async def test_a_call_that_breaks_when_only_its_output_is_open_says_so_there() -> None:
    model = ScriptedModel([FunctionCall("breaks", {}), "Done."])
    events = await play(asked(tools=own("breaks")), model, [Breaks(Halfway)])
    call, output, _ = end_of(events).output
    assert isinstance(call, ToolCall) and isinstance(output, ShellCallOutput)
    assert (call.status, output.status) == ("completed", "incomplete")
    assert output.output[0].stderr == "breaks broke: RuntimeError"


async def test_a_call_that_breaks_when_it_is_over_stays_as_it_ended() -> None:
    model = ScriptedModel([FunctionCall("breaks", {}), "Done."])
    events = await play(asked(tools=own("breaks")), model, [Breaks(Twice)])
    ends = [event.item for event in events if isinstance(event, ItemDone)]
    assert [getattr(item, "status", None) for item in ends] == ["completed", "completed"]
    assert end_of(events).status == "completed"


@pytest.mark.parametrize(
    "options",
    [
        {"background": True},
        {"previous_response_id": "resp_1"},
        {"conversation": "c"},
        {"prompt": {"id": "p"}},
        {"store": True},
        {"metadata": {"a": "b"}},
        {"model": "other"},
        {"temprature": 1.0},
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Agent(name="a", model=ScriptedModel([]), options=options)
