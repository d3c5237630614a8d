"""`Response`: what came of a request. Built by `fold` alone.

Source: Open Responses schema (ResponseResource, Usage, Error). All 31 keys are always there;
numbers are numbers, never null, as real clients demand.
"""

from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from pydantic import Field, ValidationInfo, field_validator

from .credential import bare, cleared
from .definition import (
    AgentTool,
    AllowedTools,
    AutoContainer,
    CodeInterpreterTool,
    CustomTool,
    FunctionTool,
    McpServerTool,
    NamespaceTool,
    ShellTool,
    ToolChoice,
    ToolDefinition,
    ToolRef,
)
from .item import Item
from .limits import SpentBudget
from .message import Message
from .part import OutputText
from .request import CreateResponse, Format, JsonSchemaFormat, ReasoningOptions, TextFormat
from .usage import Usage
from .wire import Anything, Json, Maybe, Wire

_T = TypeVar("_T")

ResponseStatus: TypeAlias = Literal[
    "queued", "in_progress", "completed", "incomplete", "failed", "cancelled"
]


_NEVER_NULL: Final = (
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "text",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "store",
    "background",
    "service_tier",
    "metadata",
)


class Fault(Wire):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(Wire):
    """Why a response is incomplete: max_output_tokens, cancelled, max_turns, budget_seconds ...

    `budget` is ours: which budget was used up, where one was.
    """

    reason: str | None = None
    budget: Maybe[SpentBudget] = None


class TextEcho(Wire):
    """The form of the answer, as a response repeats it: a JSON schema itself is not sent back."""

    format: Format = Field(default_factory=TextFormat)
    verbosity: Maybe[Literal["low", "medium", "high"]] = None


class Response(Wire):
    """The response object."""

    id: str
    object: Literal["response"] = "response"
    created_at: int | float = 0
    completed_at: int | float | None = None
    status: str = "in_progress"
    incomplete_details: IncompleteDetails | None = None
    model: str = ""
    previous_response_id: str | None = None
    instructions: str | list[Anything] | None = None
    output: list[Item] = Field(default_factory=list[Item])
    error: Fault | None = None
    tools: list[ToolDefinition] = Field(default_factory=list[ToolDefinition])
    tool_choice: ToolChoice = "auto"
    truncation: str = "disabled"
    parallel_tool_calls: bool = True
    text: TextEcho = Field(default_factory=TextEcho)
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    temperature: float = 1.0
    reasoning: ReasoningOptions | None = None
    usage: Usage | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    store: bool = True
    background: bool = False
    service_tier: str = "default"
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    conversation: Maybe[Json] = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    user: Maybe[str] = None
    prompt_cache_retention: Maybe[str] = None

    @field_validator(*_NEVER_NULL, mode="before")
    @classmethod
    def _never_null(cls, value: Any, info: ValidationInfo) -> Any:
        """Some servers say null where a value belongs: it stands for the default."""
        if value is not None or info.field_name is None:
            return value
        return cls.model_fields[info.field_name].get_default(call_default_factory=True)

    @property
    def output_text(self) -> str:
        """All `output_text` of the messages, joined; a refusal is none."""
        parts = [item.content for item in self.output if isinstance(item, Message)]
        texts = [part for content in parts if not isinstance(content, str) for part in content]
        return "".join(part.text for part in texts if isinstance(part, OutputText))


def opening(request: CreateResponse, *, id: str, created_at: int, model: str = "") -> Response:  # noqa: A002
    """The response as it stands before the model has spoken: the request, echoed.

    Args:
        request: What was asked.
        id: The response's id.
        created_at: Seconds since 1970.
        model: The name to show where the request names none.
    """
    return Response(
        id=id,
        created_at=created_at,
        model=request.model or model,
        previous_response_id=request.previous_response_id,
        instructions=request.instructions,
        tools=[_public(tool) for tool in request.tools or ()],
        tool_choice=_choice(request.tool_choice),
        truncation=request.truncation or "disabled",
        parallel_tool_calls=_or(request.parallel_tool_calls, True),
        text=_text_echo(request),
        top_p=_or(request.top_p, 1.0),
        presence_penalty=_or(request.presence_penalty, 0.0),
        frequency_penalty=_or(request.frequency_penalty, 0.0),
        top_logprobs=_or(request.top_logprobs, 0),
        temperature=_or(request.temperature, 1.0),
        reasoning=request.reasoning,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        store=_or(request.store, True),
        background=_or(request.background, False),
        service_tier=_tier(request.service_tier),
        metadata=request.metadata or {},
        safety_identifier=request.safety_identifier,
        prompt_cache_key=request.prompt_cache_key,
        user=request.user,
        prompt_cache_retention=request.prompt_cache_retention,
        conversation=_conversation(request),
    )


def _conversation(request: CreateResponse) -> Json | None:
    """The conversation that a response belongs to, as it is shown: its id and no more."""
    return None if request.conversation_id is None else {"id": request.conversation_id}


def _or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _public(tool: ToolDefinition) -> ToolDefinition:
    """A tool as it may be shown: its credentials, known or not, are never sent back or stored."""
    extra = tool.__pydantic_extra__
    plain = isinstance(tool, FunctionTool | CustomTool)
    if plain and not extra:
        return tool
    shown = tool.model_copy()
    if isinstance(shown, ShellTool) and shown.environment is not None:
        shown.environment = cleared(shown.environment)  # its network may have some, for one
    elif isinstance(shown, CodeInterpreterTool) and isinstance(shown.container, AutoContainer):
        shown.container = shown.container.model_copy()
        shown.container.__pydantic_extra__ = cleared(shown.container.__pydantic_extra__ or {})
    if isinstance(shown, McpServerTool):  # where credentials belong: nothing is shown but its own
        shown.authorization = shown.headers = None
        shown.server_url = shown.server_url and bare(shown.server_url)
        for field in ("allowed_tools", "require_approval"):
            value = getattr(shown, field)
            if isinstance(value, dict):
                setattr(shown, field, cleared(cast("Json", value)))
        shown.__pydantic_extra__ = {}
    elif extra:
        shown.__pydantic_extra__ = cleared(extra)
    if isinstance(shown, AgentTool | NamespaceTool):
        return shown.model_copy(update={"tools": [_public(inner) for inner in shown.tools]})
    return shown


def _choice(asked: ToolChoice | None) -> ToolChoice:
    """A choice as it may be shown: it names tools, and says nothing more about them."""
    if isinstance(asked, AllowedTools):
        return AllowedTools(mode=asked.mode, tools=[_named(ref) for ref in asked.tools])
    return _named(asked) if isinstance(asked, ToolRef) else asked or "auto"


def _named(ref: ToolRef) -> ToolRef:
    return ToolRef(type=ref.type, name=ref.name, server_label=ref.server_label)


def _tier(asked: str | None) -> str:
    """What was asked may be `auto`; what served is never that."""
    return "default" if asked in (None, "auto") else asked


def _text_echo(request: CreateResponse) -> TextEcho:
    if request.text is None:
        return TextEcho()
    form = request.text.format or TextFormat()
    if isinstance(form, JsonSchemaFormat):
        return TextEcho(
            format=JsonSchemaFormat(
                name=form.name, description=form.description, strict=bool(form.strict)
            ),
            verbosity=request.text.verbosity,
        )
    return TextEcho(format=form, verbosity=request.text.verbosity)
