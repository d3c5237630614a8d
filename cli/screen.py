"""The screen: a run's events, shown as they happen.

Above: `demo`, `chat`. Below: `paper`, which knows lines and colours. Not here: what is kept of
a run; the items themselves are the only state.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from antiphon.items import (
    AgentCall,
    AgentEvent,
    ArgumentsDelta,
    CallStatus,
    CodeDelta,
    CodeDone,
    CodeInterpreterCall,
    CodeOutputDelta,
    Completed,
    CustomInputDelta,
    ErrorEvent,
    Event,
    Failed,
    Image,
    Incomplete,
    InProgress,
    Item,
    ItemAdded,
    ItemDone,
    Logs,
    McpCall,
    ReasoningDelta,
    RefusalDelta,
    Response,
    SummaryDelta,
    TextDelta,
    ToolCall,
    ToolProgress,
    text_of,
)

from .paper import Paper

_LONG: Final = 100_000
"""Characters of printed text beyond which a receipt may be shortened."""


class Screen:
    """Shows one run after another.

    Args:
        paper: Where to write.
        picture: Takes an image's URL, and says where the picture can be seen.
    """

    def __init__(self, paper: Paper, *, picture: Callable[[str], str]) -> None:
        self._paper = paper
        self._picture = picture
        self._titles: dict[int, str] = {}
        self._printed: dict[int, str] = {}
        self._began: dict[int, float] = {}
        self._current: int | None = None

    def show(self, event: Event) -> None:
        """Show one event; most kinds say nothing that a person needs to see."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _working(self, event: InProgress) -> None:
        self._titles.clear()
        self._printed.clear()
        self._began.clear()
        self._current = None
        self._paper.spin("waiting for the model")

    def _added(self, event: ItemAdded) -> None:
        self._titles[event.output_index] = _title(event.item)
        self._turn_to(event.output_index)
        if isinstance(event.item, ToolCall | AgentCall):
            self._began[event.output_index] = time.monotonic()

    def _turn_to(self, index: int) -> None:
        """Write under this item's title: calls of one turn run at once and take turns."""
        self._paper.still()
        if index != self._current:
            self._current = index
            self._paper.title(self._titles.get(index, "item"))

    def _text(self, event: TextDelta | RefusalDelta) -> None:
        self._turn_to(event.output_index)
        self._paper.prose(event.delta)

    def _thought(self, event: ReasoningDelta | SummaryDelta) -> None:
        self._turn_to(event.output_index)
        self._paper.prose(event.delta, style="dim italic")

    def _code(self, event: CodeDelta) -> None:
        self._turn_to(event.output_index)
        self._paper.code(event.delta)

    def _code_done(self, event: CodeDone) -> None:
        self._turn_to(event.output_index)
        self._paper.end_code()

    def _arguments(self, event: ArgumentsDelta | CustomInputDelta) -> None:
        self._turn_to(event.output_index)
        self._paper.text(event.delta, style="cyan")

    def _status(self, event: CallStatus) -> None:
        step = event.type.rpartition(".")[2]
        if step in ("in_progress", "completed", "failed"):
            return  # the item's own beginning and end say it
        self._turn_to(event.output_index)
        self._began[event.output_index] = time.monotonic()
        self._paper.status(f"{step} ...")
        self._paper.spin(step)

    def _output(self, event: CodeOutputDelta) -> None:
        self._turn_to(event.output_index)
        self._printed[event.output_index] = self._printed.get(event.output_index, "") + event.delta
        self._paper.text(event.delta, style="yellow" if event.stream == "stderr" else "")

    def _progress(self, event: ToolProgress) -> None:
        self._turn_to(event.output_index)
        share = "" if event.fraction is None else f"{event.fraction:.0%} "
        self._paper.status(f"{share}{event.message}")

    def _agent(self, event: AgentEvent) -> None:
        """Of a sub-agent's own run: which items it makes."""
        if isinstance(event.event, ItemAdded):
            self._turn_to(event.output_index)
            self._paper.status(event.event.item.type or "item")

    def _done(self, event: ItemDone) -> None:
        self._turn_to(event.output_index)
        item: Any = event.item
        if isinstance(item, CodeInterpreterCall):
            self._outputs(item, event.output_index)
        elif isinstance(item, ToolCall | McpCall) and item.output:
            self._paper.end()
            self._paper.text(text_of(item.output))
        self._paper.end()
        if error := getattr(item, "error", None):
            self._paper.status(str(error), bad=True)
        status = getattr(item, "status", None) or "completed"
        began = self._began.pop(event.output_index, None)
        if began is not None:
            self._paper.status(f"{status} in {_seconds(began)}", bad=_bad(status))
        elif _bad(status):
            self._paper.status(status, bad=True)

    def _outputs(self, item: CodeInterpreterCall, index: int) -> None:
        """What the receipt holds beyond what was printed live: values, tracebacks, pictures."""
        printed = self._printed.pop(index, "")
        for output in item.outputs or ():
            if isinstance(output, Logs):
                for line in _unseen(output.logs, printed):
                    self._paper.end()
                    self._paper.text(line)
            elif isinstance(output, Image):
                self._paper.end()
                self._paper.status(f"picture: {self._picture(output.url)}")

    def _ended(self, event: Completed | Incomplete | Failed) -> None:
        self._paper.still()
        self._paper.end()
        response = event.response
        self._current = None
        if response.status != "completed":
            why = _reason(response)
            more = "" if why == response.status else f": {why}"
            self._paper.note(f"response {response.status}{more}", style="red")

    def _error(self, event: ErrorEvent) -> None:
        self._paper.still()
        self._paper.end()
        said = event.error or event.model_extra or {}
        self._paper.note(f"error: {said.get('message', 'the stream broke')}", style="red")


def _unseen(logs: str, printed: str) -> Iterator[str]:
    """The lines of a receipt that were not shown as they were printed."""
    seen = printed.splitlines()
    at = 0
    for line in logs.splitlines():
        if at < len(seen) and line == seen[at]:
            at += 1
        elif len(printed) < _LONG:  # beyond it, the receipt has a gap, and lines do not pair
            yield line


def _title(item: Item) -> str:
    """What an item is, in the words of the protocol, and which tool or container it is about."""
    for field in ("name", "agent", "container_id", "server_label"):
        about = getattr(item, field, None)
        if about:
            return f"{item.type} {_short(about)}"
    return str(item.type)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:14]}..."


def _seconds(began: float) -> str:
    took = time.monotonic() - began
    return f"{took * 1000:.0f} ms" if took < 1 else f"{took:.1f} s"


def _bad(status: str) -> bool:
    return status in ("failed", "incomplete")


def _reason(response: Response) -> str:
    if response.error is not None:
        return response.error.message
    details = response.incomplete_details
    return (details and details.reason) or "it did not say why"


_HANDLERS: dict[type[Event], Callable[[Screen, Any], None]] = {
    InProgress: Screen._working,  # pyright: ignore[reportPrivateUsage]
    ItemAdded: Screen._added,  # pyright: ignore[reportPrivateUsage]
    ItemDone: Screen._done,  # pyright: ignore[reportPrivateUsage]
    TextDelta: Screen._text,  # pyright: ignore[reportPrivateUsage]
    RefusalDelta: Screen._text,  # pyright: ignore[reportPrivateUsage]
    ReasoningDelta: Screen._thought,  # pyright: ignore[reportPrivateUsage]
    SummaryDelta: Screen._thought,  # pyright: ignore[reportPrivateUsage]
    CodeDelta: Screen._code,  # pyright: ignore[reportPrivateUsage]
    CodeDone: Screen._code_done,  # pyright: ignore[reportPrivateUsage]
    CodeOutputDelta: Screen._output,  # pyright: ignore[reportPrivateUsage]
    CallStatus: Screen._status,  # pyright: ignore[reportPrivateUsage]
    ArgumentsDelta: Screen._arguments,  # pyright: ignore[reportPrivateUsage]
    CustomInputDelta: Screen._arguments,  # pyright: ignore[reportPrivateUsage]
    ToolProgress: Screen._progress,  # pyright: ignore[reportPrivateUsage]
    AgentEvent: Screen._agent,  # pyright: ignore[reportPrivateUsage]
    Completed: Screen._ended,  # pyright: ignore[reportPrivateUsage]
    Incomplete: Screen._ended,  # pyright: ignore[reportPrivateUsage]
    Failed: Screen._ended,  # pyright: ignore[reportPrivateUsage]
    ErrorEvent: Screen._error,  # pyright: ignore[reportPrivateUsage]
}
