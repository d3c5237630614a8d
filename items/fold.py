"""`fold`: events in, `Response` out. Nothing else builds one.

Every item is accumulated from its own events, so a stream that was cut folds to exactly what
was said. A terminal event gives the envelope (status, usage, error), never the output.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from .event import (
    AgentEvent,
    AnnotationAdded,
    ArgumentsDelta,
    ArgumentsDone,
    CodeDelta,
    CodeDone,
    CustomInputDelta,
    CustomInputDone,
    Event,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    RefusalDone,
    ResponseEvent,
    SummaryDelta,
    SummaryDone,
    SummaryPartAdded,
    SummaryPartDone,
    TextDelta,
    TextDone,
)
from .event_shell import (
    ShellCommandAdded,
    ShellCommandDelta,
    ShellCommandDone,
    ShellOutputDone,
)
from .item import Item
from .part import OutputText, Part, ReasoningText, Refusal, SummaryText
from .response import Response
from .shell import ShellCall, ShellCallOutput

Handler: TypeAlias = Callable[["Fold", Any], None]


class Passage:
    """One content part in the making."""

    __slots__ = ("annotations", "closed", "part", "text", "told")

    def __init__(self, part: Part, *, closed: bool = False) -> None:
        self.part: Part = part
        self.closed: bool = closed
        self.told: bool = closed
        self.text: list[str] = []
        self.annotations: list[Any] = []

    def finished(self) -> Part:
        """The part with all that was said of it."""
        said: dict[str, Any] = {}
        if self.text:
            said["refusal" if isinstance(self.part, Refusal) else "text"] = "".join(self.text)
        if self.annotations:
            said["annotations"] = list(self.annotations)  # what is handed out never grows
        return self.part.model_copy(update=said) if said else self.part


class Draft:
    """One item in the making: what was added, and what has been said since."""

    __slots__ = ("added", "child", "closed", "commands", "fields", "parts", "summary", "whole")

    def __init__(self, added: Item) -> None:
        self.added: Item = added
        self.whole: Item | None = None
        self.parts: dict[int, Passage] = {}
        self.summary: dict[int, Passage] = {}
        self.fields: dict[str, list[str]] = {}
        self.closed: set[str] = set()
        self.commands: dict[int, list[str]] = {}
        self.child: Fold | None = None

    def item(self) -> Item:
        """The finished item, or what is known of it so far."""
        if self.whole is not None:
            return self.whole
        said: dict[str, Any] = {name: "".join(text) for name, text in self.fields.items()}
        if self.parts:
            said["content"] = [self.parts[index].finished() for index in sorted(self.parts)]
        if self.summary:
            said["summary"] = [self.summary[index].finished() for index in sorted(self.summary)]
        if self.child is not None:
            said["output"] = self.child.output
        if self.commands and isinstance(self.added, ShellCall):
            commands = ["".join(self.commands[index]) for index in sorted(self.commands)]
            said["action"] = self.added.action.model_copy(update={"commands": commands})
        return self.added.model_copy(update=said) if said else self.added

    def passage(self, index: int, kind: type[Any]) -> Passage:
        """The passage at an index; made when a sloppy peer never announced it."""
        passages = self.summary if kind is SummaryText else self.parts
        if index not in passages:
            empty = kind(refusal="") if kind is Refusal else kind(text="")
            passages[index] = Passage(empty)
        return passages[index]


class _Drafts(dict[int, Draft]):
    def __missing__(self, index: int) -> Draft:
        raise ValueError(
            f"expected a `response.output_item.added` for output_index {index} before any other "
            "event about it; got none: the stream is not whole"
        )


class Fold:
    """The state of one response while its events arrive.

    Usage: `add` every event in order; read `response` at any time.

    Attributes:
        runs: Where sub-agents' runs that are made here are folded, by output index.
        followed: Output indexes of those that have begun, and fold their events themselves.
    """

    __slots__ = ("drafts", "envelope", "followed", "runs")

    def __init__(self) -> None:
        self.runs: dict[int, Fold] = {}
        self.followed: set[int] = set()
        self.envelope: Response | None = None
        self.drafts: dict[int, Draft] = _Drafts()

    def add(self, event: Event) -> None:
        """Take in one event. Events that carry nothing (status, progress, unknown) pass.

        Raises:
            ValueError: The event speaks of an item that was never added.
        """
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def follow(self, index: int, inside: "Fold") -> None:
        """A sub-agent's run at this output index folds its events itself, here: they need not be
        folded once more for each level that they are deep. A run that does not, is folded.
        """
        self.runs[index] = inside

    def begin(self, draft: Draft, index: int) -> "Fold":
        """The fold of a sub-agent's run, whose first event is here."""
        inside = self.runs.get(index)
        if inside is None or inside.envelope is None:
            inside = Fold()
        else:
            self.followed.add(index)
        draft.child = inside
        return inside

    @property
    def output(self) -> list[Item]:
        """The items so far, in order of `output_index`."""
        return [self.drafts[index].item() for index in sorted(self.drafts)]

    @property
    def response(self) -> Response:
        """The response so far: the last envelope with the output that the events built.

        Raises:
            ValueError: No response event has come yet.
        """
        if self.envelope is None:
            raise ValueError("expected a `response.created` event first; got none: nothing to fold")
        return self.envelope.model_copy(update={"output": self.output})


def _take_envelope(fold: Fold, event: ResponseEvent) -> None:
    fold.envelope = event.response


def _item_added(fold: Fold, event: ItemAdded) -> None:
    fold.drafts[event.output_index] = Draft(event.item)


def _item_done(fold: Fold, event: ItemDone) -> None:
    draft = fold.drafts.get(event.output_index)
    if draft is None:
        draft = fold.drafts[event.output_index] = Draft(event.item)
    draft.whole = event.item


def _part_added(fold: Fold, event: PartAdded) -> None:
    fold.drafts[event.output_index].parts[event.content_index] = Passage(event.part)


def _part_done(fold: Fold, event: PartDone) -> None:
    passage = Passage(event.part, closed=True)
    fold.drafts[event.output_index].parts[event.content_index] = passage


def _summary_added(fold: Fold, event: SummaryPartAdded) -> None:
    fold.drafts[event.output_index].summary[event.summary_index] = Passage(event.part)


def _summary_done(fold: Fold, event: SummaryPartDone) -> None:
    passage = Passage(event.part, closed=True)
    fold.drafts[event.output_index].summary[event.summary_index] = passage


def _annotation(fold: Fold, event: AnnotationAdded) -> None:
    passage = fold.drafts[event.output_index].passage(event.content_index, OutputText)
    passage.annotations.append(event.annotation)


def _agent_event(fold: Fold, event: AgentEvent) -> None:
    """A sub-agent's own event: its items are folded in their turn."""
    draft = fold.drafts[event.output_index]
    child = draft.child or fold.begin(draft, event.output_index)
    if event.output_index not in fold.followed:
        child.add(event.event)


def _more_text(kind: type[Any]) -> Handler:
    def handler(fold: Fold, event: TextDelta) -> None:
        fold.drafts[event.output_index].passage(event.content_index, kind).text.append(event.delta)

    return handler


def _whole_text(kind: type[Any], field: str = "text") -> Handler:
    def handler(fold: Fold, event: TextDone) -> None:
        passage = fold.drafts[event.output_index].passage(event.content_index, kind)
        passage.text, passage.told = [getattr(event, field)], True

    return handler


def _more_summary(fold: Fold, event: SummaryDelta) -> None:
    draft = fold.drafts[event.output_index]
    draft.passage(event.summary_index, SummaryText).text.append(event.delta)


def _whole_summary(fold: Fold, event: SummaryDone) -> None:
    passage = fold.drafts[event.output_index].passage(event.summary_index, SummaryText)
    passage.text, passage.told = [event.text], True


def _more_field(field: str) -> Handler:
    def handler(fold: Fold, event: ArgumentsDelta) -> None:
        fold.drafts[event.output_index].fields.setdefault(field, []).append(event.delta)

    return handler


def _whole_field(field: str) -> Handler:
    def handler(fold: Fold, event: ArgumentsDone) -> None:
        draft = fold.drafts[event.output_index]
        draft.fields[field] = [getattr(event, field)]
        draft.closed.add(field)

    return handler


def _shell_begins(fold: Fold, event: ShellCommandAdded) -> None:
    fold.drafts[event.output_index].commands[event.command_index] = [event.command]


def _shell_writes(fold: Fold, event: ShellCommandDelta) -> None:
    commands = fold.drafts[event.output_index].commands
    commands.setdefault(event.command_index, []).append(event.delta)


def _shell_written(fold: Fold, event: ShellCommandDone) -> None:
    draft = fold.drafts[event.output_index]
    draft.commands[event.command_index] = [event.command]
    draft.closed.add(f"commands[{event.command_index}]")


def _shell_output(fold: Fold, event: ShellOutputDone) -> None:
    draft = fold.drafts[event.output_index]
    if isinstance(draft.added, ShellCallOutput):
        output = [*draft.added.output, *event.output]
        draft.added = draft.added.model_copy(update={"output": output})


_HANDLERS: dict[type[Event], Handler] = {
    ItemAdded: _item_added,
    ItemDone: _item_done,
    PartAdded: _part_added,
    PartDone: _part_done,
    SummaryPartAdded: _summary_added,
    SummaryPartDone: _summary_done,
    AnnotationAdded: _annotation,
    AgentEvent: _agent_event,
    TextDelta: _more_text(OutputText),
    TextDone: _whole_text(OutputText),
    RefusalDelta: _more_text(Refusal),
    RefusalDone: _whole_text(Refusal, "refusal"),
    ReasoningDelta: _more_text(ReasoningText),
    ReasoningDone: _whole_text(ReasoningText),
    SummaryDelta: _more_summary,
    SummaryDone: _whole_summary,
    ArgumentsDelta: _more_field("arguments"),
    ArgumentsDone: _whole_field("arguments"),
    CodeDelta: _more_field("code"),
    CodeDone: _whole_field("code"),
    CustomInputDelta: _more_field("input"),
    CustomInputDone: _whole_field("input"),
    ShellCommandAdded: _shell_begins,
    ShellCommandDelta: _shell_writes,
    ShellCommandDone: _shell_written,
    ShellOutputDone: _shell_output,
}
for _kind in ResponseEvent.__subclasses__():
    _HANDLERS[_kind] = _take_envelope


def fold(events: Iterable[Event]) -> Response:
    """The response that these events tell.

    Raises:
        ValueError: There was no response event among them, or an item was never added.
    """
    state = Fold()
    for event in events:
        state.add(event)
    return state.response
