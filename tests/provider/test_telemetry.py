"""Spans of responses, as the conventions for generative AI have them."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from antiphon.agents import Agent, run, workflow
from antiphon.items import CreateResponse, Event, Response
from antiphon.models import (
    Failure,
    FunctionCall,
    ModelRequest,
    ScriptedModel,
    Speech,
    Text,
    Usage,
    model,
)
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import Shell, tool

from .serving import BUILT_IN, PATIENCE, Exchange, exchange
from .spans import Spans, spans as spans

if TYPE_CHECKING:
    from provider.telemetry import traced
else:
    from antiphon.provider.telemetry import traced

pytestmark = pytest.mark.anyio

SECRETS = ("secret-prompt", "secret-city", "secret-answer", "secret-fault")


@tool
async def weather(city: str) -> str:
    """The weather."""
    if city == "nowhere":
        raise ValueError("secret-fault")
    return "secret-answer"


def script(*turns: Any, name: str = "m") -> ScriptedModel:
    return ScriptedModel(list(turns), name=name, repeat=True)


CALLS = [FunctionCall("weather", {"city": "secret-city"})]
SAYS = [Text("secret-answer"), Usage(7, 5, cached_tokens=3, reasoning_tokens=2)]


async def ask(app: Provider, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    given = {"input": "secret-prompt", **body}
    one = await exchange(app, given, headers=headers)
    assert one.status == 200, one.body
    return {} if body.get("stream") else json.loads(one.body)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_s_response_is_a_chat_with_its_calls_beneath(
    spans: Spans, stream: bool
) -> None:
    app = Provider(models=[script(CALLS, SAYS)], tools=[weather])
    options: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 100}
    await ask(app, tools=[BUILT_IN], stream=stream, **options)
    assert spans.tree() == {"chat m": {"execute_tool weather": {}}}
    chat, call = spans.all
    assert chat.kind is SpanKind.CLIENT
    said = dict(chat.attributes)
    assert said.pop("gen_ai.response.id").startswith("resp_")
    assert said.pop("gen_ai.request.stream", False) is stream
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "antiphon",
        "gen_ai.request.model": "m",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.response.model": "m",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    assert call.kind is SpanKind.INTERNAL
    assert call.attributes.pop("gen_ai.tool.call.id")
    assert call.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
    }
    assert not chat.failed
    assert not call.failed
    assert call.began is not None


async def test_what_a_shell_runs_here_is_a_call_and_what_the_client_runs_is_none(
    spans: Spans,
) -> None:
    run = FunctionCall("shell", {"commands": ["echo secret-answer"]})
    app = Provider(models=[script([run], SAYS)], tools=[Shell(LocalSandboxes())])
    await ask(app, tools=[{"type": "shell"}])
    await app.aclose()
    assert spans.tree() == {"chat m": {"execute_tool shell": {}}}
    spans.all.clear()
    here = Provider(models=[script([run], SAYS)])
    await ask(here, tools=[{"type": "shell", "environment": {"type": "local"}}])
    assert spans.tree() == {"chat m": {}}


async def test_a_sub_agent_s_run_is_beneath_its_caller_s_with_its_own_calls(spans: Spans) -> None:
    reader = Agent(name="reader", model=script(CALLS, SAYS), tools=[weather])
    deeper = Agent(
        name="deeper",
        model=script([FunctionCall("reader", {"input": "x"})], SAYS),
        tools=[reader.as_tool(description="reads")],
    )
    guide = Agent(
        name="guide",
        model=script([*CALLS, FunctionCall("deeper", {"input": "x"})], SAYS),
        tools=[weather, deeper.as_tool(description="goes deep")],
    )
    await ask(Provider(agents=[guide]), model="guide")
    inner: dict[str, Any] = {"invoke_agent reader": {"execute_tool weather": {}}}
    assert spans.tree() == {
        "invoke_agent guide": {"execute_tool weather": {}, "invoke_agent deeper": inner}
    }
    said = spans.named("invoke_agent reader").attributes
    assert said["gen_ai.agent.name"] == "reader"
    assert said["gen_ai.usage.input_tokens"] == 7
    assert said["gen_ai.response.finish_reasons"] == ["stop"]
    whole = spans.named("invoke_agent guide")
    assert whole.kind is SpanKind.INTERNAL
    assert whole.attributes["gen_ai.agent.name"] == "guide"
    assert whole.attributes["gen_ai.usage.input_tokens"] == 21


async def test_a_workflow_s_agents_are_beneath_it(spans: Spans) -> None:
    reader = Agent(name="reader", model=script(SAYS))

    @workflow
    async def report(question: str) -> str:
        """Reports."""
        return (await run(reader, question)).output_text

    await ask(Provider(workflows=[report]), model="report")
    assert spans.tree() == {"invoke_workflow report": {"invoke_agent reader": {}}}
    assert spans.all[0].attributes["gen_ai.workflow.name"] == "report"


async def test_no_content_is_in_any_span(spans: Spans) -> None:
    broken = [Text("secret-answer"), Failure("server_error", "secret-fault")]
    fails = [FunctionCall("weather", {"city": "nowhere"})]
    app = Provider(models=[script(CALLS, fails, broken)], tools=[weather])
    await ask(app, tools=[BUILT_IN], instructions="secret-prompt", metadata={"a": "secret-prompt"})
    said = repr([(span.name, span.attributes) for span in spans.all])
    assert not [word for word in SECRETS if word in said]


async def test_how_it_ended_is_told(spans: Spans) -> None:
    fails = [FunctionCall("weather", {"city": "nowhere"})]
    broken = [Failure("server_error", "the engine stalled")]
    app = Provider(models=[script(fails, broken)], tools=[weather])
    await ask(app, tools=[BUILT_IN])
    chat, call = spans.all
    assert (chat.failed, chat.attributes["error.type"]) == (True, "server_error")
    assert chat.attributes["gen_ai.response.finish_reasons"] == ["error"]
    assert (call.failed, call.attributes["error.type"]) == (True, "failed")


async def test_a_call_for_the_client_is_the_end_and_no_span(spans: Spans) -> None:
    own = {"type": "function", "name": "own", "parameters": {"type": "object"}}
    app = Provider(models=[script([FunctionCall("own", {})])])
    await ask(app, tools=[own])
    assert spans.tree() == {"chat m": {}}
    assert spans.all[0].attributes["gen_ai.response.finish_reasons"] == ["tool_call"]


PARENT = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


async def test_the_request_s_traceparent_is_the_parent(spans: Spans) -> None:
    await ask(Provider(models=[script(SAYS)]), headers=PARENT)
    assert spans.all[0].parent.span_id == 0x00F067AA0BA902B7
    assert spans.all[0].parent.trace_id == 0x4BF92F3577B34DA6A3CE929D0E0E4736


@pytest.mark.parametrize("value", ["", "00-xyz-1-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
async def test_a_traceparent_that_is_none_is_nobody_s_parent(spans: Spans, value: str) -> None:
    await ask(Provider(models=[script(SAYS)]), headers={"traceparent": value})
    assert spans.tree() == {"chat m": {}}


async def test_a_server_s_own_span_comes_before_the_header_s(spans: Spans) -> None:
    server = spans.start_span("POST /v1/responses")
    with trace.use_span(server, end_on_exit=True):
        await ask(Provider(models=[script(SAYS)]), headers=PARENT)
    assert spans.tree() == {"POST /v1/responses": {"chat m": {}}}


@model("looks")
async def looks(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Says in which span it speaks."""
    yield Text(str(trace.get_current_span().get_span_context().span_id))
    await anyio.lowlevel.checkpoint()
    yield Text(f",{trace.get_current_span().get_span_context().span_id}")


async def test_what_is_done_meanwhile_is_done_inside_the_span(spans: Spans) -> None:
    said = await ask(Provider(models=[looks]))
    assert said["output"][0]["content"][0]["text"] == "1,1"
    assert trace.get_current_span().get_span_context().span_id == 0


async def test_spans_of_a_run_whose_client_leaves_end(spans: Spans) -> None:
    @model("endless")
    async def endless(request: ModelRequest) -> AsyncGenerator[Speech, None]:
        yield Text("begun")
        await anyio.sleep_forever()

    one = Exchange(Provider(models=[endless]), {"input": "x", "stream": True})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        await one.until(lambda: b"begun" in one.body)
        one.leave()
        await one.until(lambda: one.ended)
    assert spans.tree() == {"chat endless": {}}
    assert spans.all[0].attributes["gen_ai.response.finish_reasons"] == ["cancelled"]


async def test_a_job_in_the_background_is_traced(spans: Spans) -> None:
    app = Provider(models=[script(SAYS)])
    await ask(app, background=True, headers=PARENT)
    with anyio.fail_after(PATIENCE):
        while not spans.all[0].ends:
            await anyio.lowlevel.checkpoint()
    assert spans.all[0].parent.span_id == 0x00F067AA0BA902B7
    await app.aclose()


async def test_without_an_sdk_the_events_are_not_touched() -> None:
    async def events() -> AsyncGenerator[Event, None]:
        yield Event(type="x")

    given, catalogue = events(), Provider(models=[script(SAYS)])._desk.catalogue  # pyright: ignore[reportPrivateUsage]
    request = CreateResponse(model="m")
    assert traced(given, request=request, response=Response(id="r"), catalogue=catalogue) is given
    await given.aclose()


def test_without_an_sdk_nothing_is_imported() -> None:
    code = "import antiphon.provider, sys; sys.exit('opentelemetry.trace' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
