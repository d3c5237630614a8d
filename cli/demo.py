"""`antiphon demo`: one question about a file, answered by writing and running code.

Above: `entry`. Below: an `Agent` with a code interpreter, and `screen`. Not here: the script
(`rehearsal`) and where code runs (`isolation`).
"""

import math
import os
from collections.abc import Iterable
from typing import Final

import anyio

from antiphon.agents import Agent
from antiphon.errors import ConfigurationError
from antiphon.items import Item, Response, ResponseEvent
from antiphon.models import Model
from antiphon.tools import CodeInterpreter

from .endpoint import open_model
from .isolation import Place, place
from .options import DemoOptions
from .paper import Paper
from .picture import saver
from .rehearsal import Rehearsal, rides
from .screen import Screen

PACE: Final = 0.012
"""Seconds between the fragments of the script."""

_INSTRUCTIONS: Final = """\
You are a careful data analyst. Work with the code_interpreter tool; the file rides.csv is in \
its working directory, with the columns month, counter, day_type and rides. State is kept \
between calls. Only Python's standard library is certain to be there: unless matplotlib can be \
imported, draw a chart as SVG text and show it as the last expression of a cell, through an \
object whose _repr_svg_ method returns it. Compute before you claim, then answer in a few \
sentences."""


def demo(options: DemoOptions) -> int:
    """Run the demo.

    Raises:
        ConfigurationError: The model or the place for its code is not to be had.
    """
    return anyio.run(_demo, options)


async def _demo(options: DemoOptions) -> int:
    rehearsal = Rehearsal.load()
    scripted = _scripted(options)
    pace = _pace(options.fast)
    asked = None if scripted else open_model(options.endpoint)
    where = await place(options.sandbox, own_code=scripted)
    contained = where.sandboxes.isolation != "none"
    model = asked or rehearsal.model(pace=pace, matplotlib=contained)
    with Paper() as paper:
        name = "a scripted model" if scripted else model.name
        paper.line(f"antiphon demo: {name}", style="bold")
        paper.note(where.notice, style="dim" if scripted else "yellow")
        paper.title("message user")
        paper.prose(rehearsal.question)
        paper.end()
        screen = Screen(paper, picture=saver("antiphon-demo", path=options.chart))
        try:
            response = await _run(model, where, rehearsal.question, screen)
        finally:
            await model.aclose()
        paper.line("")
        paper.note(_summary(response), style="dim")
    return 0 if response.status == "completed" else 1


def _scripted(options: DemoOptions) -> bool:
    asked = options.endpoint
    if asked.model is not None:
        return False
    if asked.base_url or asked.api_key_env or asked.api != "auto":
        raise ConfigurationError("--base-url, --api-key-env and --api need --model NAME")
    return True


def _pace(fast: bool) -> float:
    given = os.environ.get("ANTIPHON_DEMO_PACE", "")
    if fast or not given:
        return 0.0 if fast else PACE
    try:
        pace = float(given)
    except ValueError:
        pace = -1.0
    if not 0 <= pace < math.inf:
        raise ConfigurationError(
            f"ANTIPHON_DEMO_PACE: expected seconds between fragments, such as 0.01; got {given!r}"
        )
    return pace


async def _run(model: Model, where: Place, question: str, screen: Screen) -> Response:
    """Ask, and show everything that happens; the terminal response."""
    response: Response | None = None
    async with where.sandboxes as sandboxes:
        tool = CodeInterpreter(sandboxes, files=[("rides.csv", rides())])
        agent = Agent(name="analyst", model=model, instructions=_INSTRUCTIONS, tools=[tool])
        async for event in agent.stream(question):
            screen.show(event)
            if isinstance(event, ResponseEvent):
                response = event.response
    assert response is not None, "a run begins with response.created"
    return response


def _summary(response: Response) -> str:
    return f"{response.status}: the whole run is {_listing(response.output)}"


def _listing(items: Iterable[Item]) -> str:
    types = [str(item.type) for item in items]
    return f"a list of {len(types)} items ({', '.join(types)})"
