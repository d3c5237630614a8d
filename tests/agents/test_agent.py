"""`Agent`: run, stream, run_sync, and what comes of them."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from antiphon.agents import Agent, Result, Setting, as_items
from antiphon.errors import ConfigurationError, OutputError, RequestError, RunError, ScriptError
from antiphon.items import (
    Completed,
    FunctionCall as FunctionCallItem,
    FunctionTool,
    Ids,
    Message,
    ResponseEvent,
    TextDelta,
    ToolCall,
    fold,
)
from antiphon.models import (
    Failure,
    FunctionCall,
    Reasoning,
    ScriptedModel,
    Stop,
    Text,
    Usage,
)
from antiphon.tools import Context, tool

from .kit import asked, heard

pytestmark = pytest.mark.anyio


@tool
async def weather(city: str) -> str:
    """Today's weather in a city."""
    return f"sunny in {city}"


@tool
async def who(ctx: Context[Any]) -> str:
    """Says who asks."""
    return f"{ctx.deps} {ctx.principal} {len(ctx.items)}"


def talker(*turns: Any, **how: Any) -> ScriptedModel:
    return ScriptedModel(turns, **how)


async def test_run_gives_the_answer_and_all_that_led_to_it() -> None:
    model = talker(
        [Reasoning("hmm"), FunctionCall("weather", {"city": "Oslo"}), Usage(5, 6)],
        [Text("It is "), Text("sunny."), Usage(7, 8)],
    )
    agent = Agent(name="guide", model=model, tools=[weather])
    result = await agent.run("Is it warm?")
    assert isinstance(result, Result)
    assert result.output == result.output_text == "It is sunny."
    assert [item.type for item in result.items] == [
        "message",
        "reasoning",
        "antiphon:tool_call",
        "message",
    ]
    assert result.items[1:] == result.response.output
    assert result.response.status == "completed"
    assert result.response.model == "guide"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (12, 14)
    assert result.usage.total_tokens == 26
    call = result.items[2]
    assert isinstance(call, ToolCall)
    assert (call.name, call.output, call.status) == ("weather", "sunny in Oslo", "completed")
    model.assert_complete()


async def test_the_state_is_a_list() -> None:
    model = talker("Hello.", FunctionCall("weather", {"city": "Oslo"}), "Sunny, too.")
    agent = Agent(name="guide", model=model, tools=[weather])
    first = await agent.run("Hi")
    second = await agent.run([*first.items, "And Oslo?"])
    assert [item.type for item in second.items] == [
        "message",
        "message",
        "message",
        "antiphon:tool_call",
        "message",
    ]
    said = [item["content"] for item in heard(model, 1)]
    assert said[0] == "Hi" and said[1][0]["text"] == "Hello." and said[2] == "And Oslo?"
    assert second.output == "Sunny, too.", "the answer is of this run alone"
    assert [item["type"] for item in heard(model, 2)][3:] == [
        "function_call",
        "function_call_output",
    ]


async def test_input_is_text_items_or_plain_data() -> None:
    model = talker("ok")
    given = ["a", Message(role="assistant", content="b"), {"role": "user", "content": "c"}]
    await Agent(name="a", model=model).run(given)
    assert [item["content"] for item in heard(model)] == ["a", "b", "c"]
    with pytest.raises(ConfigurationError, match=r"input\[1\]: expected an item or text"):
        as_items(["a", {"type": "function_call"}])


async def test_stream_tells_every_event_and_ends_with_the_response() -> None:
    agent = Agent(name="a", model=talker("Hello.", fragment=2))
    events = [event async for event in agent.stream("Hi")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [e.delta for e in events if isinstance(e, TextDelta)] == ["He", "ll", "o."]
    last = events[-1]
    assert isinstance(last, Completed)
    assert fold(events) == last.response
    assert last.response.store is False, "nothing is stored in the client's process"


async def test_run_is_the_fold_of_stream() -> None:
    def agent() -> Agent[str]:
        turns = [FunctionCall("weather", {"city": "Oslo"}), Text("ok")]
        return Agent(name="a", model=talker(*turns), tools=[weather])

    result = await agent().run("Hi", ids=Ids(seed=3), clock=lambda: 5.0)
    events = [event async for event in agent().stream("Hi", ids=Ids(seed=3), clock=lambda: 5.0)]
    assert fold(events) == result.response
    assert result.response.created_at == 5


def test_run_sync_is_run() -> None:
    agent = Agent(name="a", model=talker(FunctionCall("who", {}), "ok"), tools=[who])
    result = agent.run_sync("Hi", deps="me")
    assert result.output == "ok"
    call = result.items[1]
    assert isinstance(call, ToolCall) and call.output == "me local 1"


async def test_deps_reach_tools_and_instructions() -> None:
    async def later(ctx: Context[str]) -> str:
        return f"Talk to {ctx.deps} about {len(ctx.items)} items."

    model = talker(FunctionCall("who", {}), "ok")
    agent = Agent(name="a", model=model, instructions=later, tools=[who])
    result = await agent.run(["one", "two"], deps="Ann")
    assert model.requests[0].instructions == "Talk to Ann about 2 items."
    assert model.requests[1].instructions == model.requests[0].instructions
    call = result.response.output[0]
    assert isinstance(call, ToolCall) and call.output == "Ann local 2"


def _told(ctx: Context[Any]) -> str:
    return "Be told."


async def _told_later(ctx: Context[Any]) -> str:
    return "Be told later."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("Be brief.", "Be brief."),
        (_told, "Be told."),
        (_told_later, "Be told later."),
    ],
)
async def test_instructions_are_text_or_a_function(given: Any, expected: str | None) -> None:
    model = talker("ok")
    result = await Agent(name="a", model=model, instructions=given).run("Hi")
    assert model.requests[0].instructions == expected
    assert result.response.instructions is None, "an agent's own words are nobody's business"


async def test_a_request_adds_to_the_agents_instructions_and_tools() -> None:
    model = talker("ok")
    agent = Agent(name="a", model=model, instructions="Be brief.", tools=[weather])
    definition = {"type": "function", "name": "ask", "parameters": None}
    request = asked(instructions="Be kind.", tools=[definition], temperature=0.5)
    events = [event async for event in agent.serve(request, Setting())]
    assert model.requests[0].instructions == "Be brief.\n\nBe kind."
    assert [one.name for one in model.requests[0].tools] == ["weather", "ask"]
    last = events[-1]
    assert isinstance(last, ResponseEvent)
    assert last.response.instructions == "Be kind."
    assert [one.type for one in last.response.tools] == ["function"]


async def test_options_are_sampling_fields_and_a_request_overrides_them() -> None:
    model = talker("ok", "ok")
    options = {"temperature": 0.25, "reasoning": {"effort": "low"}, "max_output_tokens": 99}
    agent = Agent(name="a", model=model, options=options)
    await agent.run("Hi")
    original = model.requests[0].original
    assert original.temperature == 0.25
    assert original.reasoning is not None and original.reasoning.effort == "low"
    assert model.requests[0].max_output_tokens == 99
    async for _ in agent.serve(asked(temperature=1.5)):
        pass
    assert model.requests[1].original.temperature == 1.5
    assert model.requests[1].max_output_tokens == 99


async def test_a_request_can_only_lower_the_limits_of_an_agent() -> None:
    model = talker("ok", "ok")
    agent = Agent(name="a", model=model, options={"max_output_tokens": 99})
    for limit in (1000, 50):
        async for _ in agent.serve(asked(max_output_tokens=limit)):
            pass
    assert [request.max_output_tokens for request in model.requests] == [99, 50]


async def test_a_tool_choice_among_the_options_holds() -> None:
    model = talker(FunctionCall("weather", {"city": "Oslo"}), "ok")
    agent = Agent(name="a", model=model, tools=[weather], options={"tool_choice": "none"})
    result = await agent.run("Hi")
    call = result.response.output[0]
    assert isinstance(call, ToolCall) and call.status == "failed"
    assert model.requests[0].tool_choice == "none"


class City(BaseModel):
    """A city."""

    name: str
    people: int


async def test_the_answer_is_of_the_output_type() -> None:
    model = talker('{"name": "Oslo", "people": 700000}')
    agent = Agent(name="a", model=model, output_type=City)
    result = await agent.run("Hi")
    city: City = result.output
    assert city == City(name="Oslo", people=700000)
    form: Any = model.requests[0].original.text
    assert form.format.name == "City"
    assert form.format.json_schema["required"] == ["name", "people"]


async def test_the_last_message_is_the_answer() -> None:
    model = talker(
        [Text("Let me see."), FunctionCall("weather", {"city": "Oslo"})],
        '{"name": "Oslo", "people": 1}',
    )
    agent = Agent(name="a", model=model, tools=[weather], output_type=City)
    assert (await agent.run("Hi")).output.people == 1


@pytest.mark.parametrize("said", ["Oslo!", '{"name": "Oslo"}', ""])
async def test_an_answer_that_does_not_fit_is_an_output_error(said: str) -> None:
    agent = Agent(name="guide", model=talker(said), output_type=City)
    with pytest.raises(OutputError, match="guide: the answer does not fit") as caught:
        await agent.run("Hi")
    assert caught.value.response.status == "completed"


@pytest.mark.parametrize("kind", [int, list[int], Callable[[], None]])
def test_an_output_type_without_an_object_schema_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="output_type: expected"):
        Agent(name="a", model=talker("ok"), output_type=kind)


async def test_a_run_that_failed_is_an_error_with_its_response() -> None:
    model = talker([Text("Well"), Failure("overloaded", "come back later")])
    with pytest.raises(RunError, match="guide failed: come back later") as caught:
        await Agent(name="guide", model=model).run("Hi")
    response = caught.value.response
    assert response.status == "failed" and response.error.code == "overloaded"
    assert response.output_text == "Well"


async def test_a_run_that_is_incomplete_keeps_its_items() -> None:
    model = talker(
        [Text("Let me see."), FunctionCall("weather", {"city": "Oslo"})],
        [Text("It is su"), Stop("max_output_tokens")],
    )
    result = await Agent(name="a", model=model, tools=[weather]).run("Hi")
    assert result.response.status == "incomplete"
    assert result.response.incomplete_details is not None
    assert result.response.incomplete_details.reason == "max_output_tokens"
    assert result.output == "Let me see.It is su"
    assert [getattr(item, "status", None) for item in result.response.output] == [
        "completed",
        "completed",
        "incomplete",
    ]
    assert len(result.items) == 4


async def test_functions_of_the_caller_end_the_run_and_their_outputs_go_on() -> None:
    model = talker(FunctionCall("ask", {"what": "name"}, call_id="call_1"), "Hello, Ann.")
    ask = FunctionTool(name="ask", description="Asks.", parameters={"type": "object"})
    agent = Agent(name="a", model=model, tools=[ask])
    first = await agent.run("Hi")
    call = first.items[-1]
    assert isinstance(call, FunctionCallItem) and call.call_id == "call_1"
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": "Ann"}
    second = await agent.run([*first.items, answer])
    assert second.output == "Hello, Ann."
    assert heard(model)[-1]["output"] == "Ann"


async def test_an_error_of_the_script_comes_out_as_it_is() -> None:
    with pytest.raises(ScriptError):
        await Agent(name="a", model=talker()).run("Hi")


async def test_input_that_cannot_be_served_is_refused_before_anything_happens() -> None:
    model = talker("never")
    agent = Agent(name="a", model=model)
    output = {"type": "function_call_output", "call_id": "call_9", "output": "x"}
    with pytest.raises(RequestError, match=r"input\[1\].*call_9"):
        await agent.run(["Hi", output])
    with pytest.raises(RequestError):
        async for _ in agent.stream(["Hi", output]):
            raise AssertionError("an event came")
    assert not model.requests


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"name": ""}, "an agent needs a name"),
        ({"options": {"temprature": 1}}, "unknown options temprature: expected some of"),
        ({"options": {"input": "x"}}, "unknown options input"),
        ({"options": {"temperature": 9}}, "options:.*temperature"),
        ({"tools": [len]}, "got builtin_function_or_method: decorate the function with @tool"),
        ({"tools": [{"type": "function"}]}, "got dict"),
    ],
)
def test_an_agent_that_cannot_work_is_refused_when_it_is_made(
    how: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"(?s){words}"):
        made: Any = {"name": "a", "model": talker("ok"), **how}
        Agent(**made)


async def test_a_model_may_be_given_by_name() -> None:
    agent = Agent(name="a", model="ollama:qwen3")
    assert agent.model.name == "ollama:qwen3"
    assert repr(agent) == "Agent(name='a', model='ollama:qwen3', tools=0)"
    await agent.model.aclose()
    with pytest.raises(ConfigurationError, match="nobody"):
        Agent(name="a", model="nobody:qwen3")


def test_an_agent_says_what_it_is() -> None:
    agent = Agent(name="a", model=talker("ok"), tools=[weather])
    assert repr(agent) == "Agent(name='a', model='scripted', tools=1)"
