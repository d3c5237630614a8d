"""`module:name`: the agent or workflow that a command is about, and the agents around it.

Above: `run`, `replay`. Below: `load`, which imports the module. Not here: running it.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from antiphon.agents import Agent, Delegate, Runnable
from antiphon.errors import ConfigurationError
from antiphon.tools import HostedTool

from .load import held, look_up, where


@dataclass(frozen=True, slots=True)
class Target:
    """What is run.

    Attributes:
        spec: How it was named, with the name of the variable.
        runnable: The agent or workflow.
        agents: It, if it is an agent; every agent that its module holds; and all agents that
            these call or hand over to.
    """

    spec: str
    runnable: Runnable[Any]
    agents: tuple[Agent[Any], ...]

    @property
    def kind(self) -> Literal["agent", "workflow"]:
        """`agent` or `workflow`."""
        return "agent" if isinstance(self.runnable, Agent) else "workflow"

    @property
    def model(self) -> str | None:
        """The name of its model; a workflow has none."""
        return self.runnable.model.name if isinstance(self.runnable, Agent) else None

    async def aclose(self) -> None:
        """Give back what its agents hold: connections and sandboxes."""
        tools = [tool for agent in self.agents for tool in agent.tools]
        held: dict[int, Any] = {id(tool): tool for tool in tools if isinstance(tool, HostedTool)}
        held |= {id(agent.model): agent.model for agent in self.agents}
        for one in held.values():
            await one.aclose()


def find_target(spec: str) -> Target:
    """The agent or workflow that `module:name` names; the name is `agent` if left out.

    Raises:
        ConfigurationError: There is no such module, or nothing in it that can be run so.
    """
    module, path, found = look_up(spec, "agent")
    if not isinstance(found, Runnable):
        write = f"write {path} = Agent(...) there, outside of any function"
        cure = held(module, Runnable, instead=write)
        raise ConfigurationError(
            f"expected an Agent or a Workflow named {path!r} in {where(module)}; "
            f"got {'nothing' if found is None else type(found).__name__}: {cure}"
        )
    runnable = cast("Runnable[Any]", found)
    return Target(f"{module.__name__}:{path}", runnable, tuple(_reached(module, runnable)))


def recorded_target(spec: str) -> Target:
    """The target that a run file names. The file is somebody else's, so only a module of the
    current folder is imported, and only if it says that it holds what is named.

    Raises:
        ConfigurationError: It is not there, or it cannot be known that it is meant.
    """
    name, _, path = spec.partition(":")
    steps = name.split(".")
    first = path.partition(".")[0]
    if all(each.isidentifier() for each in (*steps, first)):
        for file in (Path(*steps).with_suffix(".py"), Path(*steps, "__init__.py")):
            if file.is_file() and first in _bound_in(file):
                return find_target(spec)
    raise ConfigurationError(
        f"the run was one of {spec!r}, which is not in {Path.cwd()}: go to its folder, or say "
        f"--target module:name"
    )


def _bound_in(file: Path) -> set[str]:
    """The names that a module gives to anything, read without running it."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read as Python: {error}") from error
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


def runner_of(tool: object) -> Runnable[Any] | None:
    """The agent or workflow that a tool runs; None where it is no such tool."""
    if not isinstance(tool, Delegate):
        return None
    owner = getattr(tool.serve, "__self__", None)
    return cast("Runnable[Any]", owner) if isinstance(owner, Runnable) else None


def _reached(module: ModuleType, first: Runnable[Any]) -> Iterator[Agent[Any]]:
    """The agents that can be found from here, each once."""
    left: list[object] = [first, *vars(module).values()]
    seen: set[int] = set()
    for one in left:  # it grows
        if isinstance(one, Agent) and id(cast("object", one)) not in seen:
            agent = cast("Agent[Any]", one)
            seen.add(id(agent))
            yield agent
            left.extend(_called_by(agent))


def _called_by(agent: Agent[Any]) -> Iterable[object]:
    yield from (runner_of(tool) for tool in agent.tools)
    yield from agent.handoffs
