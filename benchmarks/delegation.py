"""What delegating costs: CPU of runs with children, and of the same runs without.

`python delegation.py UPSTREAM` reads cases and prints CPU seconds. Above: `loop`. Below: `family`.

A delegated call is what a caller's run costs more with a child than with a tool of the same
schema that says at once what the child would have said; it is compared with the child's own run,
through the same loop. So the caller's own turns, and all that a call costs anyway, are left out.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, TypeAlias

import anyio
from family import Part, Speaker, above, answer, innermost, instant, played, reader, tower
from script import answer_text, weather

from antiphon.agents import Agent, Workflow, run, workflow
from antiphon.items import AgentCall, Response
from antiphon.models import ResponsesModel
from antiphon.tools import tool

TURNS = 200
"""Turns of the run that delegates in each of them."""

Go: TypeAlias = Callable[[], Awaitable[Response]]


def contenders(case: dict[str, Any], upstream: str = "") -> dict[str, Go]:
    """What is measured for one case: `child`, `with`, and `without` where there is such a run."""
    child, said = _child(case, upstream)
    depth, at_once = case.get("depth", 1), case.get("at_once", 1)
    runs: dict[str, Agent[str] | Workflow[str]] = {"child": child}
    if case.get("workflow"):
        runs["with"] = crowd(child, at_once)
    elif at_once > 1:
        runs["with"] = above(child.as_tool(), at_once=at_once)
        runs["without"] = above(instant(said), at_once=at_once)
    else:
        runs["with"] = tower(child.as_tool(), depth)
        runs["without"] = tower(instant(said), depth)
    return {name: lambda one=one: played(one) for name, one in runs.items()}


def _child(case: dict[str, Any], upstream: str) -> tuple[Agent[str], str]:
    """The child of a case, and its last words."""
    if not case.get("http"):
        part = Part("gauge", case["turns"], words=case["words"], aside=case.get("aside", 0))
        return reader(part), answer(case["words"])
    model = ResponsesModel("fake", base_url=f"{upstream}/loop/{case['turns']}/1/v1", api_key="none")
    child = Agent(name="reader", model=model, instructions="Look it up.", tools=[tool(weather)])
    return child, answer_text(case["turns"])


def crowd(child: Agent[str], count: int) -> Workflow[str]:
    """A workflow that runs so many children at a time."""

    @workflow
    async def many(text: str) -> str:
        """Asks everybody."""
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(run, child, text)
        return ""

    return many


async def _measured(case: dict[str, Any], upstream: str) -> dict[str, list[float]]:
    """CPU seconds of each contender, in turns, round after round; of the child's, all of them."""
    runs = contenders(case, upstream)
    await _check(runs["with"], case, _child(case, upstream)[1])
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(-1, case["rounds"]):  # the first one warms up
        for name, go in runs.items():
            times = case["times"] * (case.get("at_once", 1) if name == "child" else 1)
            took = await _spent(go, times)
            if turn >= 0:
                spent[name].append(took / case["times"])
    return spent


async def _check(go: Go, case: dict[str, Any], said: str) -> None:
    """The children must have said their last word, all of them."""
    response = await go()
    calls = [item for item in response.output if isinstance(item, AgentCall)]
    last: Any = innermost(response.output)[-1]
    if len(calls) != case.get("at_once", 1) or last.text != said:
        raise RuntimeError(f"it did not run to the end: {len(calls)} calls, {last!r}")


async def _spent(go: Go, times: int) -> float:
    gc.collect()
    began = time.process_time()
    for _ in range(times):
        await go()
    return time.process_time() - began


async def _flat() -> list[float]:
    """CPU seconds of each turn of a run that delegates in every one of its turns."""
    agent = above(reader(Part("gauge")).as_tool(), turns=TURNS)
    assert isinstance(agent.model, Speaker)
    asked = agent.model.asked = []
    gc.collect()
    await played(agent)
    return [later - sooner for sooner, later in pairwise(asked)]


async def _main(upstream: str) -> None:
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        case = json.loads(line)
        told = await _flat() if case.get("flat") else await _measured(case, upstream)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
