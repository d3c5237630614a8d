"""Stand-ins for what a replay must not ask: models that say what they said, and tools that give
what they gave.

Above: `stage`, which puts them in the places of the real ones. Below: `speech`, `recorded`.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Final

from antiphon.items import (
    KINDS,
    AgentCall,
    ArgumentsDelta,
    ArgumentsDone,
    CallStatus,
    CodeDelta,
    CodeDone,
    Completed,
    Event,
    FunctionCall,
    Handoff,
    Item,
    ItemAdded,
    ItemDone,
    ItemEvent,
    Logs,
    Message,
    Usage,
    Within,
    lower_one,
)
from antiphon.models import ModelRequest
from antiphon.tools import Call, HostedTool, Offer, Scope, Slot

from .asked import Key
from .recorded import (
    RecordedItem,
    RecordedRun,
    Turn,
    is_run_here,
    spoken_in,
    turns_of,
)
from .score import Score
from .speech import ending_of, fresh, function_of, is_loop_s_own, key_of, spoken

Stop = Callable[[str | None], Awaitable[Any]]
"""Ends a replay, for a reason, or because the recording ends; it never returns."""

_BEFORE_RUNNING: Final = (ItemAdded, ArgumentsDelta, ArgumentsDone, CodeDelta, CodeDone)


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
        spoken = spoken_in(run, self.native)
        self._unspoken = [one for one in run.items if one not in spoken]
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
        return spoken(turn, self.native), ending_of(whole, usage=usage)

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
        return any(one.status in ("completed", "failed") or _running(one) for one in calls)

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


class StandIn:
    """A model that says what was recorded.

    Args:
        agent: Whose model it stands for.
        part: The run that it speaks in.
        look: Is told of every request, and says which turn it was.
        name: The model's name.
    """

    def __init__(
        self, agent: str, part: Part, look: Callable[[ModelRequest], Key | None], *, name: str
    ) -> None:
        self.name: str = name
        self.native: frozenset[str] = part.native
        self._agent = agent
        self._part = part
        self._look = look

    def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Say the next turn."""
        return self._say(request)

    async def _say(self, request: ModelRequest) -> AsyncIterator[Event]:
        part = self._part
        events, ending = await part.next(self._agent, self._look(request))
        for position, event in events:
            await part.score.reach(position)
            yield event
            part.score.tell(position)
        if part.breaks_off():
            await part.stop(None)
        if part.run.end is not None and not isinstance(ending, Completed):
            await part.score.reach(part.run.end.position)
        yield ending

    async def aclose(self) -> None:
        """Nothing is held."""


class StandInTool:
    """An offer whose calls give what they gave.

    Args:
        offer: The real one; its calls are begun, and never run.
        part: The run in which it is called.
    """

    def __init__(self, offer: Offer, part: Part) -> None:
        self._offer = offer
        self._part = part
        self.function = offer.function
        self.item_type: str = offer.item_type
        self.parallel: bool = offer.parallel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._offer, name)  # such as `gate`

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> Call:
        """A call opens."""
        one = self._part.begun(call, self.item_type)
        if one is not None and one.item.type == self.item_type:
            return _Given(one, slot, self._part)
        return _Unknown(self._offer.begin(call, slot, scope), call.name, self._part)


class StandInHost:
    """A hosted tool whose offers are stand-ins."""

    def __init__(self, tool: HostedTool, part: Part) -> None:
        self._tool = tool
        self._part = part
        self.type: str = tool.type

    def offers(self, definition: Any, scope: Scope) -> Sequence[Offer]:
        """What the real one puts on the menu."""
        return [StandInTool(offer, self._part) for offer in self._tool.offers(definition, scope)]

    async def aclose(self) -> None:
        """The real one is closed by whoever made it."""


class _Given:
    """A call that gives what it gave."""

    def __init__(self, one: RecordedItem, slot: Slot, part: Part) -> None:
        self._one = one
        self._slot = slot
        self._part = part

    def open(self) -> Iterable[Event]:
        """All that was told of it until it ran."""
        return [event for _, event in self._told(running=False)]

    def write(self, delta: str) -> Iterable[Event]:
        """`open` has told it."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """`open` has told it."""
        return ()

    async def run(self) -> AsyncIterator[Event]:
        """All that was told of it since."""
        for position, event in self._told(running=True):
            await self._part.score.reach(position)
            yield event
            self._part.score.tell(position)
        if self._one.done is None or self._one.status == "incomplete":
            await self._part.stop(None)

    def refuse(self, reason: str) -> Iterable[Event]:
        """It fails, as it did if it failed so."""
        self._part.score.tell(*(position for position, _ in self._told(running=True)))
        if _says(self._one.item, reason):
            return [event for _, event in self._told(running=True)]
        kind = self._one.item.type or ""
        step: Any = f"{kind}.failed" if kind.startswith("antiphon:") else f"response.{kind}.failed"
        at: dict[str, Any] = {"output_index": self._slot.output_index}
        item = _failed(self._one.item, reason).model_copy(update={"id": self._slot.item_id})
        done = ItemDone(**at, item=item)
        if step not in KINDS:
            return (done,)
        return (CallStatus(type=step, item_id=self._slot.item_id, **at), done)

    def _told(self, *, running: bool) -> list[tuple[int, Event]]:
        """Its events of before it ran, or of while it did, in its new place."""
        found = [told for told in self._one.events if _is_running(told.event) is running]
        return [(told.position, self._placed(fresh(told.event))) for told in found]

    def _placed(self, event: Event) -> Event:
        if isinstance(event, ItemEvent):
            event.output_index = self._slot.output_index
            event.item.id = self._slot.item_id
        elif isinstance(event, Within):
            event.output_index = self._slot.output_index
            event.item_id = self._slot.item_id
        return event


class _Unknown:
    """A call of which nothing was recorded: it may be refused, but it is not run."""

    def __init__(self, real: Call, name: str, part: Part) -> None:
        self._real = real
        self._name = name
        self._part = part
        self.open = real.open
        self.write = real.write
        self.ready = real.ready
        self.refuse = real.refuse

    async def run(self) -> AsyncIterator[Event]:
        """What it would give is not known."""
        for event in ():
            yield event
        await self._part.stop(
            f"now {self._name} would run, and what it would give is not known: it did not run then"
        )


def positions_in(run: RecordedRun, *, live: bool) -> Iterator[int]:
    """The positions at which stand-ins speak in a run, and in the runs inside it."""
    for turn in turns_of(run):
        yield from (position for position, _ in spoken(turn, frozenset()))
    for one in run.items:
        if one.child is not None:
            yield from positions_in(one.child, live=live)
        elif not live and _is_call(one, frozenset()) and _is_given(one):
            yield from (told.position for told in one.events if _is_running(told.event))


def _is_given(one: RecordedItem) -> bool:
    """Whether a stand-in tells of a call's running. Of one that failed, or was closed, it may be
    the loop that does.
    """
    whole = one.status in ("completed", "in_progress")
    return whole and not isinstance(one.item, AgentCall | Handoff)


def _is_call(one: RecordedItem, native: frozenset[str]) -> bool:
    return is_run_here(one.item, native)


def _running(one: RecordedItem) -> bool:
    """Whether anything was told of a call since it began to run, but that it was closed."""
    told = (each.event for each in one.events if each is not one.done)
    return one.child is not None or any(_is_running(event) for event in told)


def _is_running(event: Event) -> bool:
    """Whether an event is of a call that runs, or has run."""
    if isinstance(event, CallStatus):
        return not event.type.endswith(".in_progress")
    return not isinstance(event, _BEFORE_RUNNING)


def _says(item: Item, reason: str) -> bool:
    """Whether this is what a model reads of the item."""
    return any(reason in str(getattr(part, "output", "")) for part in lower_one(item, "call"))


def _failed(item: Item, reason: str) -> Item:
    """The item of a call that was refused."""
    update: dict[str, Any] = {"status": "failed"}
    fields = type(item).model_fields
    if "error" in fields:
        update |= {"error": reason}
    if "output" in fields:
        update |= {"output": None}
    if "outputs" in fields:
        update |= {"outputs": [Logs(logs=f"{reason}\n")]}
    return item.model_copy(update=update)


def _words_of(items: Sequence[Item]) -> str:
    said = [item for item in items if isinstance(item, Message) and item.role == "user"]
    return said[-1].text if said else ""
