"""A part: one run of a recording that is replayed, and how far the replay has come in it.

Above: `stand_in` (who speaks and gives), `stage` (which hands out parts). Below: `speech`,
`recorded`, `score`.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from antiphon.items import (
    AgentCall,
    ArgumentsDelta,
    ArgumentsDone,
    CallStatus,
    CodeDelta,
    CodeDone,
    Event,
    FunctionCall,
    Handoff,
    Item,
    ItemAdded,
    McpListTools,
    Message,
    ShellCommandAdded,
    ShellCommandDelta,
    ShellCommandDone,
    Usage,
)

from .asked import Key
from .recorded import RecordedItem, RecordedRun, Turn, is_run_here, spoken_in, turns_of
from .score import Score
from .speech import ending_of, function_of, is_loop_s_own, key_of, spoken

Stop: TypeAlias = Callable[[str | None], Awaitable[Any]]
"""Ends a replay, for a reason, or because the recording ends; it never returns."""

_BEFORE_RUNNING: Final = (
    ItemAdded,
    ArgumentsDelta,
    ArgumentsDone,
    CodeDelta,
    CodeDone,
    ShellCommandAdded,
    ShellCommandDelta,
    ShellCommandDone,
)


class Part:
    """One run of a recording, and how far the replay has come in it.

    Args:
        run: The run.
        native: Types of tools that its model runs itself.
        stop: Ends the replay.
        score: When to speak.
        used: The tokens of turns, as far as they were reported.
    """

    def __init__(
        self,
        run: RecordedRun,
        native: Iterable[str],
        stop: Stop,
        score: Score,
        used: Mapping[Key, Usage],
    ) -> None:
        self.run: RecordedRun = run
        self.score: Score = score
        self.stop: Stop = stop
        self.native: frozenset[str] = frozenset(native)
        self._turns = turns_of(run, self.native)
        self._asked = 0
        self._left: Usage | None = run.usage
        self._used = used
        self._known = {key_of(one): one for one in run.items}
        said = {one.index for one in spoken_in(run, self.native)}
        self._unspoken = [one for one in run.items if one.index not in said]
        self._outputs: dict[str | None, list[RecordedItem]] = {}
        for one in self._unspoken:
            if (one.item.type or "").endswith("_call_output"):
                self._outputs.setdefault(_call_id(one), []).append(one)
        self._inside = [one for one in run.items if one.child is not None]

    async def next(self, agent: str, key: Key | None) -> tuple[list[tuple[int, Event]], Event]:
        """What the model says now, and how it ends; the replay ends where that is not known.

        Args:
            agent: Whose model.
            key: Which turn it was, if that was watched.
        """
        number = self._asked
        self._asked += 1
        for turn in self._turns[max(number - 1, 0) : number]:  # all that came of it is over
            self.score.tell(*(told.position for one in turn.items for told in one.told()))
        if number > len(self._turns) or (number == len(self._turns) and not self._silent()):
            if self.run.cut is not None:
                await self.stop(None)
            times = "no turn" if not self._turns else f"{len(self._turns)} of its turns"
            await self.stop(
                f"now the model of {agent} is asked for another turn, number {number + 1}; what it "
                f"would say is not known: the recording has {times}"
            )
        turn = self._turns[number] if number < len(self._turns) else Turn()
        went_on = number + 1 < len(self._turns) or self._ran(turn)
        whole = RecordedRun() if went_on else self.run
        usage = self._last_usage(number) if key is None else self._used.get(key)
        return spoken(turn, self.native, whole=went_on), ending_of(whole, usage=usage)

    def _last_usage(self, number: int) -> Usage | None:
        """The tokens of a turn that was not watched. Their sum is known: it is the last turn's."""
        if number < len(self._turns) - 1:
            return None
        usage, self._left = self._left, None
        return usage

    @property
    def coming(self) -> int:
        """The position of what the model said first in the turn that it is asked for now."""
        if self._asked < len(self._turns):
            return self._turns[self._asked].items[0].added.position
        end = self.run.end
        return end.position if end is not None else max(told.position for told in self.run.told())

    def breaks_off(self) -> bool:
        """Whether the recording ends while the model is speaking the turn that it was given."""
        last = self._asked >= len(self._turns)
        return self.run.cut is not None and last and not self._ran(self._turns[-1])

    def begun(self, call: FunctionCall, item_type: str) -> RecordedItem | None:
        """What was recorded of a call that begins now."""
        known = self._known.pop(call.call_id, None)
        if known is not None:
            return known
        for one in self._unspoken:  # a call that a person approved: no model asks for it now
            if one.item.type == item_type and function_of(one.item)[0] == call.name:
                self._unspoken.remove(one)
                return one
        return None

    def listed(self, label: str) -> RecordedItem | None:
        """The list of a server's tools that is asked for now."""
        for one in self._unspoken:
            if isinstance(one.item, McpListTools) and one.item.server_label == label:
                self._unspoken.remove(one)
                return one
        return None

    def added_by(self, call: RecordedItem) -> list[RecordedItem]:
        """The items that a call added while it ran: its output, where that is an item."""
        return self._outputs.get(_call_id(call) or "", [])

    def inside(self, agent: str, given: Sequence[Item]) -> RecordedRun | None:
        """The run inside this one that begins now: of this agent, and with these words if one
        was.
        """
        words = _words_of(given)
        own = [one for one in self._inside if getattr(one.item, "agent", None) == agent]
        same = [one for one in own if getattr(one.item, "input", None) == words]
        found = next(iter([*same, *own]), None)
        if found is None:
            return None
        self._inside.remove(found)
        return found.child

    def _ran(self, turn: Turn) -> bool:
        """Whether calls of this turn were run, so that the model had ended it."""
        calls = [one for one in turn.items if _is_call(one, self.native)]
        return any(one.status in ("completed", "failed") or self._ran_at_all(one) for one in calls)

    def _ran_at_all(self, one: RecordedItem) -> bool:
        """Whether anything was told of a call since it began to run, but that it was closed."""
        told = (each.event for each in one.events if each is not one.done)
        inside = one.child is not None or bool(self.added_by(one))
        return inside or any(is_running(event) for event in told)

    def _silent(self) -> bool:
        """Whether the model may have been asked once more, and said nothing that is an item."""
        end = self.run.response
        last = self._turns[-1] if self._turns else Turn()
        theirs = any(one.item.type == "function_call" for one in last.items)
        if self.run.end is None or end is None or theirs:
            return False
        details = end.incomplete_details
        own = details is not None and is_loop_s_own(details.reason)
        asks = any((one.item.type or "").endswith("approval_request") for one in self.run.items)
        return not own and not asks and (not self._turns or self._ran(last))


def positions_in(run: RecordedRun, *, live: bool) -> Iterator[int]:
    """The positions at which stand-ins speak in a run, and in the runs inside it."""
    for turn in turns_of(run):
        yield from (position for position, _ in spoken(turn, frozenset(), whole=True))
    for one in run.items:
        if one.child is not None:
            yield from positions_in(one.child, live=live)
        elif not live and _is_call(one, frozenset()) and _is_given(one):
            yield from (told.position for told in one.events if is_running(told.event))


def _call_id(one: RecordedItem) -> str | None:
    return getattr(one.item, "call_id", None)


def _is_given(one: RecordedItem) -> bool:
    """Whether a stand-in tells of a call's running. Of one that failed, or was closed, it may be
    the loop that does.
    """
    whole = one.status in ("completed", "in_progress")
    return whole and not isinstance(one.item, AgentCall | Handoff)


def _is_call(one: RecordedItem, native: frozenset[str]) -> bool:
    return is_run_here(one.item, native)


def is_running(event: Event) -> bool:
    """Whether an event is of a call that runs, or has run."""
    if isinstance(event, CallStatus):
        return not event.type.endswith(".in_progress")
    return not isinstance(event, _BEFORE_RUNNING)


def _words_of(items: Sequence[Item]) -> str:
    said = [item for item in items if isinstance(item, Message) and item.role == "user"]
    return said[-1].text if said else ""
