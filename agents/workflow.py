"""`@workflow`: agents composed by code, as one agent to everyone outside.

Above: `combine` (ready-made shapes), `provider` (serves one as a model). Below: `flow`, which
runs the function. A workflow holds no state, and no model of its own.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import (
    Any,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from antiphon.errors import ConfigurationError, OutputError, RequestError
from antiphon.items import (
    CreateResponse,
    Event,
    Item,
    Message,
    Response,
)

from .agent import Agent
from .budget import Budget
from .flow import CURRENT, Flow, words_of
from .journal import Journal
from .result import Result
from .runnable import AgentInput, Runnable, as_items, refuse_unfinished
from .setting import Setting

T = TypeVar("T")

Work: TypeAlias = (
    Callable[[str], Coroutine[Any, Any, T]] | Callable[[list[Item]], Coroutine[Any, Any, T]]
)
"""What can be a workflow: an async function of the input's text, or of all its items."""


class Workflow(Runnable[T]):
    """An async function that runs agents, in the place of an agent.

    Its response holds an `antiphon:agent_call` item for each `run` of the function, and then
    what the function returns as one message: text as it is, anything else as JSON; None says
    nothing. An exception of the function ends the response `failed`, code `workflow_failed`.

    Args:
        function: Takes the text of the last user message, or every item if its parameter is
            annotated `list[Item]`.
        name: What it is called; also its model name when a Provider serves it.
        description: What it is good for.
        budget: How much each run of it may use, the runs inside it included.

    Raises:
        ConfigurationError: The function cannot be a workflow; the message says why.
    """

    def __init__(
        self,
        function: Work[T],
        *,
        name: str,
        description: str = "",
        budget: Budget | None = None,
    ) -> None:
        if not name:
            raise ConfigurationError('a workflow needs a name: @workflow(name="report")')
        self.name = name
        self.description = description
        self.budget = budget
        self._function = cast("Callable[[Any], Coroutine[Any, Any, T]]", function)
        hints = _hints(function, name)
        self._takes_items = _takes_items(function, hints, name)
        self._output = _adapter(hints.get("return", str), name)

    def __repr__(self) -> str:
        return f"Workflow(name={self.name!r})"

    def purpose(self) -> str | None:
        """Its description: the function's docstring, unless another was given."""
        return self.description

    async def serve(
        self, request: CreateResponse, setting: Setting | None = None
    ) -> AsyncGenerator[Event, None]:
        """Answer a request as this workflow.

        The request's sampling fields and instructions are echoed, no more: the function alone
        says what its agents are asked. `max_tool_calls` counts their runs and the calls inside.

        Raises:
            RequestError: At the first step: it declares tools, which nobody here would call,
                or there is no text for a function that takes one.
        """
        self.check(request)
        setting = setting or Setting()
        items = setting.items(request)
        journal = Journal.of(items, setting.decided(request), history=len(setting.history))
        given = self._given(list(journal.before))
        if setting.before is not None:
            journal.recall(setting.before)
        response = setting.opening(request, self.name)
        scope = setting.scope(request, response, name=self.name, budget=self.budget)
        flow = Flow(self.name, scope, setting.telling(response), journal)
        async with aclosing(flow.events(self._function, given)) as events:
            async for event in events:
                yield event

    def answer(self, response: Response) -> T:
        """What a response of this workflow's says, as the type that the function returns.

        Raises:
            OutputError: It does not fit that type.
        """
        said = [item.text for item in response.output if isinstance(item, Message)]
        if self._output is None:
            return cast("T", said[-1] if said else None)
        refuse_unfinished(self.name, response)
        try:
            return self._output.validate_json(said[-1] if said else "null")
        except ValidationError as error:
            raise OutputError(
                f"{self.name}: expected the function to return what its annotation says: {error}",
                response=response,
            ) from error

    def check(self, request: CreateResponse) -> None:
        """Whether a request asks for nothing that a workflow cannot give.

        Raises:
            RequestError: It declares tools, or demands a call.
        """
        if request.tools:
            raise RequestError(
                f"tools: expected none, got {len(request.tools)}: {self.name!r} is a workflow, "
                "whose agents have their own tools: leave them out",
                param="tools",
                code="unsupported_parameter",
            )
        if request.tool_choice not in (None, "auto", "none"):
            raise RequestError(
                "tool_choice demands a call, but a workflow calls no tools: leave it out",
                param="tool_choice",
                code="no_tools",
            )

    def _given(self, items: list[Item]) -> str | list[Item]:
        if self._takes_items:
            return items
        words = words_of(items)
        if not words:
            raise RequestError(
                f"input: expected a user message with text, got none: {self.name!r} reads text",
                param="input",
                code="missing_required_parameter",
            )
        return words


@overload
def workflow(function: Callable[[str], Coroutine[Any, Any, T]], /) -> Workflow[T]: ...


@overload
def workflow(function: Callable[[list[Item]], Coroutine[Any, Any, T]], /) -> Workflow[T]: ...


@overload
def workflow(
    *, name: str | None = None, description: str | None = None, budget: Budget | None = None
) -> Callable[[Work[T]], Workflow[T]]: ...


def workflow(
    function: Work[Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    budget: Budget | None = None,
) -> Workflow[Any] | Callable[[Work[Any]], Workflow[Any]]:
    """Make an async function a `Workflow`: `@workflow`, or `@workflow(name="report")`.

    Args:
        function: One parameter: `str`, or `list[Item]`. Inside it, `run` runs agents.
        name: The function's own by default.
        description: The first paragraph of the function's docstring by default.
        budget: How much each run of it may use, the runs inside it included.

    Raises:
        ConfigurationError: The function cannot be a workflow; the message says why.
    """

    def made(work: Work[Any]) -> Workflow[Any]:
        words = description
        if words is None:
            words = (inspect.getdoc(work) or "").split("\n\n")[0].replace("\n", " ")
        own = str(getattr(work, "__name__", ""))
        return Workflow(work, name=own if name is None else name, description=words, budget=budget)

    return made if function is None else made(function)


async def run(agent: Agent[T] | Workflow[T], given: AgentInput) -> Result[T]:
    """Run an agent, or a workflow, to its end; inside a workflow as one item of its response.

    Its events stream inside the workflow's as they happen. Several may run at a time, in a
    task group. Outside a workflow this is `agent.run(given)`.

    Args:
        agent: Whom to run.
        given: A text, or items, texts and dicts: the whole conversation that it reads.

    Raises:
        RunError: It failed, was cut, or could not begin; the item says so, too. Inside a
            workflow its function may catch this and go on.
        OutputError: The answer does not fit the agent's output type.
    """
    flow = CURRENT.get()
    if flow is None:
        return await agent.run(given)
    items = as_items(given)
    response = await flow.call(agent.name, agent.serve, items)
    return Result(agent.answer(response), [*items, *response.output], response)


def _hints(function: Any, name: str) -> dict[str, Any]:
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"workflow {name!r}: expected an async function that returns its answer, got "
            f"{function!r}: write `async def`, without yield"
        )
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(
            f"workflow {name!r}: expected annotations that can be read, got: {error}: import "
            "their types at the top of the module"
        ) from error


def _takes_items(function: Any, hints: dict[str, Any], name: str) -> bool:
    """Whether the function reads items; else it reads text."""
    parameters = list(inspect.signature(function).parameters.values())
    usual = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 1 or parameters[0].kind not in usual:
        raise ConfigurationError(
            f"workflow {name!r}: expected one parameter, the input, got "
            f"({', '.join(map(str, parameters))}): leave the others out"
        )
    hint = hints.get(parameters[0].name)
    if hint is str:
        return False
    if get_origin(hint) in (list, Sequence) and get_args(hint) == (Item,):
        return True
    raise ConfigurationError(
        f"workflow {name!r}: expected {parameters[0].name}: str, or list[Item], got {hint!r}"
    )


def _adapter(hint: Any, name: str) -> TypeAdapter[Any] | None:
    """Reads answers back as what the function returned; None where they are text."""
    if hint in (str, None, type(None), Any, str | None):
        return None
    try:
        return TypeAdapter(hint)
    except PydanticUserError as error:
        raise ConfigurationError(
            f"workflow {name!r}: expected it to return text, or what pydantic can make JSON of, "
            f"got {hint!r}: {error}"
        ) from error
