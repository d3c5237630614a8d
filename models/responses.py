"""`ResponsesModel`: any server that speaks the Responses API, OpenAI's included.

Above: `agents`, `names`. Below: `transport`, `relay`. Source: Open Responses specification
(POST /responses, streaming). Not here: what becomes of what the model said.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import aclosing
from typing import Any, Final

import httpx2
from pydantic import ValidationError
from pydantic_core import to_json

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import (
    AllowedTools,
    CreateResponse,
    Event,
    Json,
    Lowered,
    Reasoning,
    ToolChoice,
    ToolRef,
    parse_event,
)

from .count import COUNTED, counted
from .model import ModelRequest
from .relay import Relay
from .transport import Transport

_PLAIN: Final = frozenset(
    {
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning.delta",
        "response.reasoning_summary_text.delta",
        "response.refusal.delta",
    }
)
"""Events that pass as they are: nothing is kept of them."""

_OPTIONS: Final = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "reasoning",
    "text",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "user",
    "stream_options",
)
"""Fields of the request that started the run which the model's server is to know."""

_NESTED: Final = frozenset({"reasoning", "text", "stream_options"})
_INCLUDE: Final = ("message.output_text.logprobs", "reasoning.encrypted_content")
_OURS: Final = ("input", "stream", "store", "messages")


class ResponsesModel:
    """A model behind `POST {base_url}/responses`.

    Args:
        model: The server's name for it.
        base_url: Such as `https://api.openai.com/v1`.
        api_key: Sent as a bearer token.
        http_client: One's own `httpx2.AsyncClient`, for other timeouts, proxies or certificates;
            it stays one's own to close.
        headers: Sent with every request.
        extra_body: Added to every body, over what is there; for options that only this server has.
        native: Types of hosted tools that this server runs itself, such as `web_search`.
        name: The name under which requests find it; `model` if left out.
        retries: How often to ask again when the server fails before the first token.
        fast: True puts aiohttp under the client (`antiphon[fast]`), False does not, None does
            where `antiphon serve` prefers it.

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
        native: Collection[str] = frozenset(),
        name: str | None = None,
        retries: int = 2,
        fast: bool | None = None,
    ) -> None:
        self._model = model
        self._name = name or model
        self._extra = checked_extra(extra_body)
        self.native: frozenset[str] = frozenset(native)
        self._transport = Transport(
            base_url,
            api_key=api_key,
            headers={"openresponses-extensions": "antiphon", **(headers or {})},
            http_client=http_client,
            retries=retries,
            fast=fast,
        )

    def __repr__(self) -> str:
        return f"<ResponsesModel {self._model!r} at {self._transport.host}>"

    @property
    def name(self) -> str:
        """The name under which a request finds this model."""
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Ask once.

        Raises:
            ModelError: The server was not reached, refused, broke off (`stream_cut`), told of an
                error, or sent what is no event (`bad_event`).
        """
        transport = self._transport
        relay = Relay(request.ids, transport.host, transport.clean)
        async with transport.post("/responses", self._body(request)) as answer:
            if not answer.streams:
                for event in relay.answer(await answer.read()):
                    yield event
                return
            async with aclosing(answer.frames()) as chunks:
                async for frames in chunks:
                    for kind, data in frames:
                        if kind in _PLAIN:
                            try:
                                event = parse_event(data, kind)
                            except ValidationError:
                                event = relay.mended(kind, data)
                            yield event
                            continue
                        events = relay.take(kind, data)
                        answer.finished = relay.ended
                        for event in events:
                            yield event
                        if relay.ended:
                            return
        raise ModelError(
            f"{transport.host} ended its stream without a last word "
            "(response.completed, .incomplete or .failed); what it said before stands",
            code="stream_cut",
        )

    async def count(self, request: ModelRequest) -> int:
        """How many tokens of input this sampling would be, as the server counts them.

        Raises:
            ModelError: The server was not reached, refused, or does not count (`cannot_count`).
        """
        options = {
            field: value for field, value in self._options(request).items() if field in COUNTED
        }
        return await counted(self._transport, _joined(request, options), model=self._name)

    async def aclose(self) -> None:
        """Give back connections."""
        await self._transport.aclose()

    def _body(self, request: ModelRequest) -> bytes:
        return _joined(request, self._options(request))

    def _options(self, request: ModelRequest) -> Json:
        original = request.original
        options: Json = {"model": self._model, "stream": True, "store": False}
        if request.instructions is not None:
            options["instructions"] = request.instructions
        if request.max_output_tokens is not None:
            options["max_output_tokens"] = request.max_output_tokens
        options |= asked(original, _OPTIONS)
        if include := self._include(original):
            options["include"] = include
        hosted = [tool for tool in original.tools or () if tool.type in self.native]
        taken = {tool.type for tool in hosted}
        tools = [tool for tool in request.tools if tool.name not in taken]
        if tools or hosted:
            options["tools"] = [*tools, *hosted]
            options["tool_choice"] = _choice(request.tool_choice, taken)
            if original.parallel_tool_calls is not None:
                options["parallel_tool_calls"] = original.parallel_tool_calls
        return options | self._extra

    def _include(self, original: CreateResponse) -> list[str]:
        hosted = tuple(f"{kind}_call." for kind in self.native)
        return [
            what
            for what in original.include or ()
            if what in _INCLUDE or (hosted and what.startswith(hosted))
        ]


def _joined(request: ModelRequest, options: Json) -> bytes:
    """The request as JSON. Items are written once a run and joined: history costs nothing."""
    memo = request.memo
    for item in request.items:
        if id(item) not in memo:
            memo[id(item)] = _written(item)
    items = filter(None, map(memo.get, map(id, request.items)))
    head = to_json(options)
    return b'%b,"input":[%b]}' % (head[:-1], b",".join(items))


def checked_extra(extra: Mapping[str, Any] | None) -> Json:
    """`extra_body`, if it holds nothing that an adapter decides.

    Raises:
        ConfigurationError: It does.
    """
    given = dict(extra or {})
    for field in _OURS:
        if field in given:
            raise ConfigurationError(
                f"extra_body: expected options of the server; got {field!r}, which this adapter "
                "sets itself: leave it out"
            )
    return given


def asked(original: CreateResponse, fields: Collection[str]) -> Json:
    """Those of a request's fields that were set, as JSON values."""
    options: Json = {}
    for field in fields:
        value = getattr(original, field)
        if value is not None:
            options[field] = value.model_dump(exclude_none=True) if field in _NESTED else value
    return options


_HIDDEN: Final = {"id", "status"}


def _written(item: Lowered) -> bytes:
    """An item as an upstream takes it: without id and status, since it looks up ids it is given,
    and knows none of ours. Reasoning that holds nothing is left out (empty).
    """
    if type(item) is Reasoning and not (item.content or item.summary or item.encrypted_content):
        return b""
    return item.__pydantic_serializer__.to_json(item, exclude=_HIDDEN)


def _choice(choice: ToolChoice, native: set[str]) -> Any:
    """The choice, with natively hosted tools by their type."""
    if isinstance(choice, ToolRef) and choice.name in native:
        return {"type": choice.name}
    if isinstance(choice, AllowedTools):
        tools = [_choice(tool, native) for tool in choice.tools]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
    return choice
