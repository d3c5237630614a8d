"""Dispatch: run a turn's calls, side by side where they may, as one merged stream of events.

Above: `loop`. Below: `tools.Call`. One call alone needs no task of its own; several have one
each, and a call that must run alone is a barrier between those before and those behind it.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, nullcontext
from functools import partial
from typing import Final, cast

import anyio

from antiphon.errors import ScriptError, whence
from antiphon.items import Event, Fold, ItemAdded, ItemDone

from .delegate import AgentRun
from .merge import Merge
from .resuming import Approved
from .sampling import Pending
from .stopping import stopping

log: logging.Logger = logging.getLogger("antiphon.agents")


_OPENS: Final[dict[type[Event], int]] = {ItemAdded: 1, ItemDone: -1}

AT_ONCE: Final = 128
"""Calls of one turn that run at the same time; the others wait their turn."""


def followed(pending: Pending, fold: Fold) -> Pending:
    """A call that is to run. A sub-agent's run folds its events itself; `fold` reads it there."""
    call = pending.call.call if isinstance(pending.call, Approved) else pending.call
    if isinstance(call, AgentRun):
        fold.follow(pending.slot.output_index, call.fold)
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
    still = 1  # items that are open: its own, and those that it adds
    try:
        async with aclosing(running):
            async for event in running:
                still += _OPENS.get(type(event), 0)
                yield event
    except ScriptError:
        raise
    except (Exception, SystemExit, anyio.get_cancelled_exc_class()) as error:
        if isinstance(error, anyio.get_cancelled_exc_class()) and stopping():
            raise
        log.error("%s broke while it ran: %s", pending.name, whence(error))
        if not still:
            return  # it has told how it ended, and that never changes
        for event in pending.call.refuse(f"{pending.name} broke: {type(error).__name__}"):
            yield event


def _together(group: Sequence[Pending]) -> AsyncGenerator[Event, None]:
    merge: Merge[Event] = Merge()
    limiter = anyio.CapacityLimiter(AT_ONCE) if len(group) > AT_ONCE else nullcontext()

    async def pump(pending: Pending) -> None:
        async with limiter, aclosing(_one(pending)) as running:
            await merge.pump(running)

    return merge.told_by([partial(pump, pending) for pending in group])
