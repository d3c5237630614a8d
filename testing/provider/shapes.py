"""The shapes of responses, items and parts: what must stand in each, and of which type.

Above: `shapes_events`, the checks. Below: pydantic. Not here: what one thing says about
another. Stricter than `antiphon.items`, which forgives what other servers do: here a number is
never null, and what is to be left out is not null either. Source: Open Responses schema, as of
2026-04-24 (`tests/provider/test_conformance_shapes.py` compares the two); hosted items and parts
that it lacks follow the `openai` SDK's classes. A field without a default must be there.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

Text: TypeAlias = Annotated[str, Field(min_length=1)]


class Shape(BaseModel):
    """Strict, and open to more fields, as the specification allows."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="allow", allow_inf_nan=False, protected_namespaces=()
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong with a value: where, what, and what stands there."""

    path: str
    what: str
    got: object

    def __str__(self) -> str:
        return f"{self.path or 'the value'}: {self.what}"


def fault(shape: type[Shape], value: object) -> Fault | None:
    """What is wrong with a value, or None."""
    try:
        shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        steps = [step for step in first["loc"] if not str(step).startswith("<")]
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        return Fault(path.removeprefix("."), first["msg"].lower(), first["input"])
    return None


def tag_of(*known: str) -> Discriminator:
    """Leads a union by `type`; what is not known goes to the member `<?>`."""

    def look(value: object) -> str:
        kind = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else None
        return f"<{kind}>" if kind in known else "<?>"

    return Discriminator(look)


class Typed(Shape):
    """Something of a type that is not known here."""

    type: Text


class UrlCitation(Shape):
    type: Literal["url_citation"]
    url: str
    start_index: int
    end_index: int
    title: str


Annotation: TypeAlias = Annotated[
    Annotated[UrlCitation, Tag("<url_citation>")] | Annotated[Typed, Tag("<?>")],
    tag_of("url_citation"),
]


class TopLogProb(Shape):
    token: str
    logprob: float
    bytes: list[int]


class LogProb(TopLogProb):
    top_logprobs: list[TopLogProb]


class OutputText(Shape):
    type: Literal["output_text"]
    text: str
    annotations: list[Annotation]
    logprobs: list[LogProb] = []


class Refusal(Shape):
    type: Literal["refusal"]
    refusal: str


class PlainText(Shape):
    type: Literal["text", "summary_text", "reasoning_text", "input_text"]
    text: str


Part: TypeAlias = Annotated[
    Annotated[OutputText, Tag("<output_text>")]
    | Annotated[Refusal, Tag("<refusal>")]
    | Annotated[PlainText, Tag("<text>")]
    | Annotated[PlainText, Tag("<summary_text>")]
    | Annotated[PlainText, Tag("<reasoning_text>")]
    | Annotated[PlainText, Tag("<input_text>")]
    | Annotated[Typed, Tag("<?>")],
    tag_of("output_text", "refusal", "text", "summary_text", "reasoning_text", "input_text"),
]

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class Message(Shape):
    type: Literal["message"]
    id: Text
    status: ItemStatus
    role: Literal["user", "assistant", "system", "developer"]
    content: list[Part]
    phase: Literal["commentary", "final_answer"] = "final_answer"


class FunctionCall(Shape):
    type: Literal["function_call"]
    id: Text
    call_id: Text
    name: Text
    arguments: str
    status: ItemStatus


class FunctionCallOutput(Shape):
    type: Literal["function_call_output"]
    id: Text
    call_id: Text
    output: str | list[Any]
    status: ItemStatus


class Reasoning(Shape):
    type: Literal["reasoning"]
    id: Text
    summary: list[Part]
    content: list[Part] = []
    encrypted_content: str = ""
    status: ItemStatus = "completed"


class Compaction(Shape):
    type: Literal["compaction"]
    id: Text
    encrypted_content: str
    created_by: str = ""


class CodeOutput(Typed):
    logs: str = ""
    url: str = ""


class CodeInterpreterCall(Shape):
    type: Literal["code_interpreter_call"]
    id: Text
    status: Literal["in_progress", "interpreting", "completed", "incomplete", "failed"]
    container_id: Text
    code: str | None
    outputs: list[CodeOutput] | None


class McpCall(Shape):
    type: Literal["mcp_call"]
    id: Text
    server_label: Text
    name: Text
    arguments: str
    output: str | None = None
    error: Any = None
    status: Literal["in_progress", "calling", "completed", "incomplete", "failed"] = "completed"


class McpTool(Shape):
    name: Text
    input_schema: Any


class McpListTools(Shape):
    type: Literal["mcp_list_tools"]
    id: Text
    server_label: Text
    tools: list[McpTool]


class OtherItem(Typed):
    """A hosted tool's item, or one of a provider's own: what every item has."""

    id: Text
    status: str = ""


Item: TypeAlias = Annotated[
    Annotated[Message, Tag("<message>")]
    | Annotated[FunctionCall, Tag("<function_call>")]
    | Annotated[FunctionCallOutput, Tag("<function_call_output>")]
    | Annotated[Reasoning, Tag("<reasoning>")]
    | Annotated[Compaction, Tag("<compaction>")]
    | Annotated[CodeInterpreterCall, Tag("<code_interpreter_call>")]
    | Annotated[McpCall, Tag("<mcp_call>")]
    | Annotated[McpListTools, Tag("<mcp_list_tools>")]
    | Annotated[OtherItem, Tag("<?>")],
    tag_of(
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
        "compaction",
        "code_interpreter_call",
        "mcp_call",
        "mcp_list_tools",
    ),
]


class OneItem(Shape):
    """An item where it stands alone."""

    item: Item


class InputDetails(Shape):
    cached_tokens: int


class OutputDetails(Shape):
    reasoning_tokens: int


class Usage(Shape):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputDetails
    output_tokens_details: OutputDetails


class FunctionTool(Shape):
    type: Literal["function"]
    name: Text
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


Tool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[Typed, Tag("<?>")], tag_of("function")
]


class FunctionChoice(Shape):
    type: Literal["function"]
    name: str = ""


class AllowedChoice(Shape):
    type: Literal["allowed_tools"]
    tools: list[Typed]
    mode: Literal["none", "auto", "required"]


def _choice_tag(value: object) -> str:
    if isinstance(value, str):
        return "<mode>"
    kind = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else None
    return f"<{kind}>" if kind in ("function", "allowed_tools") else "<?>"


ToolChoice: TypeAlias = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<mode>")]
    | Annotated[FunctionChoice, Tag("<function>")]
    | Annotated[AllowedChoice, Tag("<allowed_tools>")]
    | Annotated[Typed, Tag("<?>")],
    Discriminator(_choice_tag),
]


class SchemaFormat(Shape):
    type: Literal["json_schema"]
    name: str
    description: str | None
    json_schema: None = Field(alias="schema")
    strict: bool


TextFormat: TypeAlias = Annotated[
    Annotated[SchemaFormat, Tag("<json_schema>")] | Annotated[Typed, Tag("<?>")],
    tag_of("json_schema"),
]


class TextField(Shape):
    format: TextFormat
    verbosity: Literal["low", "medium", "high"] = "medium"


class ReasoningEcho(Shape):
    effort: str | None
    summary: Literal["auto", "concise", "detailed"] | None


class IncompleteDetails(Shape):
    reason: Text


class Error(Shape):
    code: Text
    message: str


class ResponseObject(Shape):
    """The response object."""

    id: Text
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    incomplete_details: IncompleteDetails | None
    model: str
    previous_response_id: str | None
    instructions: str | None
    output: list[Item]
    error: Error | None
    tools: list[Tool]
    tool_choice: ToolChoice
    truncation: Literal["auto", "disabled"]
    parallel_tool_calls: bool
    text: TextField
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    temperature: float
    reasoning: ReasoningEcho | None
    usage: Usage | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None


class CompactionObject(Shape):
    """What compacting gives."""

    id: Text
    object: Literal["response.compaction"]
    output: list[Item]
    created_at: int
    usage: Usage


class ErrorPayload(Shape):
    """Why a request was refused."""

    message: Text
    type: Text
    param: str | None
    code: str | None


class ErrorBody(Shape):
    """The body of a refusal."""

    error: ErrorPayload
