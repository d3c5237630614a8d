"""What calls give: texts, images, audio, resources and data, as the model and everybody reads it;
and names that no model could say.
"""

import base64
from typing import Any, cast

import pytest
from mcp.server import MCPServer as Server
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from antiphon.agents import Agent
from antiphon.items import McpCall
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel
from antiphon.tools import MCPServer

from .mcp_kit import PNG, call, call_of, end_of, play

pytestmark = pytest.mark.anyio

DATA = base64.b64encode(PNG).decode()
TEXT = TextContent(type="text", text="hello")
PICTURE = ImageContent(type="image", data=DATA, mime_type="image/png")
DRAWING = ImageContent(type="image", data=DATA, mime_type="image/svg+xml")
SOUND = AudioContent(type="audio", data=DATA, mime_type="audio/wav")
PAGE = EmbeddedResource(
    type="resource",
    resource=TextResourceContents(uri="file:///notes.txt", mime_type="text/plain", text="a note"),
)
BLOB = EmbeddedResource(
    type="resource",
    resource=BlobResourceContents(uri="file:///a.bin", mime_type="application/zip", blob=DATA),
)
SHOT = EmbeddedResource(
    type="resource",
    resource=BlobResourceContents(uri="file:///a.png", mime_type="image/png", blob=DATA),
)
LINK = ResourceLink(
    type="resource_link", name="notes", uri="file:///notes.txt", description="All notes."
)
URL = f"data:image/png;base64,{DATA}"


async def given(*blocks: ContentBlock, **more: Any) -> tuple[McpCall, Any]:
    """The receipt of a call that gives this, and what the model read."""
    server = Server("desk")

    def give() -> CallToolResult:
        """Gives it."""
        return CallToolResult(content=list(blocks), **more)

    server.add_tool(give)
    model = ScriptedModel([[call("give")], "ok"])
    async with MCPServer.in_process("desk", server) as desk:
        result = await Agent(name="clerk", model=model, tools=[desk]).run("go")
    return call_of(result.response.output), cast("Any", model.requests[1].items[-1]).output


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (TEXT, "hello"),
        (DRAWING, f"[image image/svg+xml, {len(PNG)} bytes]"),
        (SOUND, f"[audio audio/wav, {len(PNG)} bytes]"),
        (PAGE, "[resource <file:///notes.txt>]\na note"),
        (BLOB, f"[resource <file:///a.bin> application/zip, {len(PNG)} bytes]"),
        (LINK, "[resource notes <file:///notes.txt>: All notes.]"),
    ],
)
async def test_what_a_model_cannot_see_is_named_in_the_text(block: ContentBlock, text: str) -> None:
    receipt, read = await given(block)
    assert receipt.output == read == text
    assert receipt.content is None


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (PICTURE, f"[image image/png, {len(PNG)} bytes]"),
        (SHOT, f"[resource <file:///a.png> image/png, {len(PNG)} bytes]"),
    ],
)
async def test_a_picture_is_seen_and_is_named_in_the_text(block: ContentBlock, text: str) -> None:
    receipt, read = await given(TEXT, block)
    assert receipt.output == f"hello\n{text}"
    assert [part.type for part in read] == ["input_text", "input_image"]
    assert (read[0].text, read[1].image_url) == ("hello", URL)


async def test_structured_content_is_read_once() -> None:
    alone, _ = await given(structured_content={"rows": [1, 2]})
    said, _ = await given(
        TextContent(type="text", text='{"rows": [1, 2]}'), structured_content={"rows": [1, 2]}
    )
    beside, _ = await given(TEXT, structured_content={"rows": [1, 2]})
    assert alone.output == said.output == '{"rows": [1, 2]}'
    assert beside.output == 'hello\n{"rows": [1, 2]}'


async def test_what_failed_is_an_error_and_no_output() -> None:
    receipt, read = await given(TEXT, PICTURE, is_error=True)
    assert (receipt.status, receipt.output, receipt.content) == ("failed", None, None)
    assert receipt.error == {
        "type": "mcp_tool_execution_error",
        "content": [{"type": "text", "text": f"hello\n[image image/png, {len(PNG)} bytes]"}],
    }
    assert read.startswith("Error: hello")


@pytest.mark.parametrize("name", ["look.at/it", "n" * 100, "two__parts", "caf\u00e9"])
async def test_a_name_that_no_model_could_say_is_called_by_another(name: str) -> None:
    server = Server("desk")
    asked: list[str] = []

    def first() -> str:
        """The one."""
        asked.append("first")
        return "first"

    def second() -> str:
        """The other, which would read the same when it is cut."""
        asked.append("second")
        return "second"

    server.add_tool(first, name=name)
    server.add_tool(second, name=f"{name}x")
    seen: list[str] = []

    def say(request: ModelRequest) -> FunctionCall:
        seen.extend(tool.name for tool in request.tools)
        return FunctionCall(seen[0], {})

    async with MCPServer.in_process("desk", server) as desk:
        receipt = call_of(end_of(await play(say, "ok", tools=[desk])).output)
    assert len(set(seen)) == 2
    for known in seen:
        assert len(known) <= 64
        assert known.replace("_", "").replace("-", "").isascii()
        assert known.replace("_", "").replace("-", "").isalnum()
    assert (receipt.name, receipt.output, asked) == (name, "first", ["first"])
