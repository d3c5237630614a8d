"""Agents that a client composes in its request: `{"type": "antiphon:agent", ...}`.

Each becomes a delegate like any other agent that is a tool, served by whoever its `model` names,
with the tools of this provider. Above: `catalogue`. Below: `agents.Delegate`.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from antiphon.agents import Delegate, Setting, form_of, function_of
from antiphon.errors import RequestError
from antiphon.items import (
    AgentTool,
    CreateResponse,
    CustomTool,
    Event,
    FunctionTool,
    NamespaceTool,
    ToolDefinition,
)
from antiphon.tools import Offer, Scope

if TYPE_CHECKING:
    from .catalogue import Catalogue


class InlineAgents:
    """The hosted tool behind those definitions (see `tools.HostedTool`).

    Args:
        catalogue: Who answers to which model name.
    """

    def __init__(self, catalogue: "Catalogue") -> None:
        self._catalogue = catalogue

    @property
    def type(self) -> str:
        """The type of the definitions."""
        return "antiphon:agent"

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence[Offer]:
        """One delegate; its model and its tools are checked now, before anything is created.

        Raises:
            RequestError: There is no such model, or a tool of its own cannot be given.
        """
        agent = cast("AgentTool", definition)
        for position, tool in enumerate(agent.tools):
            mine = isinstance(tool, FunctionTool | NamespaceTool | CustomTool)
            if mine or form_of(tool) is not None:
                raise RequestError(
                    f"tools[{position}].type: expected a tool that runs here, got a {tool.type}, "
                    "which the client runs: an agent inside a request cannot wait for the client",
                    param=f"tools[{position}].type",
                    code="unsupported_value",
                )
        model = agent.model or scope.request.model
        asked = CreateResponse(
            model=model,
            instructions=agent.instructions,
            tools=list(agent.tools) or None,
            antiphon_budget=agent.budget,
            store=False,
        )
        self._catalogue.check(asked, replace(scope, request=asked))
        words = agent.description or (agent.instructions or agent.name).split("\n\n")[0]

        def serve(request: CreateResponse, setting: Setting) -> AsyncGenerator[Event, None]:
            whole = asked.model_copy(update={"input": request.input})
            return self._catalogue.serve(whole, setting, defaults=False)

        return [Delegate(agent.name, function_of(agent.name, words), serve, "fresh")]

    async def check(self, definition: ToolDefinition, scope: Scope) -> None:
        """What the agent's own tools name is there, too (see `tools.Checks`)."""
        agent = cast("AgentTool", definition)
        asked = CreateResponse(model=agent.model or scope.request.model, tools=list(agent.tools))
        await self._catalogue.check_tools(asked, scope)

    async def aclose(self) -> None:
        """Nothing is held."""
