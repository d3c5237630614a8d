"""Delegation: a sub-agent's whole run as one call of its caller's.

Above: `agent` (`as_tool`). Below: the same loop again, through whatever serves the sub-agent.
The call's item holds the run's items; while it runs, its events stream inside the caller's.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, Protocol, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from antiphon.items import (
    ITEMS,
    AgentCall,
    CreateResponse,
    Event,
    Fold,
    FunctionCall,
    FunctionTool,
    Item,
    Message,
    Response,
    ResponseEvent,
    Usage,
    around,
)
from antiphon.tools import Account, BaseCall, Call, Gate, Scope, Slot

from .approval import Word, tail_of, waiting
from .setting import Setting
from .telling import told_of

_WHOLE: Final = frozenset(ResponseEvent.__subclasses__())

MAX_DEPTH: Final = 8
"""How deep runs may stand in each other; an agent that calls itself stops here."""

ContextPolicy: TypeAlias = (
    Literal["fresh", "parent"] | Callable[[Sequence[Item], str], Sequence[Item]]
)
"""What a sub-agent reads: only its input, all that its caller has read and then its input, or
what a function of the caller's items and the input gives."""


class Serve(Protocol):
    """Answers a request as one agent: `Agent.serve`."""

    def __call__(self, request: CreateResponse, setting: Setting) -> AsyncGenerator[Event, None]:
        """The events of the run."""
        ...


class _Arguments(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    input: str


@dataclass(frozen=True, slots=True)
class Delegate:
    """An agent as a tool of another (see `tools.Offer`).

    Attributes:
        agent: The sub-agent's name, as its items say it.
        function: What the caller's model sees.
        serve: Runs the sub-agent.
        context: What the sub-agent reads.
        gate: Says which runs wait for a person's word; None where none do.
    """

    agent: str
    function: FunctionTool
    serve: Serve
    context: ContextPolicy
    gate: Gate | None = None

    @property
    def item_type(self) -> str:
        """Its calls are sub-agents' runs."""
        return "antiphon:agent_call"

    @property
    def parallel(self) -> bool:
        """Several runs may go on side by side."""
        return True

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> Call:
        """A run is asked for."""
        return self._run(slot, scope, self.context)

    def resume(
        self, waits: AgentCall, words: Sequence[Word], slot: Slot, scope: Scope
    ) -> "AgentRun":
        """A run that waits goes on.

        Args:
            waits: The run so far.
            words: What was said on its requests.
            slot: Where the run that goes on stands.
            scope: The run around it; `waits` is among its items.
        """
        first = position_of(waits, scope.items)

        run = self._run(slot, replace(scope, items=scope.items[:first]), self.context)
        run.go_on(waits, words, scope.items)
        return run

    def _run(self, slot: Slot, scope: Scope, context: ContextPolicy) -> "AgentRun":
        run = AgentRun(self.agent, self.serve, slot, scope, context=context)
        if self.function.name != self.agent:
            run.called = self.function.name
        return run


def function_of(name: str, description: str) -> FunctionTool:
    """The function by which a model calls an agent: one text goes in."""
    return FunctionTool(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": {
                "input": {"type": "string", "description": "What the agent is to do, in full."}
            },
            "required": ["input"],
            "additionalProperties": False,
        },
        strict=True,
    )


def arguments_of(arguments: str) -> dict[str, str]:
    """The arguments of a call of an agent.

    Raises:
        ValidationError: They are not one text, the input.
    """
    return {"input": _Arguments.model_validate_json(arguments).input}


class AgentRun(BaseCall):
    """One run of a sub-agent: a model's call of it, or a workflow's.

    Attributes:
        response: How the run stands; None until it has begun.
        error: What its caller is told when it failed or ended early.
        called: What the caller's model called, where that is not the agent's name.
        given: The arguments, as the caller's model wrote them.
        fold: The run as it is told so far.
    """

    steps: ClassVar[str] = "antiphon:agent_call"

    def __init__(
        self, agent: str, serve: Serve, slot: Slot, scope: Scope, *, context: ContextPolicy
    ) -> None:
        super().__init__(slot)
        self.response: Response | None = None
        self.error: str | None = None
        self.called: str | None = None
        self.fold: Fold = Fold()
        self._agent = agent
        self._serve = serve
        self._policy: ContextPolicy = context
        self._scope = scope
        self.given: str = ""
        self._input: str | None = None
        self._tail: list[Item] = []
        self._words: Sequence[Word] = ()
        self._continues: str | None = None
        self._awaiting: list[str] | None = None
        self._output: list[Item] = []
        self._usage: Usage | None = None

    def item(self, status: str) -> AgentCall:
        """The receipt so far."""
        call = AgentCall(
            id=self.slot.item_id,
            status=status,
            agent=self._agent,
            name=self.called,
            input=self._input,
            usage=self._usage,
            error=self.error,
            awaiting=self._awaiting,
            continues=self._continues,
        )
        call.output = self._output  # not by the constructor, which would look at each again
        return call

    @property
    def waits(self) -> bool:
        """Whether it ended because a person has to approve something first."""
        return self._awaiting is not None

    @property
    def account(self) -> Account:
        """The budgets of the run around it."""
        return self._scope.account

    def go_on(self, waits: AgentCall, words: Sequence[Word], items: Sequence[Item]) -> None:
        """Go on from where a run of this agent waits.

        Args:
            waits: The run so far.
            words: What was said on its requests.
            items: Where it stands, among the runs that it continues.
        """
        self._continues = waits.id
        self._words = words
        self._tail = [*tail_of(waits, items), *(word.answer for word in words)]
        self.given = to_json({"input": waits.input}).decode()

    def write(self, delta: str) -> Iterable[Event]:
        """Nothing is told of the input until it is whole."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """The input is whole."""
        self.given: str = arguments
        return ()

    def fail(self, reason: str) -> Iterable[Event]:
        """The run fails, or never begins; its caller reads why."""
        self.error = reason
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """Run the sub-agent; each of its events is told inside one of ours."""
        scope = self._scope
        reason = self._accept()
        if reason is not None:
            for event in self.fail(reason):
                yield event
            return
        history, given = reading_of(self._policy, scope.items, self._input or "")
        request = CreateResponse(model=self._agent, store=False)
        request.input = [*given, *self._tail]  # not by the constructor, as above
        inner = replace(scope, path=(*scope.path, self._agent))
        setting = Setting.inside(inner, history=history, words=self._words, fold=self.fold)
        events = self._serve(request, setting)
        item_id, output_index = self.slot.item_id, self.slot.output_index
        async with aclosing(events):
            async for event in events:
                if type(event) in _WHOLE:
                    self.response = cast("ResponseEvent", event).response
                yield around(event, item_id, output_index)
        for event in self._ended():
            yield event

    def _accept(self) -> str | None:
        """Take the arguments; what is wrong with them, or None."""
        if self._scope.depth >= MAX_DEPTH:
            return f"agents stand {MAX_DEPTH} deep in each other: answer without calling another"
        try:
            self._input = arguments_of(self.given)["input"]
        except ValidationError as error:
            self._input = self.given  # the receipt keeps what was said
            return f'expected {{"input": "..."}}: {error.errors()[0]["msg"]}'
        return None

    def _ended(self) -> Iterable[Event]:
        """How the run went, as its caller is told."""
        response = self.response
        if response is None:
            return self.fail("it never began")
        self._output, self._usage = response.output, response.usage
        calls = [item.name for item in response.output if isinstance(item, FunctionCall)]
        if calls:
            return self.fail(f"it called {', '.join(calls)}, which nobody can run inside a call")
        if response.status == "completed":
            asked = waiting([*self._tail, *response.output])
            self._awaiting = [request.id for request in asked if request.id] or None
            return self.end("completed")
        if response.status == "failed" and response.error is not None:
            return self.fail(response.error.message)
        details = response.incomplete_details
        if details is not None and details.budget is not None:
            return self.fail(f"it ended early: {told_of(details.budget)}")
        return self.fail(f"it ended early: {(details and details.reason) or response.status}")


def reading_of(
    policy: ContextPolicy, items: Sequence[Item], given: str
) -> tuple[Sequence[Item], list[Item]]:
    """What a sub-agent reads: of what its caller has read, and of its own."""
    if policy == "fresh":
        return (), [Message(role="user", content=given)]
    if policy == "parent":
        return list(items), [Message(role="user", content=given)]
    return (), ITEMS.validate_python(list(policy(items, given)))  # of which nobody has seen any


def position_of(item: Item, items: Sequence[Item]) -> int:
    """Where the first of the runs stands that this one continues."""
    runs = {one.id: (at, one) for at, one in enumerate(items) if isinstance(one, AgentCall)}
    found = runs.get(item.id, (len(items), None))
    seen: set[str | None] = set()
    while found[1] is not None and found[1].continues in runs and found[1].id not in seen:
        seen.add(found[1].id)
        found = runs[found[1].continues]
    return found[0]
