"""`chain`, `parallel`, `route`: the usual shapes of workflows, ready-made.

Above: nobody; each is a `Workflow`, and so an agent to everyone. Below: `workflow.run`.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import anyio

from antiphon.errors import ConfigurationError, RunError
from antiphon.items import Fault, Item, Response

from .agent import Agent
from .budget import Budget
from .flow import words_of
from .result import Result
from .workflow import Workflow, run

Runs: TypeAlias = Agent[Any] | Workflow[Any]
"""What can be run by name: an agent, or a workflow."""


def chain(
    *agents: Runs, name: str, description: str = "", budget: Budget | None = None
) -> Workflow[str]:
    """One agent after the other: the first reads the input, each next the text before it.

    Args:
        agents: At least one, in order.
        name: What the whole is called.
        description: What it is good for; `as_tool` needs some words.
        budget: How much each run of the whole may use.

    Raises:
        ConfigurationError: There is nothing to run.
    """
    _some(agents, "chain")

    async def go(items: list[Item]) -> str:
        result = await run(agents[0], items)
        for agent in agents[1:]:
            result = await run(agent, result.output_text)
        return result.output_text

    return Workflow(go, name=name, description=description, budget=budget)


def parallel(
    *agents: Runs,
    name: str,
    description: str = "",
    budget: Budget | None = None,
    join: Callable[[Sequence[Result[Any]]], str] | None = None,
) -> Workflow[str]:
    """All agents at a time, each reading the same input. One that fails ends them all.

    Args:
        agents: At least one.
        name: What the whole is called.
        description: What it is good for; `as_tool` needs some words.
        budget: How much each run of the whole may use.
        join: Makes the answer of their results, which come in the order of `agents`. By
            default it is their texts, each under its agent's name, with blank lines between.

    Raises:
        ConfigurationError: There is nothing to run.
    """
    _some(agents, "parallel")

    async def go(items: list[Item]) -> str:
        results: dict[int, Result[Any]] = {}

        async def one(place: int, agent: Runs) -> None:
            results[place] = await run(agent, items)

        async with anyio.create_task_group() as tasks:
            for place, agent in enumerate(agents):
                tasks.start_soon(one, place, agent)
        ordered = [results[place] for place in range(len(agents))]
        if join is not None:
            return join(ordered)
        pairs = zip(agents, ordered, strict=True)
        return "\n\n".join(f"{agent.name}:\n{result.output_text}" for agent, result in pairs)

    return Workflow(go, name=name, description=description, budget=budget)


def route(
    by: Callable[[str], str | Awaitable[str]] | Runs,
    agents: Mapping[str, Runs],
    *,
    name: str,
    description: str = "",
    budget: Budget | None = None,
) -> Workflow[str]:
    """One agent of several: the one that a label names reads the input.

    Args:
        by: Gives the label: a function of the last user message's text, or an agent, whose
            text it is, without spaces around it. A label that no agent has fails the run.
        agents: Whom each label names.
        name: What the whole is called.
        description: What it is good for; `as_tool` needs some words.
        budget: How much each run of the whole may use.

    Raises:
        ConfigurationError: There is nothing to run.
    """
    _some(list(agents.values()), "route")

    async def go(items: list[Item]) -> str:
        label = await _label(by, items)
        agent = agents.get(label)
        if agent is None:
            known = ", ".join(sorted(agents))
            why = f"{name}: expected a label of {known}, got {label[:100]!r}"
            fault = Fault(code="unknown_label", message=why)
            raise RunError(why, response=Response(id="", status="failed", error=fault))
        return (await run(agent, items)).output_text

    return Workflow(go, name=name, description=description, budget=budget)


async def _label(by: Callable[[str], str | Awaitable[str]] | Runs, items: Sequence[Item]) -> str:
    if isinstance(by, Agent | Workflow):
        return (await run(cast("Runs", by), items)).output_text.strip()
    label = by(words_of(items))
    return await label if inspect.isawaitable(label) else label


def _some(agents: Sequence[object], what: str) -> None:
    wrong = [type(agent).__name__ for agent in agents if not isinstance(agent, Agent | Workflow)]
    if wrong or not agents:
        raise ConfigurationError(
            f"{what}: expected agents or workflows, at least one, got {', '.join(wrong) or 'none'}"
        )
