"""Delegation: a sub-agent's whole run as one call of its caller's.

Above: `agent` (`as_tool`). Below: the same loop again, through whatever serves the sub-agent.
The call's item holds the run's items; while it runs, its events stream inside the caller's.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.items import (
    AgentCall,
    AgentEvent,
    Clock,
    CreateResponse,
    Event,
    FunctionCall,
    FunctionTool,
    Ids,
    Item,
    Message,
    Response,
    ResponseEvent,
    Usage,
)
from antiphon.tools import BaseCall, Call, Scope, Slot

MAX_DEPTH: Final = 8
"""How deep runs may stand in each other; an agent that calls itself stops here."""

ContextPolicy: TypeAlias = (
    Literal["fresh", "parent"] | Callable[[Sequence[Item], str], Sequence[Item]]
)
"""What a sub-agent reads: only its input, all that its caller has read and then its input, or
what a function of the caller's items and the input gives."""


class Serve(Protocol):
    """Answers a request as one agent: `Agent.serve`."""

    def __call__(
        self,
        request: CreateResponse,
        *,
        principal: str,
        deps: Any,
        ids: Ids,
        clock: Clock,
        parent: Scope,
    ) -> AsyncGenerator[Event, None]:
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
    """

    agent: str
    function: FunctionTool
    serve: Serve
    context: ContextPolicy

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
        run = AgentRun(self.agent, self.serve, slot, scope, context=self.context)
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


class AgentRun(BaseCall):
    """One run of a sub-agent: a model's call of it, or a workflow's.

    Attributes:
        response: How the run stands; None until it has begun.
        error: What its caller is told when it failed or ended early.
        called: What the caller's model called, where that is not the agent's name.
    """

    steps: ClassVar[str] = "antiphon:agent_call"

    def __init__(
        self, agent: str, serve: Serve, slot: Slot, scope: Scope, *, context: ContextPolicy
    ) -> None:
        super().__init__(slot)
        self.response: Response | None = None
        self.error: str | None = None
        self.called: str | None = None
        self._agent = agent
        self._serve = serve
        self._policy: ContextPolicy = context
        self._scope = scope
        self._arguments = ""
        self._input: str | None = None
        self._output: list[Item] = []
        self._usage: Usage | None = None

    def item(self, status: str) -> AgentCall:
        """The receipt so far."""
        return AgentCall(
            id=self.slot.item_id,
            status=status,
            agent=self._agent,
            name=self.called,
            input=self._input,
            output=self._output,
            usage=self._usage,
            error=self.error,
        )

    def write(self, delta: str) -> Iterable[Event]:
        """Nothing is told of the input until it is whole."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """The input is whole."""
        self._arguments = arguments
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
        request = CreateResponse(model=self._agent, input=self._context(), store=False)
        events = self._serve(
            request,
            principal=scope.principal,
            deps=scope.deps,
            ids=scope.ids,
            clock=scope.clock,
            parent=scope,
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, ResponseEvent):
                    self.response = event.response
                yield AgentEvent(
                    item_id=self.slot.item_id, output_index=self.slot.output_index, event=event
                )
        for event in self._ended():
            yield event

    def _accept(self) -> str | None:
        """Take the arguments; what is wrong with them, or None."""
        if self._scope.depth >= MAX_DEPTH:
            return f"agents stand {MAX_DEPTH} deep in each other: answer without calling another"
        try:
            self._input = _Arguments.model_validate_json(self._arguments).input
        except ValidationError as error:
            self._input = self._arguments  # the receipt keeps what was said
            return f'expected {{"input": "..."}}: {error.errors()[0]["msg"]}'
        return None

    def _context(self) -> list[Item]:
        """What the sub-agent reads."""
        words = self._input or ""
        policy = self._policy
        if policy == "fresh":
            return [Message(role="user", content=words)]
        if policy == "parent":
            return [*self._scope.items, Message(role="user", content=words)]
        return list(policy(self._scope.items, words))

    def _ended(self) -> Iterable[Event]:
        """How the run went, as its caller is told."""
        response = self.response
        if response is None:
            return self.fail("it never began")
        self._output, self._usage = response.output, response.usage
        waiting = [item.name for item in response.output if isinstance(item, FunctionCall)]
        if waiting:
            return self.fail(f"it called {', '.join(waiting)}, which nobody can run inside a call")
        if response.status == "completed":
            return self.end("completed")
        if response.status == "failed" and response.error is not None:
            return self.fail(response.error.message)
        details = response.incomplete_details
        return self.fail(f"it ended early: {(details and details.reason) or response.status}")
