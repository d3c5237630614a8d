"""Admission: what a request may ask of this provider, decided before anything is created.

Every field that is not honoured is refused here by name (README lists the fate of each), and
what a client points at (stored items, URLs) is resolved or refused.
"""

from collections.abc import Sequence
from typing import cast

from antiphon.errors import RequestError
from antiphon.items import (
    CodeInterpreterCall,
    CreateResponse,
    FileSearchCall,
    Item,
    ItemReference,
    Json,
    McpCall,
    WebSearchCall,
)

from .store import Store
from .urls import check_url
from .view import View

_REFUSED = {
    "background": "run it in the foreground, with stream: true to watch it",
    "conversation": "use previous_response_id to continue a response",
    "prompt": "send instructions and input",
}


def admit(request: CreateResponse, *, private_urls: bool) -> None:
    """Refuse what this provider does not do, by the field's name.

    Args:
        request: What is asked.
        private_urls: Whether image and file URLs may point into private networks.

    Raises:
        RequestError: 400, with `param`.
    """
    for name, cure in _REFUSED.items():
        if getattr(request, name) not in (None, False):
            raise _unsupported(name, f"{name} is not supported here: {cure}")
    if request.truncation == "auto":
        raise _unsupported("truncation", 'truncation "auto" is not supported here: shorten input')
    if request.input is None and request.previous_response_id is None:
        raise RequestError(
            "input: expected a text or a list of items, got nothing",
            param="input",
            code="missing_required_parameter",
        )
    if not private_urls and not isinstance(request.input, str):
        for position, item in enumerate(request.input or ()):
            _check_urls(item, f"input[{position}]")


def _unsupported(param: str, message: str) -> RequestError:
    return RequestError(message, param=param, code="unsupported_parameter")


def _check_urls(item: Item, param: str) -> None:
    for field in ("content", "output", "outputs"):
        value: object = getattr(item, field, None)
        if isinstance(value, list):
            for position, part in enumerate(cast("list[object]", value)):
                _check_part(part, f"{param}.{field}[{position}]")
        elif isinstance(value, dict):  # a screen, as a computer call gives it
            _check_value(cast("Json", value).get("image_url"), f"{param}.{field}.image_url")


def _check_part(part: object, param: str) -> None:
    for name in ("image_url", "file_url", "video_url", "url"):
        _check_value(getattr(part, name, None), f"{param}.{name}")


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


_THIN = CodeInterpreterCall | FileSearchCall | WebSearchCall | McpCall


def _same(given: Item, stored: Item, view: View) -> bool:
    """Whether an item says nothing that its stored original does not say to this client."""
    shown = view.item(stored).model_dump()
    return all(
        shown.get(field) == value
        for field, value in given.model_dump(exclude_none=True).items()
        if shown.get(field) is not None or field not in ("outputs", "results")
    )
