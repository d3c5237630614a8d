"""What agents and workflows have in common: a name, and runs that can be asked for in four ways.

`serve` is the run and `answer` reads its end; each kind has its own. Over them, once for both:
`stream`, `run` (its fold), `run_sync` (one line), and `as_tool` (a run as another's call).
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

import anyio
from pydantic import TypeAdapter, ValidationError

from antiphon.errors import ConfigurationError, OutputError, RunError
from antiphon.items import (
    ITEM_TYPES,
    ITEMS,
    Clock,
    CreateResponse,
    Event,
    FunctionCall,
    Ids,
    Item,
    Json,
    Message,
    Response,
    ResponseEvent,
    now,
)
from antiphon.tools import NeedsApproval, gate_of

from .approval import Asked
from .delegate import ContextPolicy, Delegate, arguments_of, function_of
from .result import Result
from .setting import Setting

T = TypeVar("T")

Given: TypeAlias = str | Item | Mapping[str, Any]
AgentInput: TypeAlias = str | Sequence[Given]
"""A text, or a list of items, texts and dicts: the whole conversation."""


class Runnable(ABC, Generic[T]):
    """Base of agents and workflows.

    Attributes:
        name: What it is called; also its model name when a Provider serves it.
    """

    name: str
    _output: TypeAdapter[Any] | None = None

    @property
    def output_schema(self) -> Json | None:
        """The JSON schema of its answers; None where they are text."""
        return None if self._output is None else self._output.json_schema(mode="serialization")

    @abstractmethod
    def serve(
        self, request: CreateResponse, setting: Setting | None = None
    ) -> AsyncGenerator[Event, None]:
        """Answer a request, in these circumstances; by default, in those of a run by itself."""

    @abstractmethod
    def answer(self, response: Response) -> T:
        """What a response of this one says.

        Raises:
            OutputError: It is not of the type that was declared.
        """

    @abstractmethod
    def purpose(self) -> str | None:
        """What it is good for, in words for a model that may call it.

        Raises:
            ConfigurationError: It cannot be called by another.
        """

    async def run(
        self,
        given: AgentInput,
        *,
        deps: Any = None,
        ids: Ids | None = None,
        clock: Clock = now,
    ) -> Result[T]:
        """Run to the end.

        Args:
            given: A text, or a list of items, texts and dicts: the whole conversation.
            deps: For tools (and instructions) that take a `Context`.
            ids: Where ids come from; seed it for repeatable runs.
            clock: Gives seconds since 1970.

        Raises:
            RequestError: The input cannot be served as it stands.
            RunError: The run failed.
            OutputError: The answer is not of the type that was declared.
        """
        items = as_items(given)
        last: Event | None = None
        async for event in self.stream(items, deps=deps, ids=ids, clock=clock):
            last = event
        if not isinstance(last, ResponseEvent):
            raise ConfigurationError("the run gave no events: this is a bug, please report it")
        response = last.response
        if response.status == "failed":
            why = response.error.message if response.error else "it did not say why"
            raise RunError(f"{self.name} failed: {why}", response=response)
        return Result(self.answer(response), [*items, *response.output], response)

    def run_sync(self, given: AgentInput, *, deps: Any = None) -> Result[T]:
        """`run`, for code that is not async."""
        return anyio.run(lambda: self.run(given, deps=deps))

    def stream(
        self,
        given: AgentInput,
        *,
        deps: Any = None,
        ids: Ids | None = None,
        clock: Clock = now,
    ) -> AsyncGenerator[Event, None]:
        """Run, and yield every event as it happens; the last one carries the response.

        Raises:
            ConfigurationError: At once, if something in the input is no item.
            RequestError: Before the first event, if the input cannot be served as it stands.
        """
        request = CreateResponse(model=self.name, store=False)
        request.input = as_items(given)  # not by the constructor, which would look at each again
        return self.serve(request, Setting(deps=deps, ids=ids or Ids(), clock=clock))

    def as_tool(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        context: ContextPolicy = "fresh",
        needs_approval: NeedsApproval = False,
    ) -> Delegate:
        """This one as a tool of an agent: a call is a whole run, its items inside one item.

        Args:
            name: The name that the other's model sees; its own by default.
            description: What it is good for, in words for that model.
            context: What it reads: only its input (`fresh`), everything that the caller has
                read and then its input (`parent`), or what a function of both gives.
            needs_approval: Whether a person must approve each run before it begins, or a
                function of `input` that says so.

        Raises:
            ConfigurationError: The name cannot be a function's, or there are no words for it.
        """
        who = f"{type(self).__name__}({self.name!r}).as_tool"
        own = self.purpose()  # asked in any case: it also says whether this can be called at all
        words = own if description is None else description
        if not words:
            raise ConfigurationError(f"{who}: expected a description: say what it is good for")
        try:
            function = function_of(name or self.name, words)
        except ValidationError as error:
            raise ConfigurationError(
                f"{who}: expected a name of letters, digits, _ and -, at most 64: give one by "
                f"name=: {error.errors()[0]['msg']}"
            ) from error
        gate = gate_of(needs_approval, name=function.name, parameters=["input"], parse=arguments_of)
        return Delegate(self.name, function, self.serve, context, gate)


def refuse_unfinished(name: str, response: Response) -> None:
    """Whether a response has come to an answer: nothing in it waits for anybody.

    Raises:
        OutputError: Somebody is to do something first.
    """
    asked = [item.name for item in response.output if isinstance(item, Asked)]
    if asked:
        raise OutputError(
            f"{name}: there is no answer yet, {', '.join(asked)} waits for approval: go on with "
            "error.response.output and an ApprovalResponse for each request",
            response=response,
        )
    calls = [item.name for item in response.output if isinstance(item, FunctionCall)]
    if calls:
        raise OutputError(
            f"{name}: there is no answer yet, it called {', '.join(calls)}, which you "
            "run yourself: go on with error.response.output and a FunctionCallOutput for each",
            response=response,
        )


def as_items(given: AgentInput) -> list[Item]:
    """Items of whatever a caller gives: texts become user messages, dicts are validated.

    Raises:
        ConfigurationError: A dict is no item.
    """
    if isinstance(given, str):
        return [Message(role="user", content=given)]
    kinds = set(map(type, given))
    if kinds <= ITEM_TYPES:
        return cast("list[Item]", list(given))
    told = list(given) if kinds <= _READABLE else [_told(one) for one in given]
    try:
        return ITEMS.validate_python(told)
    except ValidationError as error:
        place = error.errors()[0]["loc"][0]
        raise ConfigurationError(f"input[{place}]: expected an item or text: {error}") from error


_READABLE: Final = ITEM_TYPES | {dict}
"""What `ITEMS` reads as it is."""


def _told(one: Given) -> object:
    if isinstance(one, str):
        return Message(role="user", content=one)
    return dict(one) if isinstance(one, Mapping) else one
