"""How the laws are tried: runs with seeded ids and a clock that stands still.

So the same script (`scripts`) with the same tools (`paper`) tells the same events every time.
`check_whole` is what every finished run keeps, however it ended.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

import anyio
import anyio.lowlevel

from antiphon.agents import loop
from antiphon.items import (
    ITEMS,
    ArgumentsDelta,
    ArgumentsDone,
    CodeDelta,
    CodeDone,
    Completed,
    Created,
    CreateResponse,
    Event,
    Failed,
    FunctionCall,
    FunctionCallOutput,
    Ids,
    Incomplete,
    InProgress,
    Item,
    ItemAdded,
    ItemDone,
    ItemEvent,
    PartAdded,
    PartDone,
    Response,
    ResponseEvent,
    SummaryPartAdded,
    SummaryPartDone,
    Within,
    fold,
    parse_event,
)
from antiphon.models import Model, ModelRequest, Text
from antiphon.tools import HostedTool, Offer

from .paper import FUNCTIONS, forever, kit
from .scripts import scripted

NOW = 1_700_000_000.0


def still() -> float:
    """A clock that stands still."""
    return NOW


# --- requests ---------------------------------------------------------------

CLIENT: list[dict[str, Any]] = [
    {"type": "function", "name": "ask", "parameters": {"type": "object", "properties": {}}},
    {
        "type": "namespace",
        "name": "crm",
        "description": "customers",
        "tools": [{"type": "function", "name": "find", "parameters": None}],
    },
]
OWN: list[dict[str, Any]] = [
    *({"type": "antiphon:function", "name": one.function.name} for one in [*FUNCTIONS, forever]),
    {"type": "code_interpreter", "container": {"type": "auto"}},
]
BUILT_IN: list[dict[str, Any]] = [
    {
        "type": "mcp",
        "server_label": "antiphon",
        "connector_id": "antiphon",
        "require_approval": "never",
    },
    {"type": "code_interpreter", "container": {"type": "auto"}},
]
CLIENT_NAMES = {"ask", "find"}
OUTPUTS = "code_interpreter_call.outputs"


def body(*, own: list[dict[str, Any]] = OWN, **fields: Any) -> dict[str, Any]:
    """The body of a request that declares every tool."""
    return {"model": "scripted", "input": "go", "tools": [*own, *CLIENT], **fields}


def request(**fields: Any) -> CreateResponse:
    """A request that declares every tool."""
    return CreateResponse.model_validate(body(**fields))


class Hesitant:
    """A model that lets others run before each event, and may break off.

    Args:
        inner: What speaks.
        breaks: The event before which it breaks off.
        error: What it raises then; None just ends the stream.

    Attributes:
        closed: Whether its stream was closed, for each time it was asked.
    """

    def __init__(
        self, inner: Model, *, breaks: int | None = None, error: Exception | None = None
    ) -> None:
        self._inner = inner
        self._left = breaks
        self._error = error
        self.closed: list[bool] = []

    @property
    def name(self) -> str:
        return self._inner.name

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        turn = len(self.closed)
        self.closed.append(False)
        spoken = cast("Any", self._inner.stream(request))
        try:
            async with aclosing(spoken):
                async for event in spoken:
                    await anyio.lowlevel.checkpoint()
                    if self._left is not None:
                        self._left -= 1
                        if self._left < 0:
                            if self._error is not None:
                                raise self._error
                            return
                    yield event
        finally:
            self.closed[turn] = True

    async def aclose(self) -> None: ...


# --- running ----------------------------------------------------------------


def events_of(
    asked: CreateResponse,
    model: Model,
    *,
    tools: Sequence[Offer | HostedTool] | None = None,
    deps: Any = None,
    history: Sequence[Item] = (),
    seed: int = 7,
) -> AsyncGenerator[Event, None]:
    """The loop, with nothing left to chance."""
    return loop(
        asked,
        model=model,
        tools=kit() if tools is None else tools,
        deps=deps,
        history=history,
        ids=Ids(seed=seed),
        clock=still,
    )


async def play(asked: CreateResponse, model: Model, **how: Any) -> list[Event]:
    """All events of a run."""
    return [event async for event in events_of(asked, model, **how)]


async def play_until(
    asked: CreateResponse,
    model: Model,
    *,
    at: int | None = None,
    when: Callable[[], anyio.Event] | None = None,
    **how: Any,
) -> list[Event]:
    """The events of a run around which the scope is cancelled, at an event or at a moment."""
    told: list[Event] = []
    with anyio.fail_after(60):
        await _listen(told, events_of(asked, model, **how), at=at, when=when)
    return told


async def _listen(
    told: list[Event],
    source: AsyncGenerator[Event, None],
    *,
    at: int | None,
    when: Callable[[], anyio.Event] | None,
) -> None:
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def watch() -> None:
            assert when is not None
            await when().wait()
            scope.cancel()

        if when is not None:
            tasks.start_soon(watch)
        with scope:
            async with aclosing(source) as events:
                async for event in events:
                    told.append(event)
                    if len(told) - 1 == at:
                        scope.cancel()
        tasks.cancel_scope.cancel()


def lines(events: Sequence[Event]) -> list[bytes]:
    """Events as they go over the wire."""
    return [event.to_json() for event in events]


def end_of(events: Sequence[Event]) -> Response:
    """The response that the last event carries."""
    last = events[-1]
    assert isinstance(last, ResponseEvent), last
    return last.response


def again(items: Sequence[Item]) -> list[Item]:
    """Items as a client would send them back: through JSON."""
    return ITEMS.validate_json(ITEMS.dump_json(list(items)))


# --- what every run keeps ---------------------------------------------------

TERMINAL = (Completed, Incomplete, Failed)
CALL_ENDS = {"completed", "incomplete", "failed"}


def check_whole(events: Sequence[Event]) -> Response:
    """A finished run: numbered, every item closed, and the fold is what its last event says."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [type(event) for event in events[:2]] == [Created, InProgress]
    assert [isinstance(event, TERMINAL) for event in events] == [False] * (len(events) - 1) + [True]
    _check_items(events)
    _check_writing(events)
    response = end_of(events)
    assert fold(events).model_dump() == response.model_dump()
    read = [parse_event(event.to_json()) for event in events]
    assert fold(read).model_dump() == response.model_dump()
    assert response.usage is not None
    assert (response.completed_at is not None) == (response.status == "completed")
    return response


def _check_items(events: Sequence[Event]) -> None:
    """Each item is added in order, done once with a terminal status, and silent after that."""
    ids: list[str] = []
    done: set[int] = set()
    open_parts: set[tuple[str, int, int]] = set()
    for event in events:
        if isinstance(event, ItemEvent):
            if isinstance(event, ItemAdded):
                assert event.output_index == len(ids), "added out of order"
                assert event.item.id
                ids.append(event.item.id)
                continue
            assert isinstance(event, ItemDone)
            assert event.item.id == ids[event.output_index]
            assert event.output_index not in done, "done twice"
            assert getattr(event.item, "status", None) in CALL_ENDS, event.item
            assert not [part for part in open_parts if part[1] == event.output_index]
            done.add(event.output_index)
        elif isinstance(event, Within):
            assert event.output_index not in done, f"{event.type} after done"
            assert event.item_id == ids[event.output_index]
            if event.type == "response.function_call_arguments.done":
                assert getattr(event, "name", None) in CLIENT_NAMES
        if isinstance(event, PartAdded):
            open_parts.add(("part", event.output_index, event.content_index))
        elif isinstance(event, PartDone):
            open_parts.remove(("part", event.output_index, event.content_index))
        elif isinstance(event, SummaryPartAdded):
            open_parts.add(("summary", event.output_index, event.summary_index))
        elif isinstance(event, SummaryPartDone):
            open_parts.remove(("summary", event.output_index, event.summary_index))
    assert done == set(range(len(ids))), "an item was left open"


WRITTEN = {
    "function_call": "arguments",
    "antiphon:tool_call": "arguments",
    "mcp_call": "arguments",
    "code_interpreter_call": "code",
}


def _check_writing(events: Sequence[Event]) -> None:
    """What a model writes into a call is told in fragments and once whole."""
    fragments: dict[str, str] = {}
    wholes: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, ArgumentsDelta | CodeDelta):
            fragments[event.item_id] = fragments.get(event.item_id, "") + event.delta
        elif isinstance(event, ArgumentsDone):
            wholes.setdefault(event.item_id, []).append(event.arguments)
        elif isinstance(event, CodeDone):
            wholes.setdefault(event.item_id, []).append(event.code)
        elif isinstance(event, ItemDone) and (field := WRITTEN.get(event.item.type or "")):
            item_id = event.item.id or ""
            assert wholes[item_id] == [getattr(event.item, field)]
            assert fragments.get(item_id, "") == wholes[item_id][0]


async def context_for(items: Sequence[Item], **fields: Any) -> list[dict[str, Any]]:
    """What a model reads when these items are the input of a new request."""
    model = scripted([[Text("ok")]])
    await play(request(input=list(items), **fields), model)
    return [item.model_dump() for item in model.requests[0].items]


async def check_answered(output: Sequence[Item]) -> None:
    """Replayed, every call has its output right behind its run of calls (law 4)."""
    read = [
        FunctionCall.model_validate(item) if item["type"] == "function_call" else item
        for item in await context_for(again(output))
    ]
    waiting: list[str] = []
    for item in read:
        if isinstance(item, FunctionCall):
            waiting.append(item.call_id)
        elif item["type"] == "function_call_output":
            assert waiting, "an output without a call"
            assert waiting.pop(0) == FunctionCallOutput.model_validate(item).call_id
        else:
            assert not waiting, f"{waiting} have no output"
    assert not waiting, f"{waiting} have no output"
