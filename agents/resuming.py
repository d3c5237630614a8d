"""Resuming: the calls that a person has approved or refused since the last response.

Before the model is asked again, exactly those calls run, or fail with the refusal; each becomes
a receipt that names its request. What was asked inside a sub-agent goes on inside it, as a new
run that continues the one which waits. Above: `turns`. Below: `approval`, `dispatch`'s calls.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from antiphon.errors import RequestError
from antiphon.items import (
    AgentCall,
    ApprovalRequest,
    Event,
    Fold,
    FunctionCall,
    Item,
    ItemAdded,
    ItemDone,
)
from antiphon.tools import Call, Offer, Scope, Slot

from .approval import Answer, Asked, Grant, grants, name_of, refusal, waiting
from .delegate import Delegate
from .menu import Menu
from .sampling import Pending


class Approved:
    """A call that a person has decided on: as any call, with the request's id on its receipt.

    Args:
        call: The call itself.
        request_id: The approval request.
    """

    def __init__(self, call: Call, request_id: str) -> None:
        self._call = call
        self._request_id = request_id

    def open(self) -> Iterable[Event]:
        """It begins."""
        return self._marked(self._call.open())

    def write(self, delta: str) -> Iterable[Event]:
        """Its arguments, as they were approved."""
        return self._marked(self._call.write(delta))

    def ready(self, arguments: str) -> Iterable[Event]:
        """Its arguments are whole."""
        return self._marked(self._call.ready(arguments))

    async def run(self) -> AsyncIterator[Event]:
        """It runs."""
        async for event in self._call.run():
            for marked in self._marked([event]):
                yield marked

    def refuse(self, reason: str) -> Iterable[Event]:
        """It does not run."""
        return self._marked(self._call.refuse(reason))

    def _marked(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, ItemAdded | ItemDone):
                known = {"approval_request_id": self._request_id}
                event.item = event.item.model_copy(update=known)
            yield event


class Resumption:
    """What was decided since the last response, and the calls that come of it.

    Args:
        menu: What can be run now.
        scope: The run; its items say what was asked and answered.
        history: How many of them came before the request's own input.

    Raises:
        RequestError: An answer is on nothing that waits, or on a tool that is not here now.
    """

    def __init__(self, menu: Menu, scope: Scope, history: int) -> None:
        self._menu = menu
        self._scope = scope
        self._grants: list[Grant] = grants(scope.items, history=history)
        self._continued: list[tuple[AgentCall, list[Answer]]] = []
        for grant in self._grants:
            if isinstance(grant.origin, AgentCall):
                self._gather(grant.origin, grant.answer)
                self._delegate(grant.origin)
            else:
                self._offer(name_of(grant.origin))

    def __bool__(self) -> bool:
        return bool(self._grants)

    def calls(self) -> Iterator[tuple[Pending, str, str | None]]:
        """Each call, its arguments, and why it does not run if it was refused; none begun yet."""
        index = 0
        for grant in self._grants:
            if isinstance(grant.origin, AgentCall):
                continue
            call, slot = self._begin(grant.origin, index)
            name = name_of(grant.origin)
            pending = Pending(name, call, slot, self._offer(name).parallel, position=0)
            said_no = None if grant.answer.approve else refusal(grant.answer)
            yield pending, grant.origin.arguments, said_no
            index += 1
        for waiting_one, words in self._continued:
            slot = Slot(self._scope.ids.item("antiphon:agent_call"), index)
            run = self._delegate(waiting_one).resume(waiting_one, words, slot, self._scope)
            name = waiting_one.name or waiting_one.agent
            yield Pending(name, run, slot, parallel=True, position=0), run.given, None
            index += 1

    def _begin(self, request: Asked, index: int) -> tuple[Call, Slot]:
        offer = self._offer(name_of(request))
        slot = Slot(self._scope.ids.item(offer.item_type), index)
        asked = request.id or ""
        empty = FunctionCall(call_id=asked or "approved", name=name_of(request), arguments="")
        return Approved(offer.begin(empty, slot, self._scope), asked), slot

    def _gather(self, run: AgentCall, answer: Answer) -> None:
        for known, words in self._continued:
            if known is run:
                words.append(answer)
                return
        self._continued.append((run, [answer]))

    def _offer(self, name: str) -> Offer:
        offer = self._menu.offers.get(name)
        if offer is None:
            raise RequestError(
                f"tools: {name!r} was approved, but this request does not declare it: "
                "declare the same tools as the request that asked",
                param="tools",
                code="tool_not_found",
            )
        return offer

    def _delegate(self, run: AgentCall) -> Delegate:
        name = run.name or run.agent
        offer = self._offer(name)
        if not isinstance(offer, Delegate):
            raise RequestError(
                f"tools: expected {name!r} to be the agent that waits for approval, got another "
                "tool of that name: declare the same tools as the request that asked",
                param="tools",
                code="tool_not_found",
            )
        return offer


def hoisted(output: Fold, first: int, known: Sequence[Item]) -> Iterator[ApprovalRequest]:
    """The requests that sub-agents wait for, each once, for the run around them to show.

    Args:
        output: The run so far.
        first: From which output index on to look.
        known: Items that were shown before.
    """
    seen = {item.id for item in known if isinstance(item, ApprovalRequest)}
    for index in range(first, len(output.drafts)):
        item = output.drafts[index].whole
        if not isinstance(item, AgentCall) or not item.awaiting:
            continue
        for inner in item.output:
            if isinstance(inner, ApprovalRequest) and inner.id not in seen:
                seen.add(inner.id)
                yield inner if inner.agent else inner.model_copy(update={"agent": item.agent})


def still_waiting(items: Sequence[Item]) -> bool:
    """Whether a request of these items is unanswered yet."""
    return bool(waiting(items))
