"""Items of the hosted tools that every Responses SDK knows by these names.

Source: the `openai` SDK's classes (response_code_interpreter_tool_call ... ); each item is a
full receipt: what was asked, how it ended, what came of it.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from .part import ListOf, Part
from .wire import Anything, Json, Maybe, Wire, type_tag


class Logs(Wire):
    """Text that a cell printed or showed."""

    type: Literal["logs"] = "logs"
    logs: str


class Image(Wire):
    """An image that a cell showed: a fetchable or data URL."""

    type: Literal["image"] = "image"
    url: str


class Html(Wire):
    """The rich form of a value that a cell showed, for clients; the logs have its text."""

    type: Literal["antiphon:html"] = "antiphon:html"
    html: str


class UnknownOutput(Wire):
    """An output of a kind that this version does not know, kept as it came."""

    type: str


CodeOutput: TypeAlias = Annotated[
    Annotated[Logs, Tag("<logs>")]
    | Annotated[Image, Tag("<image>")]
    | Annotated[Html, Tag("<antiphon:html>")]
    | Annotated[UnknownOutput, Tag("<?>")],
    Discriminator(type_tag("logs", "image", "antiphon:html")),
]


class CodeInterpreterCall(Wire):
    """Code that ran in a container. `outputs` is null to clients that did not ask for it."""

    type: Literal["code_interpreter_call"] = "code_interpreter_call"
    id: Maybe[str] = None
    status: str
    container_id: str
    code: str | None = None
    outputs: ListOf[CodeOutput] | None = None


class SearchResult(Wire):
    """A passage found in a vector store; the score is between 0 and 1."""

    file_id: Maybe[str] = None
    filename: Maybe[str] = None
    score: Maybe[float] = None
    text: Maybe[str] = None
    attributes: Maybe[dict[str, str | bool | int | float]] = None


class FileSearchCall(Wire):
    """A search in vector stores. `results` is null to clients that did not ask for it."""

    type: Literal["file_search_call"] = "file_search_call"
    id: Maybe[str] = None
    status: str
    queries: ListOf[str]
    results: ListOf[SearchResult] | None = None


class WebSearchCall(Wire):
    """A web search, a page opened, or a pattern looked for in a page (`action.type`).

    `results` is what the model read, `error` what it was told when the call failed; most clients
    see neither.
    """

    type: Literal["web_search_call"] = "web_search_call"
    id: Maybe[str] = None
    status: str
    action: Maybe[Json] = None
    results: Maybe[ListOf[Json]] = None
    error: Maybe[str] = None


class ImageGenerationCall(Wire):
    """An image that was made; `result` is base64, `error` holds a `message` where it failed."""

    type: Literal["image_generation_call"] = "image_generation_call"
    id: Maybe[str] = None
    status: str
    result: str | None = None
    revised_prompt: Maybe[str] = None
    output_format: Maybe[str] = None
    error: Maybe[Json] = None


class ComputerCall(Wire):
    """The model asks the client to act on a screen."""

    type: Literal["computer_call"] = "computer_call"
    id: Maybe[str] = None
    call_id: Annotated[str, Field(min_length=1)]
    status: Maybe[str] = None
    action: Maybe[Json] = None
    actions: Maybe[ListOf[Json]] = None
    pending_safety_checks: ListOf[Json] = Field(default_factory=list[Json])


class ComputerCallOutput(Wire):
    """The screen after the client acted."""

    type: Literal["computer_call_output"] = "computer_call_output"
    id: Maybe[str] = None
    call_id: Annotated[str, Field(min_length=1)]
    output: Anything
    status: Maybe[str] = None


class McpTool(Wire):
    """One tool of an MCP server, as it was listed."""

    name: str
    input_schema: Anything
    description: str | None = None
    annotations: Anything = None


class McpListTools(Wire):
    """The tools that an MCP server offered."""

    type: Literal["mcp_list_tools"] = "mcp_list_tools"
    id: Maybe[str] = None
    server_label: str
    tools: ListOf[McpTool]
    error: Anything = None


class McpCall(Wire):
    """A call of an MCP server's tool; provider-run functions wear it, too, for most clients.

    `content` is ours: the output with its images, where it is more than a text.
    """

    type: Literal["mcp_call"] = "mcp_call"
    id: Maybe[str] = None
    status: Maybe[str] = None
    server_label: str
    name: str
    arguments: str
    output: str | None = None
    content: Annotated[Maybe[ListOf[Part]], Field(alias="antiphon:content")] = None
    error: Anything = None
    approval_request_id: str | None = None


class McpApprovalRequest(Wire):
    """An MCP call waits for a person's word."""

    type: Literal["mcp_approval_request"] = "mcp_approval_request"
    id: Maybe[str] = None
    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(Wire):
    """A person's word on an MCP call."""

    type: Literal["mcp_approval_response"] = "mcp_approval_response"
    id: Maybe[str] = None
    approval_request_id: str
    approve: bool
    reason: str | None = None
