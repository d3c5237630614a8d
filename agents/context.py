"""The context of a run: what the model will read, checked and put in order before it is asked.

Above: `loop`. Below: `items.lower`. A call and its output always stand together, whatever
order a client replays them in, since model servers refuse anything else.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import cast

from antiphon.errors import RequestError
from antiphon.items import (
    ApprovalRequest,
    Compaction,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Lowered,
    McpApprovalRequest,
    Message,
    Reasoning,
    ShellCallOutput,
    lower,
    lower_at,
)

_WORDS = frozenset({Message, Reasoning})
"""Most of a history. Known by class: `isinstance` of a pydantic class that it is not is slow."""

_ASKED = frozenset({ApprovalRequest, McpApprovalRequest})

NOT_GIVEN = "[no output was given for this call]"


def context_of(
    history: Sequence[Item], given: Sequence[Item], *, param: str = "input"
) -> list[Lowered]:
    """The context that history and new input make together.

    Args:
        history: What came before (`previous_response_id`), already admitted once.
        given: The request's own input items.
        param: What the list of them is called.

    Raises:
        RequestError: An output answers no call (`orphan`), or an item cannot be read
            here; `param` names its place in the list.
    """
    if _WORDS.issuperset(map(type, history)) and _WORDS.issuperset(map(type, given)):
        return cast("list[Lowered]", [*history, *given])
    lost = _lost([*history, *given]) if _asks(history) or _asks(given) else set[int]()
    lowered = lower(item for item in history if id(item) not in lost)
    unanswered: Counter[str] = Counter()
    for part in lowered:
        _answer(part, unanswered)
    for position, item in enumerate(given):
        if type(item) in _WORDS:
            if id(item) not in lost:
                lowered.append(cast("Message | Reasoning", item))
            continue
        where = f"{param}[{position}]"
        _admit(item, where)
        for part in lower_at(item, len(history) + position):
            if not _answer(part, unanswered):
                raise _orphan(part, where)
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


def _admit(item: Item, param: str) -> None:
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


def _orphan(output: Lowered, param: str) -> RequestError:
    call_id = getattr(output, "call_id", "")
    return RequestError(
        f"{param}: this output answers call_id {call_id!r}, but no such call waits for "
        "one: send the call before it, once for each output, or use previous_response_id",
        param=f"{param}.call_id",
        code="orphan",
    )


def _asks(items: Sequence[Item]) -> bool:
    return any(type(item) in _ASKED for item in items)


def _lost(items: Sequence[Item]) -> set[int]:
    """The thoughts (by identity) that led to a request which nobody decided: where the user has
    gone on to something else, nothing follows them any more, so they go, too (law 4).
    """
    lost: set[int] = set()
    thoughts: list[int] = []
    asked = False
    for item in items:
        if isinstance(item, Reasoning):
            thoughts.append(id(item))
        elif type(item) in _ASKED:
            asked = True
        else:
            if asked and isinstance(item, Message) and item.role != "assistant":
                lost.update(thoughts)
            thoughts, asked = [], False
    return lost


def turn_of(items: Sequence[Item], position: int) -> list[Lowered]:
    """A turn's finished items as the next turn reads them, as they would be read in a replay.

    Args:
        items: The items.
        position: How many came before them in the whole conversation.
    """
    words = [part for at, item in enumerate(items) for part in lower_at(item, position + at)]
    # The output of a shell call is an item of its own: other calls may stand between the two.
    return paired(words) if any(type(item) is ShellCallOutput for item in items) else words


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
