"""Telemetry: OpenTelemetry spans as one more projection of a response's canonical events.

`invoke_agent {name}`, `invoke_workflow {name}` or `chat {model}` for a response, beneath it
`execute_tool {name}` for each call that was run here and `invoke_agent {name}` for each
sub-agent's run, with its own calls beneath that. A request's `traceparent` is the parent of all;
what is done meanwhile (a request to a model's server, say) is a child. No prompt, argument,
output or error message is in them, only names, ids, numbers and how it ended.

Whoever wants spans configures OpenTelemetry's SDK, before or after; without one nothing is
imported, made or wrapped. Source: OpenTelemetry, Semantic Conventions for Generative AI (agent,
inference and execute-tool spans; status: development).

Above: `opened`. Below: `opentelemetry-api`, `access` (a request's headers). Not here: exporters.
"""

import sys
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from antiphon.agents import Agent, Workflow
from antiphon.items import (
    AgentCall,
    AgentEvent,
    ArgumentsDone,
    CallStatus,
    CodeDone,
    CodeInterpreterCall,
    Completed,
    CreateResponse,
    Event,
    Failed,
    FileSearchCall,
    FunctionCall,
    Handoff,
    ImageGenerationCall,
    Incomplete,
    Item,
    ItemAdded,
    ItemDone,
    McpCall,
    Response,
    ResponseEvent,
    ShellCallOutput,
    ToolCall,
    Usage,
    WebSearchCall,
)

from .access import carried
from .catalogue import Catalogue

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

Kind: TypeAlias = Literal["chat", "invoke_agent", "invoke_workflow"]
"""What a response is the work of: a model, an agent, a workflow."""

PROVIDER: Final = "antiphon"

_TERMINAL: Final = (Completed, Incomplete, Failed)
_NAMED: Final = (ToolCall, McpCall, Handoff)
_HOSTED: Final = (CodeInterpreterCall, FileSearchCall, WebSearchCall, ImageGenerationCall)
_RUNNING: Final = (".interpreting", ".searching", ".generating")
_LENGTH: Final = ("max_output_tokens", "budget_tokens")


def traced(
    events: AsyncGenerator[Event, None],
    *,
    request: CreateResponse,
    response: Response,
    catalogue: Catalogue,
) -> AsyncGenerator[Event, None]:
    """The same events, with spans made of them; the very same object where nobody wants spans.

    Args:
        events: A run, behind its first event.
        request: What was asked, whole.
        response: The response as it was created.
        catalogue: Knows who answers to the request's model.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")  # an SDK has it imported
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return events
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation import tracecontext

    # Where a server's own instrumentation has begun a span already, that is the parent.
    inside = trace.get_current_span().get_span_context().is_valid
    carrier = {} if inside else carried("traceparent", "tracestate")
    around = tracecontext.TraceContextTextMapPropagator().extract(carrier) if carrier else None
    tracer: Tracer = trace.get_tracer(PROVIDER)
    name = request.model or ""
    who = catalogue.find(request.model)
    kind: Kind = "chat"
    if isinstance(who, Agent | Workflow):
        kind = "invoke_agent" if isinstance(who, Agent) else "invoke_workflow"
    span = tracer.start_span(
        f"{kind} {name}",
        around,
        SpanKind.CLIENT if kind == "chat" else SpanKind.INTERNAL,
        _asked(request, response, kind, name),
    )
    if not span.is_recording():
        return events
    context: Context = trace.set_span_in_context(span, around)
    return _Traced(events, _Run(tracer, span, context), context)


class _Traced(AsyncGenerator[Event, None]):
    """Events that are looked at in passing; each step of the run is taken inside its span."""

    def __init__(
        self, events: AsyncGenerator[Event, None], run: "_Run", context: "Context"
    ) -> None:
        self._events = events
        self._run = run
        self._context = context

    async def asend(self, value: None) -> Event:
        return await self._step(self._events.asend(value))

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> Event:
        error: BaseException = typ if val is None else val
        return await self._step(self._events.athrow(error))

    async def aclose(self) -> None:
        try:
            await self._events.aclose()
        finally:
            self._run.end(None)

    async def _step(self, step: Any) -> Event:
        from opentelemetry.context import attach, detach

        token = attach(self._context)
        try:
            event = await step
        except BaseException as error:
            self._run.end(error)
            raise
        finally:
            detach(token)
        self._run.see(event)
        return event


class _Run:
    """The spans of one run: its own, and those of its calls.

    Args:
        tracer: Makes spans.
        span: The run's own.
        context: A context in which that span is the current one.
    """

    def __init__(self, tracer: "Tracer", span: "Span", context: "Context") -> None:
        self._tracer = tracer
        self._span = span
        self._context = context
        self._began: dict[int, int] = {}  # output_index -> nanoseconds
        self._agents: dict[int, _Run] = {}
        self._ended = False

    def see(self, event: Event) -> None:
        """Look at one event of the run."""
        if isinstance(event, AgentEvent):
            child = self._agents.get(event.output_index)
            if child is not None:
                child.see(event.event)
        elif isinstance(event, ItemAdded):
            if isinstance(event.item, AgentCall):
                self._agents[event.output_index] = self._child(event.item)
            elif _tool(event.item) is not None:
                self._began[event.output_index] = time.time_ns()
        elif isinstance(event, ItemDone):
            self._done(event.output_index, event.item)
        elif isinstance(event, ArgumentsDone | CodeDone) or (
            isinstance(event, CallStatus) and event.type.endswith(_RUNNING)
        ):
            if event.output_index in self._began:  # until now it was only written
                self._began[event.output_index] = time.time_ns()
        elif isinstance(event, _TERMINAL):
            self._close(cast("ResponseEvent", event).response)

    def end(self, error: BaseException | None) -> None:
        """The run was broken off, if it has not ended: so are its calls."""
        if self._ended:
            return
        if error is not None and not isinstance(error, StopAsyncIteration):
            _fault(self._span, type(error).__name__)
        self._finish()

    def _close(self, response: Response) -> None:
        """The run has ended as its response says."""
        said: dict[str, Any] = {
            "gen_ai.response.finish_reasons": [_finish(response)],
            "gen_ai.response.model": response.model,
            **_used(response.usage),
        }
        if response.error is not None:
            _fault(self._span, response.error.code)
        self._span.set_attributes(said)
        self._finish()

    def _finish(self) -> None:
        self._ended = True
        for child in self._agents.values():
            child.end(None)
        self._span.end()

    def _child(self, item: AgentCall) -> "_Run":
        from opentelemetry.trace import set_span_in_context

        span = self._tracer.start_span(
            f"invoke_agent {item.agent}",
            self._context,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.agent.name": item.agent,
                "gen_ai.tool.call.id": item.id or "",
            },
        )
        return _Run(self._tracer, span, set_span_in_context(span, self._context))

    def _done(self, index: int, item: Item) -> None:
        child = self._agents.pop(index, None)
        if child is not None and isinstance(item, AgentCall):
            child._close_call(item)
            return
        began, named = self._began.pop(index, None), _tool(item)
        if began is None or named is None:
            return
        name, kind = named
        span = self._tracer.start_span(
            f"execute_tool {name}",
            self._context,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.type": kind,
                "gen_ai.tool.call.id": getattr(item, "id", None) or "",
            },
            start_time=began,
        )
        _judge(span, getattr(item, "status", None))
        span.end()

    def _close_call(self, item: AgentCall) -> None:
        """A sub-agent's run has ended as its item says."""
        if not self._ended:
            self._span.set_attributes(_used(item.usage))
            _judge(self._span, item.status)
            self._finish()


def _asked(
    request: CreateResponse, response: Response, kind: Kind, name: str
) -> dict[str, str | int | float | bool]:
    said: dict[str, Any] = {
        "gen_ai.operation.name": kind,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": name,
        "gen_ai.response.id": response.id,
        "gen_ai.conversation.id": request.conversation_id,
        "gen_ai.request.max_tokens": request.max_output_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.stream": bool(request.stream) or None,
        "gen_ai.agent.name": name if kind == "invoke_agent" else None,
        "gen_ai.workflow.name": name if kind == "invoke_workflow" else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _used(usage: Usage | None) -> dict[str, int]:
    if usage is None:
        return {}
    read, reasoned = usage.input_tokens_details, usage.output_tokens_details
    details = {
        "gen_ai.usage.cache_read.input_tokens": read.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": read.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": reasoned.reasoning_tokens,
    }
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        **{name: count for name, count in details.items() if count},
    }


def _finish(response: Response) -> str:
    """Why it ended, in the convention's words where it has one."""
    if response.status == "completed":
        calls = response.output and isinstance(response.output[-1], FunctionCall)
        return "tool_call" if calls else "stop"
    details = response.incomplete_details
    reason = None if details is None else details.reason
    if response.status != "incomplete" or reason is None:
        return "error" if response.status == "failed" else response.status
    return "length" if reason in _LENGTH else reason


def _tool(item: Item) -> tuple[str, str] | None:
    """The name and kind of the tool that an item is a call of; None if it is no such thing."""
    if isinstance(item, _NAMED):
        return item.name, "function"
    if isinstance(item, ShellCallOutput):  # it is added when the commands begin to run
        return "shell", "extension"
    if isinstance(item, _HOSTED):
        kind = "datastore" if isinstance(item, FileSearchCall) else "extension"
        return item.type.removesuffix("_call"), kind
    return None


def _judge(span: "Span", status: str | None) -> None:
    if status in ("failed", "incomplete"):
        _fault(span, status)


def _fault(span: "Span", what: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", what)
    span.set_status(Status(StatusCode.ERROR))
