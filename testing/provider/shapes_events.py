"""The shapes of streaming events, by their type.

Above: the checks. Below: `shapes`. Not here: their order. Source: Open Responses schema
(...StreamingEvent); hosted tools' events follow the `openai` SDK's classes.
"""

from typing import Any

from .shapes import Annotation, Fault, Item, LogProb, Part, ResponseObject, Shape, fault


class Event(Shape):
    """What every event has."""

    type: str
    sequence_number: int


class WithResponse(Event):
    response: ResponseObject


class WithItem(Event):
    output_index: int
    item: Item


class Inside(Event):
    item_id: str
    output_index: int


class InPart(Inside):
    content_index: int


class WithPart(InPart):
    part: Part


class TextDelta(InPart):
    delta: str
    logprobs: list[LogProb] = []


class TextDone(InPart):
    text: str
    logprobs: list[LogProb] = []


class AnnotationAdded(InPart):
    annotation_index: int
    annotation: Annotation


class RefusalDone(InPart):
    refusal: str


class PartDelta(InPart):
    delta: str


class PartText(InPart):
    text: str


class InSummary(Inside):
    summary_index: int


class WithSummaryPart(InSummary):
    part: Part


class SummaryDelta(InSummary):
    delta: str


class SummaryDone(InSummary):
    text: str


class Delta(Inside):
    delta: str


class ArgumentsDone(Inside):
    arguments: str


class InputDone(Inside):
    input: str


class CodeDone(Inside):
    code: str


class ErrorDetail(Shape):
    type: str
    code: str | None
    message: str
    param: str | None


class ErrorEvent(Event):
    """The standard's form."""

    error: ErrorDetail


class FlatErrorEvent(Event):
    """OpenAI's form."""

    code: str | None
    message: str
    param: str | None


RESPONSE_EVENTS = tuple(
    f"response.{name}"
    for name in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
STEPS: dict[str, tuple[str, ...]] = {
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "web_search_call": ("in_progress", "searching", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
    "mcp_list_tools": ("in_progress", "completed", "failed"),
    "mcp_call": ("in_progress", "completed", "failed"),
}
"""The steps of hosted calls, each an event `response.<item type>.<step>`."""

EVENTS: dict[str, type[Event]] = {
    **dict.fromkeys(RESPONSE_EVENTS, WithResponse),
    "response.output_item.added": WithItem,
    "response.output_item.done": WithItem,
    "response.content_part.added": WithPart,
    "response.content_part.done": WithPart,
    "response.output_text.delta": TextDelta,
    "response.output_text.done": TextDone,
    "response.output_text.annotation.added": AnnotationAdded,
    "response.refusal.delta": PartDelta,
    "response.refusal.done": RefusalDone,
    "response.reasoning.delta": PartDelta,
    "response.reasoning.done": PartText,
    "response.reasoning_text.delta": PartDelta,
    "response.reasoning_text.done": PartText,
    "response.reasoning_summary_part.added": WithSummaryPart,
    "response.reasoning_summary_part.done": WithSummaryPart,
    "response.reasoning_summary_text.delta": SummaryDelta,
    "response.reasoning_summary_text.done": SummaryDone,
    "response.function_call_arguments.delta": Delta,
    "response.function_call_arguments.done": ArgumentsDone,
    "response.mcp_call_arguments.delta": Delta,
    "response.mcp_call_arguments.done": ArgumentsDone,
    "response.custom_tool_call_input.delta": Delta,
    "response.custom_tool_call_input.done": InputDone,
    "response.code_interpreter_call_code.delta": Delta,
    "response.code_interpreter_call_code.done": CodeDone,
    "response.image_generation_call.partial_image": Inside,
    **{f"response.{item}.{step}": Inside for item, steps in STEPS.items() for step in steps},
}
"""Every event that clients know, but `error`."""


def event_fault(event: dict[str, Any]) -> Fault | None:
    """What is wrong with one event, or None; unknown ones have a type and a number."""
    kind = event.get("type")
    if kind == "error":
        return fault(ErrorEvent if "error" in event else FlatErrorEvent, event)
    return fault(EVENTS.get(kind, Event) if isinstance(kind, str) else Event, event)
