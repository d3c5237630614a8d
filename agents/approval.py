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

MAX_WORDS: Final = 256
"""Words that one request may bring."""

_ASKED: Final = frozenset({ApprovalRequest, McpApprovalRequest})
_OUTPUTS: Final = "_call_output"
"""How the types of what a client says of its own calls end."""


@dataclass(frozen=True, slots=True)
class Word:
    """A person's word that may count now.

    Words are handed down, from whoever checked them to the run that makes the call. None is ever
    found in items on the way: a client writes those, those of sub-agents' runs included.

    Attributes:
        answer: The word.
        digest: Of the only call that it is good for (see `digest_of`); None where the caller
            itself is trusted.
    """

    answer: Answer
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A word, and what it is on.

    Attributes:
        word: The word.
        origin: The request itself, or the sub-agent's run inside which it was made.
    """

    word: Word
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
            if len(found) == MAX_WORDS:
                raise _refused(item.approval_request_id, f"expected at most {MAX_WORDS} at a time")
            found[item.approval_request_id] = item
        elif not _is_given(item):
            break
    return list(reversed(found.values()))


def _is_given(item: Item) -> bool:
    """Whether an item is the caller's own, or a request: anything else is an output."""
    if isinstance(item, Message):
        return item.role != "assistant"
    return type(item) in _ASKED or (item.type or "").endswith(_OUTPUTS)


def grants(items: Sequence[Item], words: Sequence[Word], *, history: int = 0) -> list[Grant]:
    """Words with what each is on.

    Args:
        items: The whole effective input.
        words: Those that may count.
        history: How many of the items came before the request's own input.

    Raises:
        RequestError: One is on nothing that waits in these items; `param` names its place.
    """
    found: list[Grant] = []
    for word in words:
        try:
            found.append(Grant(word, origin_of(items, word.answer)))
        except RequestError as error:
            error.param = place_of(word.answer, items, history)
            raise
    return found


def place_of(answer: Answer, items: Sequence[Item], history: int) -> str:
    """Where a word stands in its request."""
    places = (at - history for at, item in enumerate(items) if item is answer)
    place = next(places, -1)
    return f"input[{place}]" if place >= 0 else "input"


def origin_of(items: Sequence[Item], answer: Answer) -> Asked | AgentCall:
    """What an answer is on: a request of this run's, or a sub-agent's run that waits for it.

    Raises:
        RequestError: Nothing in these items waits for it.
    """
    asked = answer.approval_request_id
    calls = [item for item in items if isinstance(item, AgentCall)]
    gone_on = {call.continues for call in calls}
    done = (item for item in items if not isinstance(item, Answer))
    if any(getattr(item, "approval_request_id", None) == asked for item in done):
        raise _refused(asked, "it was answered before, and a word counts once")
    for call in reversed(calls):
        if asked in (call.awaiting or ()) and call.id not in gone_on:
            return call
    requests = [item for item in items if isinstance(item, Asked) and item.id == asked]
    if not requests or any(asked in (call.awaiting or ()) for call in calls):
        raise _refused(
            asked, "nothing in the input waits for it: send the items before it, too, whole"
        )
    return requests[-1]


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
        said.extend(item for item in one.output if not isinstance(item, Answer))
        if one is not last:
            still = set(chain[position + 1].awaiting or ())
            given = (words.get(asked) for asked in one.awaiting or () if asked not in still)
            said.extend(word for word in given if word is not None)
    return said


def name_of(request: Asked) -> str:
    """The name by which the model called what a request is about."""
    if isinstance(request, ApprovalRequest) or request.server_label == BUILT_IN:
        return request.name
    return tool_name(request.server_label, request.name)


def digest_of(path: Sequence[str], name: str, arguments: str) -> str:
    """What exactly is approved, in three hashes: the call, to whom the request was sent, and the
    agents from there to the one that asks.
    """
    return ".".join(map(_hash, ([name, arguments], path[:1], list(path))))


def same_call(digest: str, model: str, request: Asked) -> bool:
    """Whether a request is the call of a digest, asked by somebody under this model's name."""
    asked = [_hash([name_of(request), request.arguments]), _hash([model])]
    return digest.split(".")[:2] == asked


def _hash(value: Sequence[str]) -> str:
    return hashlib.sha256(to_json(list(value))).hexdigest()


def request_in(items: Sequence[Item], answer: Answer) -> tuple[Asked, int]:
    """The request that a word is on, and how many sub-agents' runs it is inside of.

    Args:
        items: The whole effective input of a run.
        answer: The word.

    Raises:
        RequestError: Nothing in the items waits for it.
    """
    origin = origin_of(items, answer)
    if isinstance(origin, AgentCall):
        request, depth = request_in(tail_of(origin, items), answer)
        return request, depth + 1
    return origin, 0


def _refused(asked: str, why: str) -> RequestError:
    return RequestError(
        f"approval_request_id {asked[:100]!r}: {why}", param="input", code="approval_not_found"
    )


def refusal(answer: Answer) -> str:
    """What the model is told of a call that was not approved."""
    reason = f": {answer.reason}" if answer.reason else ""
    return f"the user did not approve this call{reason}"
