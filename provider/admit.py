"""Admission: what a request may ask of this provider, decided before anything is created.

Every field that is not honoured is refused here by name (README lists the fate of each), and
what a client points at (stored items, URLs) is resolved or refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

from antiphon.errors import RequestError
from antiphon.items import (
    AgentCall,
    AgentTool,
    CodeInterpreterCall,
    CreateResponse,
    FileSearchCall,
    Item,
    ItemReference,
    Json,
    McpCall,
    McpServerTool,
    Reasoning,
    ToolDefinition,
    UnknownPart,
    WebSearchCall,
    Wire,
)

from .store import Store
from .urls import check_url
from .view import View

_REFUSED = {
    "prompt": "send instructions and input",
}

MAX_ITEMS: Final = 20_000
"""Items of one request, each part of them counted, too."""

_OBJECTS_AN_ITEM: Final = 10
_LISTS: Final = ("content", "summary", "output", "outputs", "awaiting")
_URLS: Final = ("image_url", "file_url", "video_url", "url")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=\s-]*")
_FETCHED: Final = re.compile(r"\s*https?:", re.IGNORECASE)


def admit_body(body: bytes, *, max_items: int) -> None:
    """Refuse a body that holds far more objects than its items can need, before it is parsed.

    Raises:
        RequestError: 400; `param` is `input`.
    """
    most = max_items * _OBJECTS_AN_ITEM
    if body.count(b"{") <= most:
        return
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = bare.split(b'"')[::2]  # a brace in a text begins no object
    count = sum(part.count(b"{") for part in outside)
    if count > most:
        raise _too_many(f"a request of at most {most:,} objects, got {count:,}")


def admit(request: CreateResponse, *, private_urls: bool, max_items: int = MAX_ITEMS) -> None:
    """Refuse what this provider does not do, by the field's name.

    Args:
        request: What is asked.
        private_urls: Whether image and file URLs may point into private networks.
        max_items: How many items it may have; each part of them counts, too.

    Raises:
        RequestError: 400, with `param`.
    """
    for name, cure in _REFUSED.items():
        if getattr(request, name) not in (None, False):
            raise _unsupported(name, f"{name} is not supported here: {cure}")
    if request.background and request.store is False:
        raise _unsupported("background", "background needs store: leave store: false out")
    if request.conversation is not None:
        _check_conversation(request)
    if request.input is None and request.previous_response_id is None:
        raise RequestError(
            "input: expected a text or a list of items, got nothing",
            param="input",
            code="missing_required_parameter",
        )
    if not private_urls:
        _check_servers(request.tools or (), "tools")
    given = () if isinstance(request.input, str) else request.input or ()
    count = 0
    for position, item in enumerate(given):
        count += 1 + _check_item(item, f"input[{position}]", private_urls=private_urls)
    if count > max_items:
        raise _too_many(f"at most {max_items:,} items and parts, got {count:,}")


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


def _check_conversation(request: CreateResponse) -> None:
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
    if request.store is False:
        raise _unsupported("conversation", "conversation needs store: leave store: false out")


def _unsupported(param: str, message: str) -> RequestError:
    return RequestError(message, param=param, code="unsupported_parameter")


def _too_many(what: str) -> RequestError:
    return RequestError(
        f"input: expected {what}: send less, or continue with previous_response_id",
        param="input",
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


def _check_strings(value: object, param: str) -> None:
    """Look at each string that somebody may take for a URL, however deep it stands."""
    if isinstance(value, str) and _FETCHED.match(value):
        check_url(value.strip(), param)
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, object]", value).items():
            _check_strings(inner, f"{param}.{key}")
    elif isinstance(value, list):
        for position, inner in enumerate(cast("list[object]", value)):
            _check_strings(inner, f"{param}[{position}]")


def _check_value(value: object, param: str) -> None:
    if isinstance(value, dict):  # Chat Completions has it one step further in
        value, param = cast("Json", value).get("url"), f"{param}.url"
    if isinstance(value, str):
        check_url(value, param)


async def resolve_items(
    given: Sequence[Item], store: Store, *, principal: str, view: View
) -> list[Item]:
    """The input with references resolved, and thin receipts made whole again.

    A client that did not ask for `code_interpreter_call.outputs` (or sees a provider-run
    function as an `mcp_call`) replays less than the model saw. Where the item is one that this
    provider stored for the same principal, and it says nothing else, the stored one is used:
    so a replay gives the model the same context.

    Raises:
        RequestError: 404; a reference points to nothing of this principal's.
    """
    resolved: list[Item] = []
    for position, item in enumerate(given):
        if isinstance(item, ItemReference):
            found = await store.item(item.id, principal=principal)
            if found is None:
                raise RequestError(
                    f"input[{position}]: there is no stored item {item.id!r}: send the item itself",
                    param=f"input[{position}].id",
                    code="item_not_found",
                    status=404,
                    type="not_found_error",
                )
            resolved.append(found)
        elif isinstance(item, _THIN) and item.id is not None:
            found = await store.item(item.id, principal=principal)
            resolved.append(found if found is not None and _same(item, found, view) else item)
        else:
            resolved.append(item)
    return resolved


_THIN = CodeInterpreterCall | FileSearchCall | WebSearchCall | McpCall | Reasoning


def _same(given: Item, stored: Item, view: View) -> bool:
    """Whether an item says nothing that its stored original does not say to this client."""
    shown = view.item(stored).model_dump()
    return all(
        shown.get(field) == value
        for field, value in given.model_dump(exclude_none=True).items()
        if shown.get(field) is not None or field not in ("outputs", "results")
    )
