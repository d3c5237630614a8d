"""openai-agents runs its own shell, editor and custom tools on the provider's calls."""

# Its classes are loaded by name: at the root of this checkout stands our own room `agents`.

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import Shell, WebResult, WebSearch

from .serving import PATIENCE, serve

pytestmark = pytest.mark.anyio

sdk: Any = importlib.import_module("agents")


def told(request: ModelRequest) -> Text:
    return Text(f"got {getattr(request.items[-1], 'output', '')}")


async def search(query: str) -> list[WebResult]:
    return [WebResult("https://sea.example/", "Sea", "Salty.")]


def script(name: str, call: FunctionCall, last: Any = told) -> ScriptedModel:
    return ScriptedModel([call, last], name=name, fragment=6, repeat=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    patch = {"type": "create_file", "path": "a.txt", "diff": "+hello"}
    models = [
        script("shell", FunctionCall("shell", {"commands": ["echo hi"]})),
        script("patch", FunctionCall("apply_patch", patch)),
        script("note", FunctionCall("note", {"input": "buy milk"})),
        script("web", FunctionCall("web_search", {"query": "sea"}), "Salty [cite:1]."),
    ]
    tools = [Shell(LocalSandboxes()), WebSearch(search=search, open_page=False)]
    with serve(Provider(models=models, tools=tools)) as base:
        yield f"{base}/v1"


class Editor:
    """Remembers what it was asked to create."""

    def __init__(self) -> None:
        self.created: list[tuple[str, str]] = []

    def create_file(self, operation: Any) -> Any:
        self.created.append((operation.path, operation.diff))
        return importlib.import_module("agents.editor").ApplyPatchResult(output="created")

    def update_file(self, operation: Any) -> Any:
        raise AssertionError

    def delete_file(self, operation: Any) -> Any:
        raise AssertionError


async def run(url: str, name: str, tool: Any) -> tuple[str, list[str]]:
    """The answer of an agent with this tool, streamed or not, and the types of its items."""
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE) as client:
        model = sdk.OpenAIResponsesModel(model=name, openai_client=client)
        agent = sdk.Agent(name="hand", model=model, tools=[tool])
        config = sdk.RunConfig(tracing_disabled=True)
        whole = await sdk.Runner.run(agent, "go", run_config=config, max_turns=3)
        result = sdk.Runner.run_streamed(agent, "go", run_config=config, max_turns=3)
        async for _ in result.stream_events():
            pass
        assert result.final_output == whole.final_output
        return whole.final_output, [_type(item.raw_item) for item in whole.new_items]


def _type(raw: Any) -> str:
    """Some of its items are objects, some are dicts."""
    kind: str | None = getattr(raw, "type", None)
    return raw["type"] if kind is None else kind


async def test_its_local_shell_runs_the_commands(url: str) -> None:
    asked: list[list[str]] = []

    async def execute(request: Any) -> str:
        asked.append(list(request.data.action.commands))
        return "hi from the client"

    answer, types = await run(url, "shell", sdk.ShellTool(executor=execute))
    assert asked == [["echo hi"]] * 2
    assert "hi from the client" in answer
    assert types == ["shell_call", "shell_call_output", "message"]


async def test_a_shell_in_a_container_runs_here(url: str) -> None:
    tool = sdk.ShellTool(environment={"type": "container_auto"})
    answer, types = await run(url, "shell", tool)
    assert "hi\\n" in answer and "exit_code" in answer
    assert types == ["shell_call", "shell_call_output", "message"]


async def test_its_editor_applies_the_patch(url: str) -> None:
    editor = Editor()
    answer, types = await run(url, "patch", sdk.ApplyPatchTool(editor=editor))
    assert editor.created == [("a.txt", "+hello")] * 2
    assert answer == "got created"
    assert types == ["apply_patch_call", "apply_patch_call_output", "message"]


async def test_its_custom_tool_gets_the_text(url: str) -> None:
    async def take(context: Any, text: str) -> str:
        return f"noted {text}"

    tool = sdk.CustomTool(name="note", description="Takes notes.", on_invoke_tool=take)
    answer, types = await run(url, "note", tool)
    assert answer == "got noted buy milk"
    assert types[0] == "custom_tool_call"


async def test_its_web_search_is_ours(url: str) -> None:
    answer, types = await run(url, "web", sdk.WebSearchTool(search_context_size="low"))
    assert answer == "Salty ([sea.example](https://sea.example/))."
    assert types == ["web_search_call", "message"]
