"""THE loop. Everything that runs a model with tools comes through this one generator.

It asks the model, lets its words through, runs what the provider runs, puts the finished items
back into the context, and asks again, until there is nothing left to run. In the client's
process (`Agent`) and behind POST /v1/responses (`Provider`) it is the same code, and the same
script gives the same events.

Below: `turns` (turn after turn), `menu` (what may be called), `telling` (numbers, fold,
endings). Not here: bytes, stores, what a client may see.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import anyio

from antiphon.errors import ModelError, RequestError, ScriptError, whence
from antiphon.items import Clock, CreateResponse, Event, Ids, Item, now
from antiphon.models import Model
from antiphon.tools import HostedTool, Offer

from .budget import TimeUp, in_time
from .grammar import check_grammars
from .handoff import Seat, Switch
from .setting import Setting
from .stopping import stopping
from .telling import Telling
from .turns import MAX_TURNS, Turns

log: logging.Logger = logging.getLogger("antiphon.agents")


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

    Raises:
        RequestError: At once, if the request cannot be served as it stands.
    """
    seat = Seat(request.model or model.name, model, tools, request)
    setting = Setting(history, principal, deps, ids or Ids(), clock)
    return drive(seat, setting, max_turns=max_turns)


def drive(
    seat: Seat,
    setting: Setting,
    *,
    max_turns: int = MAX_TURNS,
    name: str | None = None,
    echo: CreateResponse | None = None,
    switch: Switch | None = None,
    timed: bool = False,
) -> AsyncGenerator[Event, None]:
    """`loop`, for whoever has a seat and a setting: agents, and a provider's models.

    Args:
        seat: Who answers first, with what, and which request.
        setting: The circumstances.
        max_turns: As for `loop`.
        name: To whom the request was sent, where that is not the seat's agent.
        echo: What the response repeats as its request, where that is not the seat's
            (an agent adds instructions and tools that are nobody's business).
        switch: Gives the seat of an agent to which the model hands over.
        timed: Whether such an agent has a time limit of its own.

    Raises:
        RequestError: At once, if the request cannot be served as it stands.
    """
    response = setting.opening(echo or seat.request, seat.model.name)
    scope = setting.scope(seat.request, response, name=name or seat.agent, budget=None)
    telling = setting.telling(response)
    turns = Turns(seat, scope, setting, telling, switch, timed=timed)
    return _told(turns, telling, max_turns)


async def _told(turns: Turns, telling: Telling, max_turns: int) -> AsyncGenerator[Event, None]:
    """The whole run with its beginning, and with its true end whatever happens.

    Raises:
        RequestError: At the first step, if a grammar of a custom tool is none.
    """
    await check_grammars(turns.menu.grammars)
    for event in telling.begin():
        yield event
    left = False
    try:
        async with aclosing(in_time(turns.events(max_turns), turns.clock)) as events:
            async for event in events:
                try:
                    yield event
                except GeneratorExit:
                    left = True
                    raise
    except anyio.get_cancelled_exc_class() as error:
        if left:  # nobody listens any more
            raise
        if not stopping():  # something inside was cancelled, and nobody asked for it
            log.error("a run was cancelled from inside: %s", whence(error))
            for event in telling.fail("server_error", "internal error: cancelled from inside"):
                yield event
            return
        for event in telling.cancel():
            yield event
        raise
    except ScriptError:
        raise
    except TimeUp:
        for event in telling.spend(turns.scope.account.timed()):
            yield event
    except RequestError as error:  # of a seat that the conversation was handed to
        for event in telling.fail(error.code or "invalid_request", error.message):
            yield event
    except ModelError as error:
        for event in telling.fail(error.code, error.message):
            yield event
    except (Exception, SystemExit) as error:
        log.error("a run broke: %s", whence(error))
        for event in telling.fail("server_error", f"internal error: {type(error).__name__}"):
            yield event
