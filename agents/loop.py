"""THE loop. Everything that runs a model with tools comes through this one generator.

It asks the model, lets its words through, runs what the provider runs, puts the finished items
back into the context, and asks again, until there is nothing left to run. In the client's
process (`Agent`) and behind POST /v1/responses (`Provider`) it is the same code, and the same
script gives the same events.

Below: `menu` (what may be called), `sampling` (one turn), `dispatch` (running calls),
`telling` (numbers, fold, endings). Not here: bytes, stores, what a client may see.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import anyio

from antiphon.errors import ModelError, ScriptError
from antiphon.items import (
    AgentCall,
    Clock,
    CreateResponse,
    Event,
    Failed,
    Ids,
    Incomplete,
    Item,
    Lowered,
    Usage,
    lower_at,
    now,
    opening,
)
from antiphon.models import Model, ModelRequest
from antiphon.tools import Allowance, HostedTool, Offer, Scope

from .choice import Choice
from .context import context_of
from .dispatch import dispatch
from .menu import Menu, build_menu
from .sampling import ONE_AT_A_TIME, Pending, Sampling
from .stopping import stopping
from .telling import Telling

log: logging.Logger = logging.getLogger("antiphon.agents")

MAX_TURNS = 1000
"""A run that has not ended after this many turns never will."""

MAX_IDLE = 16
"""Turns in a row in which every call was refused; after them the run is cut, `no_progress`."""


def loop(
    request: CreateResponse,
    *,
    model: Model,
    tools: Sequence[Offer | HostedTool] = (),
    history: Sequence[Item] = (),
    principal: str = "local",
    deps: Any = None,
    ids: Ids | None = None,
    clock: Clock = now,
    max_turns: int = MAX_TURNS,
    echo: CreateResponse | None = None,
    parent: Scope | None = None,
) -> AsyncGenerator[Event, None]:
    """Run a request to its end; canonical events as everything happens.

    Cancel it by cancelling the scope around it: the closing events of a cancelled response are
    still yielded, so that whoever records the run synchronously gets its true end, and then
    the cancellation goes on.

    Args:
        request: What is asked. Its `tools` declare what may be called.
        model: Whom to ask.
        tools: What can be run here; only what the request declares is offered to the model.
        history: Items that come before the request's input (`previous_response_id`).
        principal: Whose run it is.
        deps: For tools that take a `Context`.
        ids: Where ids come from; seed it for repeatable runs.
        clock: Gives seconds since 1970.
        max_turns: Samplings after which the run ends `incomplete`, reason `max_turns`.
        echo: What the response repeats as its request, where that is not `request` itself
            (an agent adds instructions and tools that are nobody's business).
        parent: The run that this one is a call of; the count of calls is shared with it.

    Raises:
        RequestError: At once, if the request cannot be served as it stands.
    """
    ids = ids or Ids()
    shown = echo or request
    response = opening(shown, id=ids("resp"), created_at=int(clock()), model=model.name)
    scope = Scope(
        principal=principal,
        request=request,
        response_id=response.id,
        items=[*history, *request.items],
        ids=ids,
        deps=deps,
        clock=clock,
        depth=parent.depth + 1 if parent else 0,
        allowance=Allowance(request.max_tool_calls, parent and parent.allowance),
    )
    menu = build_menu(tools, scope, native=getattr(model, "native", ()))
    choice = Choice(menu, request.tool_choice)
    context = context_of(history, request.items)
    telling = Telling(response, clock=clock)
    return _told(_Run(model, menu, choice, scope, context, telling, max_turns))


async def _told(run: "_Run") -> AsyncGenerator[Event, None]:
    """The whole run with its beginning, and with its true end whatever happens."""
    for event in run.telling.begin():
        yield event
    try:
        async with aclosing(run.turns()) as turns:
            async for event in turns:
                yield event
    except anyio.get_cancelled_exc_class():
        if not stopping():  # something inside was cancelled, and nobody asked for it
            log.exception("a run was cancelled from inside")
            for event in run.telling.fail("server_error", "internal error: cancelled from inside"):
                yield event
            return
        for event in run.telling.cancel():
            yield event
        raise
    except ScriptError:
        raise
    except ModelError as error:
        for event in run.telling.fail(error.code, error.message):
            yield event
    except Exception as error:
        log.exception("a run broke")
        for event in run.telling.fail("server_error", f"internal error: {type(error).__name__}"):
            yield event


@dataclass(slots=True)
class _Run:
    """One run: what it was given, and the items that it has so far."""

    model: Model
    menu: Menu
    choice: Choice
    scope: Scope
    context: list[Lowered]
    telling: Telling
    max_turns: int
    spoken: int = 0
    idle: int = 0

    async def turns(self) -> AsyncGenerator[Event, None]:
        """Turn after turn, and the end."""
        memo: dict[int, bytes] = {}
        tell = self.telling.tell
        for _ in range(self.max_turns):
            request = self._request(memo)
            if request.max_output_tokens is not None and request.max_output_tokens <= 0:
                for event in self.telling.cut("max_output_tokens"):
                    yield event
                return
            first = len(self.telling.fold.drafts)
            turn = Sampling(self.menu, self.scope, next_index=first, choice=self.choice)
            async with aclosing(turn.events(self.model, request)) as spoken:
                async for event in spoken:
                    try:
                        event = tell(event)
                    except ValueError as error:  # it tells of what was never begun
                        raise ModelError(str(error), code="invalid_stream") from error
                    yield event
            end = self._ending(turn)
            if end is None:
                async with aclosing(self._execute(turn)) as ran:
                    async for event in ran:
                        yield event
                for event in self.telling.close("it was never finished", first=first):
                    yield event
                self._count_usage(first)
                end = self._after(turn)
            if end is not None:
                for event in end:
                    yield event
                return
            self._remember(first)
        for event in self.telling.cut("max_turns"):
            yield event

    def _request(self, memo: dict[int, bytes]) -> ModelRequest:
        """What the model is asked now."""
        asked = self.scope.request
        left = asked.max_output_tokens
        return ModelRequest(
            items=self.context,
            instructions=asked.instructions,
            tools=self.menu.functions,
            tool_choice=self.choice.lowered(),
            max_output_tokens=None if left is None else left - self.spoken,
            original=asked,
            ids=self.scope.ids,
            memo=memo,
        )

    def _ending(self, turn: Sampling) -> Iterator[Event] | None:
        """How the response ends if the model broke or was cut; None if the turn is whole."""
        ending = turn.ending
        if ending is None:
            raise ModelError("the model never said that it had ended", code="stream_cut")
        used = ending.response.usage or Usage()
        self.telling.usage = self.telling.usage + used
        self.spoken += used.output_tokens
        if isinstance(ending, Failed):
            fault = ending.response.error
            if fault is None:
                return self.telling.fail("server_error", "the model failed without saying why")
            return self.telling.fail(fault.code, fault.message)
        if isinstance(ending, Incomplete):
            details = ending.response.incomplete_details
            return self.telling.cut((details and details.reason) or "max_output_tokens")
        return None

    async def _execute(self, turn: Sampling) -> AsyncGenerator[Event, None]:
        """Run what may run, and tell the model why the rest did not."""
        tell = self.telling.tell
        runnable: list[Pending] = []
        for pending in turn.pending:
            reason = self._refusal(pending)
            if reason is None:
                runnable.append(pending)
                continue
            for event in pending.call.refuse(reason):
                yield tell(event)
        self.idle = 0 if runnable else self.idle + 1
        if runnable or turn.client_calls:
            self.choice.met()
        if runnable:
            async with aclosing(dispatch(runnable)) as running:
                async for event in running:
                    yield tell(event)

    def _refusal(self, pending: Pending) -> str | None:
        """Why a call is not run; None reserves its place and lets it run (law 5)."""
        if pending.name not in self.menu:
            return f"there is no tool named {pending.name!r}; you may call: {self.menu.listing()}"
        reason = self.choice.refusal(pending.name)
        if reason is not None:
            return reason
        if pending.position > 0 and self.scope.request.parallel_tool_calls is False:
            return ONE_AT_A_TIME
        if not self.scope.allowance.take():
            self.choice.spend()
            return "max_tool_calls is reached: no more tools run; answer with what you have"
        return None

    def _after(self, turn: Sampling) -> Iterator[Event] | None:
        """How the response ends when all calls of the turn have run; None asks the model again."""
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

    def _count_usage(self, first: int) -> None:
        """Add what the turn's sub-agents used."""
        drafts = self.telling.fold.drafts
        for index in range(first, len(drafts)):
            whole = drafts[index].whole
            if isinstance(whole, AgentCall):
                self.telling.usage = self.telling.usage + whole.usage

    def _remember(self, first: int) -> None:
        """Put the turn's finished items where the next turn, and the tools, see them."""
        drafts = self.telling.fold.drafts
        for index in range(first, len(drafts)):
            item = drafts[index].item()
            self.context.extend(lower_at(item, len(self.scope.items)))
            cast("list[Item]", self.scope.items).append(item)
