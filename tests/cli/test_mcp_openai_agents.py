"""openai-agents uses what `antiphon mcp` serves: a program that it starts, and a URL."""

import importlib
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent
from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import tool

from .kit import Serving, serving as serving
from .served import COMMAND

pytestmark = pytest.mark.anyio

sdk: Any = importlib.import_module("agents.mcp")
PATIENCE = 60.0

APP = '''
from antiphon.tools import tool

@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
'''


async def test_it_starts_the_program_and_calls(tmp_path: Path) -> None:
    tmp_path.joinpath("sums.py").write_text(APP)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    params = {"command": COMMAND, "args": ["mcp", "sums:add"], "cwd": tmp_path, "env": variables}
    with anyio.fail_after(PATIENCE):
        async with sdk.MCPServerStdio(
            params=params, client_session_timeout_seconds=PATIENCE
        ) as server:
            listed = [each.name for each in await server.list_tools()]
            result = await server.call_tool("add", {"a": 20, "b": 22})
    assert listed == ["add"]
    assert result.content[0].text == "42"


async def test_it_calls_a_provider_at_its_url(serving: Serving) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    guide = Agent(name="guide", model=ScriptedModel(["Hello."]))
    url = serving(Provider(agents=[guide], tools=[add], api_keys={"sk-ann": "ann"}))
    params = {"url": f"{url}/mcp", "headers": {"authorization": "Bearer sk-ann"}}
    with anyio.fail_after(PATIENCE):
        async with sdk.MCPServerStreamableHttp(params=params) as server:
            listed = [each.name for each in await server.list_tools()]
            added = await server.call_tool("add", {"a": 20, "b": 22})
            said = await server.call_tool("guide", {"input": "go"})
    assert listed == ["add", "guide"]
    assert (added.content[0].text, said.content[0].text) == ("42", "Hello.")
