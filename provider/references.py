"""References: items of a request that lead to stored ones, and those put in their place.

Above: `prepare`. Below: `store`, `view`. Not here: the chain of responses that a request goes on
from.
"""

from collections.abc import Sequence
from typing import Final

from antiphon.errors import RequestError
from antiphon.items import (
    CodeInterpreterCall,
    FileSearchCall,
    Item,
    ItemReference,
    Json,
    McpCall,
    Reasoning,
    WebSearchCall,
)

from .admit import MAX_BODY
from .store import Store
from .view import View

_NAMING: Final = frozenset(
    {ItemReference, CodeInterpreterCall, FileSearchCall, WebSearchCall, McpCall, Reasoning}
)
"""What leads to a stored item; by class, as `isinstance` of a pydantic class is slow."""


async def resolve_items(
    given: Sequence[Item],
    store: Store,
    *,
    principal: str,
    view: View,
    max_bytes: int = MAX_BODY,
    param: str = "input",
) -> list[Item]:
    """The input with references resolved, and thin receipts made whole again.

    A client that did not ask for `code_interpreter_call.outputs` (or sees a provider-run
    function as an `mcp_call`) replays less than the model saw. Where the item is one that this
    provider stored for the same principal, and it says nothing else, the stored one is used:
    so a replay gives the model the same context.

    Args:
        given: What a client sent.
        store: Where the items are.
        principal: Whose they have to be.
        view: What this client sees.
        max_bytes: JSON that stored items may bring in; each mention counts.
        param: What the list of them is called.

    Raises:
        RequestError: 404; a reference points to nothing of this principal's. 413; the stored
            items are too long together.
    """
    named = {item.id for item in given if type(item) in _NAMING and item.id is not None}
    if not named:
        return list(given)
    found = await store.items(named, principal=principal)
    originals = {item_id: _Original(item, view) for item_id, item in found.items()}
    resolved: list[Item] = []
    for position, item in enumerate(given):
        original = originals.get(item.id or "") if type(item) in _NAMING else None
        if original is None and isinstance(item, ItemReference):
            raise _no_item(item.id, f"{param}[{position}]")
        if original is None or not original.meant_by(item):
            resolved.append(item)
            continue
        resolved.append(original.item)
        max_bytes -= original.size
        if max_bytes < 0:
            raise _too_long(f"{param}[{position}]")
    return resolved


class _Original:
    """A stored item that a request names, perhaps often: what it costs is paid once.

    Args:
        item: It.
        view: What the client sees of it.
    """

    def __init__(self, item: Item, view: View) -> None:
        self.item = item
        self.size = len(item.to_json())
        self._view = view
        self._shown: Json | None = None

    def meant_by(self, given: Item) -> bool:
        """Whether an item says nothing that this one does not say to the client."""
        if isinstance(given, ItemReference):
            return True
        if self._shown is None:
            self._shown = self._view.item(self.item).model_dump()
        shown = self._shown
        return all(
            shown.get(field) == value
            for field, value in given.model_dump(exclude_none=True).items()
            if shown.get(field) is not None or field not in ("outputs", "results")
        )


def _no_item(item_id: str, param: str) -> RequestError:
    return RequestError(
        f"{param}: there is no stored item {item_id!r}: send the item itself",
        param=f"{param}.id",
        code="item_not_found",
        status=404,
        type="not_found_error",
    )


def _too_long(param: str) -> RequestError:
    return RequestError(
        f"{param}: expected stored items that are together no longer than a request may be, each "
        "mention counted: name fewer, or continue with previous_response_id",
        param=param,
        code="request_too_large",
        status=413,
    )
