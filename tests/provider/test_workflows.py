"""Workflows as model names: one request, and the client watches."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import json
from typing import Any

import anyio
import pytest
from openai import AsyncOpenAI
from openai.types.responses.response_output_item import McpCall as SdkMcpCall

from antiphon.agents import Agent, Workflow, chain, parallel, route, run, workflow
from antiphon.errors import ConfigurationError, RunError
from antiphon.models import Failure, FunctionCall, ScriptedModel, Text, Usage
from antiphon.provider import Provider
from antiphon.tools import tool

from .serving import EXTENDED, PATIENCE, Exchange, Serve, events_of, exchange, inside, types
from .talking import strictly

pytestmark = pytest.mark.anyio


def speaker(name: str, text: str) -> Agent[str]:
    model = ScriptedModel([[Text(text), Usage(10, 5)]], name=f"{name}-model", repeat=True)
    return Agent(name=name, model=model)


def bad() -> Agent[str]:
    return Agent(name="bad", model=ScriptedModel([[Failure("full", "no room")]], repeat=True))


@workflow
async def report(question: str) -> str:
    """Find, then write."""
    found = await run(speaker("finder", "Tides rise."), question)
    return (await run(speaker("writer", "A report."), found.output)).output


@workflow
async def careful(text: str) -> dict[str, str]:
    try:
        return {"said": (await run(bad(), text)).output}
    except RunError as error:
        return {"error": str(error)}


@workflow
async def careless(text: str) -> str:
    return (await run(bad(), text)).output


ONE, TWO = speaker("one", "1"), speaker("two", "2")


@pytest.mark.parametrize(
    ("served", "status", "types_", "said"),
    [
        (report, "completed", ["mcp_call", "mcp_call", "message"], "A report."),
        (careful, "completed", ["mcp_call", "message"], '{"error":"bad failed: no room"}'),
        (careless, "failed", ["mcp_call"], None),
        (chain(ONE, TWO, name="line"), "completed", ["mcp_call", "mcp_call", "message"], "2"),
        (
            parallel(ONE, TWO, name="wide"),
            "completed",
            ["mcp_call", "mcp_call", "message"],
            "one:\n1\n\ntwo:\n2",
        ),
        (
            route(lambda _: "b", {"a": ONE, "b": TWO}, name="way"),
            "completed",
            ["mcp_call", "message"],
            "2",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Workflow) else "",
)
async def test_every_shape_is_one_request(
    served: Workflow[Any], status: str, types_: list[str], said: str | None
) -> None:
    async with inside(Provider(workflows=[served])) as client:
        body = {"model": served.name, "input": "Why tides?"}
        answer = await client.post("/v1/responses", json=body)
        stream = await client.post("/v1/responses", json={**body, "stream": True})
    whole = answer.json()
    assert (answer.status_code, whole["status"], whole["model"]) == (200, status, served.name)
    assert types(whole["output"]) == types_
    if said is not None:
        assert whole["output"][-1]["content"][0]["text"] == said
    events = events_of(stream.content)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert types(events[-1]["response"]["output"]) == types_
    assert b"antiphon:" not in stream.content
    assert whole["usage"]["total_tokens"] == events[-1]["response"]["usage"]["total_tokens"]


async def test_a_plain_client_sees_receipts_and_one_that_opted_in_sees_every_item() -> None:
    app = Provider(workflows=[report])
    body = {"model": "report", "input": "Why tides?"}
    async with inside(app) as client:
        plain = (await client.post("/v1/responses", json=body)).json()
        opted = await client.post("/v1/responses", json={**body, "stream": True}, headers=EXTENDED)
    receipt = plain["output"][0]
    assert (receipt["name"], receipt["output"]) == ("finder", "Tides rise.")
    assert json.loads(receipt["arguments"]) == {"input": "Why tides?"}
    events = events_of(opted.content)
    inner = [e["event"] for e in events if e["type"] == "antiphon:agent_call.event"]
    assert [e["delta"] for e in inner if e["type"] == "response.output_text.delta"] == [
        "Tides rise.",
        "A report.",
    ]
    output = events[-1]["response"]["output"]
    assert types(output) == ["antiphon:agent_call", "antiphon:agent_call", "message"]
    assert output[1]["output"][0]["content"][0]["text"] == "A report."


async def test_the_failure_of_a_workflow_is_the_response_s_error() -> None:
    async with inside(Provider(workflows=[careless])) as client:
        answer = await client.post("/v1/responses", json={"model": "careless", "input": "x"})
    assert answer.json()["error"] == {"code": "workflow_failed", "message": "bad failed: no room"}
    assert answer.json()["output"][0]["status"] == "failed"


async def test_the_openai_client_reads_a_workflow_over_a_real_server(serving: Serve) -> None:
    with serving(Provider(workflows=[report])) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
            response = await client.responses.create(model="report", input="Why tides?")
            strictly(response)
            stream = await client.responses.create(model="report", input="Why?", stream=True)
            events = [event async for event in stream]
            listed = [model.id async for model in client.models.list()]
    assert response.output_text == "A report."
    assert response.usage is not None
    assert response.usage.total_tokens == 30
    first = response.output[0]
    assert isinstance(first, SdkMcpCall)
    assert (first.name, first.output, first.server_label) == ("finder", "Tides rise.", "antiphon")
    kinds = [event.type for event in events]
    assert kinds.count("response.mcp_call.completed") == 2
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "A report."
    assert listed == ["report"]


async def test_a_client_that_leaves_ends_the_child_and_what_was_finished_is_kept() -> None:
    started, ended = anyio.Event(), anyio.Event()

    @tool
    async def hang() -> str:
        """Never end."""
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        return ""

    turns = [[Text("So far."), FunctionCall("hang", {})]]
    stuck = Agent(name="stuck", model=ScriptedModel(turns), tools=[hang])

    @workflow
    async def slow(text: str) -> str:
        await run(ONE, text)
        return (await run(stuck, text)).output

    app = Provider(workflows=[slow])
    one = Exchange(app, {"model": "slow", "input": "x", "stream": True})
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await started.wait()
            one.leave()
        await ended.wait()
    first = json.loads(one.body.split(b"data: ")[1].split(b"\n")[0])
    async with inside(app) as client:
        kept = (await client.get(f"/v1/responses/{first['response']['id']}")).json()
    assert (kept["status"], kept["usage"]["total_tokens"]) == ("cancelled", 15)
    assert [item["status"] for item in kept["output"]] == ["completed", "incomplete"]


async def test_a_stored_workflow_is_continued() -> None:
    read = speaker("reader", "Read.")

    app = Provider(workflows=[chain(read, name="line")])
    async with inside(app) as client:
        one = (await client.post("/v1/responses", json={"model": "line", "input": "a"})).json()
        body = {"model": "line", "input": "b", "previous_response_id": one["id"]}
        two = await client.post("/v1/responses", json=body)
    assert two.json()["status"] == "completed"
    model = read.model
    assert isinstance(model, ScriptedModel)
    kinds = [item.type for item in model.requests[-1].items]
    assert kinds == ["message", "function_call", "function_call_output", "message", "message"]


async def test_an_agent_of_the_request_may_be_a_workflow() -> None:
    turns = [[FunctionCall("scribe", {"input": "Why?"})], [Text("Done.")]]
    app = Provider(models=[ScriptedModel(turns, name="big", repeat=True)], workflows=[report])
    inline: dict[str, Any] = {
        "type": "antiphon:agent",
        "name": "scribe",
        "model": "report",
        "description": "Writes reports.",
    }
    async with inside(app, headers=EXTENDED) as client:
        body = {"model": "big", "input": "x", "tools": [inline]}
        whole = (await client.post("/v1/responses", json=body)).json()
        tools = [{"type": "antiphon:function", "name": "look"}]
        body["tools"] = [{**inline, "tools": tools}]
        refused = await client.post("/v1/responses", json=body)
    assert types(whole["output"][0]["output"]) == [
        "antiphon:agent_call",
        "antiphon:agent_call",
        "message",
    ]
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "tools[0].tools"


async def test_a_request_with_tools_is_refused_before_there_is_a_response() -> None:
    function = {"type": "function", "name": "look", "parameters": {}}
    body = {"model": "report", "input": "x", "tools": [function]}
    answer = await exchange(Provider(workflows=[report]), body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["param"] == "tools"


def test_names_are_one_namespace_and_only_workflows_are_taken() -> None:
    with pytest.raises(ConfigurationError, match="are named 'report'"):
        Provider(agents=[speaker("report", "x")], workflows=[report])
    wrong: Any = [ONE]
    with pytest.raises(ConfigurationError, match="workflows: expected Workflow objects, got Agent"):
        Provider(workflows=wrong)
