"""`chain`, `parallel`, `route`: shapes of workflows, each an agent to everyone."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent, Result, chain, parallel, route, run, workflow
from antiphon.errors import ConfigurationError, RunError
from antiphon.items import AgentCall
from antiphon.models import Failure, FunctionCall, ScriptedModel, Text
from antiphon.tools import tool

from .kit import end_of, heard
from .working import calls_of, meeting, speaker, told

pytestmark = pytest.mark.anyio


async def test_a_chain_hands_each_text_to_the_next() -> None:
    line = chain(speaker("a", "one"), speaker("b", "two"), speaker("c", "three"), name="line")
    result = await line.run("zero")
    calls = calls_of(result.response.output)
    assert [(call.agent, call.input) for call in calls] == [
        ("a", "zero"),
        ("b", "one"),
        ("c", "two"),
    ]
    assert result.output == "three"


async def test_a_chain_s_first_agent_reads_the_whole_conversation() -> None:
    first = speaker("a")
    conversation = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    await told(chain(first, name="line"), conversation)
    assert [item["content"] for item in heard(first.model)] == ["one", "two"]


async def test_parallel_gives_all_the_same_input_at_the_same_time() -> None:
    agent, here = meeting(3)
    with anyio.fail_after(60):
        events = await told(parallel(agent, agent, agent, name="wide"), "look")
    assert here == [3]
    assert [call.input for call in calls_of(end_of(events).output)] == ["look"] * 3


async def test_parallel_runs_of_one_seed_give_the_same_bytes() -> None:
    wide = parallel(speaker("a"), chain(speaker("b"), speaker("c"), name="line"), name="wide")
    one, two = [await told(wide, clock=lambda: 1.0) for _ in range(2)]
    assert [e.model_dump_json() for e in one] == [e.model_dump_json() for e in two]


async def test_parallel_joins_texts_under_the_agents_names() -> None:
    wide = parallel(speaker("a", "one"), speaker("b", "two"), name="wide")
    assert (await wide.run("x")).output == "a:\none\n\nb:\ntwo"


async def test_parallel_joins_by_what_it_is_given_in_the_order_of_the_agents() -> None:
    first = anyio.Event()

    @tool
    async def wait() -> str:
        """Wait for the other."""
        await first.wait()
        return "now"

    @tool
    async def go() -> str:
        """Let the other go."""
        first.set()
        return "gone"

    late = Agent(
        name="late", model=ScriptedModel([[FunctionCall("wait", {})], [Text("1")]]), tools=[wait]
    )
    early = Agent(
        name="early", model=ScriptedModel([[FunctionCall("go", {})], [Text("2")]]), tools=[go]
    )

    def join(results: Sequence[Result[Any]]) -> str:
        return "+".join(result.output for result in results)

    with anyio.fail_after(60):
        assert (await parallel(late, early, name="sum", join=join).run("x")).output == "1+2"


async def test_one_that_fails_ends_the_others_and_says_why() -> None:
    started = anyio.Event()

    @tool
    async def hang() -> str:
        """Never end."""
        started.set()
        await anyio.sleep_forever()
        return ""

    @tool
    async def after() -> str:
        """Wait until the other hangs."""
        await started.wait()
        return "now"

    stuck = Agent(name="stuck", model=ScriptedModel([[FunctionCall("hang", {})]]), tools=[hang])
    turns: list[Any] = [[FunctionCall("after", {})], [Failure("full", "no room")]]
    bad = Agent(name="bad", model=ScriptedModel(turns), tools=[after])
    with anyio.fail_after(60), pytest.raises(RunError, match="bad failed: no room") as raised:
        await parallel(stuck, bad, name="wide").run("x")
    first, second = calls_of(raised.value.response.output)
    assert (first.status, second.status) == ("incomplete", "failed")


async def asked_slowly(text: str) -> str:
    await anyio.lowlevel.checkpoint()
    return "money" if "pay" in text else "other"


def asked_at_once(text: str) -> str:
    return "money" if "pay" in text else "other"


LABELLERS: list[Any] = [asked_at_once, asked_slowly, speaker("sorter", " money\n")]


@pytest.mark.parametrize("by", LABELLERS)
async def test_route_runs_the_agent_that_the_label_names(by: Any) -> None:
    desks = {"money": speaker("bank", "Paid."), "other": speaker("desk", "Hm.")}
    result = await route(by, desks, name="front").run("I want to pay.")
    assert result.output == "Paid."
    call = calls_of(result.response.output)[-1]
    assert (call.agent, call.input) == ("bank", "I want to pay.")


async def test_a_label_that_nobody_has_fails_naming_those_there_are() -> None:
    front = route(lambda _: "moon", {"b": speaker("b"), "a": speaker("a")}, name="front")
    end = end_of(await told(front))
    assert end.error is not None
    assert end.error.message == "front: expected a label of a, b, got 'moon'"
    assert (end.status, end.output) == ("failed", [])


async def test_combinations_combine() -> None:
    inner = parallel(speaker("a", "1"), speaker("b", "2"), name="inner")
    outer = chain(inner, route(lambda _: "x", {"x": speaker("c", "3")}, name="way"), name="outer")

    @workflow
    async def all_of_it(text: str) -> str:
        return (await run(outer, text)).output

    result = await all_of_it.run("go")
    (call,) = calls_of(result.response.output)
    assert [item.agent for item in call.output if isinstance(item, AgentCall)] == ["inner", "way"]
    assert result.output == "3"


async def test_a_combination_is_a_tool_of_an_agent() -> None:
    offer = chain(speaker("a", "one"), name="line").as_tool(description="Does it.")
    turns = [[FunctionCall("line", {"input": "x"})], [Text("Done.")]]
    result = await Agent(name="boss", model=ScriptedModel(turns), tools=[offer]).run("Go.")
    (call,) = calls_of(result.response.output)
    assert [item.agent for item in call.output if isinstance(item, AgentCall)] == ["a"]


def test_combining_nothing_or_what_is_no_agent_is_a_configuration_error() -> None:
    nobody: Any = "reader"
    with pytest.raises(ConfigurationError, match=r"chain: expected agents .* got none"):
        chain(name="empty")
    with pytest.raises(ConfigurationError, match=r"parallel: expected agents .* got str"):
        parallel(nobody, name="wrong")
    with pytest.raises(ConfigurationError, match=r"route: expected agents .* got none"):
        route(lambda _: "a", {}, name="nowhere")
