"""`CreateResponse`: everything that one request asks for.

Source: Open Responses schema (CreateResponseBody), and the fields that OpenAI clients add
(design: each has one of four fates, listed in README). Validated once, from bytes.
"""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator
from pydantic_core import from_json

from antiphon.errors import RequestError

from .definition import ToolChoice, ToolDefinition
from .item import Input, Item, items_of
from .wire import Json, Maybe, Wire, type_of

Include: TypeAlias = Literal[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Tier: TypeAlias = Literal["auto", "default", "flex", "priority", "scale"]
Short: TypeAlias = Annotated[str, Field(max_length=64)]


class TextFormat(Wire):
    """Plain text, as every model writes it."""

    type: Literal["text"] = "text"


class JsonObjectFormat(Wire):
    """Some JSON object."""

    type: Literal["json_object"] = "json_object"


class JsonSchemaFormat(Wire):
    """JSON of a given schema."""

    type: Literal["json_schema"] = "json_schema"
    name: Annotated[str, Field(min_length=1, max_length=64)]
    json_schema: Annotated[Json | None, Field(alias="schema")] = None
    description: str | None = None
    strict: bool | None = None


Format: TypeAlias = Annotated[
    Annotated[TextFormat, Tag("text")]
    | Annotated[JsonObjectFormat, Tag("json_object")]
    | Annotated[JsonSchemaFormat, Tag("json_schema")],
    Discriminator(type_of),
]


class TextOptions(Wire):
    """The form of the answer."""

    format: Format | None = Field(default_factory=TextFormat)
    verbosity: Maybe[Literal["low", "medium", "high"]] = None


class ReasoningOptions(Wire):
    """How hard to think, and whether to tell."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Maybe[Literal["auto", "concise", "detailed"]] = None


class StreamOptions(Wire):
    """Options of the stream."""

    include_obfuscation: Maybe[bool] = None


class CreateResponse(Wire):
    """The body of POST /v1/responses. Unknown keys are kept and otherwise ignored."""

    model: str | None = None
    input: Input | None = None
    previous_response_id: str | None = None
    include: list[Include] | None = None
    tools: Annotated[list[ToolDefinition], Field(fail_fast=True)] | None = None
    tool_choice: ToolChoice | None = None
    metadata: dict[str, str] | None = None
    text: TextOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    background: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    reasoning: ReasoningOptions | None = None
    safety_identifier: Short | None = None
    prompt_cache_key: Short | None = None
    truncation: Literal["auto", "disabled"] | None = None
    instructions: str | None = None
    store: bool | None = None
    service_tier: Tier | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    user: str | None = None
    prompt_cache_retention: str | None = None
    prompt: Json | None = None
    conversation: str | Json | None = None

    @field_validator("metadata")
    @classmethod
    def _small(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        if value is None:
            return None
        if len(value) > 16:
            raise ValueError(f"expected at most 16 pairs, got {len(value)}: remove some")
        if any(len(key) > 64 or len(text) > 512 for key, text in value.items()):
            raise ValueError("expected keys of at most 64 and values of at most 512 characters")
        return value

    @property
    def items(self) -> list[Item]:
        """The input as items; a text is one user message."""
        return items_of(self.input if self.input is not None else [])

    def includes(self, what: Include) -> bool:
        """Whether the client asked for this part of the output."""
        return self.include is not None and what in self.include

    @classmethod
    def parse(cls, body: bytes) -> "CreateResponse":
        """Validate a body from the wire.

        Raises:
            RequestError: Not JSON, or a field is wrong; `param` names the field.
        """
        return parse_body(cls, body)


_W = TypeVar("_W", bound=Wire)


def parse_body(kind: type[_W], body: bytes) -> _W:
    """Validate any request body from bytes.

    Raises:
        RequestError: 400; not JSON, or a field is wrong (`param` names it).
    """
    try:
        if b"NaN" in body or b"Infinity" in body:
            from_json(body, allow_inf_nan=False)  # a word in a string passes, a bare one does not
        return kind.__pydantic_validator__.validate_json(body)
    except ValidationError as error:
        raise explain(error, body) from None
    except ValueError as error:
        raise RequestError(f"expected JSON: {error}", code="invalid_json") from None


def explain(error: ValidationError, body: bytes) -> RequestError:
    """The first fault of a body, with the path of the field as the client wrote it."""
    fault = error.errors(include_url=False, include_context=False)[0]
    if fault["type"] == "json_invalid":
        return RequestError(f"expected JSON: {fault['msg']}", code="invalid_json")
    path = _path(fault["loc"], from_json(body))
    what = fault["msg"].removeprefix("Value error, ")
    if "discriminator" in what:
        what = "expected an object with a string `type`"
    return RequestError(f"{path or 'body'}: {what}", param=path or None, code="invalid_value")


def _path(location: tuple[int | str, ...], value: Any) -> str:
    """Walk the body along a location, skipping the steps that are union tags, not fields."""
    path = ""
    for position, step in enumerate(location):
        if isinstance(step, int):
            if isinstance(value, list):
                path += f"[{step}]"
                value = cast("list[Any]", value)[step]
        elif isinstance(value, dict):
            fields = cast("Json", value)
            if step in fields or position == len(location) - 1:
                path += f".{step}" if path else step
                value = fields.get(step)
    return path
