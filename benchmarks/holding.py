"""What a run holds: bytes of memory, by `tracemalloc`, for so many items at so many depths.

`python holding.py` reads questions and prints bytes. Above: `loop`. Below: `family`.
"""

import asyncio
import gc
import json
import sys
import tracemalloc
from contextlib import aclosing

from family import QUESTION, Part, innermost, played, reader, tower

from antiphon.agents import Agent
from antiphon.items import Completed, CreateResponse, Event, Message, Response


def _agent(items: int, depth: int) -> Agent[str]:
    """A run of so many items, at the bottom of so many others."""
    child = reader(Part("gauge", turns=items - 1))
    child.max_turns = items
    return tower(child.as_tool(), depth) if depth else child


async def _measured(items: int, depth: int) -> dict[str, float]:
    """Bytes an item: held when the last event is told, and at most on the way there."""
    agent = _agent(items, depth)
    await played(_agent(3, depth))  # what is made only once is there
    question = Message(role="user", content=QUESTION)
    request = CreateResponse(model=agent.name, input=[question], store=False)
    ended: Response | None = None
    held = peak = 0
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    event: Event | None = None
    async with aclosing(agent.serve(request)) as events:
        async for event in events:
            if isinstance(event, Completed):  # and the run still holds all that it holds
                peak = tracemalloc.get_traced_memory()[1] - before
                gc.collect()
                held = tracemalloc.get_traced_memory()[0] - before
                ended = event.response
    tracemalloc.stop()
    if ended is None or len(innermost(ended.output)) != items:
        raise RuntimeError(f"it did not run to the end: {event!r}")
    return {"held": held / items, "peak": peak / items}


async def _main() -> None:
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(await _measured(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
