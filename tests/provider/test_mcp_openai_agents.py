"""openai-agents' HostedMCPTool against a Provider and a real MCP server: asked, approved, refused,
streamed, and put off until tomorrow.
"""

# Its classes are loaded by name: at the root of this checkout stands our own room `agents`.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import importlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.server import MCPServer as Server
from openai import AsyncOpenAI

from antiphon.models import FunctionCall, ModelRequest, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import MCPServers

from .mcp_serving import mcp
from .serving import Serve

pytestmark = pytest.mark.anyio

sdk: Any = importlib.import_module("agents")

ERASE = FunctionCall("desk__erase", {"path": "a"})
KEEP = FunctionCall("desk__erase", {"path": "b"})
ADD = FunctionCall("desk__add", {"a": 20, "b": 22})


class Archive:
    """A server of the official SDK, and what was done in it; a model that works with it."""

    def __init__(self, *turns: Any) -> None:
        self.erased: list[str] = []
        self.server = Server("desk")
        self.server.tool()(self.add)
        self.server.tool()(self.erase)
        self.model = ScriptedModel(list(turns), name="m")

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    def erase(self, path: str) -> str:
        """Erase a file."""
        self.erased.append(path)
        return f"erased {path}"

    def read(self) -> list[str]:
        """What the model read of its calls the last time that it was asked."""
        asked: ModelRequest = self.model.requests[-1]
        outputs: list[Any] = [item for item in asked.items if hasattr(item, "output")]
        return [item.output for item in outputs]

    @asynccontextmanager
    async def agent(
        self, serving: Serve, decide: Callable[[Any], Any] | None, policy: Any = "always"
    ) -> AsyncGenerator[Any]:
        """An agent of theirs, with this server behind a Provider."""
        app = Provider(models=[self.model], tools=[MCPServers()], private_urls=True)
        with serving(self.server.streamable_http_app()) as base, serving(app) as url:
            async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
                config = {**mcp(f"{base}/mcp"), "require_approval": policy}
                tool = sdk.HostedMCPTool(tool_config=config, on_approval_request=decide)
                model = sdk.OpenAIResponsesModel(model="m", openai_client=client)
                yield sdk.Agent(name="clerk", model=model, tools=[tool])


CONFIG: Any = sdk.RunConfig(tracing_disabled=True)


def yes(request: Any) -> dict[str, Any]:
    return {"approve": True}


async def test_a_call_that_is_approved_runs_once(serving: Serve) -> None:
    archive = Archive([ERASE], "It is gone.")
    asked: list[tuple[str, str]] = []

    def decide(request: Any) -> dict[str, Any]:
        asked.append((request.data.name, request.data.arguments))
        assert archive.erased == []
        return {"approve": True}

    async with archive.agent(serving, decide) as agent:
        result = await sdk.Runner.run(agent, "erase a", run_config=CONFIG)
    assert asked == [("erase", '{"path":"a"}')]
    assert archive.erased == ["a"]
    assert archive.read() == ["erased a"]
    assert result.final_output == "It is gone."


async def test_a_call_that_is_refused_does_not_run_and_the_model_reads_why(serving: Serve) -> None:
    archive = Archive([ERASE], "As you wish.")

    def decide(request: Any) -> dict[str, Any]:
        return {"approve": False, "reason": "we need it"}

    async with archive.agent(serving, decide) as agent:
        result = await sdk.Runner.run(agent, "erase a", run_config=CONFIG)
    assert archive.erased == []
    assert archive.read() == ["Error: the user did not approve this call: we need it"]
    assert result.final_output == "As you wish."


async def test_of_two_calls_of_a_turn_one_is_approved(serving: Serve) -> None:
    archive = Archive([ERASE, KEEP], "One is gone.")

    def decide(request: Any) -> dict[str, Any]:
        return {"approve": json.loads(request.data.arguments)["path"] == "a"}

    async with archive.agent(serving, decide) as agent:
        result = await sdk.Runner.run(agent, "erase both", run_config=CONFIG)
    assert archive.erased == ["a"]
    assert result.final_output == "One is gone."


async def test_only_what_the_filters_name_is_asked(serving: Serve) -> None:
    archive = Archive([ADD], [ERASE], "42, and gone.")
    asked: list[str] = []

    def decide(request: Any) -> dict[str, Any]:
        asked.append(request.data.name)
        return {"approve": True}

    policy = {"never": {"tool_names": ["add"]}}
    async with archive.agent(serving, decide, policy) as agent:
        result = await sdk.Runner.run(agent, "go", run_config=CONFIG)
    assert asked == ["erase"]
    assert archive.read() == ["42", "erased a"]
    assert result.final_output == "42, and gone."


async def test_a_streamed_run_is_asked_and_goes_on(serving: Serve) -> None:
    archive = Archive([ERASE], "It is gone.")
    async with archive.agent(serving, yes) as agent:
        result = sdk.Runner.run_streamed(agent, "erase a", run_config=CONFIG)
        names = [event.name async for event in result.stream_events() if hasattr(event, "name")]
    assert "mcp_approval_requested" in names
    assert "mcp_approval_response" in names
    assert archive.erased == ["a"]
    assert result.final_output == "It is gone."


@pytest.mark.parametrize("approves", [True, False])
async def test_a_run_that_is_put_off_goes_on_from_its_own_state(
    serving: Serve, approves: bool
) -> None:
    archive = Archive([ERASE], "That is all.")
    async with archive.agent(serving, None) as agent:
        first = await sdk.Runner.run(agent, "erase a", run_config=CONFIG)
        kept = first.to_state().to_string()
        before = list(archive.erased)
        state = await sdk.RunState.from_string(agent, kept)
        (waits,) = state.get_interruptions()
        state.approve(waits) if approves else state.reject(waits)
        second = await sdk.Runner.run(agent, state, run_config=CONFIG)
    assert before == []
    assert archive.erased == (["a"] if approves else [])
    assert second.final_output == "That is all."
