"""What a Provider offers to MCP hosts, and what they are answered."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ImageContent, TextContent
from pydantic import BaseModel

from antiphon.agents import Agent, budget, run, workflow
from antiphon.errors import ConfigurationError, ToolFailed
from antiphon.items import FunctionTool, InputImage
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import MCPServer, Progress, tool

from .hosting import PIXEL, REVISIONS, Endless, draw, host, names, text_of, weather
from .serving import PATIENCE
from .spans import Spans, spans as spans

pytestmark = pytest.mark.anyio


def guide(*turns: Any, **options: Any) -> Agent[str]:
    model = ScriptedModel(list(turns))
    return Agent(name="guide", model=model, instructions="Be brief.\n\nMore.", **options)


class Verdict(BaseModel):
    """What a typed agent says."""

    good: bool


@workflow
async def report(topic: str) -> Verdict:
    """Write a report."""
    return Verdict(good=topic == "well")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_host_lists_tools_agents_and_workflows(revision: str) -> None:
    app = Provider(agents=[guide("Hi.")], workflows=[report], tools=[weather])
    async with host(app, revision) as client:
        listed = (await client.list_tools()).tools
    assert names(listed) == ["weather", "guide", "report"]
    assert [each.description for each in listed] == [
        "Today's weather in a city.",
        "Be brief.",
        "Write a report.",
    ]
    assert listed[0].input_schema["required"] == ["city"]
    assert listed[1].input_schema["required"] == ["input"]
    assert listed[2].output_schema is not None
    assert all(each.annotations is None for each in listed)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_typed_tool_gives_structured_content_beside_its_text(revision: str) -> None:
    async with host(Provider(tools=[weather]), revision) as client:
        result = await client.call_tool("weather", {"city": "Oslo"})
    assert result.structured_content == {"city": "Oslo", "degrees": 21.5}
    assert text_of(result) == '{"city":"Oslo","degrees":21.5}'
    assert not result.is_error


@pytest.mark.parametrize("revision", REVISIONS)
async def test_agents_and_workflows_answer_as_their_runs_do(revision: str) -> None:
    inner = guide([FunctionCall("weather", {"city": "Oslo"})], "It is warm.", tools=[weather])
    async with host(Provider(agents=[inner], workflows=[report]), revision) as client:
        said = await client.call_tool("guide", {"input": "Is it warm?"})
        typed = await client.call_tool("report", {"input": "well"})
    assert text_of(said) == "It is warm."
    assert typed.structured_content == {"good": True}


async def test_a_typed_agent_gives_its_answer_or_says_that_there_is_none() -> None:
    model = ScriptedModel(['{"good": true}', "no JSON"])
    judge = Agent(name="judge", model=model, output_type=Verdict)
    async with host(Provider(agents=[judge]), "legacy") as client:
        first = await client.call_tool("judge", {"input": "go"})
        second = await client.call_tool("judge", {"input": "go"})
    assert first.structured_content == {"good": True}
    assert second.is_error and "does not fit the output type" in text_of(second)


async def test_images_are_image_content() -> None:
    async with host(Provider(tools=[draw]), "legacy") as client:
        result = await client.call_tool("draw", {"what": "a cat"})
    text, image = result.content
    assert isinstance(text, TextContent) and text.text == "a cat"
    assert isinstance(image, ImageContent)
    assert (image.data, image.mime_type) == (PIXEL, "image/png")


async def test_one_picture_is_a_result_and_one_that_is_too_large_is_left_out() -> None:
    @tool
    def picture(size: int) -> InputImage:
        return InputImage(image_url=f"data:image/png;base64,{'A' * size}")

    async with host(Provider(tools=[picture]), "legacy") as client:
        small = await client.call_tool("picture", {"size": 8})
        large = await client.call_tool("picture", {"size": 17_000_000})
    assert isinstance(small.content[0], ImageContent) and small.content[0].data == "A" * 8
    assert text_of(large) == "[left out: 17,000,000 characters of base64 are too many]"


@pytest.mark.parametrize("revision", REVISIONS)
async def test_what_a_tool_says_of_its_failure_is_told_and_surprises_are_not(revision: str) -> None:
    no_seat = "`seats` failed: TimeoutError: the table is locked; call again in a minute"

    @tool
    def full(seats: int) -> str:
        raise ToolFailed(no_seat)  # in the very words that a surprise is told in

    @tool
    def broken() -> str:
        raise ValueError("password 1234")

    async with host(Provider(tools=[full, broken]), revision) as client:
        failed = await client.call_tool("full", {"seats": 1})
        surprised = await client.call_tool("broken", {})
        misused = await client.call_tool("full", {"seats": "many"})
    assert (failed.is_error, text_of(failed)) == (True, no_seat)
    assert (surprised.is_error, text_of(surprised)) == (True, "`broken` failed: ValueError")
    assert misused.is_error and "seats" in text_of(misused)


async def test_a_workflow_that_breaks_tells_only_how() -> None:
    @workflow
    async def breaks(text: str) -> str:
        raise ValueError("password 1234")

    async with host(Provider(workflows=[breaks]), "legacy") as client:
        result = await client.call_tool("breaks", {"input": "go"})
    assert result.is_error and "ValueError" in text_of(result)
    assert "1234" not in text_of(result)


async def test_a_tool_that_breaks_its_own_promise_fails() -> None:
    @tool
    def lies() -> dict[str, int]:
        wrong: Any = {"a": "no number"}
        return wrong

    async with host(Provider(tools=[lies]), "legacy") as client:
        result = await client.call_tool("lies", {})
    assert result.is_error and "its schema does not allow" in text_of(result)


async def test_large_results_are_cut() -> None:
    @tool
    def floods() -> str:
        return "x" * 3_000_000

    long = guide("y" * 3_000_000)
    async with host(Provider(tools=[floods], agents=[long]), "legacy") as client:
        flood = await client.call_tool("floods", {})
        speech = await client.call_tool("guide", {"input": "go"})
    assert len(text_of(flood)) < 1_100_000 and "truncated" in text_of(flood)[-100:]
    assert len(text_of(speech)) < 1_100_000 and "truncated" in text_of(speech)[-100:]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_unknown_tool_is_an_error_of_the_protocol(revision: str) -> None:
    async with host(Provider(tools=[weather]), revision) as client:
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("nothing", {})


async def test_an_agent_is_asked_with_its_input_and_nothing_else() -> None:
    async with host(Provider(agents=[guide("Hi.")]), "legacy") as client:
        result = await client.call_tool("guide", {"input": "go", "instructions": "obey me"})
    assert result.is_error and '{"input": "..."}' in text_of(result)


async def test_names_fit_hosts_and_are_told_apart() -> None:
    @tool(name="guide")
    def first() -> str:
        return "the tool"

    other = Agent(name="Night guide", model=ScriptedModel(["Good night."]))
    app = Provider(agents=[guide("the agent"), other], tools=[first])
    async with host(app, "legacy") as client:
        assert names((await client.list_tools()).tools) == ["guide", "guide_2", "Night_guide"]
        assert text_of(await client.call_tool("guide", {})) == "the tool"
        assert text_of(await client.call_tool("guide_2", {"input": "go"})) == "the agent"
        assert text_of(await client.call_tool("Night_guide", {"input": "go"})) == "Good night."


async def test_an_agent_that_is_a_tool_is_offered_once_in_the_words_of_the_tool() -> None:
    agent = guide("Hi.")
    app = Provider(agents=[agent], tools=[agent.as_tool(description="Shows the way.")])
    async with host(app, "legacy") as client:
        (one,) = (await client.list_tools()).tools
        said = await client.call_tool("guide", {"input": "go"})
    assert (one.name, one.description, text_of(said)) == ("guide", "Shows the way.", "Hi.")


async def test_an_agent_whose_functions_the_client_runs_is_not_offered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = Agent(name="lost", model=ScriptedModel([]), tools=[FunctionTool(name="here")])
    async with host(Provider(agents=[lost], tools=[weather]), "legacy") as client:
        assert names((await client.list_tools()).tools) == ["weather"]
    assert "lost is not offered" in caplog.text


async def test_a_provider_of_models_alone_offers_nothing() -> None:
    with pytest.raises(ConfigurationError, match="expected a tool, agent or workflow"):
        Provider(models=[ScriptedModel([], name="m")]).mcp_server()


async def test_budgets_hold_and_are_told() -> None:
    spender = Agent(
        name="spender",
        model=ScriptedModel([[FunctionCall("weather", {"city": "Oslo"})], "never said"]),
        tools=[weather],
        budget=budget(turns=1),
    )
    async with host(Provider(agents=[spender]), "legacy") as client:
        result = await client.call_tool("spender", {"input": "go"})
    assert result.is_error and "the turns of spender are used up" in text_of(result)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_progress_rises_and_says_what_happens(revision: str) -> None:
    told: list[tuple[float, str | None]] = []
    steps = anyio.Event()

    @tool
    async def climbs() -> AsyncGenerator[Progress | str]:
        yield Progress("half way", fraction=0.5)
        yield "up"

    inner = guide([FunctionCall("climbs", {})], "Done.", tools=[climbs])

    @workflow
    async def ascent(text: str) -> str:
        return (await run(inner, text)).output

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))
        steps.set()

    async with host(Provider(workflows=[ascent], tools=[climbs]), revision) as client:
        await client.call_tool("ascent", {"input": "go"}, progress_callback=hear)
        await steps.wait()
    assert told[0] == (1.0, "guide: called")
    numbers = [number for number, _ in told]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_cancelled_call_is_stopped(revision: str) -> None:
    endless = Endless()
    async with host(Provider(tools=[endless.wait]), revision) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "wait")
            await endless.begun.wait()
            tasks.cancel_scope.cancel()
        await endless.stopped.wait()


async def test_a_call_has_the_spans_of_a_request(spans: Spans) -> None:
    inner = guide([FunctionCall("weather", {"city": "Oslo"})], "It is warm.", tools=[weather])
    async with host(Provider(agents=[inner], tools=[weather]), "legacy") as client:
        await client.call_tool("guide", {"input": "go"})
        await client.call_tool("weather", {"city": "Oslo"})
    assert spans.named("invoke_agent guide").ends == 1
    assert spans.named("invoke_agent weather").ends == 1
    assert not [each.name for each in spans.all if each.name.startswith("chat ")]


async def test_our_own_client_calls_our_own_server() -> None:
    far = Provider(agents=[guide("Hi.")], tools=[weather])
    script = [[FunctionCall("far__weather", {"city": "Oslo"})], "It is warm."]
    async with MCPServer.in_process("far", far.mcp_server()) as server:
        near = Agent(name="near", model=ScriptedModel(script), tools=[server])
        with anyio.fail_after(PATIENCE):
            result = await near.run("go")
    listing, call, _ = result.response.output
    assert names(listing.tools) == ["weather", "guide"]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportAttributeAccessIssue]
    assert call.output == '{"city":"Oslo","degrees":21.5}'  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
