"""`Event`: everything that speaks yields these; `fold` turns them into a `Response`.

Source: Open Responses schema (...StreamingEvent) and the `openai` SDK's hosted-tool events.
Canonical events use the standard's names; `provider.view` decides what a client sees, and
numbers last.
"""

# An event class narrows `type` to its own names; nobody assigns another class's name to it.
# pyright: reportIncompatibleVariableOverride=false

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from .item import Item
from .kinds import known, read, register
from .names import OwnDelta, OwnDone, OwnStep
from .part import Annotation, LogProb, Part
from .response import Response
from .wire import Json, Maybe, Wire, type_of


class BaseEvent(Wire):
    """What all events have."""

    type: str
    sequence_number: int = 0


class ResponseEvent(BaseEvent):
    """An event that carries the whole response."""

    response: Response


class Created(ResponseEvent):
    """The response exists; nothing has been asked of the model yet."""

    type: Literal["response.created"] = "response.created"


class Queued(ResponseEvent):
    """The response waits for its turn."""

    type: Literal["response.queued"] = "response.queued"


class InProgress(ResponseEvent):
    """Work has begun."""

    type: Literal["response.in_progress"] = "response.in_progress"


class Completed(ResponseEvent):
    """The end: all went well."""

    type: Literal["response.completed"] = "response.completed"


class Incomplete(ResponseEvent):
    """The end, too early: `response.incomplete_details` says why."""

    type: Literal["response.incomplete"] = "response.incomplete"


class Failed(ResponseEvent):
    """The end: `response.error` says what broke."""

    type: Literal["response.failed"] = "response.failed"


class ItemEvent(BaseEvent):
    """An event that carries a whole item."""

    output_index: int
    item: Item


class ItemAdded(ItemEvent):
    """An item begins, with zero values where nothing is known yet."""

    type: Literal["response.output_item.added"] = "response.output_item.added"


class ItemDone(ItemEvent):
    """An item is finished and will never change."""

    type: Literal["response.output_item.done"] = "response.output_item.done"


class Within(BaseEvent):
    """An event inside an item."""

    item_id: str
    output_index: int


class PartEvent(Within):
    """An event about a content part."""

    content_index: int


class PartAdded(PartEvent):
    """A content part begins."""

    type: Literal["response.content_part.added"] = "response.content_part.added"
    part: Part


class PartDone(PartEvent):
    """A content part is finished."""

    type: Literal["response.content_part.done"] = "response.content_part.done"
    part: Part


class TextDelta(PartEvent):
    """More text, as the model writes it."""

    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str
    logprobs: list[LogProb] = Field(default_factory=list[LogProb])


class TextDone(PartEvent):
    """The text of a part, whole."""

    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str
    logprobs: list[LogProb] = Field(default_factory=list[LogProb])


class AnnotationAdded(PartEvent):
    """A citation on the text."""

    type: Literal["response.output_text.annotation.added"] = "response.output_text.annotation.added"
    annotation_index: int
    annotation: Annotation


class RefusalDelta(PartEvent):
    """More words of refusal."""

    type: Literal["response.refusal.delta"] = "response.refusal.delta"
    delta: str


class RefusalDone(PartEvent):
    """A refusal, whole."""

    type: Literal["response.refusal.done"] = "response.refusal.done"
    refusal: str


class ReasoningDelta(PartEvent):
    """More raw reasoning; the second name is the one that OpenAI-style clients read."""

    type: Literal["response.reasoning.delta", "response.reasoning_text.delta"] = (
        "response.reasoning.delta"
    )
    delta: str


class ReasoningDone(PartEvent):
    """Raw reasoning, whole; the second name is the one that OpenAI-style clients read."""

    type: Literal["response.reasoning.done", "response.reasoning_text.done"] = (
        "response.reasoning.done"
    )
    text: str


class SummaryEvent(Within):
    """An event about one paragraph of a reasoning summary."""

    summary_index: int


class SummaryPartAdded(SummaryEvent):
    """A paragraph begins."""

    type: Literal["response.reasoning_summary_part.added"] = "response.reasoning_summary_part.added"
    part: Part


class SummaryPartDone(SummaryEvent):
    """A paragraph is finished."""

    type: Literal["response.reasoning_summary_part.done"] = "response.reasoning_summary_part.done"
    part: Part


class SummaryDelta(SummaryEvent):
    """More of a paragraph."""

    type: Literal["response.reasoning_summary_text.delta"] = "response.reasoning_summary_text.delta"
    delta: str


class SummaryDone(SummaryEvent):
    """A paragraph, whole."""

    type: Literal["response.reasoning_summary_text.done"] = "response.reasoning_summary_text.done"
    text: str


class ArgumentsDelta(Within):
    """More of a call's JSON arguments, as the model writes them."""

    type: (
        Literal[
            "response.function_call_arguments.delta",
            "response.mcp_call_arguments.delta",
            "antiphon:tool_call_arguments.delta",
        ]
        | OwnDelta
    ) = "response.function_call_arguments.delta"
    delta: str


class ArgumentsDone(Within):
    """A call's arguments, whole."""

    type: (
        Literal[
            "response.function_call_arguments.done",
            "response.mcp_call_arguments.done",
            "antiphon:tool_call_arguments.done",
        ]
        | OwnDone
    ) = "response.function_call_arguments.done"
    arguments: str
    name: Maybe[str] = None


class CustomInputDelta(Within):
    """More of a custom tool call's text."""

    type: Literal["response.custom_tool_call_input.delta"] = "response.custom_tool_call_input.delta"
    delta: str


class CustomInputDone(Within):
    """A custom tool call's text, whole."""

    type: Literal["response.custom_tool_call_input.done"] = "response.custom_tool_call_input.done"
    input: str


class CodeDelta(Within):
    """More code, live, as the model writes it."""

    type: Literal["response.code_interpreter_call_code.delta"] = (
        "response.code_interpreter_call_code.delta"
    )
    delta: str


class CodeDone(Within):
    """The code, whole."""

    type: Literal["response.code_interpreter_call_code.done"] = (
        "response.code_interpreter_call_code.done"
    )
    code: str


CallStatusType: TypeAlias = Literal[
    "response.code_interpreter_call.in_progress",
    "response.code_interpreter_call.interpreting",
    "response.code_interpreter_call.completed",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
    "response.web_search_call.in_progress",
    "response.web_search_call.searching",
    "response.web_search_call.completed",
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.completed",
    "response.mcp_list_tools.in_progress",
    "response.mcp_list_tools.completed",
    "response.mcp_list_tools.failed",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "antiphon:tool_call.in_progress",
    "antiphon:tool_call.completed",
    "antiphon:tool_call.failed",
    "antiphon:agent_call.in_progress",
    "antiphon:agent_call.completed",
    "antiphon:agent_call.failed",
    "antiphon:handoff.in_progress",
    "antiphon:handoff.completed",
    "antiphon:handoff.failed",
]


class CallStatus(Within):
    """A hosted call goes a step on: begun, running, completed or failed.

    A call of somebody's own may name other steps, and tell more, in fields of its own.
    """

    type: CallStatusType | OwnStep


class PartialImage(Within):
    """An image so far, in base64."""

    type: Literal["response.image_generation_call.partial_image"] = (
        "response.image_generation_call.partial_image"
    )
    partial_image_b64: str
    partial_image_index: int


class CodeOutputDelta(Within):
    """What running code prints, live (extension)."""

    type: Literal["antiphon:code_interpreter_call.output"] = "antiphon:code_interpreter_call.output"
    stream: Literal["stdout", "stderr"]
    delta: str


class ToolProgress(Within):
    """How far a provider-run function has come (extension); `fraction` is between 0 and 1."""

    type: Literal["antiphon:tool_call.progress"] | OwnStep = "antiphon:tool_call.progress"
    message: str
    fraction: float | None = None


def _event_of(value: Any) -> Any:
    """An event of its own class, out of JSON."""
    if not isinstance(value, dict):
        return value
    return read(value, type_of(value) or "", UnknownEvent)


class AgentEvent(Within):
    """An event of a sub-agent's own run (extension), numbered in that run."""

    type: Literal["antiphon:agent_call.event"] = "antiphon:agent_call.event"
    event: Annotated[SerializeAsAny[BaseEvent], BeforeValidator(_event_of)]


class ErrorEvent(BaseEvent):
    """The stream itself broke. `error` is the standard's form; OpenAI's is flat."""

    type: Literal["error"] = "error"
    error: Maybe[Json] = None


class UnknownEvent(BaseEvent):
    """An event of a type that this version does not know, kept as it came."""


Event: TypeAlias = BaseEvent
"""Any streaming event; dispatch on its class."""

register(BaseEvent)


class _Typed(BaseModel):
    """A look at the type alone: the rest is not even made into Python objects."""

    model_config = ConfigDict(strict=True, extra="ignore")

    type: str = Field(min_length=1)


def parse_event(data: bytes, kind: str | None = None) -> Event:
    """One event from its JSON.

    Args:
        data: The JSON object.
        kind: Its type where the transport has said it (SSE `event:`), which saves a look.

    Raises:
        pydantic.ValidationError: Not JSON, or a known event is malformed.
    """
    validate = known(kind or "")
    if validate is None:
        return read(data, _Typed.__pydantic_validator__.validate_json(data).type, UnknownEvent)
    return validate(data)
