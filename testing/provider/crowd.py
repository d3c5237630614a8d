"""Rules about many requests at once: the public suite sends all of its own together.

Above: `provider`. Below: `bench`. Not here: how fast they are.
"""

from collections import Counter
from typing import Final

import anyio

from .bench import Bench, Theme
from .line import Stream
from .questions import ASK_WEATHER, COUNT, WEATHER
from .report import Broken, Skipped, expect, same
from .sse import Json, objects
from .stories import is_terminal
from .tolerance import REQUESTS

crowd: Theme = Theme("many at once")
_SUITE: Final = "public suite: all requests at once"
_STREAMS: Final = 8


async def _together(bench: Bench) -> list[Stream]:
    """Streams and JSON answers, all at once; gives the streams."""
    streams: list[Stream] = []
    faults: list[Broken | Skipped] = []
    plain = [name for name, request in REQUESTS.items() if request.source.startswith("public")]

    async def whole(fields: Json) -> None:
        try:
            told = await bench.respond({"input": "Say hello.", **fields})
            same(told.get("status"), "completed", "status", told)
        except (Broken, Skipped) as error:
            faults.append(error)

    async def streamed(number: int) -> None:
        fields = {"tools": [WEATHER]} if number % 2 else {}
        body = bench.body(ASK_WEATHER if number % 2 else COUNT, **fields)
        try:
            streams.append(await bench.stream(f"crowd {number}", body))
        except (Broken, Skipped) as error:
            faults.append(error)

    async with anyio.create_task_group() as tasks:
        for number in range(_STREAMS):
            tasks.start_soon(streamed, number)
        for name in plain:
            if not REQUESTS[name].may_refuse:
                tasks.start_soon(whole, dict(REQUESTS[name].fields))
    if faults:
        raise faults[0]
    return streams


@crowd.rule("requests that come at once are all answered", _SUITE)
async def answered(bench: Bench) -> None:
    for told in await bench.once("crowd", lambda: _together(bench)):
        same(told.terminal.get("status"), "completed", f"{told.name!r}: status", told.terminal)


@crowd.rule("streams that run at once keep apart: ids, numbers, ends", _SUITE)
async def apart(bench: Bench) -> None:
    owners: Counter[str] = Counter()
    for told in await bench.once("crowd", lambda: _together(bench)):
        numbers = [event.get("sequence_number") for event in told.events]
        same(numbers, list(range(len(numbers))), f"{told.name!r}: sequence_number")
        expect(is_terminal(told.events[-1]), f"{told.name!r}: its last event", told.events[-1])
        items = [each.get("id") for each in objects(told.terminal.get("output"))]
        owners.update(str(each) for each in {told.terminal.get("id"), *items})
    twice = [name for name, count in owners.items() if count > 1]
    expect(not twice, f"expected ids of one stream each, got {twice[:3]} in several")
