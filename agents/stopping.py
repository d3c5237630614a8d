"""Whether somebody has asked this task to stop.

Code of a tool or an engine may be cancelled from inside (a task of its own, a library's timer).
That is its own failure, and must not be taken for the end of the run.
"""

import asyncio
import math

import anyio


def stopping() -> bool:
    """Whether a cancellation that passes here was meant for the run."""
    task = asyncio.current_task()
    native = task is not None and task.cancelling() > 0
    return native or anyio.current_effective_deadline() == -math.inf
