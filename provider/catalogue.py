"""The catalogue: every name that a request's `model` may say, and who answers to it."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, cast

from antiphon.agents import (
    Agent,
    Delegate,
    Seat,
    Setting,
    Workflow,
    build_menu,
    check_tools,
    drive,
    team_of,
)
from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import (
    BUILT_IN,
    AgentTool,
    CreateResponse,
    CustomTool,
    Event,
    FunctionTool,
    McpServerTool,
    ProviderFunction,
    ToolDefinition,
    is_own,
    own_function,
)
from antiphon.models import Model
from antiphon.tools import Account, HostedTool, Offer, Price, Scope

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


class Closed(Protocol):
    """What is given back at the end."""

    async def aclose(self) -> None:
        """Give it back."""
        ...


Served: TypeAlias = Model | Agent[Any] | Workflow[Any]
"""Who may answer to a name."""


class Catalogue:
    """Models, agents and workflows by name, in one namespace.

    Args:
        served: Models, agents and workflows, each under its name.
        upstream: Where names that are none of these lead.
        tools: What the provider can run for any model.
        max_turns: Samplings of a model after which its run ends incomplete.
        default_tools: Definitions added to every request to a model that does not have them.
        prices: What models cost, by name, for budgets that count money.

    Raises:
        ConfigurationError: Two have one name, or there is nothing to serve.
    """

    def __init__(
        self,
        served: Iterable[Served],
        upstream: Upstream | None,
        tools: Sequence[Offer | HostedTool],
        default_tools: Sequence[ToolDefinition],
        max_turns: int,
        prices: Mapping[str, Price],
    ) -> None:
        self._max_turns = max_turns
        self._prices = prices
        self._default_tools = default_tools
        self._upstream = upstream
        self._tools = [*tools, InlineAgents(self)]
        self._named: dict[str, Served] = {}
        for one in served:
            if one.name in self._named:
                raise ConfigurationError(
                    f"two models, agents or workflows are named {one.name!r}: rename one"
                )
            self._named[one.name] = one
        if not self._named and upstream is None and not tools:
            raise ConfigurationError(
                "Provider: expected at least one model, agent, workflow, upstream or tool, got none"
            )

    async def names(self) -> list[str]:
        """Every name, the upstream's last."""
        listed = [] if self._upstream is None else await self._upstream.names()
        return [*self._named, *(name for name in listed if name not in self._named)]

    async def has(self, name: str) -> bool:
        """Whether there is such a name; the upstream is asked where it is none of ours."""
        if name in self._named or self._upstream is None:
            return name in self._named
        return name in await self._upstream.names()

    def serve(
        self, request: CreateResponse, setting: Setting, *, defaults: bool = True
    ) -> AsyncGenerator[Event, None]:
        """The events of whoever the request names.

        Args:
            request: What is asked.
            setting: The circumstances.
            defaults: Whether a model gets the default tools.

        Raises:
            RequestError: 404 for a name that nobody here has.
        """
        if self._prices and setting.parent is None:
            priced = Account(setting.principal, outer=setting.account, prices=self._prices)
            setting = replace(setting, account=priced)
        who = self.find(request.model)
        if isinstance(who, Agent | Workflow):
            return who.serve(request, setting)
        seat = self.seat(request, who, defaults=defaults)
        return drive(seat, setting, name=request.model, echo=request, max_turns=self._max_turns)

    def seat(self, request: CreateResponse, model: Model, *, defaults: bool = True) -> Seat:
        """A request as a model gets it: with what can be run here, and the default tools."""
        full = self._with_defaults(request) if defaults else request
        return Seat(model.name, model, self._tools, full)

    def check(self, request: CreateResponse, scope: Scope) -> None:
        """Whether a request inside another can be served: its model, and each of its tools.

        Raises:
            RequestError: It cannot.
        """
        who = self.find(request.model)
        if isinstance(who, Agent):
            _check_agent(who, scope)
        elif isinstance(who, Workflow):
            who.check(request)
        else:
            build_menu(self._tools, scope, native=getattr(who, "native", ()))

    async def check_tools(self, request: CreateResponse, scope: Scope) -> None:
        """Whether all that a model's request names in its tools is there, and the principal's.

        Raises:
            RequestError: It is not.
        """
        if not isinstance(self.find(request.model), Agent | Workflow):  # they have their own
            await check_tools(self._tools, replace(scope, request=request))

    def _with_defaults(self, request: CreateResponse) -> CreateResponse:
        if not self._default_tools:
            return request
        tools = list(request.tools or ())
        functions = [tool.function.name for tool in self._tools if isinstance(tool, Offer)]
        declared = {_key(tool) for tool in tools}
        taken = {name for tool in tools for name in _names(tool, functions)}
        for tool in self._default_tools:
            names = _names(tool, functions)
            free = [name for name in names if name not in taken]
            if _key(tool) in declared or (names and not free):
                continue
            if free != names:  # some of the provider's functions, which the client has its own of
                tool = tool.model_copy(update={"allowed_tools": free})
            tools.append(tool)
        return request.model_copy(update={"tools": tools or None})

    def team(self, name: str) -> list[str]:
        """The names of the agents to whom an agent of this name may hand its conversations."""
        who = self._named.get(name)
        if not isinstance(who, Agent):
            return []
        return [member for member in team_of(who) if member != who.name]

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
        elsewhere = "none" if self._upstream is None else "those that it lists at /v1/models"
        return ", ".join(sorted(self._named)) or elsewhere

    async def aclose(self) -> None:
        """Give back every model's connections, and what the tools of served agents hold: programs
        of MCP servers, sandboxes. Agents that a workflow's function calls are not known here.
        """
        held: dict[int, Closed] = {}  # agents may share models, and tools
        for one in (*self._named.values(), *self._tools):
            for each in _held(one, set()):
                held[id(each)] = each
        async with AsyncExitStack() as open_still:  # one that cannot be closed stops no other
            if self._upstream is not None:
                open_still.push_async_callback(self._upstream.aclose)
            for each in held.values():
                open_still.push_async_callback(each.aclose)


def _held(one: object, seen: set[int]) -> Iterator[Closed]:
    """What has to be given back with whoever is served: a model; those of an agent, of all to
    whom its conversations may come, and of its sub-agents, with their tools.
    """
    if isinstance(one, Delegate):
        one = getattr(one.serve, "__self__", None)  # the agent, where it is one
    if isinstance(one, Model):
        yield one
    elif isinstance(one, Agent) and id(cast("object", one)) not in seen:
        seen.add(id(cast("object", one)))
        for agent in team_of(cast("Agent[Any]", one)).values():
            seen.add(id(agent))
            yield agent.model
            for tool in agent.tools:
                if isinstance(tool, HostedTool):
                    yield tool
                yield from _held(tool, seen)


def _key(tool: ToolDefinition) -> tuple[str, str | None]:
    """What a tool is declared by: two of one key are the same tool, or in each other's way."""
    name = "server_label" if isinstance(tool, McpServerTool) else "name"
    return tool.type, getattr(tool, name, None)


def _names(tool: ToolDefinition, functions: list[str]) -> list[str]:
    """The names that a definition takes on the menu, as far as they are known beforehand."""
    if isinstance(tool, FunctionTool | CustomTool | ProviderFunction | AgentTool):
        return [tool.name]
    if not isinstance(tool, McpServerTool):
        return [own_function(tool.type) if is_own(tool.type) else tool.type]
    if tool.connector_id != BUILT_IN:
        return []
    allowed = tool.allowed_tools
    asked: object = allowed.get("tool_names") if isinstance(allowed, dict) else allowed
    if asked is None:
        return functions
    named = cast("list[object]", asked) if isinstance(asked, list) else []
    return [name for name in named if isinstance(name, str)]  # the menu refuses any other


def _check_agent(agent: Agent[Any], scope: Scope) -> None:
    """Whether an agent takes these tools beside its own, and can run all of both."""
    runnable = [tool for tool in agent.tools if not isinstance(tool, FunctionTool)]
    if len(runnable) < len(agent.tools):
        raise RequestError(
            f"model: {agent.name!r} calls functions of the client: an agent inside a request "
            "cannot wait for the client",
            param="model",
            code="unsupported_value",
        )
    menu = build_menu(runnable, scope, native=getattr(agent.model, "native", ()))
    for tool in runnable:
        name = tool.function.name if isinstance(tool, Offer) else tool.type
        if name in menu:
            raise RequestError(
                f"tools: {agent.name!r} has a tool named {name!r} of its own: leave it out",
                param="tools",
                code="duplicate_tool",
            )
