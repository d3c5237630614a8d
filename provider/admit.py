"""Admission: what a request may ask of this provider, decided before anything is created.

Every field that is not honoured is refused here by name (README lists the fate of each), and so
is every URL that leads where this provider reaches nothing. Not here: what leads to something that
is stored (`references`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

from antiphon.errors import RequestError
from antiphon.items import (
    AgentCall,
    AgentTool,
    CreateResponse,
    Item,
    Json,
    McpServerTool,
    NamespaceTool,
    ToolDefinition,
    UnknownPart,
    Wire,
)

from .urls import check_url

_REFUSED: Final = {
    "prompt": "send instructions and input",
    "context_management": "send truncation: auto, or POST /v1/responses/compact when it is time",
    "moderation": "moderate what you send and get yourself",
    "prompt_cache_options": "send prompt_cache_key and prompt_cache_retention",
    "image": "send images as the model is to see them",
    "access_programs": "leave it out, there are none",
}

MAX_ITEMS: Final = 20_000
"""Items of one request, each part of them counted, too."""

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of one request."""

MAX_TOOLS: Final = 1024
"""Tools of one request, those inside others counted, too."""

_AN_ITEM_HAS: Final = ((b"{", 10, "objects"), (b"[", 10, "lists"), (b",", 100, "values"))
_REST: Final = bytes({*range(256)}.difference(b'"{[,'))
_STEP: Final = 64 * 1024
_LISTS: Final = ("content", "summary", "output", "outputs", "awaiting")
_URLS: Final = ("image_url", "file_url", "video_url", "url")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=\s-]*")
_FETCHED: Final = re.compile(r"\s*https?:", re.IGNORECASE)


def admit_body(body: bytes, *, max_items: int) -> None:
    """Refuse a body that holds far more values than its items can need, before it is parsed.

    Raises:
        RequestError: 400; `param` is `input`.
    """
    if not any(
        len(body) > max_items * most and body.count(sign) > max_items * most
        for sign, most, _ in _AN_ITEM_HAS
    ):
        return
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _REST)
    bare = bare.replace(b'""', b"")  # two quotes less leave every sign inside or outside a text
    counts = dict.fromkeys((sign for sign, _, _ in _AN_ITEM_HAS), 0)
    inside = False
    for start in range(0, len(bare), _STEP):  # never more pieces at a time than a step has
        pieces = bare[start : start + _STEP].split(b'"')
        outside = b"".join(pieces[inside::2])  # a sign in a text begins nothing
        inside ^= len(pieces) % 2 == 0
        for sign, most, name in _AN_ITEM_HAS:
            counts[sign] += outside.count(sign)
            if counts[sign] > max_items * most:
                raise _too_many(f"a request of at most {max_items * most:,} {name}, got more")


def admit(
    request: CreateResponse, *, private_urls: bool, stored: bool, max_items: int = MAX_ITEMS
) -> None:
    """Refuse what this provider does not do, by the field's name.

    Args:
        request: What is asked.
        private_urls: Whether image and file URLs may point into private networks.
        stored: Whether its response is stored.
        max_items: How many items it may have; each part of them counts, too.

    Raises:
        RequestError: 400, with `param`.
    """
    refuse_fields({"prompt": request.prompt, **(request.model_extra or {})})
    if request.background and not stored:
        raise _unsupported("background", f"background needs store: {_storing(request)}")
    if request.conversation is not None:
        _check_conversation(request, stored=stored)
    if request.input is None and request.previous_response_id is None:
        raise RequestError(
            "input: expected a text or a list of items, got nothing",
            param="input",
            code="missing_required_parameter",
        )
    if request.tools:
        _check_tools(request.tools)
        if not private_urls:
            _check_servers(request.tools, "tools")
    given = () if isinstance(request.input, str) else request.input or ()
    admit_items(given, private_urls=private_urls, max_items=max_items)


def refuse_fields(fields: Mapping[str, object]) -> None:
    """Refuse what would change an answer and is not done here; what nobody knows is passed over.

    Raises:
        RequestError: 400, with `param`.
    """
    for name, cure in _REFUSED.items():
        if fields.get(name) not in (None, False, []):
            raise _unsupported(name, f"{name} is not supported here: {cure}")


def admit_items(
    items: Sequence[Item], *, private_urls: bool, max_items: int = MAX_ITEMS, param: str = "input"
) -> None:
    """Refuse items that are too many, or point where this provider reaches nothing.

    Args:
        items: As a client sent them.
        private_urls: Whether image and file URLs may point into private networks.
        max_items: How many there may be; each part of them counts, too.
        param: What the list of them is called.

    Raises:
        RequestError: 400, with `param`.
    """
    count = 0
    for position, item in enumerate(items):
        count += 1 + _check_item(item, f"{param}[{position}]", private_urls=private_urls)
    if count > max_items:
        raise _too_many(f"at most {max_items:,} items and parts, got {count:,}", param)


def _check_tools(tools: Sequence[ToolDefinition]) -> None:
    """Refuse more tools than a model can tell apart, wherever they stand."""
    count, waiting = 0, [tools]
    while waiting:
        some = waiting.pop()
        count += len(some)
        waiting += [tool.tools for tool in some if isinstance(tool, AgentTool | NamespaceTool)]
    if count > MAX_TOOLS:
        raise RequestError(
            f"tools: expected at most {MAX_TOOLS:,}, those inside others included, got {count:,}: "
            "send those that this request needs",
            param="tools",
            code="too_many_tools",
        )


def _check_servers(tools: Sequence[ToolDefinition], param: str) -> None:
    """Refuse MCP servers of private networks, by what their URLs say; who connects looks again."""
    for position, tool in enumerate(tools):
        where = f"{param}[{position}]"
        if isinstance(tool, McpServerTool) and tool.server_url is not None:
            try:
                check_url(tool.server_url, f"{where}.server_url")
            except RequestError as error:
                if error.code == "private_url":  # what is no URL is for whoever hosts the tool
                    raise
        elif isinstance(tool, AgentTool):
            _check_servers(tool.tools, f"{where}.tools")


def _check_conversation(request: CreateResponse, *, stored: bool) -> None:
    """Refuse a conversation beside what says where a request goes on, too, or keeps nothing."""
    if not request.conversation_id:
        raise RequestError(
            'conversation: expected an id, or {"id": "conv_..."}',
            param="conversation",
            code="invalid_value",
        )
    if request.previous_response_id is not None:
        why = "conversation and previous_response_id both say what was before: leave one out"
        raise _unsupported("conversation", why)
    if not stored:
        raise _unsupported("conversation", f"conversation needs store: {_storing(request)}")


def _storing(request: CreateResponse) -> str:
    return "send store: true" if request.store is None else "leave store: false out"


def _unsupported(param: str, message: str) -> RequestError:
    return RequestError(message, param=param, code="unsupported_parameter")


def _too_many(what: str, param: str = "input") -> RequestError:
    return RequestError(
        f"{param}: expected {what}: send less, or continue with previous_response_id",
        param=param,
        code="too_many_items",
    )


def _fields(wire: object) -> Mapping[str, object]:
    """All fields of an item or part. To ask for each by name costs a microsecond a miss."""
    extra: Json | None = getattr(wire, "__pydantic_extra__", None)
    if not extra:
        return vars(wire)
    fields = {**vars(wire), **extra}
    fields.pop("__pydantic_extra__", None)  # where a class declares it, it is a field, too
    return fields


def _lists(fields: Mapping[str, object]) -> list[tuple[str, list[object]]]:
    """The lists of parts (of an agent's call: of items) among an item's fields."""
    found = [(name, fields.get(name)) for name in _LISTS if name in fields]
    return [(name, cast("list[object]", each)) for name, each in found if isinstance(each, list)]


def _check_item(item: object, param: str, *, private_urls: bool) -> int:
    """Check what an item points at; how many parts it has."""
    fields = _fields(item)
    count = 0
    for field, parts in _lists(fields):
        count += len(parts)
        for position, part in enumerate(parts):
            where = f"{param}.{field}[{position}]"
            if isinstance(item, AgentCall) and isinstance(part, Wire):
                count += _check_item(part, where, private_urls=private_urls)
            else:
                _check_part(part, where, private_urls=private_urls)
    output = fields.get("output")
    if isinstance(output, dict) and not private_urls:  # a screen, as a computer call gives it
        _check_value(cast("Json", output).get("image_url"), f"{param}.output.image_url")
        _check_strings(cast("Json", output), f"{param}.output")
    return count


def _check_part(part: object, param: str, *, private_urls: bool) -> None:
    if isinstance(part, dict):  # an item that is not known is JSON to its leaves
        if not private_urls:
            _check_strings(cast("Json", part), param)
        return
    if not isinstance(part, Wire):
        return
    fields = _fields(part)
    _check_data(fields.get("file_data"), f"{param}.file_data")
    if private_urls:
        return
    for name in _URLS:
        if name in fields:
            _check_value(fields[name], f"{param}.{name}")
    if isinstance(part, UnknownPart):
        _check_strings(fields, param)


def _check_data(value: object, param: str) -> None:
    """What stands where a file's bytes belong is passed on: a URL there would be fetched."""
    if not isinstance(value, str) or value.startswith("data:") or _BASE64.fullmatch(value):
        return
    raise RequestError(
        f"{param}: expected a data URL or base64: send a URL as file_url",
        param=param,
        code="invalid_value",
    )


_Steps: TypeAlias = tuple["_Steps", str | int] | None
"""The way to a value, its last step first: to join it at each value would cost their product."""


def _check_strings(value: object, param: str, steps: _Steps = None) -> None:
    """Look at each string that somebody may take for a URL, however deep it stands."""
    if isinstance(value, str) and _FETCHED.match(value):
        try:
            check_url(value.strip(), param)
        except RequestError:
            check_url(value.strip(), param + _joined(steps))
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, object]", value).items():
            _check_strings(inner, param, (steps, key))
    elif isinstance(value, list):
        for position, inner in enumerate(cast("list[object]", value)):
            _check_strings(inner, param, (steps, position))


def _joined(steps: _Steps) -> str:
    joined = ""
    while steps is not None:
        steps, step = steps
        joined = (f"[{step}]" if isinstance(step, int) else f".{step:.100}") + joined
    return joined


def _check_value(value: object, param: str) -> None:
    if isinstance(value, dict):  # Chat Completions has it one step further in
        value, param = cast("Json", value).get("url"), f"{param}.url"
    if isinstance(value, str):
        check_url(value, param)
