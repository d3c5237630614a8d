"""Results: what a run gave, as the answer to a host's call.

A tool's receipt is lowered with the function that lowers it for models, so that a host reads what
a model would. Above: `mcp_call`. Below: `mcp_offer`, the SDK's types.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from jsonschema import ValidationError as Misfit
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)
from pydantic_core import from_json, to_jsonable_python

from antiphon.errors import OutputError
from antiphon.items import (
    FunctionCall,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputText,
    Item,
    Part,
    Response,
    lower,
)

from .mcp_offer import HostTool

MOST_TEXT: Final = 1024 * 1024 + 256
"""Characters of text that one result has at most: a tool's own bound, and the words that say so."""

MOST_DATA: Final = 16 * 1024 * 1024
"""Characters of base64 that one result has at most."""

MOST_REASON: Final = 300
"""Characters of why a result does not fit."""

_DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.-]+)*;base64,")


def result_of(tool: HostTool, response: Response) -> CallToolResult:
    """The answer to a call whose run has ended."""
    fault = _fault(response)
    if fault is not None:
        said = [response.output_text] if response.output_text else []
        return failure(*said, fault)
    if tool.runnable is not None:
        return _of_runnable(tool, response)
    return _of_tool(tool, response)


def failure(*why: str) -> CallToolResult:
    """The answer to a call that failed; the host's model reads why."""
    return CallToolResult(content=[_text(each) for each in why], is_error=True)


def _fault(response: Response) -> str | None:
    """Why a run came to no answer, if so."""
    if response.error is not None:
        return f"it failed: {response.error.message}"
    calls = [item.name for item in response.output if isinstance(item, FunctionCall)]
    if calls:
        return f"it called {', '.join(calls)}, which nobody can run here"
    if response.status != "completed":
        details = response.incomplete_details
        budget = details and details.budget
        if budget:
            return f"it ended early: the {budget.resource} of {budget.owner} are used up"
        return f"it ended early: {(details and details.reason) or response.status}"
    return None


def _of_runnable(tool: HostTool, response: Response) -> CallToolResult:
    text = response.output_text
    if tool.output_schema is None:
        return CallToolResult(content=[_text(text)])
    try:
        value: object = to_jsonable_python(tool.answer(response))
    except OutputError as error:
        return failure(str(error))
    return _structured(tool, value, [_text(text)])


def _of_tool(tool: HostTool, response: Response) -> CallToolResult:
    call, output = _call_in(response.output)
    if output is None:
        return failure(f"{tool.name} gave no result: this is a bug, please report it")
    error: object = getattr(call, "error", None)
    if error is not None:
        return failure(str(error))
    content = output.output
    blocks = list(_blocks([InputText(text=content)] if isinstance(content, str) else content))
    if getattr(call, "status", None) in ("failed", "incomplete"):
        return CallToolResult(content=blocks, is_error=True)
    if tool.output_schema is None:
        return CallToolResult(content=blocks)
    if not isinstance(content, str):
        return failure(f"{tool.name} gave parts, not what its annotation says it returns")
    try:
        value = from_json(content)
    except ValueError:  # it was cut, or is no JSON
        return failure(f"{tool.name} gave too much, or not what its annotation says it returns")
    return _structured(tool, value, blocks)


def _structured(tool: HostTool, value: object, blocks: list[ContentBlock]) -> CallToolResult:
    """A typed result, which is what its schema promises or none."""
    try:
        tool.validator.validate(cast("Any", value))
    except Misfit as error:
        why = error.message[:MOST_REASON]
        return failure(f"{tool.name} gave a result that its schema does not allow: {why}")
    return CallToolResult(content=blocks, structured_content=value)


def _call_in(output: Sequence[Item]) -> tuple[Item | None, FunctionCallOutput | None]:
    """The call of a run that has one, and what a model would read of it."""
    for item in output:
        for part in lower([item]):
            if isinstance(part, FunctionCallOutput):
                return item, part
    return None, None


def _text(text: str, most: int = MOST_TEXT) -> TextContent:
    if len(text) > most:
        text = f"{text[:most]}\n[truncated: the first {most} of {len(text)} characters]"
    return TextContent(text=text)


def _blocks(parts: Sequence[Part]) -> Iterator[ContentBlock]:
    """Parts as MCP has them, within the bounds of one result."""
    text, data = MOST_TEXT, MOST_DATA
    for part in parts:
        block = _block(part)
        if isinstance(block, TextContent):
            yield _text(block.text, text)
            text -= min(text, len(block.text))
            continue
        size = len(_base64_of(block))
        if size > data:
            yield TextContent(text=f"[left out: {size:,} characters of base64 are too many]")
            continue
        data -= size
        yield block


def _base64_of(block: ContentBlock) -> str:
    if isinstance(block, ImageContent):
        return block.data
    inside = block.resource if isinstance(block, EmbeddedResource) else None
    return inside.blob if isinstance(inside, BlobResourceContents) else ""


def _block(part: Part) -> ContentBlock:
    if isinstance(part, InputText):
        return TextContent(text=part.text)
    if isinstance(part, InputImage):
        url = part.image_url or ""
        found = _DATA.match(url)
        if found is None:
            return TextContent(text=f"[image: {url or part.file_id}]")
        return ImageContent(data=url[found.end() :], mime_type=found[1])
    if isinstance(part, InputFile):
        name = part.filename or "file"
        found = _DATA.match(part.file_data or "")
        if found is None:
            return TextContent(text=f"[file: {part.file_url or part.file_id or name}]")
        blob = (part.file_data or "")[found.end() :]
        inside = BlobResourceContents(uri=f"file:///{name}", blob=blob, mime_type=found[1])
        return EmbeddedResource(resource=inside)
    return TextContent(text=f"[{part.type}]")
