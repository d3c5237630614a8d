"""What remains of a conversation that is compacted, beside the summary of all of it.

Two things are never left to a summary. People's own words: what a user, a developer or the system
said stays as it was said, with the weight of its role. And state: items are the only state there
is, so the receipts from which a later run reads who owns the conversation, which containers it
has, and what is still open (calls without outputs, requests without a person's word) stay too.

Above: `compact`. Not here: the summary.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, cast

from antiphon.items import (
    BUILT_IN,
    AgentCall,
    ApprovalRequest,
    ApprovalResponse,
    Ids,
    InputText,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    Message,
    Reasoning,
    ShellCall,
    ShellCallOutput,
)
from antiphon.tools import container_of

_PEOPLE: Final = frozenset({"user", "system", "developer"})
_TRANSFER: Final = "transfer_to_"


def words(items: Sequence[Item], ids: Ids) -> list[Item]:
    """What people said; every message has a list of parts."""
    return [_parted(item, ids) for item in items if _is_words(item)]


def receipts(items: Sequence[Item], ids: Ids) -> list[Item]:
    """The items that are state, in their order."""
    kept = {id(item) for item in (*_owners(items), *_containers(items), *_open(items))}
    return [_whole(item, ids) for item in items if id(item) in kept]


def _is_words(item: Item) -> bool:
    return isinstance(item, Message) and item.role in _PEOPLE


def _parted(item: Item, ids: Ids) -> Item:
    content = cast("Message", item).content
    parts = [InputText(text=content)] if isinstance(content, str) else content
    return _whole(item.model_copy(update={"content": parts}), ids)


def _whole(item: Item, ids: Ids) -> Item:
    """An item as an answer has it: with an id and a status, which input may lack."""
    missing: dict[str, object] = {}
    if item.id is None:
        missing["id"] = ids.item(item.type or "")
    if getattr(item, "status", "") is None:
        missing["status"] = "completed"
    return item.model_copy(update=missing) if missing else item


def _owners(items: Sequence[Item]) -> list[Item]:
    """The last handoff, in either of the forms that clients replay."""
    done = [item for item in items if _is_handoff(item)]
    return done[-1:]


def _is_handoff(item: Item) -> bool:
    if isinstance(item, McpCall):
        own = item.server_label == BUILT_IN and item.name.startswith(_TRANSFER)
        return own and item.status == "completed" and item.error is None
    return item.type == "antiphon:handoff" and getattr(item, "status", None) == "completed"


def _containers(items: Sequence[Item]) -> Iterator[Item]:
    """The last call in each container, with its output where that is an item of its own."""
    last = {named: at for at, item in enumerate(items) if (named := container_of(item))}
    for at in last.values():
        call = items[at]
        yield call
        if isinstance(call, ShellCall):
            yield from islice((each for each in items[at:] if _ends(each, call)), 1)


def _ends(item: Item, call: ShellCall) -> bool:
    return isinstance(item, ShellCallOutput) and item.call_id == call.call_id


def _open(items: Sequence[Item]) -> list[Item]:
    """What waits for an answer since anybody spoke, each with the thought that led to it."""
    spoken = max((at for at, item in enumerate(items) if _is_words(item)), default=-1)
    rest = items[spoken + 1 :]
    answered = {name for item in rest for name in _answers(item)}
    kept: list[Item] = []
    follows = False  # the item after this one is kept
    for item in reversed(rest):
        follows = _waits(item, answered) or (follows and isinstance(item, Reasoning))
        if follows:
            kept.append(item)
    return kept


def _answers(item: Item) -> Iterator[str]:
    """What this item answers: a call, or a request for approval."""
    if isinstance(item, ApprovalResponse | McpApprovalResponse):
        yield item.approval_request_id
    elif _is_output(item):
        yield getattr(item, "call_id", None) or ""


def _is_output(item: Item) -> bool:
    return (item.type or "").endswith("_output")


def _waits(item: Item, answered: set[str]) -> bool:
    if isinstance(item, AgentCall):
        return any(name not in answered for name in item.awaiting or ())
    if isinstance(item, ApprovalRequest | McpApprovalRequest):
        return item.id not in answered
    call_id: object = getattr(item, "call_id", None)
    return call_id is not None and call_id not in answered and not _is_output(item)
