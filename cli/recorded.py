"""A recorded run as a tree: its items, the events of each, and the runs inside them.

Above: `replay` and its parts, `trace`. Below: `run_file` (the events in a row). Not here: what
is done with them.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from antiphon.items import (
    AgentCall,
    AgentEvent,
    Fold,
    Handoff,
    Item,
    ItemDone,
    ItemEvent,
    Response,
    ResponseEvent,
    Usage,
    Within,
)

from .run_file import Told

_SPOKEN: Final = frozenset({"function_call", "custom_tool_call", "computer_call"})
"""Calls that whoever asked runs; all others are run here."""

ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""The types of last events."""


@dataclass(slots=True, eq=False)
class RecordedItem:
    """One item of a run.

    Attributes:
        index: Its place in the output.
        item: The item as it was in the end, or as far as it was told.
        events: Its own events; those of the run inside it are its `child`'s.
        child: The run inside it, if it is a sub-agent's.
    """

    index: int
    item: Item
    events: list[Told] = field(default_factory=list[Told])
    child: "RecordedRun | None" = None

    @property
    def added(self) -> Told:
        """Its first event."""
        return self.events[0]

    @property
    def done(self) -> Told | None:
        """Its last event, if it was finished."""
        last = self.events[-1]
        return last if isinstance(last.event, ItemDone) else None

    def told(self) -> Iterator[Told]:
        """Its events and those of the run inside it; in no order."""
        yield from self.events
        if self.child is not None:
            yield from self.child.told()

    @property
    def status(self) -> str:
        """Its status; what has none is completed when it is done."""
        told = getattr(self.item, "status", None)
        return told or ("completed" if self.done else "in_progress")


@dataclass(slots=True, eq=False)
class RecordedRun:
    """One run: that which was asked for, or one inside it.

    Attributes:
        events: The events of its response; those of its items are theirs.
        items: Its items, in the order in which they were added.
        cut: Why it breaks off before its end: `torn` or `cancelled`; None for a whole one.
    """

    events: list[Told] = field(default_factory=list[Told])
    items: list[RecordedItem] = field(default_factory=list[RecordedItem])
    cut: str | None = None

    @property
    def response(self) -> Response | None:
        """The response as its last event has it."""
        last = self.events[-1].event if self.events else None
        return last.response if isinstance(last, ResponseEvent) else None

    @property
    def end(self) -> Told | None:
        """Its last event, if it was told to its end."""
        return self.events[-1] if self.events and self.events[-1].event.type in ENDS else None

    @property
    def usage(self) -> Usage:
        """The tokens that its own samplings used: without those of the runs inside it."""
        response = self.response
        used = (response and response.usage) or Usage()
        for one in self.items:
            if isinstance(one.item, AgentCall) and one.item.usage is not None:
                used = _less(used, one.item.usage)
        return used

    def told(self) -> Iterator[Told]:
        """All events, of its items and inside them, too; in no order."""
        yield from self.events
        for one in self.items:
            yield from one.told()


def tree_of(told: Iterable[Told], *, whole: bool = False) -> RecordedRun:
    """The tree that these events tell of.

    Args:
        told: All events of a run, in order.
        whole: Keep the events that closed a run which was stopped. Without, it is cut there:
            when somebody stops a run says nothing of what it does.

    Raises:
        ValueError: An event speaks of an item that was never added.
    """
    events = list(told)
    cut = None if whole else _stopped_at(events)
    run = RecordedRun()
    fold = Fold()
    places: dict[int, RecordedItem] = {}
    inside: dict[int, list[Told]] = {}
    for each in events if cut is None else events[:cut]:
        event = each.event
        fold.add(event)
        if isinstance(event, AgentEvent):
            child = Told(each.position, each.t, event.event)
            inside.setdefault(event.output_index, []).append(child)
        elif isinstance(event, ItemEvent | Within) and (
            isinstance(event, ItemEvent) or event.output_index in places
        ):
            _place(run, places, event).events.append(each)
        else:
            run.events.append(each)
    for index, one in places.items():
        one.item = fold.drafts[index].item()
        if index in inside:
            one.child = tree_of(inside[index], whole=whole)
    if cut is not None:
        run.cut = "cancelled"
    elif run.end is None:
        run.cut = "torn"
    return run


def _place(run: RecordedRun, places: dict[int, RecordedItem], event: Any) -> RecordedItem:
    index: int = event.output_index
    if index not in places:
        places[index] = RecordedItem(index, event.item)
        run.items.append(places[index])
    return places[index]


def _stopped_at(events: Sequence[Told]) -> int | None:
    """Where the closing of a run begins that somebody stopped; None for any other run."""
    last = events[-1].event if events else None
    if not isinstance(last, ResponseEvent) or not _is_stopped(last.response):
        return None
    place = len(events) - 1
    closed: int | None = None
    while place > 0:
        event = events[place - 1].event
        if isinstance(event, ItemDone) and getattr(event.item, "status", None) == "incomplete":
            closed = event.output_index
        elif not (
            isinstance(event, Within)
            and event.output_index == closed
            and event.type.endswith(".done")
        ):
            break
        place -= 1
    return place


def _is_stopped(response: Response) -> bool:
    """Whether a person or a clock ended it."""
    details = response.incomplete_details
    return response.status == "cancelled" or (
        details is not None and details.reason == "budget_seconds"
    )


@dataclass(slots=True)
class Turn:
    """What a model said in one turn, as the items that came of it."""

    items: list[RecordedItem] = field(default_factory=list[RecordedItem])


def turns_of(run: RecordedRun, native: Collection[str] = ()) -> list[Turn]:
    """The turns of a run's models. A turn begins with an item that is added after a call of the
    turn before has ended: calls run when the model has said all it wanted.

    Args:
        run: The run.
        native: Types of tools that the model runs itself, so that their calls end nothing.
    """
    turns: list[Turn] = []
    ended = -1
    for one in spoken_in(run, native):
        if not turns or (0 <= ended < one.added.position):
            turns.append(Turn())
            ended = -1
        turns[-1].items.append(one)
        done = one.done
        if done is not None and is_run_here(one.item, native):
            ended = done.position if ended < 0 else min(ended, done.position)
    return turns


def is_run_here(item: Item, native: Collection[str] = ()) -> bool:
    """Whether this is a call that the provider runs, when the model has had its turn."""
    kind = item.type or ""
    if isinstance(item, Handoff):
        return True
    hosted = kind.endswith("_call") and kind not in _SPOKEN
    return hosted and not is_native(item, native)


def is_native(item: Item, native: Collection[str]) -> bool:
    """Whether the model's own server made this."""
    kind = item.type or ""
    return any(kind.startswith(f"{tool}_") or kind == tool for tool in native)


def spoken_in(run: RecordedRun, native: Collection[str] = ()) -> list[RecordedItem]:
    """The items that came of what a model said in this run. Those that did not: calls that a
    person approved, which an earlier run's model asked for; lists of tools; and requests that
    sub-agents wait for, which are shown again.
    """
    calls = [one.item for one in run.items if isinstance(one.item, AgentCall)]
    shown = {asked for call in calls for asked in call.awaiting or ()}
    return [one for one in run.items if one.item.id not in shown and _is_spoken(one.item, native)]


def _is_spoken(item: Item, native: Collection[str]) -> bool:
    kind = item.type or ""
    if getattr(item, "approval_request_id", None) or getattr(item, "continues", None):
        return False
    if kind.endswith("_call_output") or kind == "mcp_list_tools":
        return is_native(item, native)
    return True


def _less(one: Usage, other: Usage) -> Usage:
    """What is left of tokens when others are taken off; never less than none."""

    def rest(first: int, second: int) -> int:
        return max(0, first - second)

    return Usage.model_validate(
        {
            "input_tokens": rest(one.input_tokens, other.input_tokens),
            "output_tokens": rest(one.output_tokens, other.output_tokens),
            "total_tokens": rest(one.total_tokens, other.total_tokens),
            "input_tokens_details": {
                name: rest(value, getattr(other.input_tokens_details, name))
                for name, value in one.input_tokens_details
                if isinstance(value, int)
            },
            "output_tokens_details": {
                name: rest(value, getattr(other.output_tokens_details, name, 0))
                for name, value in one.output_tokens_details
                if isinstance(value, int)
            },
        }
    )
