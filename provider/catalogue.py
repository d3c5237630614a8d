"""The catalogue: every name that a request's `model` may say, and who answers to it."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from antiphon.agents import Agent, Workflow, build_menu, loop
from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import (
    Clock,
    CreateResponse,
    Event,
    FunctionTool,
    Ids,
    Item,
    ToolDefinition,
)
from antiphon.models import Model
from antiphon.tools import HostedTool, Offer, Scope

from .inline import InlineAgents


class Upstream(Protocol):
    """A server of models whose names it knows better than we do."""

    def model(self, name: str) -> Model:
        """The model of this name; whether it exists is known when it is asked."""
        ...

    async def names(self) -> list[str]:
        """The names that the server lists.

        Raises:
            ModelError: It cannot be asked.
        """
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...


Served: TypeAlias = Model | Agent[Any] | Workflow[Any]
"""Who may answer to a name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request on its way into the loop."""

    request: CreateResponse
    history: Sequence[Item]
    principal: str
    ids: Ids
    clock: Clock


class Catalogue:
    """Models, agents and workflows by name, in one namespace.

    Args:
        models: Models that requests may name.
        agents: Agents, each served as a model of its name.
        workflows: Workflows, likewise.
        upstream: Where names that are none of these lead.
        tools: What the provider can run for any model.
        default_tools: Definitions added to every request to a model that does not have them.

    Raises:
        ConfigurationError: Two have one name, or there is nothing to serve.
    """

    def __init__(
        self,
        *,
        models: Iterable[Model],
        agents: Iterable[Agent[Any]],
        workflows: Iterable[Workflow[Any]],
        upstream: Upstream | None,
        tools: Sequence[Offer | HostedTool],
        default_tools: Sequence[ToolDefinition],
    ) -> None:
        self._default_tools = default_tools
        self._upstream = upstream
        self._tools = [*tools, InlineAgents(self)]
        self._named: dict[str, Served] = {}
        for one in (*models, *agents, *workflows):
            if one.name in self._named:
                raise ConfigurationError(
                    f"two models, agents or workflows are named {one.name!r}: rename one"
                )
            self._named[one.name] = one
        if not self._named and upstream is None:
            raise ConfigurationError(
                "Provider: expected at least one model, agent, workflow or upstream, got none"
            )

    async def names(self) -> list[str]:
        """Every name, the upstream's last."""
        listed = [] if self._upstream is None else await self._upstream.names()
        return [*self._named, *(name for name in listed if name not in self._named)]

    def answer(self, asked: Asked) -> AsyncGenerator[Event, None]:
        """The events of whoever the request names.

        Raises:
            RequestError: 404 for a name that nobody here has.
        """
        return self.serve(
            asked.request,
            history=asked.history,
            principal=asked.principal,
            ids=asked.ids,
            clock=asked.clock,
        )

    def serve(self, request: CreateResponse, **run: Any) -> AsyncGenerator[Event, None]:
        """The same, for a run of any kind (see `agents.loop` for what `run` may hold)."""
        who = self.find(request.model)
        if isinstance(who, Agent | Workflow):
            return who.serve(request, **run)
        full = self._with_defaults(request)
        return loop(full, model=who, tools=self._tools, echo=request, **run)

    def check(self, request: CreateResponse, scope: Scope) -> None:
        """Whether a request inside another can be served: its model, and each of its tools.

        Raises:
            RequestError: It cannot.
        """
        who = self.find(request.model)
        if isinstance(who, Agent):
            own = [tool for tool in who.tools if not isinstance(tool, FunctionTool)]
            build_menu(own, scope)
        elif isinstance(who, Workflow):
            who.check(request)
        else:
            build_menu(self._tools, scope, native=getattr(who, "native", ()))

    def _with_defaults(self, request: CreateResponse) -> CreateResponse:
        declared = {(tool.type, getattr(tool, "name", None)) for tool in request.tools or ()}
        added = [
            tool
            for tool in self._default_tools
            if (tool.type, getattr(tool, "name", None)) not in declared
        ]
        if not added:
            return request
        return request.model_copy(update={"tools": [*(request.tools or []), *added]})

    def find(self, name: str | None) -> Served:
        """Who has this name.

        Raises:
            RequestError: Nobody here; `param` is `model`.
        """
        if name is None and len(self._named) == 1 and self._upstream is None:
            return next(iter(self._named.values()))
        if name is None:
            raise RequestError(
                f"model: expected a name, got none: this provider has {self._listing()}",
                param="model",
                code="missing_required_parameter",
            )
        if name in self._named:
            return self._named[name]
        if self._upstream is not None:
            return self._upstream.model(name)
        raise RequestError(
            f"model: there is no {name!r} here: this provider has {self._listing()}",
            param="model",
            code="model_not_found",
            status=404,
            type="not_found_error",
        )

    def _listing(self) -> str:
        return ", ".join(sorted(self._named)) or "those that its upstream lists at /v1/models"

    async def aclose(self) -> None:
        """Give back every model's connections."""
        named = [one for one in self._named.values() if not isinstance(one, Workflow)]
        models = [one.model if isinstance(one, Agent) else one for one in named]
        async with AsyncExitStack() as open_still:  # one that cannot be closed stops no other
            if self._upstream is not None:
                open_still.push_async_callback(self._upstream.aclose)
            for model in {id(model): model for model in models}.values():  # agents may share one
                open_still.push_async_callback(model.aclose)
