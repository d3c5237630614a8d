"""What a run waits for when it has ended without an answer, and how to give it.

A call that needs a person's word, or calls of functions that the caller runs itself. At a
terminal the word is asked for; elsewhere it is said how to go on.

Above: `run`. Not here: the run that goes on, which is a run like any other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from antiphon.agents import Result
from antiphon.errors import ConfigurationError
from antiphon.items import (
    ApprovalRequest,
    ApprovalResponse,
    FunctionCall,
    FunctionCallOutput,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    Response,
)

from .paper import Paper

Asked: TypeAlias = ApprovalRequest | McpApprovalRequest


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a response waits for.

    Attributes:
        requests: Calls that a person has to approve.
        calls: Calls that the caller runs.
    """

    requests: Sequence[Asked] = ()
    calls: Sequence[FunctionCall] = ()

    def __bool__(self) -> bool:
        return bool(self.requests or self.calls)

    def told(self, target: str, *, record: str | None) -> Iterator[str]:
        """In words: what waits, and what to type next."""
        for request in self.requests:
            yield f"waiting for approval: {shown(request)} is {request.id}"
        for call in self.calls:
            yield (
                f"waiting for the output of {call.name}({call.arguments}), which you run yourself:"
                f' add {{"type": "function_call_output", "call_id": "{call.call_id}", "output": '
                '"..."} to its items'
            )
        if record is None:
            yield "to continue from here, run it again with --record run.jsonl"
        elif self.requests:
            fresh = "next.jsonl" if record != "next.jsonl" else "more.jsonl"
            words = " ".join(f"--approve {request.id}" for request in self.requests)
            yield f"to continue: antiphon run {target} --items {record} {words} --record {fresh}"
            yield "(to refuse a call instead: --refuse ID --reason TEXT)"


def shown(request: Asked) -> str:
    """A request on one line."""
    agent = getattr(request, "agent", None)
    whose = f" of {agent}" if agent else ""
    return f"{request.name}({request.arguments}){whose}"


def waiting_in(result: Result[None]) -> Waiting:
    """What this run waits for."""
    output = result.response.output
    done = {item.call_id for item in output if isinstance(item, FunctionCallOutput)}
    return Waiting(
        result.approvals,
        [item for item in output if isinstance(item, FunctionCall) and item.call_id not in done],
    )


def ask_at_terminal(waits: Waiting, paper: Paper) -> list[Item]:
    """Ask a person for each word; none where one is not given (Ctrl-D)."""
    words: list[Item] = []
    for request in waits.requests:
        paper.line("")
        paper.note(f"waiting for approval: {shown(request)}", style="bold yellow")
        answer = _yes_or_no()
        if answer is None:
            return []
        words.append(_word(request, approve=answer, reason=None))
    return words


def _yes_or_no() -> bool | None:
    while True:
        try:
            said = input("may it run? [y/n] ").strip().lower()
        except EOFError:
            return None
        if said in ("y", "yes", "n", "no"):
            return said[0] == "y"


def words_for(
    items: Sequence[Item], approve: Sequence[str], refuse: Sequence[str], reason: str | None
) -> list[Item]:
    """The items that answer requests, as the command line names them.

    Raises:
        ConfigurationError: An id is not that of a request in these items, or is there twice.
    """
    asked = {item.id: item for item in Result(None, items, Response(id="")).approvals}
    if reason is not None and not refuse:
        raise ConfigurationError("--reason says why a call is refused: say --refuse ID, too")
    words: list[Item] = []
    for name, ids in (("approve", approve), ("refuse", refuse)):
        for each in ids:
            request = asked.pop(each, None)
            if request is None:
                waiting = ", ".join(str(one) for one in asked) or "none"
                raise ConfigurationError(
                    f"--{name} {each}: expected the id of a request that waits; waiting are: "
                    f"{waiting}: give the run in which it was asked as --items FILE"
                )
            refused = None if name == "approve" else reason
            words.append(_word(request, approve=name == "approve", reason=refused))
    return words


def _word(request: Asked, *, approve: bool, reason: str | None) -> Item:
    kind = ApprovalResponse if isinstance(request, ApprovalRequest) else McpApprovalResponse
    return kind(approval_request_id=str(request.id), approve=approve, reason=reason)
