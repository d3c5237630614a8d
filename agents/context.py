"""The context of a run: what the model will read, checked and put in order before it is asked.

Above: `loop`. Below: `items.lower`. A call and its output always stand together, whatever
order a client replays them in, since model servers refuse anything else.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import cast

from antiphon.errors import RequestError
from antiphon.items import (
    Compaction,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Lowered,
    Message,
    Reasoning,
    lower,
    lower_at,
)

_WORDS = frozenset({Message, Reasoning})
"""Most of a history. Known by class: `isinstance` of a pydantic class that it is not is slow."""

NOT_GIVEN = "[no output was given for this call]"


def context_of(history: Sequence[Item], given: Sequence[Item]) -> list[Lowered]:
    """The context that history and new input make together.

    Args:
        history: What came before (`previous_response_id`), already admitted once.
        given: The request's own input items.

    Raises:
        RequestError: An output answers no call (`orphan`), or an item cannot be read
            here; `param` names its place in `input`.
    """
    lowered = lower(history)
    unanswered: Counter[str] = Counter()
    for part in lowered:
        _answer(part, unanswered)
    for position, item in enumerate(given):
        if type(item) in _WORDS:
            lowered.append(cast("Message | Reasoning", item))
            continue
        _admit(item, position)
        for part in lower_at(item, len(history) + position):
            if not _answer(part, unanswered):
                raise _orphan(part, position)
            lowered.append(part)
    return paired(lowered)


def _answer(part: Lowered, unanswered: Counter[str]) -> bool:
    """Count calls and their outputs; False for an output that no call waits for."""
    if isinstance(part, FunctionCall):
        unanswered[part.call_id] += 1
    elif isinstance(part, FunctionCallOutput):
        unanswered[part.call_id] -= 1
        return unanswered[part.call_id] >= 0
    return True


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
    if isinstance(item, Compaction) and item.summary is None:
        raise RequestError(
            f"{param}: this compaction was not sealed by this provider and cannot be read here: "
            "send the items that it stands for",
            param=param,
            code="unreadable_compaction",
        )


def _orphan(output: Lowered, position: int) -> RequestError:
    call_id = getattr(output, "call_id", "")
    return RequestError(
        f"input[{position}]: this output answers call_id {call_id!r}, but no such call waits for "
        "one: send the call before it, once for each output, or use previous_response_id",
        param=f"input[{position}].call_id",
        code="orphan",
    )


def _drop_thoughts(ordered: list[Lowered]) -> None:
    """Thoughts that led to nothing that is here (a request nobody approved) go, too: law 4."""
    while ordered and isinstance(ordered[-1], Reasoning):
        ordered.pop()


def paired(items: Sequence[Lowered]) -> list[Lowered]:
    """The same items with every output right behind its run of calls, and none missing."""
    outputs: defaultdict[str, deque[FunctionCallOutput]] = defaultdict(deque)
    for item in items:
        if type(item) not in _WORDS and isinstance(item, FunctionCallOutput):
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
        if type(item) in _WORDS:
            answer()
            if isinstance(item, Message) and item.role != "assistant":
                _drop_thoughts(ordered)
            ordered.append(item)
        elif isinstance(item, FunctionCall):
            calls.append(item.call_id)
            ordered.append(item)
        else:
            answer()
            if not isinstance(item, FunctionCallOutput):
                ordered.append(item)
    answer()
    return ordered
