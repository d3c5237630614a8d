"""What the tests of workflows share: agents that say little, and small looks at a run."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import anyio

from antiphon.agents import Agent, Setting, Workflow, run, workflow
from antiphon.items import AgentCall, Event, Ids, Item
from antiphon.models import FunctionCall, ScriptedModel, Text, Usage
from antiphon.tools import tool

from .kit import asked


def speaker(name: str, *texts: str, **options: Any) -> Agent[str]:
    turns: list[Any] = [[Text(text), Usage(10, 5)] for text in texts or (f"{name} spoke",)]
    return Agent(name=name, model=ScriptedModel(turns, repeat=True), **options)


def hanging(started: anyio.Event) -> Agent[str]:
    @tool
    async def hang() -> str:
        """Never end."""
        started.set()
        await anyio.sleep_forever()
        return ""

    turns = [[Text("So far."), FunctionCall("hang", {})]]
    return Agent(name="hanger", model=ScriptedModel(turns), tools=[hang])


def calls_of(items: Sequence[Item]) -> list[AgentCall]:
    return [item for item in items if isinstance(item, AgentCall)]


@workflow
async def report(question: str) -> str:
    """Find, then write."""
    found = await run(speaker("finder", "Tides rise."), question)
    written = await run(speaker("writer", "A report."), found.output)
    return f"{written.output} ({question})"


async def told(one: Workflow[Any], given: Any = "go", **how: Any) -> list[Event]:
    async with aclosing(one.serve(asked(given), Setting(ids=Ids(seed=1), **how))) as events:
        return [event async for event in events]


def meeting(count: int) -> tuple[Agent[str], list[int]]:
    """An agent that answers only when `count` of its runs are under way."""
    met, here = anyio.Event(), [0]

    @tool
    async def meet() -> str:
        """Wait for the others."""
        here[0] += 1
        if here[0] == count:
            met.set()
        await met.wait()
        return "met"

    turns: list[Any] = [*[[FunctionCall("meet", {})]] * count, *[[Text("Done.")]] * count]
    return Agent(name="one", model=ScriptedModel(turns), tools=[meet]), here
