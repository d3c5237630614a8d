"""Tools that clients run, and the shell that runs here, as the `openai` client sees them."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest
from openai import BadRequestError, OpenAI

from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import ImageDraft, ImageGeneration, ImagePrompt, Shell

from .serving import serve
from .talking import kinds, played, strictly

Ask: TypeAlias = Callable[..., OpenAI]
DIFF = {"type": "create_file", "path": "a.txt", "diff": "+hello"}
SUMS: Any = {
    "type": "custom",
    "name": "sums",
    "format": {"type": "grammar", "syntax": "regex", "definition": "[0-9+]+"},
}


def told(request: ModelRequest) -> Text:
    """Says what the last call gave."""
    return Text(str(getattr(request.items[-1], "output", "")))


async def paint(prompt: ImagePrompt) -> Any:
    yield ImageDraft(b"\x89PNG draft")
    yield b"\x89PNG whole"


@pytest.fixture
def ask() -> Iterator[Ask]:
    """A client of a provider whose model makes this call, and then says what came of it."""
    with ExitStack() as stack:

        def made(name: str, arguments: Any) -> OpenAI:
            model = ScriptedModel([FunctionCall(name, arguments), told], name="m", fragment=5)
            tools = [Shell(LocalSandboxes()), ImageGeneration(generate=paint)]
            url = stack.enter_context(serve(Provider(models=[model], tools=tools)))
            return stack.enter_context(OpenAI(base_url=f"{url}/v1", api_key="n", max_retries=0))

        yield made


OUTCOME = {"type": "exit", "exit_code": 0}
SCREEN = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA=="}
ROUND: list[tuple[Any, str, Any, str, dict[str, Any]]] = [
    (
        {"type": "apply_patch"},
        "apply_patch",
        DIFF,
        "apply_patch_call",
        {"type": "apply_patch_call_output", "status": "completed", "output": "done"},
    ),
    (
        {"type": "local_shell"},
        "local_shell",
        {"command": ["ls"]},
        "local_shell_call",
        {"type": "local_shell_call_output", "output": "done"},
    ),
    (
        {"type": "shell", "environment": {"type": "local"}},
        "shell",
        {"commands": ["ls"]},
        "shell_call",
        {
            "type": "shell_call_output",
            "output": [{"stdout": "done", "stderr": "", "outcome": OUTCOME}],
        },
    ),
    (
        {"type": "computer"},
        "computer",
        {"actions": [{"type": "screenshot"}]},
        "computer_call",
        {"type": "computer_call_output", "output": SCREEN},
    ),
    (
        {
            "type": "computer_use_preview",
            "display_width": 800,
            "display_height": 600,
            "environment": "mac",
        },
        "computer",
        {"type": "click", "x": 1, "y": 2, "button": "left"},
        "computer_call",
        {"type": "computer_call_output", "output": SCREEN},
    ),
    (
        SUMS,
        "sums",
        {"input": "1+2"},
        "custom_tool_call",
        {"type": "custom_tool_call_output", "output": "done"},
    ),
]


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(("tool", "name", "given", "kind", "output"), ROUND)
def test_a_client_gets_its_call_and_gives_its_output_back(
    ask: Ask, tool: Any, name: str, given: Any, kind: str, output: dict[str, Any], stored: bool
) -> None:
    client = ask(name, given)
    first = client.responses.create(model="m", input="go", tools=[tool], store=stored)
    strictly(first)
    (call,) = first.output
    assert call.type == kind
    answer: Any = {**output, "call_id": call.to_dict()["call_id"]}
    if kind == "local_shell_call":
        answer["id"] = call.id
    how: Any = (
        {"previous_response_id": first.id, "input": [answer]}
        if stored
        else {"input": [{"role": "user", "content": "go"}, *first.output, answer]}
    )
    second = client.responses.create(model="m", tools=[tool], **how)
    strictly(second)
    assert ("done" in second.output_text) or kind == "computer_call"


def test_a_custom_tool_without_a_grammar_streams_its_text(ask: Ask) -> None:
    client = ask("note", {"input": "buy milk, and bread"})
    tools: Any = [{"type": "custom", "name": "note"}]
    events = played(client.responses.create(model="m", input="go", tools=tools, stream=True))
    deltas = [e.delta for e in events if e.type == "response.custom_tool_call_input.delta"]
    assert len(deltas) > 2
    assert "".join(deltas) == "buy milk, and bread"
    (call,) = strictly(events[-1].response).output
    assert call.type == "custom_tool_call"
    assert call.input == "buy milk, and bread"


def test_a_text_outside_its_grammar_is_a_receipt_and_not_a_call(ask: Ask) -> None:
    client = ask("sums", {"input": "one"})
    response = client.responses.create(model="m", input="go", tools=[SUMS])
    assert [item.type for item in strictly(response).output] == ["mcp_call", "message"]
    assert "grammar" in response.output_text


def test_a_grammar_that_is_none_is_a_400_that_names_its_place(ask: Ask) -> None:
    wrong: Any = {**SUMS, "format": {**SUMS["format"], "definition": "("}}
    with pytest.raises(BadRequestError) as caught:
        ask("sums", {}).responses.create(model="m", input="go", tools=[wrong])
    assert caught.value.param == "tools[0].format.definition"


def test_a_shell_runs_here_and_streams_what_it_prints(ask: Ask) -> None:
    client = ask("shell", {"commands": ["echo out; echo err >&2; exit 4"]})
    tools: Any = [{"type": "shell", "environment": {"type": "container_auto"}}]
    events = played(client.responses.create(model="m", input="go", tools=tools, stream=True))
    names = [name.removeprefix("response.") for name in kinds(events)]
    at = names.index("shell_call_command.added")
    assert names[at - 1] == "output_item.added"
    assert names.index("shell_call_command.done") < names.index("shell_call_output_content.delta")
    assert names.index("shell_call_output_content.done") > at
    call, output, message = strictly(events[-1].response).output
    assert call.type == "shell_call"
    assert output.type == "shell_call_output"
    assert call.status == output.status == "completed"
    assert call.call_id == output.call_id
    assert call.environment is not None and call.environment.type == "container_reference"
    (one,) = output.output
    assert (one.stdout, one.stderr) == ("out\n", "err\n")
    assert one.outcome.type == "exit" and one.outcome.exit_code == 4
    assert message.type == "message" and "out" in events[-1].response.output_text
    added = [e.output_index for e in events if e.type == "response.output_item.added"]
    assert added == [0, 1, 2]


def test_an_image_is_shown_draft_by_draft_to_those_who_ask(ask: Ask) -> None:
    client = ask("image_generation", {"prompt": "a fox"})
    tools: Any = [{"type": "image_generation", "partial_images": 1, "size": "1024x1024"}]
    events = played(client.responses.create(model="m", input="go", tools=tools, stream=True))
    names = [name.removeprefix("response.image_generation_call.") for name in kinds(events)]
    at = names.index("in_progress")
    assert names[at : at + 4] == ["in_progress", "generating", "partial_image", "completed"]
    call = strictly(events[-1].response).output[0]
    assert call.type == "image_generation_call"
    assert (call.status, call.revised_prompt, call.size) == ("completed", "a fox", "1024x1024")
    assert call.result == "iVBORyB3aG9sZQ=="
