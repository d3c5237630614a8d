"""Tools as a request declares them, and which of them the model may or must call.

Source: Open Responses schema (FunctionTool, ToolChoiceParam, AllowedToolsParam); hosted
types follow the `openai` SDK's tool classes; `antiphon:function` and `antiphon:agent` are ours.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from .limits import Limits
from .part import ListOf, at_most
from .wire import AS_IT_IS, Json, Maybe, Wire, type_of, type_tag

ToolName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
]


class FunctionTool(Wire):
    """A function that the client runs; `parameters` is its JSON schema."""

    type: Literal["function"] = "function"
    name: ToolName
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class CustomTool(Wire):
    """A client's tool that takes free text, or text of a grammar."""

    type: Literal["custom"] = "custom"
    name: ToolName
    description: Maybe[str] = None
    format: Maybe[Json] = None


class UnknownTool(Wire):
    """A tool type that this version does not know (or that clients run), kept as it came."""

    type: str


NamespacedTool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("<function>")]
    | Annotated[CustomTool, Tag("<custom>")]
    | Annotated[UnknownTool, Tag("<?>")],
    Discriminator(type_tag("function", "custom")),
    AS_IT_IS,
]


class NamespaceTool(Wire):
    """A named group of the client's functions; its calls carry `namespace`."""

    type: Literal["namespace"] = "namespace"
    name: str
    description: str | None = None
    tools: ListOf[NamespacedTool]


class AutoContainer(Wire):
    """A container that the provider chooses; `memory_limit` is 1g, 4g, 16g or 64g."""

    type: Literal["auto"] = "auto"
    file_ids: Maybe[ListOf[str]] = None
    memory_limit: Maybe[Literal["1g", "4g", "16g", "64g"]] = None


def _container_tag(value: Any) -> str:
    return "<id>" if isinstance(value, str) else "<auto>"


class CodeInterpreterTool(Wire):
    """Python in a container: one by id, or one that the provider chooses."""

    type: Literal["code_interpreter"] = "code_interpreter"
    container: Annotated[
        Annotated[str, Tag("<id>")] | Annotated[AutoContainer, Tag("<auto>")],
        Discriminator(_container_tag),
    ] = Field(default_factory=AutoContainer)


class FileSearchTool(Wire):
    """Search in vector stores."""

    type: Literal["file_search"] = "file_search"
    vector_store_ids: ListOf[str]
    filters: Maybe[Json] = None
    max_num_results: Maybe[Annotated[int, Field(ge=1, le=50)]] = None
    ranking_options: Maybe[Json] = None


class WebSearchTool(Wire):
    """Search on the web, under any of the names that clients use for it."""

    type: Literal[
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    ] = "web_search"
    filters: Maybe[Json] = None
    search_context_size: Maybe[Literal["low", "medium", "high"]] = None
    user_location: Maybe[Json] = None


class ImageGenerationTool(Wire):
    """Images made on request."""

    type: Literal["image_generation"] = "image_generation"


class McpServerTool(Wire):
    """The tools of an MCP server, by URL or by a connector that the provider knows."""

    type: Literal["mcp"] = "mcp"
    server_label: Annotated[str, Field(min_length=1, max_length=64)]
    server_url: Maybe[str] = None
    connector_id: Maybe[str] = None
    server_description: Maybe[str] = None
    authorization: Maybe[str] = None
    headers: Maybe[Annotated[dict[str, str], at_most(128, "headers")]] = None
    allowed_tools: Maybe[ListOf[str] | Json] = None
    require_approval: Maybe[str | Json] = None


class ShellTool(Wire):
    """A shell in a container."""

    type: Literal["shell"] = "shell"
    environment: Maybe[Json] = None


class ProviderFunction(Wire):
    """A function that the provider has and runs, asked for by name (clients that opted in)."""

    type: Literal["antiphon:function"] = "antiphon:function"
    name: ToolName


class AgentTool(Wire):
    """A sub-agent composed by the client: its own model, instructions and tools."""

    type: Literal["antiphon:agent"] = "antiphon:agent"
    name: ToolName
    model: Maybe[str] = None
    instructions: Maybe[str] = None
    description: Maybe[str] = None
    tools: Annotated[list["ToolDefinition"], Field(fail_fast=True)] = []
    budget: Maybe[Limits] = None


ToolDefinition: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("<function>")]
    | Annotated[NamespaceTool, Tag("<namespace>")]
    | Annotated[CustomTool, Tag("<custom>")]
    | Annotated[CodeInterpreterTool, Tag("<code_interpreter>")]
    | Annotated[FileSearchTool, Tag("<file_search>")]
    | Annotated[WebSearchTool, Tag("<web_search>")]
    | Annotated[WebSearchTool, Tag("<web_search_2025_08_26>")]
    | Annotated[WebSearchTool, Tag("<web_search_preview>")]
    | Annotated[WebSearchTool, Tag("<web_search_preview_2025_03_11>")]
    | Annotated[ImageGenerationTool, Tag("<image_generation>")]
    | Annotated[McpServerTool, Tag("<mcp>")]
    | Annotated[ShellTool, Tag("<shell>")]
    | Annotated[ProviderFunction, Tag("<antiphon:function>")]
    | Annotated[AgentTool, Tag("<antiphon:agent>")]
    | Annotated[UnknownTool, Tag("<?>")],
    Discriminator(
        type_tag(
            "function",
            "namespace",
            "custom",
            "code_interpreter",
            "file_search",
            "web_search",
            "web_search_2025_08_26",
            "web_search_preview",
            "web_search_preview_2025_03_11",
            "image_generation",
            "mcp",
            "shell",
            "antiphon:function",
            "antiphon:agent",
        )
    ),
    AS_IT_IS,
]
"""Any tool that a request may declare."""

# An inline agent has tools of its own: the union holds itself, and is complete only here.
AgentTool.model_rebuild()


class ToolRef(Wire):
    """Points at one declared tool: `{type: function, name}`, `{type: mcp, server_label}`, ..."""

    type: str
    name: Maybe[str] = None
    server_label: Maybe[str] = None


class AllowedTools(Wire):
    """Only these tools may be called; `mode` says whether one of them must be."""

    type: Literal["allowed_tools"] = "allowed_tools"
    mode: Literal["auto", "required", "none"] = "auto"
    tools: Annotated[list[ToolRef], Field(min_length=1, max_length=128, fail_fast=True)]


ChoiceMode: TypeAlias = Literal["auto", "none", "required"]


def _choice_tag(value: Any) -> str:
    if isinstance(value, str):
        return "<mode>"
    return "<allowed>" if type_of(value) == "allowed_tools" else "<one>"


ToolChoice: TypeAlias = Annotated[
    Annotated[ChoiceMode, Tag("<mode>")]
    | Annotated[AllowedTools, Tag("<allowed>")]
    | Annotated[ToolRef, Tag("<one>")],
    Discriminator(_choice_tag),
    AS_IT_IS,
]
"""auto, none, required, one tool, or a set of allowed tools."""
