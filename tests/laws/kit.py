"""What the laws are tried on: generated scripts, tools that count, and a sandbox of paper.

`play` runs the loop in this process with seeded ids and a clock that stands still, so that the
same script tells the same events every time. `check_whole` is what every finished run keeps,
however it ended.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import anyio
import anyio.lowlevel
from hypothesis import settings, strategies as st

from antiphon.agents import loop
from antiphon.errors import ModelError, ModelRetry, SandboxBusy, SandboxError, ToolFailed
from antiphon.items import (
    ITEMS,
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
    InputImage,
    InputText,
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
from antiphon.models import (
    FunctionCall as Call,
    Model,
    ModelRequest,
    Reasoning,
    Refusal,
    ScriptedModel,
    Speech,
    Stop,
    Text,
    Usage,
)
from antiphon.sandboxes import (
    CellEvent,
    Display,
    FileInfo,
    Finished,
    Isolation,
    Output,
    Sandbox,
    Started,
)
from antiphon.tools import CodeInterpreter, Context, HostedTool, Offer, Progress, tool

LAW = settings(deadline=None, max_examples=60)

NOW = 1_700_000_000.0

Script: TypeAlias = Sequence[Sequence[Speech]]


def still() -> float:
    """A clock that stands still."""
    return NOW


# --- tools ------------------------------------------------------------------


@dataclass(slots=True)
class Count:
    """The `deps` of every run: which calls were really executed, and gates that tests open."""

    ran: list[str] = field(default_factory=list[str])
    waiting: anyio.Event = field(default_factory=anyio.Event)


def _note(ctx: Context[Any], what: str) -> None:
    if isinstance(ctx.deps, Count):
        ctx.deps.ran.append(what)


@tool
async def echo(ctx: Context[Any], text: str) -> str:
    """Says it again."""
    _note(ctx, text)
    return text


@tool
async def twice(ctx: Context[Any], text: str) -> AsyncIterator[Progress | str]:
    """Says it twice, and how far it has come."""
    _note(ctx, text)
    yield Progress("half", 0.5)
    await anyio.lowlevel.checkpoint()
    yield Progress("done", 1.0)
    yield text * 2


@tool
async def picture(ctx: Context[Any], text: str) -> list[InputText | InputImage]:
    """Gives text and an image."""
    _note(ctx, text)
    url = "data:image/png;base64,iVBORw0KGgo="
    return [InputText(text=text), InputImage(image_url=url)]


@tool
async def unable(ctx: Context[Any], text: str) -> str:
    """Cannot do it."""
    _note(ctx, text)
    raise ToolFailed(f"cannot: {text}")


@tool
async def picky(ctx: Context[Any], text: str) -> str:
    """Wants it another way."""
    _note(ctx, text)
    raise ModelRetry("try other words")


@tool
async def broken(ctx: Context[Any], text: str) -> str:
    """Has a bug."""
    _note(ctx, text)
    raise KeyError(text)


@tool(parallel=False)
async def alone(ctx: Context[Any], text: str) -> str:
    """Runs beside nobody."""
    _note(ctx, text)
    await anyio.lowlevel.checkpoint()
    return text


@tool
async def forever(ctx: Context[Any], text: str) -> str:
    """Waits until it is cancelled."""
    _note(ctx, text)
    ctx.deps.waiting.set()
    await anyio.sleep_forever()
    return text


FUNCTIONS: list[Offer] = [echo, twice, picture, unable, picky, broken, alone]


# --- a sandbox of paper -----------------------------------------------------

CELLS: dict[str, list[CellEvent]] = {
    "nothing": [Started(), Finished("ok", None, False, 1)],
    "hello": [
        Started(),
        Output("stdout", "hel"),
        Output("stdout", "lo\n"),
        Output("stderr", "hm\n"),
        Display("text/plain", b"3"),
        Finished("ok", None, False, 1),
    ],
    "figure": [Started(), Display("image/png", b"\x89PNG"), Finished("ok", None, False, 1)],
    "lost": [Started(), Output("stdout", "new"), Finished("ok", None, True, 2)],
    "raise": [Started(), Output("stdout", "x"), Finished("error", "ValueError: x", False, 1)],
    "slow": [Started(), Finished("timeout", "over time", False, 1)],
    "crash": [Started(), Output("stdout", "y"), Finished("crashed", "died", True, 2)],
    "silent": [Started()],
    "mute": [],
}
"""What the cells whose source is this name do."""

OK_CELLS = ("nothing", "hello", "figure", "lost", "raise")


class PaperSandbox:
    """A sandbox whose cells do what `CELLS` says; also `busy`, `refuse`, `bug` and `wait`."""

    def __init__(self, backend: "PaperSandboxes", container_id: str) -> None:
        self._backend = backend
        self._id = container_id

    @property
    def id(self) -> str:
        return self._id

    async def run(
        self,
        code: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncGenerator[CellEvent]:
        log = self._backend.log
        source = code.strip()
        await anyio.lowlevel.checkpoint()
        if source == "busy":
            raise SandboxBusy("every place is taken.", retry_after=2)
        if source == "refuse":
            raise SandboxError("not here")
        log.append(f"begin {source}")
        try:
            if source in ("bug", "wait"):
                yield Started()
                yield Output("stdout", "so far")
                if source == "bug":
                    raise RuntimeError("a bug of the backend")
                self._backend.waiting.set()
                await anyio.sleep_forever()
            for event in CELLS.get(source, CELLS["nothing"]):
                await anyio.lowlevel.checkpoint()
                yield event
        finally:
            log.append(f"end {source}")

    async def put(self, name: str, data: bytes) -> None: ...

    async def get(self, name: str, *, limit: int = 0) -> bytes:
        return b""

    async def files(self) -> list[FileInfo]:
        return []

    async def aclose(self) -> None: ...


class PaperSandboxes:
    """A backend whose ids repeat: `cntr_1`, `cntr_2` ...

    Attributes:
        log: `begin` and `end` of every cell that was started.
        waiting: Set when a `wait` cell waits.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.waiting = anyio.Event()
        self._owners: dict[str, str] = {}

    @property
    def isolation(self) -> Isolation:
        return "none"

    def mint(self, *, principal: str, memory_limit: str | None = None) -> str:
        container_id = f"cntr_{len(self._owners) + 1}"
        self._owners[container_id] = principal
        return container_id

    def owns(self, container_id: str, principal: str) -> bool:
        return self._owners.get(container_id) == principal

    async def open(
        self, *, container_id: str, principal: str, memory_limit: str | None = None
    ) -> Sandbox:
        return PaperSandbox(self, container_id)

    async def aclose(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def kit(backend: PaperSandboxes | None = None) -> list[Offer | HostedTool]:
    """All tools that a run can have here."""
    return [*FUNCTIONS, forever, CodeInterpreter(backend or PaperSandboxes())]


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


# --- scripts ----------------------------------------------------------------

WORDS = st.text(max_size=12)
GOOD = st.fixed_dictionaries({"text": WORDS})
CODE = st.sampled_from([*CELLS, "busy", "refuse", "bug"]).map(
    lambda name: {"code": f"\n {name}\t"}
) | st.fixed_dictionaries({"code": WORDS})
WRONG = st.sampled_from(
    ["", "{", '{"text": 1}', '{"code": 3}', "[]", "null", '{"code": "a", "code": "b"}', "{}"]
) | st.text(max_size=6)
CALLS = st.one_of(
    st.builds(Call, st.sampled_from([one.function.name for one in FUNCTIONS]), GOOD | WRONG),
    st.builds(Call, st.just("code_interpreter"), CODE | WRONG),
    st.builds(Call, st.just("code_interpreter"), CODE),
    st.builds(Call, st.sampled_from(["nowhere", "antiphon", "find"]), GOOD | WRONG),
)
CLIENT_CALLS = st.builds(Call, st.sampled_from(["ask", "crm__find"]), GOOD | WRONG)
USAGE = st.builds(Usage, st.integers(0, 9), st.integers(0, 9))
PIECES = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Reasoning, WORDS, st.booleans()),
    st.builds(Refusal, WORDS),
    CALLS,
    CALLS,
    USAGE,
)
STOP = st.builds(Stop, st.sampled_from(["max_output_tokens", "content_filter"]))


@st.composite
def turn(draw: st.DrawFn, *, client: bool = True, stop: bool = True) -> list[Speech]:
    """What a model says when asked once."""
    pieces: list[Speech] = draw(st.lists(PIECES, max_size=5))
    if client and draw(st.integers(0, 4)) == 0:
        pieces.insert(draw(st.integers(0, len(pieces))), draw(CLIENT_CALLS))
    if stop and draw(st.integers(0, 9)) == 0:
        pieces.append(draw(STOP))
    return pieces


def scripts(*, client: bool = True, stop: bool = True) -> st.SearchStrategy[Script]:
    """Some turns and a last word, so that no run asks for more than there is."""
    turns = st.lists(turn(client=client, stop=stop), max_size=3)
    return turns.map(lambda some: [*some, [Text("the end.")]])


FRAGMENTS = st.none() | st.integers(1, 7)


def scripted(script: Script, fragment: int | None = None) -> ScriptedModel:
    """The script as a model."""
    return ScriptedModel(cast("Any", script), fragment=fragment)


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


BREAKS = st.sampled_from(
    [None, ModelError("the line broke", code="rate_limit_exceeded"), ValueError("a bug")]
)


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
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def watch() -> None:
            assert when is not None
            await when().wait()
            scope.cancel()

        if when is not None:
            tasks.start_soon(watch)
        with scope:
            async with aclosing(events_of(asked, model, **how)) as events:
                async for event in events:
                    told.append(event)
                    if len(told) - 1 == at:
                        scope.cancel()
        tasks.cancel_scope.cancel()
    return told


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
