"""Approvals: what waits for a person's word, and what was said of it. All of it is items.

A call that waits is an approval request in the output; the word is an approval response in the
input of a later request. Nothing else is kept: what is pending is read off the list, here, by
the loop that makes the call and by every run that the call is inside of.

Above: `resuming` (runs what was approved), `provider` (binds the word to a principal).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic_core import to_json

from antiphon.errors import RequestError
from antiphon.items import (
    BUILT_IN,
    AgentCall,
    ApprovalRequest,
    ApprovalResponse,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    Message,
    tool_name,
)

Answer: TypeAlias = ApprovalResponse | McpApprovalResponse
Asked: TypeAlias = ApprovalRequest | McpApprovalRequest

_ASKED: Final = frozenset({ApprovalRequest, McpApprovalRequest})
_OUTPUTS: Final = "_call_output"
"""How the types of what a client says of its own calls end."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A word, and what it is on.

    Attributes:
        answer: The word.
        origin: The request itself, or the sub-agent's run inside which it was made.
    """

    answer: Answer
    origin: Asked | AgentCall


def answers(items: Sequence[Item]) -> list[Answer]:
    """The words that nothing has come of yet: no output stands behind them.

    Raises:
        RequestError: There are two on the same request.
    """
    found: dict[str, Answer] = {}
    for item in reversed(items):
        if isinstance(item, Answer):
            if item.approval_request_id in found:
                raise _refused(item.approval_request_id, "it was answered twice: answer it once")
            found[item.approval_request_id] = item
        elif not _is_given(item):
            break
    return list(reversed(found.values()))


def _is_given(item: Item) -> bool:
    """Whether an item is the caller's own, or a request: anything else is an output."""
    if isinstance(item, Message):
        return item.role != "assistant"
    return type(item) in _ASKED or (item.type or "").endswith(_OUTPUTS)


def grants(items: Sequence[Item], *, history: int = 0) -> list[Grant]:
    """The same words with what each is on.

    Args:
        items: The whole effective input.
        history: How many of them came before the request's own input.

    Raises:
        RequestError: One is on nothing that waits in these items; `param` names its place.
    """
    found: list[Grant] = []
    for answer in answers(items):
        try:
            found.append(Grant(answer, origin_of(items, answer)))
        except RequestError as error:
            place = next(at for at, item in enumerate(items) if item is answer)
            error.param = f"input[{place - history}]"
            raise
    return found


def origin_of(items: Sequence[Item], answer: Answer) -> Asked | AgentCall:
    """What an answer is on: a request of this run's, or a sub-agent's run that waits for it.

    Raises:
        RequestError: Nothing in these items waits for it.
    """
    asked = answer.approval_request_id
    gone_on = {item.continues for item in items if isinstance(item, AgentCall)}
    request: Asked | None = None
    for item in reversed(items):
        if isinstance(item, AgentCall):
            if asked in (item.awaiting or ()) and item.id not in gone_on:
                return item
        elif isinstance(item, Asked) and item.id == asked:
            request = item
    if request is None or any(asked in _awaited(item) for item in items):
        raise _refused(
            asked, "nothing in the input waits for it: send the items before it, too, whole"
        )
    return request


def _awaited(item: Item) -> Sequence[str]:
    return (item.awaiting or ()) if isinstance(item, AgentCall) else ()


def waiting(items: Sequence[Item]) -> list[Asked]:
    """The requests that still wait: unanswered, and nobody has said anything since."""
    answered: set[str] = set()
    found: dict[str, Asked] = {}
    for item in reversed(items):
        if isinstance(item, Answer):
            answered.add(item.approval_request_id)
        elif isinstance(item, Asked):
            if item.id is not None and item.id not in answered:
                found[item.id] = item
        elif isinstance(item, Message) and item.role != "assistant":
            break
    return list(reversed(found.values()))


def tail_of(last: AgentCall, items: Sequence[Item]) -> list[Item]:
    """What a sub-agent's run has said and heard so far, from its first call to `last`.

    Args:
        last: The run that waits; those before it are found by `continues`.
        items: The list that they stand in, with the words that were given between them.
    """
    runs = {item.id: item for item in items if isinstance(item, AgentCall)}
    words = {item.approval_request_id: item for item in items if isinstance(item, Answer)}
    chain = [last]
    seen = {last.id}
    while (earlier := runs.get(chain[-1].continues or "")) is not None and earlier.id not in seen:
        seen.add(earlier.id)
        chain.append(earlier)
    chain.reverse()
    said: list[Item] = []
    for position, one in enumerate(chain):
        said.extend(one.output)
        if one is not last:
            still = chain[position + 1].awaiting or ()
            given = (words.get(asked) for asked in one.awaiting or () if asked not in still)
            said.extend(word for word in given if word is not None)
    return said


def name_of(request: Asked) -> str:
    """The name by which the model called what a request is about."""
    if isinstance(request, ApprovalRequest) or request.server_label == BUILT_IN:
        return request.name
    return tool_name(request.server_label, request.name)


def digest_of(path: Sequence[str], name: str, arguments: str) -> str:
    """What exactly is approved, as one hash: who asks, the tool, and its arguments."""
    return hashlib.sha256(to_json([list(path), name, arguments])).hexdigest()


def digest_in(items: Sequence[Item], answer: Answer, path: Sequence[str]) -> str:
    """The digest of the call that an answer would let run, as these items have it.

    Args:
        items: The whole effective input of a run.
        answer: The word.
        path: The names of the agents from the outermost to the one whose items these are.

    Raises:
        RequestError: Nothing in the items waits for it.
    """
    origin = origin_of(items, answer)
    if isinstance(origin, AgentCall):
        return digest_in(tail_of(origin, items), answer, (*path, origin.agent))
    return digest_of(path, name_of(origin), origin.arguments)


def _refused(asked: str, why: str) -> RequestError:
    return RequestError(
        f"approval_request_id {asked[:100]!r}: {why}", param="input", code="approval_not_found"
    )


def refusal(answer: Answer) -> str:
    """What the model is told of a call that was not approved."""
    reason = f": {answer.reason}" if answer.reason else ""
    return f"the user did not approve this call{reason}"
