"""What the runs of the laws can call: tools that count, and a sandbox of paper.

A paper sandbox does what the name in its source says, and starts no process.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.lowlevel

from antiphon.errors import ModelRetry, SandboxBusy, SandboxError, ToolFailed
from antiphon.items import InputImage, InputText
from antiphon.sandboxes import (
    Activity,
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
    "write": [Started(), Output("stdout", "made"), Finished("ok", None, False, 1)],
    "table": [Started(), Display("text/html", b"<b>1</b>", "1"), Finished("ok", None, False, 1)],
    "figure": [Started(), Display("image/png", b"\x89PNG"), Finished("ok", None, False, 1)],
    "lost": [Started(), Output("stdout", "new"), Finished("ok", None, True, 2)],
    "raise": [Started(), Output("stdout", "x"), Finished("error", "ValueError: x", False, 1)],
    "slow": [Started(), Finished("timeout", "over time", False, 1)],
    "crash": [Started(), Output("stdout", "y"), Finished("crashed", "died", True, 2)],
    "silent": [Started()],
    "mute": [],
}
"""What the cells whose source is this name do."""

OK_CELLS = ("nothing", "hello", "write", "table", "figure", "lost", "raise")


class PaperSandbox:
    """A sandbox whose cells do what `CELLS` says; also `busy`, `refuse`, `bug` and `wait`."""

    def __init__(self, backend: "PaperSandboxes", container_id: str) -> None:
        self._backend = backend
        self._id = container_id
        self._written = 0

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
            self._written += source == "write"
            for event in CELLS.get(source, CELLS["nothing"]):
                await anyio.lowlevel.checkpoint()
                yield event
        finally:
            log.append(f"end {source}")

    async def put(self, name: str, data: bytes) -> None: ...

    async def get(self, name: str, *, limit: int = 0) -> bytes:
        return b""

    async def remove(self, name: str) -> None: ...

    async def files(self) -> list[FileInfo]:
        return [FileInfo("made.csv", self._written, 1.0)] if self._written else []

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
        self._opened: dict[str, PaperSandbox] = {}

    @property
    def isolation(self) -> Isolation:
        return "none"

    def mint(
        self,
        *,
        principal: str,
        memory_limit: str | None = None,
        container_id: str | None = None,
        idle: float | None = None,
    ) -> str:
        container_id = container_id or f"cntr_{len(self._owners) + 1}"
        self._owners[container_id] = principal
        return container_id

    def owns(self, container_id: str, principal: str) -> bool:
        return self._owners.get(container_id) == principal

    def activity(self, container_id: str, principal: str) -> Activity | None:
        owned = self.owns(container_id, principal)
        return Activity(1.0, 1.0, 1200.0, None, expired=False) if owned else None

    async def open(
        self, *, container_id: str, principal: str, memory_limit: str | None = None
    ) -> Sandbox:
        return self._opened.setdefault(container_id, PaperSandbox(self, container_id))

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
