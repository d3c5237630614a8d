"""`ChatModel`: any server that speaks Chat Completions.

Above: `agents`, `names`. Below: `transport`, `messages` (what is sent), `chunks` (what comes).
Not here: what becomes of what the model said.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final, Literal

import httpx2
from pydantic_core import to_json

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import (
    AllowedTools,
    CreateResponse,
    Event,
    FunctionTool,
    Json,
    JsonObjectFormat,
    JsonSchemaFormat,
    ToolChoice,
    ToolRef,
)

from .chunks import Chunks
from .messages import Messages
from .model import ModelRequest
from .responses import asked, checked_extra
from .transport import Answer, Transport

_OPTIONS: Final = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "user",
)
"""Fields of the request that started the run which Chat Completions knows by the same name."""

_NO_PARAMETERS: Final[Json] = {"type": "object", "properties": {}}


class ChatModel:
    """A model behind `POST {base_url}/chat/completions`.

    Args:
        model: The server's name for it.
        base_url: Such as `http://localhost:11434/v1`.
        api_key: Sent as a bearer token.
        http_client: One's own `httpx2.AsyncClient`, for other timeouts, proxies or certificates;
            it stays one's own to close.
        headers: Sent with every request.
        extra_body: Added to every body, over what is there; for options that only this server has.
        name: The name under which requests find it; `model` if left out.
        retries: How often to ask again when the server fails before the first token.
        fast: True puts aiohttp under the client (`antiphon[fast]`), False does not, None does
            where `antiphon serve` prefers it.
        images_in_outputs: Show images of tool outputs in a user message after them, for models
            that see; else a note says that there was one.
        reasoning_field: Give earlier reasoning back under this name (`reasoning_content`), for
            models that want it; else it is dropped.
        max_tokens_field: What the bound is called. Every server knows `max_tokens`; OpenAI's own
            reasoning models alone demand `max_completion_tokens`.

    Raises:
        ConfigurationError: An argument is not what it should be.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str | None = None,
        http_client: httpx2.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        name: str | None = None,
        retries: int = 2,
        fast: bool | None = None,
        images_in_outputs: bool = False,
        reasoning_field: str | None = None,
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
    ) -> None:
        if max_tokens_field not in ("max_tokens", "max_completion_tokens"):
            raise ConfigurationError(
                "max_tokens_field: expected 'max_tokens' or 'max_completion_tokens'; "
                f"got {max_tokens_field!r}"
            )
        self._model = model
        self._name = name or model
        self._extra = checked_extra(extra_body)
        self._max_tokens_field = max_tokens_field
        self._messages = Messages(
            reasoning_field=reasoning_field, images_in_outputs=images_in_outputs
        )
        self._transport = Transport(
            base_url,
            api_key=api_key,
            headers=headers,
            http_client=http_client,
            retries=retries,
            fast=fast,
        )

    def __repr__(self) -> str:
        return f"<ChatModel {self._model!r} at {self._transport.host}>"

    @property
    def name(self) -> str:
        """The name under which a request finds this model."""
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Ask once.

        Raises:
            ModelError: The server was not reached, refused, broke off (`stream_cut`), told of an
                error, or sent what is no chunk (`bad_event`); or an item has no form in Chat
                Completions (`unsupported_input`).
        """
        transport = self._transport
        chunks = Chunks(request, self._name, transport.host, transport.clean)
        async with transport.post("/chat/completions", self._body(request)) as answer:
            if not answer.streams:
                for event in chunks.answer(await answer.read()):
                    yield event
                return
            async with aclosing(_heard(answer, chunks)) as events:
                async for event in events:
                    yield event

    async def aclose(self) -> None:
        """Give back connections."""
        await self._transport.aclose()

    def _body(self, request: ModelRequest) -> bytes:
        head = to_json(self._options(request))
        return b'%b,"messages":%b}' % (head[:-1], self._messages.write(request))

    def _options(self, request: ModelRequest) -> Json:
        original = request.original
        options: Json = {
            "model": self._model,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.max_output_tokens is not None:
            options[self._max_tokens_field] = request.max_output_tokens
        options |= asked(original, _OPTIONS)
        options |= _form(original)
        if original.top_logprobs or original.includes("message.output_text.logprobs"):
            options["logprobs"] = True
            options["top_logprobs"] = original.top_logprobs or 0
        if request.tools:
            options["tools"] = [_tool(tool) for tool in request.tools]
            if request.tool_choice != "auto":
                options["tool_choice"] = _choice(request.tool_choice)
            if original.parallel_tool_calls is not None:
                options["parallel_tool_calls"] = original.parallel_tool_calls
        return options | self._extra


async def _heard(answer: Answer, chunks: Chunks) -> AsyncGenerator[Event, None]:
    """The events of a streamed answer.

    Raises:
        ModelError: The stream ended before the model did (`stream_cut`), among others.
    """
    try:
        async with aclosing(answer.frames()) as batches:
            async for frames in batches:
                for _, data in frames:
                    if data == b"[DONE]":
                        answer.finished = True
                        break
                    for event in chunks.take(data):
                        yield event
                if answer.finished:
                    break
    except ModelError as error:
        if not chunks.finished or error.code != "stream_cut":
            raise  # else all was said, but perhaps the usage
    if not answer.finished and not chunks.finished:
        raise ModelError(
            f"{answer.host} ended its stream without a last word (finish_reason or [DONE]); "
            "what it said before stands",
            code="stream_cut",
        )
    for event in chunks.end():
        yield event


def _tool(tool: FunctionTool) -> Json:
    function: Json = {"name": tool.name, "parameters": tool.parameters or _NO_PARAMETERS}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> Any:
    """The choice in Chat's form. Allowed tools become their mode: the loop enforces the set."""
    if isinstance(choice, AllowedTools):
        return choice.mode
    if isinstance(choice, ToolRef):
        return {"type": "function", "function": {"name": choice.name}}
    return choice


def _form(original: CreateResponse) -> Json:
    """How to answer, and how hard to think about it."""
    options: Json = {}
    if original.reasoning is not None and original.reasoning.effort is not None:
        options["reasoning_effort"] = original.reasoning.effort
    text = original.text
    if text is None:
        return options
    if text.verbosity is not None:
        options["verbosity"] = text.verbosity
    if isinstance(text.format, JsonObjectFormat):
        options["response_format"] = {"type": "json_object"}
    elif isinstance(text.format, JsonSchemaFormat):
        form = text.format
        schema: Json = {"name": form.name, "schema": form.json_schema or {}}
        if form.description is not None:
            schema["description"] = form.description
        if form.strict is not None:
            schema["strict"] = form.strict
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    return options
