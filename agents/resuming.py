"""Resuming: the calls that a person has approved or refused since the last response.

Before the model is asked again, exactly those calls run, or fail with the refusal; each becomes
a receipt that names its request. What was asked inside a sub-agent goes on inside it, as a new
run that continues the one which waits. Above: `turns`. Below: `approval`, `dispatch`'s calls.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import cast

from antiphon.errors import RequestError, ToolFailed
from antiphon.items import (
    AgentCall,
    ApprovalRequest,
    Event,
    Fold,
    FunctionCall,
    Item,
    ItemAdded,
    ItemDone,
    McpApprovalRequest,
)
from antiphon.tools import Asks, Call, Listing, Offer, Scope, Slot

from .approval import Asked, Grant, Word, digest_of, grants, name_of, refusal, waiting
from .asking import asked
from .delegate import Delegate
from .menu import Menu
from .sampling import Pending
from .stray import Stray


class Approved:
    """A call that a person has decided on: as any call, with the request's id on its receipt.

    Attributes:
        call: The call itself.

    Args:
        request_id: The approval request.
    """

    def __init__(self, call: Call, request_id: str) -> None:
        self.call: Call = call
        self._request_id = request_id

    def open(self) -> Iterable[Event]:
        """It begins."""
        return self._marked(self.call.open())

    def write(self, delta: str) -> Iterable[Event]:
        """Its arguments, as they were approved."""
        return self._marked(self.call.write(delta))

    def ready(self, arguments: str) -> Iterable[Event]:
        """Its arguments are whole."""
        return self._marked(self.call.ready(arguments))

    async def run(self) -> AsyncIterator[Event]:
        """It runs."""
        async with aclosing(cast("AsyncGenerator[Event, None]", self.call.run())) as events:
            async for event in events:
                for marked in self._marked([event]):
                    yield marked

    def refuse(self, reason: str) -> Iterable[Event]:
        """It does not run."""
        return self._marked(self.call.refuse(reason))

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
        words: What was decided, and may count.
        history: How many of the items came before the request's own input.

    Raises:
        RequestError: An answer is on nothing that waits, or on a tool that is not here now.
    """

    def __init__(self, menu: Menu, scope: Scope, words: Sequence[Word], history: int) -> None:
        self._menu = menu
        self._scope = scope
        self._grants: list[Grant] = grants(scope.items, words, history=history)
        self._continued: list[tuple[AgentCall, list[Word]]] = []
        self._anew: list[Asked] = []
        self._unclear: dict[str | None, str] = {}
        for grant in self._grants:
            if isinstance(grant.origin, AgentCall):
                self._gather(grant.origin, grant.word)
                self._delegate(grant.origin)
            elif not self._may_come(grant.origin):
                self._offer(name_of(grant.origin))

    def __bool__(self) -> bool:
        return bool(self._grants)

    async def changed(self) -> list[Listing]:
        """Look again at what was approved: whose tools are others by now, and have to be listed
        again. Those calls do not run (see `again`).
        """
        found: dict[str, Listing] = {}
        for grant in self._grants:
            if isinstance(grant.origin, AgentCall) or not grant.word.answer.approve:
                continue
            offer = self._menu.offers.get(name_of(grant.origin))
            if not isinstance(offer, Asks):
                continue
            try:
                stands = await offer.stands(grant.origin)
            except ToolFailed as error:
                self._unclear[grant.origin.id] = str(error)
                continue
            if stands:
                continue
            label = getattr(grant.origin, "server_label", "")
            listing = self._menu.listings.get(label)
            if listing is None:  # a request made up for a tool of a server's
                self._unclear[grant.origin.id] = "it is not what was approved any more"
                continue
            self._anew.append(grant.origin)
            if not listing.known:  # else the menu has what it is now
                found[label] = listing
        return list(found.values())

    def go_on(self, menu: Menu) -> None:
        """From here on this is what can be run."""
        self._menu = menu

    async def again(self) -> list[Asked]:
        """New requests for what is another thing than the one that was approved."""
        offers = ((one, self._menu.offers.get(name_of(one))) for one in self._anew)
        return [
            await asked(offer, name_of(one), one.arguments, self._scope)
            for one, offer in offers
            if offer is not None
        ]

    def calls(self, made: Sequence[Item] = ()) -> Iterator[tuple[Pending, str, str | None]]:
        """Each call, its arguments, and why it does not run, if so; none is begun yet.

        Args:
            made: What was told of them already, by a process that ended.
        """
        told = {getattr(item, "approval_request_id", None) for item in made}
        told |= {item.continues for item in made if isinstance(item, AgentCall)}
        index = len(made)
        for grant in self._grants:
            if isinstance(grant.origin, AgentCall) or grant.origin.id in told:
                continue
            name = name_of(grant.origin)
            offer = self._menu.offers.get(name)
            if offer is not None and grant.origin in self._anew:
                continue
            call, slot = self._begin(grant.origin, index)
            pending = Pending(name, call, slot, offer is None or offer.parallel, position=0)
            yield pending, grant.origin.arguments, self._refusal(grant.word, grant.origin)
            index += 1
        for waits, words in self._continued:
            if waits.id in told:
                continue
            slot = Slot(self._scope.ids.item("antiphon:agent_call"), index)
            run = self._delegate(waits).resume(waits, words, slot, self._scope)
            yield Pending(waits.name or waits.agent, run, slot, True, position=0), run.given, None
            index += 1

    def _refusal(self, word: Word, request: Asked) -> str | None:
        """Why a call does not run, if so: nobody approved it, or not this one."""
        if not word.answer.approve:
            return refusal(word.answer)
        asked = digest_of(self._scope.path, name_of(request), request.arguments)
        if word.digest is not None and word.digest != asked:
            return "this is not the call that was approved, or not by whom it was asked"
        if name_of(request) not in self._menu.offers:
            return "its server does not offer this tool now"
        return self._unclear.get(request.id)

    def _begin(self, request: Asked, index: int) -> tuple[Call, Slot]:
        name = name_of(request)
        offer = self._menu.offers.get(name)
        kind = "antiphon:tool_call" if offer is None else offer.item_type
        slot = Slot(self._scope.ids.item(kind), index)
        word_on = request.id or ""
        if offer is None:
            return Approved(Stray(name, slot), word_on), slot
        empty = FunctionCall(call_id=word_on or "approved", name=name, arguments="")
        return Approved(offer.begin(empty, slot, self._scope), word_on), slot

    def _may_come(self, request: Asked) -> bool:
        """Whether the tool may be one that a server has yet to list."""
        if not isinstance(request, McpApprovalRequest):
            return False
        return request.server_label in self._menu.listings

    def _gather(self, run: AgentCall, word: Word) -> None:
        for known, words in self._continued:
            if known is run:
                words.append(word)
                return
        self._continued.append((run, [word]))

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


def hoisted(output: Fold, first: int, known: Sequence[Item]) -> Iterator[Asked]:
    """The requests that sub-agents wait for, each once, for the run around them to show.

    Args:
        output: The run so far.
        first: From which output index on to look.
        known: Items that were shown before.
    """
    made = (output.drafts[index].whole for index in range(first, len(output.drafts)))
    waits = [item for item in made if isinstance(item, AgentCall) and item.awaiting]
    if not waits:
        return  # as after nearly every turn: what is known is not searched then
    seen = {item.id for item in known if isinstance(item, Asked)}
    for item in waits:
        for inner in item.output:
            if not isinstance(inner, Asked) or inner.id in seen:
                continue
            seen.add(inner.id)
            named = not isinstance(inner, ApprovalRequest) or inner.agent
            yield inner if named else inner.model_copy(update={"agent": item.agent})


def still_waiting(items: Sequence[Item]) -> bool:
    """Whether a request of these items is unanswered yet."""
    return bool(waiting(items))
