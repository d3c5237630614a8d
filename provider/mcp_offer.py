"""What is offered to MCP hosts: tools, agents and workflows, each as one tool of a server.

Whatever a host calls is a request that the loop answers. An agent or a workflow is asked as any
client asks it. A tool has no model that calls it, so a `caller` stands in for one: an agent whose
model says one call, and nothing after that. Gates, approvals, receipts and limits are those of
every run.

Above: `mcp_server`, `mcp_call`. Below: `catalogue`, `agents`. Not here: the protocol.
"""

import inspect
import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter

from antiphon.agents import Agent, Delegate, Runnable, Workflow, function_of
from antiphon.errors import ConfigurationError
from antiphon.items import (
    CreateResponse,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputText,
    Item,
    Json,
    Message,
    Response,
)
from antiphon.models import FunctionCall, ModelRequest, model
from antiphon.tools import Offer, Price, Tool

from .catalogue import Catalogue
from .desk import Desk

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

LONGEST: Final = 64
"""Characters of a name: what all hosts and models take."""

_EMPTY: Final[Json] = {"type": "object", "properties": {}}

log: logging.Logger = logging.getLogger("antiphon.provider")


@dataclass(frozen=True)
class HostTool:
    """One tool, as a host sees it, and who answers when it is called.

    Attributes:
        name: What a host calls it.
        description: What it is good for.
        parameters: The JSON schema of its arguments.
        output_schema: The JSON schema of its structured result; None where it gives text.
        who: The name that requests are sent to.
        desk: What its runs are made with.
        runnable: The agent or workflow; None for a tool.
    """

    name: str
    description: str | None
    parameters: Json
    output_schema: Json | None
    who: str
    desk: Desk
    runnable: Runnable[Any] | None = None

    def said(self, arguments: str) -> Message:
        """The first item of a call.

        Args:
            arguments: Its JSON arguments.

        Raises:
            ValidationError: They are not those of an agent.
        """
        if self.runnable is None:
            return Message(role="user", content=arguments)
        return Message(role="user", content=_Arguments.model_validate_json(arguments).input)

    def request(self, items: Sequence[Item]) -> CreateResponse:
        """The request of a run that goes on from these items. Nothing of it is stored."""
        return CreateResponse(model=self.who, input=list(items), store=False)

    def answer(self, response: Response) -> object:
        """A typed answer of an agent or a workflow.

        Raises:
            OutputError: It does not fit its type.
        """
        return None if self.runnable is None else self.runnable.answer(response)

    @cached_property
    def validator(self) -> "Validator":
        """Says whether a result is what `output_schema` promises, as hosts will judge it."""
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.output_schema or {})


class _Arguments(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    input: str


class HostTools:
    """All that is offered, by name; made when it is first asked for.

    Args:
        desk: What agents and workflows are run with.
        runnables: The agents and workflows.
        tools: What the provider runs itself. Of these only functions and agents are offered:
            a hosted tool such as a code interpreter is for models, which say what they want of it.
        prices: What models cost, for budgets that count money.
        purposes: Whether an agent is described by the first words of its instructions. Whoever
            has the agent has these; a client of a provider is not shown them.
    """

    def __init__(
        self,
        desk: Desk,
        runnables: Sequence[Agent[Any] | Workflow[Any]],
        tools: Sequence[object],
        *,
        prices: Mapping[str, Price] | None = None,
        purposes: bool = False,
    ) -> None:
        self._purposes = purposes
        self._desk = desk
        self._runnables = runnables
        self._tools = [tool for tool in tools if isinstance(tool, Offer)]
        self._prices = dict(prices or {})

    def described(self) -> "HostTools":
        """The same, for whoever has the agents: each is described in its own words."""
        return HostTools(
            self._desk, self._runnables, self._tools, prices=self._prices, purposes=True
        )

    def __bool__(self) -> bool:
        """Whether anything may be offered."""
        return bool(self._tools or self._runnables)

    @cached_property
    def named(self) -> Mapping[str, HostTool]:
        """All of them, by the name that a host calls them."""
        found: dict[str, HostTool] = {}
        for each in (*self._functions(), *self._agents()):
            name = _free(each.name, found)
            found[name] = each if name == each.name else replace(each, name=name)
        return found

    def _functions(self) -> Iterator[HostTool]:
        if not self._tools:
            return
        callers = [caller(tool) for tool in self._tools]
        catalogue = Catalogue(callers, None, [], [], 1, self._prices)
        desk = replace(self._desk, catalogue=catalogue)
        for tool in self._tools:
            function = tool.function
            yield HostTool(
                name=function.name,
                description=function.description,
                parameters=function.parameters or _EMPTY,
                output_schema=_object(_schema_of(tool)),
                who=function.name,
                desk=desk,
            )

    def _agents(self) -> Iterator[HostTool]:
        taken = {tool.agent for tool in self._tools if isinstance(tool, Delegate)}
        for each in self._runnables:
            if each.name in taken:  # it is offered as a tool, in words of its owner's
                continue
            try:
                purpose = each.purpose()
            except ConfigurationError as error:
                log.warning("%s is not offered to MCP hosts: %s", each.name, error)
                continue
            shown = purpose if self._purposes or isinstance(each, Workflow) else None
            function = function_of(_safe(each.name), shown or f"Ask {each.name}, an agent.")
            yield HostTool(
                name=function.name,
                description=function.description,
                parameters=function.parameters or _EMPTY,
                output_schema=_object(each.output_schema),
                who=each.name,
                desk=self._desk,
                runnable=each,
            )


def caller(tool: Offer) -> Agent[str]:
    """Who calls one tool and is done: it makes the call that it was asked to make. A host is not
    told what an exception said that the tool did not mean for anybody.

    Args:
        tool: The tool; the call's arguments are the words of the request.
    """
    name = tool.function.name

    @model(name)
    async def call(request: ModelRequest) -> AsyncGenerator[FunctionCall, None]:
        if any(isinstance(item, FunctionCallOutput) for item in request.items):
            return
        said = [item for item in request.items if isinstance(item, Message)]
        yield FunctionCall(name, said[-1].text)

    return Agent(name=name, model=call, tools=[_discreet(tool)], max_turns=2)


def _discreet(tool: Offer) -> Offer:
    return cast("Tool[..., Any]", tool).discreet() if isinstance(tool, Tool) else tool


def _schema_of(tool: Offer) -> Json | None:
    """The schema of what a function returns, as far as its annotation says."""
    function = inspect.unwrap(cast("Any", tool)) if hasattr(tool, "__wrapped__") else None
    if function is None or inspect.isasyncgenfunction(function):
        return None
    try:
        hint = get_type_hints(function).get("return")
        if hint is None or hint in (InputText, InputImage, InputFile):  # it goes as it is
            return None
        return TypeAdapter(hint).json_schema(mode="serialization")
    except (NameError, TypeError, PydanticUserError):  # it says nothing that can be promised
        return None


def _object(schema: Json | None) -> Json | None:
    """A schema of objects; hosts of most revisions take no other."""
    return schema if schema is not None and schema.get("type") == "object" else None


def _safe(name: str) -> str:
    """A name of the characters that hosts take."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:LONGEST]


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name, or with a number where another has it."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST - len(str(number)) - 1]}_{number}"
    return free
