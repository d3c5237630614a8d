"""The built-in connector: a client may ask to be asked for what the provider itself runs."""

# Its classes are loaded by name: at the root of this checkout stands our own room `agents`.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false

import importlib
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from openai import AsyncOpenAI

from antiphon.agents import Agent, run, workflow
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import Tool, tool

from .mcp_serving import of_type, one, post
from .serving import BUILT_IN, EXTENDED, Serve, exchange

pytestmark = pytest.mark.anyio

sdk: Any = importlib.import_module("agents")

SEND = FunctionCall("send", {"to": "ann"})
LOOK = FunctionCall("look", {})
ASKING = {**BUILT_IN, "require_approval": "always"}


class Office:
    """Two functions, and what was done by them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def send(self, to: str) -> str:
        """Send a mail."""
        self.done.append(f"send {to}")
        return f"sent to {to}"

    def look(self) -> str:
        """Look at the mail."""
        self.done.append("look")
        return "nothing new"

    @property
    def tools(self) -> list[Tool[..., Any]]:
        """Both, of which neither waits by itself."""
        return [tool(self.send), tool(self.look)]

    def provider(self, *turns: Any, **options: Any) -> Provider:
        """A provider of them, whose model says these turns."""
        return Provider(models=[ScriptedModel(list(turns), name="m")], tools=self.tools, **options)


def word(asked: str, *, approve: bool = True) -> list[dict[str, Any]]:
    return [{"type": "mcp_approval_response", "approval_request_id": asked, "approve": approve}]


async def test_a_function_waits_because_the_request_says_so_and_runs_once() -> None:
    office = Office()
    app = office.provider([SEND], "it is sent")
    first = await post(app, ASKING)
    request = one(first, "mcp_approval_request")
    before = list(office.done)
    answer: Any = {"previous_response_id": first["id"], "input": word(request["id"])}
    second = await post(app, ASKING, **answer)
    again = await post(app, ASKING, status=409, **answer)
    assert (request["server_label"], request["name"]) == ("antiphon", "send")
    assert request["arguments"] == '{"to":"ann"}'
    assert before == []
    call = one(second, "mcp_call")
    assert (call["output"], call["approval_request_id"]) == ("sent to ann", request["id"])
    assert office.done == ["send ann"]
    assert again["code"] == "approval_used"


async def test_a_refused_function_does_not_run_and_the_model_reads_why() -> None:
    office = Office()
    app = office.provider([SEND], "as you wish")
    first = await post(app, ASKING)
    asked = one(first, "mcp_approval_request")["id"]
    second = await post(
        app, ASKING, previous_response_id=first["id"], input=word(asked, approve=False)
    )
    assert "did not approve this call" in str(one(second, "mcp_call")["error"])
    assert office.done == []


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ("always", ["send", "look"]),
        ("never", []),
        (None, []),
        ({"never": {"tool_names": ["look"]}}, ["send"]),
        ({"always": {"tool_names": ["send"]}, "never": {"tool_names": ["look"]}}, ["send"]),
        ({"always": {"tool_names": ["look"]}, "never": {"tool_names": ["look"]}}, ["send", "look"]),
        ({"never": {"read_only": True}}, ["send", "look"]),
    ],
)
async def test_which_functions_wait_is_what_the_filters_say(policy: Any, waits: list[str]) -> None:
    office = Office()
    app = office.provider([SEND, LOOK], "done")
    response = await post(app, {**BUILT_IN, "require_approval": policy})
    assert [item["name"] for item in of_type(response, "mcp_approval_request")] == waits
    ran = [name for name in ("send", "look") if name not in waits]
    assert [call["name"] for call in of_type(response, "mcp_call")] == ran
    assert {each.split()[0] for each in office.done} == set(ran)  # they run side by side


async def test_never_does_not_lift_what_the_tool_itself_demands() -> None:
    careful = tool(Office().send, needs_approval=True)
    app = Provider(models=[ScriptedModel([[SEND]], name="m")], tools=[careful])
    response = await post(app, {**BUILT_IN, "require_approval": "never"})
    assert one(response, "mcp_approval_request")["name"] == "send"


def written(arguments: str) -> FunctionCall:
    """A call as a model writes it, whatever that is."""

    async def fragments() -> AsyncGenerator[str, None]:
        yield arguments

    return FunctionCall("post", fragments())


@pytest.mark.parametrize("arguments", ["{}", '{"to": null}', '{"to": "bob"}', "", "  "])
async def test_a_call_that_leaves_out_what_may_be_left_out_waits_like_any_other(
    arguments: str,
) -> None:
    sent: list[str] = []

    def mail(to: str = "ann") -> str:
        """Send a mail."""
        sent.append(to)
        return "sent"

    careful = tool(mail, name="post")
    model = ScriptedModel([[written(arguments)]], name="m")
    response = await post(Provider(models=[model], tools=[careful]), ASKING)
    assert one(response, "mcp_approval_request")["name"] == "post"
    assert sent == []


@pytest.mark.parametrize("policy", ["always", {"always": {"tool_names": ["send"]}}])
async def test_what_the_tool_itself_demands_holds_where_the_request_asks_too(policy: Any) -> None:
    sent: list[str] = []

    def send(to: str, cc: str = "nobody") -> str:
        """Send a mail."""
        sent.append(to)
        return cc

    careful = tool(send, needs_approval=lambda to: to == "ann")
    careful.takes = lambda arguments: False  # so that the request's gate alone lets it pass
    app = Provider(models=[ScriptedModel([[SEND]], name="m")], tools=[careful])
    response = await post(app, {**BUILT_IN, "require_approval": policy})
    assert one(response, "mcp_approval_request")["name"] == "send"
    assert sent == []


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tool_name": ["look"]}, "tool_name"),
        ({"tool_names": "look"}, "tool_names"),
        ({"read_only": True}, "read_only"),
        ({"tool_names": ["look"], "read_only": False}, "read_only"),
    ],
)
async def test_a_filter_that_cannot_be_read_offers_nothing(given: Any, param: str) -> None:
    tools = {**BUILT_IN, "allowed_tools": given}
    error = await post(Office().provider("never"), tools, status=400)
    assert error["param"] == f"tools[0].allowed_tools.{param}"


async def test_nobody_is_asked_about_a_call_that_can_only_fail() -> None:
    office = Office()
    app = office.provider([FunctionCall("send", {"whom": "ann"})], "I see")
    response = await post(app, ASKING)
    assert of_type(response, "mcp_approval_request") == []
    assert one(response, "mcp_call")["status"] == "failed"


@pytest.mark.parametrize(
    ("policy", "param"),
    [
        ("sometimes", "require_approval"),
        ({"maybe": {}}, "require_approval.maybe"),
        ({"never": {"tool_names": "send"}}, "require_approval.never.tool_names"),
    ],
)
async def test_a_policy_that_cannot_be_is_a_400(policy: Any, param: str) -> None:
    error = await post(
        Office().provider("never"), {**BUILT_IN, "require_approval": policy}, status=400
    )
    assert error["param"] == f"tools[0].{param}"
    assert error["message"].startswith(f"tools[0].{param}: expected")


async def test_an_agent_and_a_workflow_of_the_provider_s_wait_as_a_whole() -> None:
    script = ["the findings", "again"]
    reader = Agent(name="reader", model=ScriptedModel(script), instructions="Reads.")

    @workflow
    async def report(question: str) -> str:
        """Write a report."""
        return (await run(reader, question)).output

    turns = [FunctionCall("reader", {"input": "a"}), FunctionCall("report", {"input": "b"})]
    model = ScriptedModel([turns, "all done"], name="m")
    app = Provider(models=[model], tools=[reader.as_tool(), report.as_tool()])
    first = await post(app, ASKING)
    asked = of_type(first, "mcp_approval_request")
    words = [each for request in asked for each in word(request["id"])]
    second = await post(app, ASKING, previous_response_id=first["id"], input=words)
    assert [request["name"] for request in asked] == ["reader", "report"]
    assert of_type(first, "mcp_call") == []
    assert [call["name"] for call in of_type(second, "mcp_call")] == ["reader", "report"]
    assert {call["status"] for call in of_type(second, "mcp_call")} == {"completed"}


async def test_a_client_that_opted_in_sees_the_request_in_its_own_form() -> None:
    app = Office().provider([SEND])
    body = {"model": "m", "input": "go", "tools": [ASKING]}
    response = json.loads((await exchange(app, body, headers=EXTENDED)).body)
    assert [item["type"] for item in response["output"]] == ["antiphon:approval_request"]


async def test_another_policy_in_the_next_request_changes_no_word_that_was_given() -> None:
    office = Office()
    app = office.provider([SEND], [LOOK], "done")
    first = await post(app, ASKING)
    asked = one(first, "mcp_approval_request")["id"]
    second = await post(
        app,
        {**BUILT_IN, "require_approval": "never"},
        previous_response_id=first["id"],
        input=word(asked),
    )
    assert [call["name"] for call in of_type(second, "mcp_call")] == ["send", "look"]
    assert office.done == ["send ann", "look"]


async def test_the_openai_client_asks_to_be_asked_and_approves(serving: Serve) -> None:
    office = Office()
    app = office.provider([SEND], "it is sent")
    with serving(app) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
            tools: Any = [ASKING]
            first = await client.responses.create(model="m", input="go", tools=tools)
            (request,) = first.output
            before = list(office.done)
            second = await client.responses.create(
                model="m",
                previous_response_id=first.id,
                input=[
                    {
                        "type": "mcp_approval_response",
                        "approval_request_id": request.id or "",
                        "approve": True,
                    }
                ],
                tools=tools,
            )
    assert request.type == "mcp_approval_request"
    assert before == []
    assert [item.type for item in second.output] == ["mcp_call", "message"]
    assert office.done == ["send ann"]


@pytest.mark.parametrize("approves", [True, False])
async def test_openai_agents_hosted_mcp_tool_is_asked_for_a_function_of_the_provider_s(
    serving: Serve, approves: bool
) -> None:
    office = Office()
    asked: list[tuple[str, str]] = []

    def decide(request: Any) -> dict[str, Any]:
        asked.append((request.data.name, request.data.arguments))
        return {"approve": approves, "reason": None if approves else "not today"}

    app = office.provider([SEND], "That is all.")
    with serving(app) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
            hosted = sdk.HostedMCPTool(tool_config=ASKING, on_approval_request=decide)
            model = sdk.OpenAIResponsesModel(model="m", openai_client=client)
            agent = sdk.Agent(name="clerk", model=model, tools=[hosted])
            config = sdk.RunConfig(tracing_disabled=True)
            result = await sdk.Runner.run(agent, "send it", run_config=config)
    assert asked == [("send", '{"to":"ann"}')]
    assert office.done == (["send ann"] if approves else [])
    assert result.final_output == "That is all."
