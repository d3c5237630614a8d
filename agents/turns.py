"""Turn after turn: the model speaks, its calls run, their items go back into the context.

Above: `loop`. Below: `sampling`, `dispatch`, `resuming` (approved calls), `telling` (the fold).
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, cast

from antiphon.errors import ModelError, RequestError
from antiphon.items import (
    AgentEvent,
    Event,
    Failed,
    Fault,
    Handoff,
    Incomplete,
    Item,
    Lowered,
    SpentBudget,
)
from antiphon.models import Model, ModelRequest
from antiphon.tools import Account, Asked, Listing, Scope

from .budget import Timer, held
from .choice import Choice
from .citing import cited
from .context import context_of, turn_of
from .dispatch import dispatch, followed
from .handoff import Seat, Switch, Transfer
from .listing import listed
from .menu import Menu, build_menu
from .placing import Places
from .resuming import Resumption, hoisted, still_waiting
from .sampling import ONE_AT_A_TIME, Pending, Sampling
from .setting import Setting
from .telling import DOUBTFUL, Before, Telling, told_of
from .truncation import shortened, too_long

MAX_TURNS: Final = 1000
"""A run that has not ended after this many turns never will."""

MAX_IDLE: Final = 16
"""Turns in a row in which every call was refused; after them the run is cut, `no_progress`."""


class Turns:
    """One run: what it was given, and the items that it has so far.

    Args:
        seat: Who answers first.
        scope: The run, as its tools know it.
        setting: Its circumstances.
        telling: Of its response.
        switch: Gives the seat of an agent to which the model hands over.
        timed: Whether such an agent has a time limit of its own.

    Raises:
        RequestError: The request cannot be served as it stands.
    """

    def __init__(
        self,
        seat: Seat,
        scope: Scope,
        setting: Setting,
        telling: Telling,
        switch: Switch | None,
        *,
        timed: bool,
    ) -> None:
        self.scope: Scope = scope
        self.clock: Timer = Timer(scope.account.left, certain=timed)
        self._first = scope
        self._accounts: dict[str, Account] = {}
        self.telling: Telling = telling
        self._switch = switch
        self._place = Places(telling.fold)
        self._sit(seat)
        history = len(setting.history)
        self.context: list[Lowered] = context_of(scope.items[:history], scope.items[history:])
        words = setting.decided(seat.request)
        self.resumption: Resumption = Resumption(self.menu, self.scope, words, history)
        self.spoken: int = 0 if setting.before is None else setting.before.spoken
        self.idle: int = 0
        self.spent: SpentBudget | None = None
        self.before: Before | None = setting.before

    def _sit(self, seat: Seat, *, handed: bool = False) -> None:
        """From here on this one answers. What `tool_choice` demanded was met by the handoff."""
        self._seat, self._handed = seat, handed
        first = self._first
        account = self._accounts.get(seat.agent)
        if account is None:
            account = held(seat.agent, seat.budget, first.account) or first.account
            self._accounts[seat.agent] = account
        path = first.path if seat.agent == first.path[-1] else (*first.path, seat.agent)
        self.scope = replace(self.scope, request=seat.request, account=account, path=path)
        self.model: Model = seat.model
        self._lay({})
        self.memo: dict[int, bytes] = {}
        self.clock.hold(account.left())

    def _lay(self, listings: Mapping[str, Listing]) -> None:
        """Make the menu, as far as it is known by now."""
        seat = self._seat
        native = getattr(seat.model, "native", ())
        self.menu: Menu = build_menu(seat.tools, self.scope, native=native, listings=listings)
        wanted = seat.request.tool_choice
        try:
            self.choice: Choice = Choice(self.menu, wanted, met=self._handed)
        except RequestError:
            if not self.menu.unlisted:
                raise
            self.choice = Choice(self.menu, None)  # it may be met by what is to be listed

    async def _list(self, listings: Sequence[Listing]) -> AsyncGenerator[Event, None]:
        """Ask for offers that are not known yet, or not any more; then the menu is whole."""
        async with aclosing(listed(listings, self.telling)) as asking:
            async for event in asking:
                yield event
        if listings:
            self._handed = self.choice.done  # what was demanded is not demanded again
            self._lay(self.menu.listings)
            self.resumption.go_on(self.menu)

    async def _look(self) -> AsyncGenerator[Event, None]:
        """Ask for what is offered, before anything runs: also for what was approved, if it is
        another thing by now.
        """
        if self.before is not None and self.before.answered:
            return
        async with aclosing(self._list(self.menu.unlisted)) as asking:
            async for event in asking:
                yield event
        changed = [] if self.before is not None else await self.resumption.changed()
        async with aclosing(self._list(changed)) as asking:
            async for event in asking:
                yield event

    async def events(self, max_turns: int) -> AsyncGenerator[Event, None]:
        """Turn after turn, and the end."""
        tell, place = self.telling.tell, self._place
        async with aclosing(self._resume()) as resumed:
            async for event in resumed:
                yield event
        waits = bool(self.resumption) and still_waiting(self.scope.items)
        if waits or self.spent or (self.before is not None and self.before.answered):
            for event in self._stop():
                yield event
            return
        for _ in range(max_turns):
            end = self._beginning()
            if end is not None:
                for event in end:
                    yield event
                return
            first = len(self.telling.fold.drafts)
            if self.menu.unlisted and not self.choice.spent:  # since a handoff, or a change
                async with aclosing(self._list(self.menu.unlisted)) as asking:
                    async for event in asking:
                        yield event
                await self._remember(first)
                first = len(self.telling.fold.drafts)
            while True:
                turn = Sampling(self.menu, self.scope, next_index=first, choice=self.choice)
                try:
                    async with aclosing(self._words(turn)) as spoken:
                        async for event in spoken:
                            try:
                                tell(event)
                            except ValueError as error:  # it tells of what was never begun
                                raise ModelError(str(error), code="invalid_stream") from error
                            yield event
                except ModelError as error:
                    if not self._shorten(error.code, error.message, first):
                        raise
                    continue
                fault = self._charged(turn)
                if fault is None or not self._shorten(fault.code, fault.message, first):
                    break
            end = self._ending(turn)
            if end is None:
                for event in self.telling.turned(self.model.name, turn.used):
                    yield event
                for event in self._sorted(turn):
                    yield event
                async with aclosing(dispatch(turn.runnable)) as running:
                    async for event in running:
                        yield tell(event if type(event) is AgentEvent else place(event))
                for event in self._settle(first):
                    yield event
                end = self._after(turn, first)
            if end is not None:
                for event in end:
                    yield event
                return
            await self._remember(first)
        for event in self.telling.cut("max_turns"):
            yield event

    def _words(self, turn: Sampling) -> AsyncGenerator[Event, None]:
        """What the model says, with citations where tools that find things may be called."""
        events = turn.events(self.model, self._request())
        return cited(events, self.scope.citations) if self.scope.citations.awake else events

    def _shorten(self, code: str, message: str, first: int) -> bool:
        """Whether the model may be asked again with less, since it was too much for its server."""
        if self.scope.request.truncation != "auto" or len(self.telling.fold.drafts) > first:
            return False
        less = shortened(self.context) if too_long(code, message) else None
        if less is not None:
            self.context = less
            self.memo = {}  # by `id()`: of items that are let go of, others may have it next
        return less is not None

    def _beginning(self) -> Iterator[Event] | None:
        """How the response ends if the model may not be asked again; None if it may."""
        left = self.scope.request.max_output_tokens
        if left is not None and left <= self.spoken:
            return self.telling.cut("max_output_tokens")
        try:
            spent = self.scope.account.turn(self.model.name)
        except LookupError:
            return self.telling.fail(
                "price_unknown",
                f"a budget counts the cost, but nobody said what {self.model.name!r} costs: "
                "give it a Price in prices",
            )
        return None if spent is None else self.telling.spend(spent)

    async def _resume(self) -> AsyncGenerator[Event, None]:
        """Run what was approved, tell what was refused; then all of it stands in the items.

        A run that goes on in another process runs none of it: it may have run already.
        """
        tell, place = self.telling.tell, self._place
        if self.menu.unlisted or self.resumption:
            async with aclosing(self._look()) as looking:
                async for event in looking:
                    yield event
        runnable: list[Pending] = []
        interrupted = None if self.before is None else DOUBTFUL
        for pending, arguments, reason in self.resumption.calls(self.telling.fold.output):
            call = pending.call
            for event in (*call.open(), *call.write(arguments), *call.ready(arguments)):
                yield tell(event)
            reason = reason or interrupted or self._refusal_by_count()
            if reason is None:
                runnable.append(followed(pending, self.telling.fold))
                continue
            for event in call.refuse(reason):
                yield tell(place(event))
        if runnable:
            self.choice.met()
        async with aclosing(dispatch(runnable)) as running:
            async for event in running:
                yield tell(event if type(event) is AgentEvent else place(event))
        for event in self._settle(0):
            yield event
        for request in await self.resumption.again():
            for event in self.telling.show(request):
                yield event
        await self._remember(0)

    def _settle(self, first: int) -> Iterator[Event]:
        """Finish what was left open since `first`, and show what sub-agents wait for."""
        yield from self.telling.close("it was never finished", first=first)
        for request in hoisted(self.telling.fold, first, self.scope.items):
            yield from self.telling.show(request)

    def _stop(self) -> Iterator[Event]:
        """The end of a run that may not ask its model now: somebody is waited for."""
        return self.telling.spend(self.spent) if self.spent else self.telling.complete()

    def _request(self) -> ModelRequest:
        """What the model is asked now."""
        asked = self.scope.request
        left = asked.max_output_tokens and asked.max_output_tokens - self.spoken
        allowed = self.scope.account.tokens_left() if self.scope.account.limited else None
        if allowed is not None:
            left = max(1, allowed if left is None else min(left, allowed))
        return ModelRequest(
            items=self.context,
            instructions=asked.instructions,
            tools=self.menu.functions,
            tool_choice=self.choice.lowered(),
            max_output_tokens=left,
            original=asked,
            ids=self.scope.ids,
            memo=self.memo,
        )

    def _charged(self, turn: Sampling) -> Fault | None:
        """Write down what a sampling used; its fault, if it failed."""
        used = turn.used
        self.telling.usage = self.telling.usage + used
        self.spoken += used.output_tokens
        self.scope.account.charge(self.model.name, used)
        return turn.ending and turn.ending.response.error

    def _ending(self, turn: Sampling) -> Iterator[Event] | None:
        """How the response ends if the model broke or was cut; None if the turn is whole."""
        ending = turn.ending
        if isinstance(ending, Failed):
            fault = ending.response.error
            if fault is None:
                return self.telling.fail("server_error", "the model failed without saying why")
            return self.telling.fail(fault.code, fault.message)
        if isinstance(ending, Incomplete):
            details = ending.response.incomplete_details
            spent = self.scope.account.spent()
            if spent is not None:
                return self.telling.spend(spent)
            return self.telling.cut((details and details.reason) or "max_output_tokens")
        return None

    def _sorted(self, turn: Sampling) -> Iterator[Event]:
        """Find what may run, and tell the model why the rest does not."""
        tell, place = self.telling.tell, self._place
        for pending in turn.pending:
            reason = self._refusal(pending, turn)
            if reason is None:
                turn.runnable.append(followed(pending, self.telling.fold))
            else:
                yield from map(tell, map(place, pending.call.refuse(reason)))
        self.idle = 0 if turn.runnable else self.idle + 1
        if turn.runnable or turn.client_calls or turn.asked:
            self.choice.met()

    def _refused_transfer(self, pending: Pending, turn: Sampling) -> str | None:
        """Why a conversation is not handed over, if a call would do so and may not."""
        if not isinstance(self.menu.offers.get(pending.name), Transfer):
            return None
        if turn.asked:
            return "a call of yours waits for approval: hand over when it is decided"
        if turn.handed:
            return "the conversation was handed over in this turn already"
        turn.handed = True
        return None

    def _refusal(self, pending: Pending, turn: Sampling) -> str | None:
        """Why a call is not run; None reserves its place and lets it run (law 5)."""
        if pending.name not in self.menu:
            return f"there is no tool named {pending.name!r}; you may call: {self.menu.listing()}"
        reason = self.choice.refusal(pending.name) or self._refused_transfer(pending, turn)
        if reason is not None:
            return reason
        if pending.position > 0 and self.scope.request.parallel_tool_calls is False:
            return ONE_AT_A_TIME
        return pending.undecided or self._refusal_by_count()

    def _refusal_by_count(self) -> str | None:
        """Why no more calls run; None reserves the place of one more."""
        if not self.scope.allowance.take():
            self.choice.spend()
            return "max_tool_calls is reached: no more tools run; answer with what you have"
        self.spent = self.spent or self.scope.account.call()
        return self.spent and told_of(self.spent)

    def _after(self, turn: Sampling, first: int) -> Iterator[Event] | None:
        """How the response ends when all calls of the turn have run; None asks the model again."""
        drafts = self.telling.fold.drafts
        items = (drafts[index].whole for index in range(first, len(drafts)))
        if self.spent or any(isinstance(item, Asked) for item in items):
            return self._stop()
        if turn.client_calls:
            return self.telling.complete()
        if turn.pending:
            return self._standstill()
        if self.choice.unmet:
            return self.telling.fail(
                "tool_choice_unmet",
                "tool_choice demanded a call, but the model answered without one: "
                "use a model that honours tool_choice, or leave it out",
            )
        return self.telling.complete()

    def _standstill(self) -> Iterator[Event] | None:
        """The end of a run whose model goes on calling what is not run; None while it moves."""
        if self.choice.spent and self.idle > 1:
            return self.telling.complete()  # it was told, and may only answer, but calls on
        return self.telling.cut("no_progress") if self.idle >= MAX_IDLE else None

    async def _remember(self, first: int) -> None:
        """Put the turn's finished items where the next turn, and the tools, see them; if the
        conversation was handed over, the next turn is somebody else's.
        """
        drafts = self.telling.fold.drafts
        handoff: Handoff | None = None
        items = [drafts[index].item() for index in range(first, len(drafts))]
        self.context.extend(turn_of(items, len(self.scope.items)))
        cast("list[Item]", self.scope.items).extend(items)
        for item in items:
            if isinstance(item, Handoff) and item.status == "completed":
                handoff = item
        if handoff is not None and self._switch is not None:
            self._sit(await self._switch(handoff.target), handed=True)
