"""What keeps a call's work in its bounds: whatever it raises becomes words, and time runs out.

Above: `function.py`, `image_generation.py` and every call that runs somebody else's code.
Below: `call.py`, which ends the item.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import TypeVar

import anyio

from antiphon.errors import ToolError, ToolFailed, whence
from antiphon.items import Event, bounded, clean

from .call import BaseCall
from .result import RESULT_LIMIT, surprise

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("antiphon.tools")


async def guarded(
    call: BaseCall, work: AsyncGenerator[Event, None], *, name: str, discreet: bool = False
) -> AsyncIterator[Event]:
    """The events of some work, and then the end of its call: completed, or failed with a reason.

    Args:
        call: Whose end it is.
        work: Does what the call is for, and keeps the result on it. What it raises the model reads:
            a `ToolError`'s own words; of anything else the type and the first words, while the
            traceback goes to the log.
        name: What the model called.
        discreet: Of what nobody was meant to read, tell the type alone.
    """
    try:
        async with aclosing(work) as events:
            async for event in events:
                yield event
    except ToolError as error:
        said = clean(str(error)) or "the tool gave up without saying why"
        last = call.fail(bounded(said, RESULT_LIMIT))
    except Exception as error:
        logger.error("tool %s failed: %s", name, whence(error))
        last = call.fail(surprise(error, name, discreet=discreet))
    else:
        last = call.end("completed")
    for event in last:
        yield event


async def within(work: Awaitable[T], seconds: float | None, late: str) -> T:
    """What some work gives, if it gives it in time.

    Args:
        work: What to wait for.
        seconds: How long; None for as long as it takes.
        late: What the model reads when it took longer.

    Raises:
        ToolFailed: It took longer.
    """
    if seconds is None:
        return await work
    with anyio.move_on_after(max(0.0, seconds)):
        return await work
    raise ToolFailed(late)


async def paced(
    values: AsyncGenerator[T, None], seconds: float | None, late: str
) -> AsyncGenerator[T, None]:
    """Values as they come, all of them within some seconds; the time that our reader takes is not
    theirs.

    Raises:
        ToolFailed: They took longer, together.
    """
    left = seconds
    async with aclosing(values):
        while True:
            began = anyio.current_time()
            try:
                value = await within(anext(values), left, late)
            except StopAsyncIteration:
                return
            if left is not None:
                left -= anyio.current_time() - began
            yield value
