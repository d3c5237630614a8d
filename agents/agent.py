"""`Agent`: a model, its instructions and its tools, under one name.

An agent holds no state: what it knows of a conversation is the list of items that it is given.
`stream` is the run; `run` folds it; `run_sync` is one line over that.
"""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar, cast, overload

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from antiphon.errors import ConfigurationError, OutputError
from antiphon.items import (
    CreateResponse,
    Event,
    FunctionTool,
    Json,
    JsonSchemaFormat,
    Message,
    ProviderFunction,
    Response,
    TextFormat,
    TextOptions,
    ToolDefinition,
)
from antiphon.models import Model, resolve
from antiphon.tools import Context, Declared, HostedTool, Offer

from .budget import Budget, held
from .handoff import Seat, Transfer, owner_of, transfer_name
from .loop import drive
from .runnable import Runnable, refuse_unfinished
from .setting import Setting
from .turns import MAX_TURNS

T = TypeVar("T")

Instructions: TypeAlias = str | Callable[[Context[Any]], str | Awaitable[str]] | None
AgentTool: TypeAlias = Offer | HostedTool | FunctionTool

_LIMITS: Final = frozenset({"max_tool_calls", "max_output_tokens"})
_PLACED: Final = frozenset({"code_interpreter", "shell"})
"""Tools of which a request may say where they work, and on which files."""


class Agent(Runnable[T]):
    """Runs a model with tools until it has an answer.

    Args:
        name: What it is called; also its model name when a Provider serves it.
        model: A model, or a name such as `ollama:qwen3` (see `antiphon.models.resolve`).
        instructions: What it is told first: text, or a function of the run's `Context`.
        tools: `@tool` functions, hosted tools, and `FunctionTool` definitions that the caller
            runs itself.
        output_type: The type of the answer; the model is given its JSON schema.
        options: Sampling fields of every request (`temperature`, `reasoning`, `tool_choice`,
            `max_output_tokens` ...), as the request has them. A request has the last word, but
            limits it can only lower.
        max_turns: Samplings after which a run ends incomplete.
        handoffs: Agents to which the model may give the conversation; whoever has it answers,
            in this run and in those that go on from its items. Agents that hand over to each
            other are told so afterwards: `other.handoffs = [agent]`.
        budget: How much each run may use, the runs inside it included.

    Raises:
        ConfigurationError: A name, tool, option or output type that cannot work.
    """

    @overload
    def __init__(
        self: "Agent[str]",
        *,
        name: str,
        model: Model | str,
        instructions: Instructions = None,
        tools: Sequence[AgentTool] = (),
        output_type: None = None,
        options: Mapping[str, Any] | None = None,
        max_turns: int = MAX_TURNS,
        handoffs: "Sequence[Agent[Any]]" = (),
        budget: Budget | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        name: str,
        model: Model | str,
        instructions: Instructions = None,
        tools: Sequence[AgentTool] = (),
        output_type: type[T],
        options: Mapping[str, Any] | None = None,
        max_turns: int = MAX_TURNS,
        handoffs: "Sequence[Agent[Any]]" = (),
        budget: Budget | None = None,
    ) -> None: ...

    def __init__(
        self,
        *,
        name: str,
        model: Model | str,
        instructions: Instructions = None,
        tools: Sequence[AgentTool] = (),
        output_type: type[Any] | None = None,
        options: Mapping[str, Any] | None = None,
        max_turns: int = MAX_TURNS,
        handoffs: "Sequence[Agent[Any]]" = (),
        budget: Budget | None = None,
    ) -> None:
        if not name:
            raise ConfigurationError('an agent needs a name: Agent(name="guide", ...)')
        self.name = name
        self.model: Model = resolve(model) if isinstance(model, str) else model
        self.instructions = instructions
        self.tools: tuple[AgentTool, ...] = tuple(tools)
        self.max_turns = max_turns
        self.budget = budget
        self.handoffs: Sequence[Agent[Any]] = tuple(handoffs)
        self._definitions = [_declaration(tool, name) for tool in self.tools]
        self._output: TypeAdapter[Any] | None = None
        self._options = _options(options, name)
        if output_type is not None:
            self._output = _adapter(output_type)
            self._options["text"] = _text_of(output_type, self._output, self._options.get("text"))

    def __repr__(self) -> str:
        return f"Agent(name={self.name!r}, model={self.model.name!r}, tools={len(self.tools)})"

    def purpose(self) -> str | None:
        """The first paragraph of its instructions, where they are a text."""
        own = [tool.name for tool in self.tools if isinstance(tool, FunctionTool)]
        if own:
            raise ConfigurationError(
                f"Agent({self.name!r}).as_tool: {', '.join(own)} would be for a client to run, and "
                "inside another agent's run there is none: make it a @tool"
            )
        return _purpose(self.instructions) or None

    async def serve(
        self, request: CreateResponse, setting: Setting | None = None
    ) -> AsyncGenerator[Event, None]:
        """Answer a request as this agent: its own tools, instructions and options, and what
        the request adds to them. This is how a Provider serves an agent as a model. Where the
        conversation was handed over, its owner answers.
        """
        setting = setting or Setting()
        items = setting.items(request)
        team = team_of(self)
        own = items if setting.parent is None else request.items  # a caller's handoffs are its own
        owner = team.get(owner_of(own, team) or "", self) if self.handoffs else self
        context = Context(setting.deps, principal=setting.principal, items=items)

        async def switch(name: str) -> Seat:
            return await team[name].seat(request, context)

        account = held(self.name, self.budget, setting.account)
        events = drive(
            await owner.seat(request, context, budget=owner is not self),
            setting if account is setting.account else replace(setting, account=account),
            max_turns=self.max_turns,
            name=request.model or self.name,
            echo=request,
            switch=switch if self.handoffs else None,
            timed=any(each.budget and each.budget.limits.seconds for each in team.values()),
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def seat(
        self, request: CreateResponse, context: Context[Any], *, budget: bool = True
    ) -> Seat:
        """This agent's place in a run: whom it asks, with what, in answer to which request.

        Args:
            request: What was asked.
            context: For instructions that are a function.
            budget: Whether its own budget holds from here on; not where it holds already.
        """
        transfers = [
            Transfer(self.name, other.name, _purpose(other.instructions)) for other in self.handoffs
        ]
        runnable = [tool for tool in self.tools if not isinstance(tool, FunctionTool)]
        full = request.model_copy(update=await self._filled(request, context, transfers))
        tools = [*runnable, *transfers]
        return Seat(self.name, self.model, tools, full, self.budget if budget else None)

    async def _filled(
        self, request: CreateResponse, context: Context[Any], transfers: Sequence[Transfer]
    ) -> dict[str, Any]:
        """The request's fields with the agent's own filled in where the request has none."""
        own = self.instructions
        if own is not None and not isinstance(own, str):
            words = own(context)
            own = await words if inspect.isawaitable(words) else words
        instructions = "\n\n".join(text for text in (own, request.instructions) if text)
        filled = {
            field: value
            for field, value in self._options.items()
            if getattr(request, field, None) is None
        }
        for field in (_LIMITS & self._options.keys()) - filled.keys():  # asked for: less, if any
            filled[field] = min(getattr(request, field), self._options[field])
        filled["instructions"] = instructions or None
        handing = [ProviderFunction(name=each.function.name) for each in transfers]
        given = request.tools or []
        chosen = {tool.type for tool in given} & _PLACED
        own_tools = [each for each in self._definitions if each.type not in chosen]
        filled["tools"] = [*own_tools, *handing, *given] or None
        return filled

    def answer(self, response: Response) -> T:
        """What a response of this agent's says: its text, or a value of the output type.

        Raises:
            OutputError: It does not fit the output type.
        """
        if self._output is None:
            return cast("T", response.output_text)
        said = [item for item in response.output if isinstance(item, Message)]
        refuse_unfinished(self.name, response)
        try:
            return self._output.validate_json(said[-1].text if said else "")
        except ValidationError as error:
            raise OutputError(
                f"{self.name}: the answer does not fit the output type: {error}", response=response
            ) from error


def team_of(agent: Agent[Any]) -> dict[str, Agent[Any]]:
    """An agent and all to whom its conversations may come by handoffs, by name.

    Raises:
        ConfigurationError: Two of them have one name.
    """
    team: dict[str, Agent[Any]] = {agent.name: agent}
    found = [agent]
    while found:
        for other in found.pop().handoffs:
            known = team.get(other.name)
            if known is None:
                taken = [name for name in team if transfer_name(name) == transfer_name(other.name)]
                if taken:
                    raise ConfigurationError(
                        f"handoffs: {taken[0]!r} and {other.name!r} would both be handed over to "
                        f"by {transfer_name(other.name)}: rename one"
                    )
                team[other.name] = other
                found.append(other)
            elif known is not other:
                raise ConfigurationError(
                    f"handoffs: two agents are named {other.name!r}: rename one"
                )
    return team


def _purpose(instructions: Instructions) -> str:
    """What an agent is good for: the first paragraph of its instructions, where they are text."""
    return instructions.split("\n\n")[0] if isinstance(instructions, str) else ""


def _declaration(tool: object, agent: str) -> ToolDefinition:
    """The definition by which an agent's request asks for one of its own tools."""
    if isinstance(tool, FunctionTool):
        return tool
    if isinstance(tool, Declared):
        return tool.definition
    if isinstance(tool, Offer):
        return ProviderFunction(name=tool.function.name)
    if isinstance(tool, HostedTool):
        return _DEFINITION.validate_python({"type": tool.type})
    raise ConfigurationError(
        f"Agent({agent!r}): expected tools to be @tool functions, hosted tools or FunctionTool "
        f"definitions, got {type(tool).__name__}: decorate the function with @tool"
    )


_DEFINITION: TypeAdapter[ToolDefinition] = TypeAdapter(ToolDefinition)


OPTIONS: Final = frozenset(
    {
        "frequency_penalty",
        "include",
        "max_output_tokens",
        "max_tool_calls",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "temperature",
        "text",
        "tool_choice",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""What an agent may ask of every sampling; the rest of a request is its caller's business."""


def _options(options: Mapping[str, Any] | None, agent: str) -> dict[str, Any]:
    given = dict(options or {})
    unknown = sorted(given.keys() - OPTIONS)
    if unknown:
        raise ConfigurationError(
            f"Agent({agent!r}): unknown options {', '.join(unknown)}: "
            f"expected some of {', '.join(sorted(OPTIONS))}"
        )
    try:
        checked = CreateResponse.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(f"Agent({agent!r}): options: {error}") from error
    return {field: getattr(checked, field) for field in given}


def _adapter(output_type: type[Any]) -> TypeAdapter[Any]:
    try:
        adapter = TypeAdapter(output_type)
        adapter.json_schema()
    except PydanticUserError as error:
        raise ConfigurationError(
            f"output_type: expected a type with a JSON schema, got {output_type!r}: {error}"
        ) from error
    return adapter


def _text_of(
    output_type: type[Any], adapter: TypeAdapter[Any], given: TextOptions | None
) -> TextOptions:
    """The text options that ask for the output type; what else was given stays."""
    if given is not None and not isinstance(given.format, TextFormat | None):
        raise ConfigurationError(
            "expected output_type or options={'text': {'format': ...}}, got both: leave one out"
        )
    schema: Json = adapter.json_schema()
    if schema.get("type") != "object":
        raise ConfigurationError(
            f"output_type: expected a model, dataclass or TypedDict, got {output_type!r}: "
            "wrap it in a model with one field"
        )
    name = getattr(output_type, "__name__", "answer")[:64]
    form = JsonSchemaFormat(name=name, json_schema=schema, strict=False)
    return (given or TextOptions()).model_copy(update={"format": form})
