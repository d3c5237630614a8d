"""`CreateResponse`: everything that one request asks for.

Source: Open Responses schema (CreateResponseBody), and the fields that OpenAI clients add
(design: each has one of four fates, listed in README). Validated once, from bytes.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError
from pydantic_core import from_json

from antiphon.errors import RequestError

from .definition import ToolChoice, ToolDefinition
from .item import Input, Item, items_of
from .limits import Limits
from .part import ListOf, at_most
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
MAX_FAULTS: Final = 256
"""Faults of one body that are looked at; lists end at their first, so honest bodies have few."""
Short: TypeAlias = Annotated[str, Field(max_length=64)]


def _small(value: dict[str, str]) -> dict[str, str]:
    if any(len(key) > 64 or len(text) > 512 for key, text in value.items()):
        raise ValueError("expected keys of at most 64 and values of at most 512 characters")
    return value


Metadata: TypeAlias = Annotated[dict[str, str], at_most(16, "pairs"), AfterValidator(_small)]
"""Notes of a client's: 16 pairs, keys of 64 and values of 512 characters."""


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


def _format_tag(value: Any) -> str | None:
    kind = type_of(value)
    return kind and f"<{kind}>"


Format: TypeAlias = Annotated[
    Annotated[TextFormat, Tag("<text>")]
    | Annotated[JsonObjectFormat, Tag("<json_object>")]
    | Annotated[JsonSchemaFormat, Tag("<json_schema>")],
    Discriminator(_format_tag),
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

    model: Maybe[str] = None
    input: Maybe[Input] = None
    previous_response_id: Maybe[str] = None
    include: Maybe[Annotated[list[Include], Field(fail_fast=True, max_length=64)]] = None
    tools: Maybe[ListOf[ToolDefinition]] = None
    tool_choice: Maybe[ToolChoice] = None
    metadata: Maybe[Metadata] = None
    text: Maybe[TextOptions] = None
    temperature: Maybe[Annotated[float, Field(ge=0, le=2)]] = None
    top_p: Maybe[Annotated[float, Field(ge=0, le=1)]] = None
    presence_penalty: Maybe[float] = None
    frequency_penalty: Maybe[float] = None
    parallel_tool_calls: Maybe[bool] = None
    stream: Maybe[bool] = None
    stream_options: Maybe[StreamOptions] = None
    background: Maybe[bool] = None
    max_output_tokens: Maybe[Annotated[int, Field(ge=1)]] = None
    max_tool_calls: Maybe[Annotated[int, Field(ge=1)]] = None
    reasoning: Maybe[ReasoningOptions] = None
    safety_identifier: Maybe[Short] = None
    prompt_cache_key: Maybe[Short] = None
    truncation: Maybe[Literal["auto", "disabled"]] = None
    instructions: Maybe[str] = None
    store: Maybe[bool] = None
    service_tier: Maybe[Tier] = None
    top_logprobs: Maybe[Annotated[int, Field(ge=0, le=20)]] = None
    user: Maybe[str] = None
    prompt_cache_retention: Maybe[str] = None
    prompt: Maybe[Json] = None
    conversation: Maybe[str | Json] = None
    antiphon_budget: Annotated[Maybe[Limits], Field(alias="antiphon:budget")] = None

    @property
    def items(self) -> list[Item]:
        """The input as items; a text is one user message."""
        return items_of(self.input if self.input is not None else [])

    @property
    def conversation_id(self) -> str | None:
        """The conversation that the request belongs to, however it says it."""
        named = self.conversation
        said: object = named.get("id") if isinstance(named, dict) else named
        return said if isinstance(said, str) else None

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
        return kind.__pydantic_validator__.validate_json(body)
    except ValidationError as error:
        raise explain(error, body) from None
    except ValueError as error:
        raise RequestError(f"expected JSON: {error}", code="invalid_json") from None


def explain(error: ValidationError, body: bytes) -> RequestError:
    """The first fault of a body, with the path of the field as the client wrote it."""
    if (count := error.error_count()) > MAX_FAULTS:  # to list them takes 12 us and 1 KB each
        return RequestError(f"body: expected a request, got {count:,} faults", code="invalid_value")
    faults = error.errors(include_url=False, include_input=False)
    # A text is tried as a list first: that it is none is no news when it is a text too long.
    fault = next((each for each in faults if each["type"] == "string_too_long"), faults[0])
    if fault["type"] == "json_invalid":
        return RequestError(f"expected JSON: {fault['msg']}", code="invalid_json")
    location = fault["loc"]
    path = _path(location, from_json(body), missing=fault["type"] == "missing")
    what = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "union_tag_not_found":
        what = "expected an object with a string `type`"
    elif fault["type"] == "union_tag_invalid":
        known = fault.get("ctx", {})["expected_tags"].replace("<", "").replace(">", "")
        what = f"expected `type` to be one of {known}"
    elif fault["type"] == "extra_forbidden":
        what = "there is no such field here: leave it out"
    elif fault["type"] == "list_type" and location[-1] == "<list>":
        what = "expected a string or a list"
    return RequestError(f"{path or 'body'}: {what}", param=path or None, code="invalid_value")


def _path(location: tuple[int | str, ...], value: Any, *, missing: bool) -> str:
    """Walk the body along a location, skipping the steps that are union tags, not fields."""
    path = ""
    for position, step in enumerate(location):
        if isinstance(step, int):
            path += f"[{step}]"
            value = cast("list[Any]", value)[step] if isinstance(value, list) else None
            continue
        fields = cast("Json", value) if isinstance(value, dict) else {}
        if step in fields or (missing and position == len(location) - 1):
            path += f".{step}" if path else step
            value = fields.get(step)
    return path
