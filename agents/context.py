"""The context of a run: what the model will read, checked and put in order before it is asked.

Above: `loop`. Below: `items.lower`. A call and its output always stand together, whatever
order a client replays them in, since model servers refuse anything else.
"""

from collections import defaultdict, deque
from collections.abc import Sequence

from antiphon.errors import RequestError
from antiphon.items import (
    ApprovalResponse,
    Compaction,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Lowered,
    McpApprovalResponse,
    lower,
)

NOT_GIVEN = "[no output was given for this call]"


def context_of(history: Sequence[Item], given: Sequence[Item]) -> list[Lowered]:
    """The context that history and new input make together.

    Args:
        history: What came before (`previous_response_id`), already admitted once.
        given: The request's own input items.

    Raises:
        RequestError: An output answers no call (`orphan_output`), or an item cannot be read
            here; `param` names its place in `input`.
    """
    for position, item in enumerate(given):
        _admit(item, position)
    _refuse_orphans(history, given)
    return paired(lower([*history, *given]))


def _admit(item: Item, position: int) -> None:
    param = f"input[{position}]"
    if isinstance(item, ItemReference):
        raise RequestError(
            f"{param}: expected an item, got a reference to {item.id!r}, which was not resolved: "
            "send the item itself, or ask a provider that stored it",
            param=param,
            code="item_not_found",
            status=404,
            type="not_found_error",
        )
    if isinstance(item, Compaction):
        raise RequestError(
            f"{param}: this compaction was not sealed by this provider and cannot be read here: "
            "send the items that it stands for",
            param=param,
            code="unreadable_compaction",
        )
    if isinstance(item, ApprovalResponse | McpApprovalResponse):
        raise RequestError(
            f"{param}: no approval is pending under {item.approval_request_id!r}: send the "
            "response once, to the provider that asked",
            param=param,
            code="approval_not_found",
        )


def _refuse_orphans(history: Sequence[Item], given: Sequence[Item]) -> None:
    called = {item.call_id for item in lower(history) if isinstance(item, FunctionCall)}
    for position, item in enumerate(given):
        for part in lower([item]):
            if isinstance(part, FunctionCall):
                called.add(part.call_id)
            elif isinstance(part, FunctionCallOutput) and part.call_id not in called:
                raise RequestError(
                    f"input[{position}]: this output answers call_id {part.call_id!r}, but no such "
                    "call comes before it: send the call too, or use previous_response_id",
                    param=f"input[{position}].call_id",
                    code="orphan_output",
                )


def paired(items: Sequence[Lowered]) -> list[Lowered]:
    """The same items with every output right behind its run of calls, and none missing."""
    outputs: defaultdict[str, deque[FunctionCallOutput]] = defaultdict(deque)
    for item in items:
        if isinstance(item, FunctionCallOutput):
            outputs[item.call_id].append(item)
    ordered: list[Lowered] = []
    calls: list[str] = []

    def answer() -> None:
        for call_id in calls:
            given = outputs[call_id]
            missing = FunctionCallOutput(call_id=call_id, output=NOT_GIVEN)
            ordered.append(given.popleft() if given else missing)
        calls.clear()

    for item in items:
        if isinstance(item, FunctionCall):
            calls.append(item.call_id)
            ordered.append(item)
        else:
            answer()
            if not isinstance(item, FunctionCallOutput):
                ordered.append(item)
    answer()
    return ordered
