"""Dispatch: run a turn's calls, side by side where they may, as one merged stream of events.

Above: `loop`. Below: `tools.Call`. One call alone needs no task group; several share one, and
a call that must run alone is a barrier between those before and those behind it.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Final, cast

import anyio

from antiphon.errors import ScriptError, whence
from antiphon.items import Event, Fold

from .delegate import AgentRun
from .merge import Merge
from .sampling import Pending
from .stopping import stopping

log: logging.Logger = logging.getLogger("antiphon.agents")


AT_ONCE: Final = 128
"""Calls of one turn that run at the same time; the others wait their turn."""


def followed(pending: Pending, fold: Fold) -> Pending:
    """A call that is to run. A sub-agent's run folds its events itself; `fold` reads it there."""
    if isinstance(pending.call, AgentRun):
        fold.follow(pending.slot.output_index, pending.call.fold)
    return pending


def dispatch(calls: Sequence[Pending]) -> AsyncGenerator[Event, None]:
    """Run the calls; events as they happen, each under its own output index."""
    return _one(calls[0]) if len(calls) == 1 else _all(calls)


async def _all(calls: Sequence[Pending]) -> AsyncGenerator[Event, None]:
    for group in _groups(calls):
        running = _one(group[0]) if len(group) == 1 else _together(group)
        async with aclosing(running):
            async for event in running:
                yield event


def _groups(calls: Sequence[Pending]) -> Iterator[list[Pending]]:
    """Neighbours that may run beside each other; a barrier stands alone."""
    group: list[Pending] = []
    for call in calls:
        if group and not (call.parallel and group[-1].parallel):
            yield group
            group = []
        group.append(call)
    if group:
        yield group


async def _one(pending: Pending) -> AsyncGenerator[Event, None]:
    """One call. A tool that raises is a bug of the tool, and its item says that it failed."""
    running = cast("AsyncGenerator[Event, None]", pending.call.run())
    try:
        async with aclosing(running):
            async for event in running:
                yield event
    except ScriptError:
        raise
    except (Exception, SystemExit, anyio.get_cancelled_exc_class()) as error:
        if isinstance(error, anyio.get_cancelled_exc_class()) and stopping():
            raise
        log.error("%s broke while it ran: %s", pending.name, whence(error))
        for event in pending.call.refuse(f"{pending.name} broke: {type(error).__name__}"):
            yield event


async def _together(group: Sequence[Pending]) -> AsyncGenerator[Event, None]:
    merge: Merge[Event] = Merge(len(group))
    limiter = anyio.CapacityLimiter(AT_ONCE) if len(group) > AT_ONCE else nullcontext()
    left: GeneratorExit | None = None
    try:
        async with anyio.create_task_group() as tasks:
            for pending in group:
                tasks.start_soon(_pump, pending, merge, limiter)
            try:
                while await merge.ready():
                    for event in merge.rest():
                        yield event
            except GeneratorExit as error:
                left = error  # raised outside: a task group would put it into a group
                tasks.cancel_scope.cancel()
            finally:
                merge.hurry()
    except anyio.get_cancelled_exc_class():
        if left is None:
            for event in merge.rest():  # the calls' last words
                yield event
        raise
    if left is not None:
        raise left


async def _pump(
    pending: Pending, merge: Merge[Event], limiter: AbstractAsyncContextManager[None]
) -> None:
    try:
        async with limiter, aclosing(_one(pending)) as running:
            await merge.pump(running)
    finally:
        merge.close()
