"""Stand-ins for what a replay must not ask: models that say what they said, and tools that give
what they gave.

Above: `stage`, which puts them in the places of the real ones. Below: `part`, which
knows what comes next.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, cast

from antiphon.items import (
    Completed,
    Event,
    FunctionCall,
    FunctionTool,
    Ids,
    Item,
    ItemEvent,
    McpCall,
    ToolCall,
    Within,
    lower_one,
)
from antiphon.models import ModelRequest
from antiphon.tools import ANEW, Asked, Asks, Call, HostedTool, Offer, Scope, Slot

from .asked import Key
from .part import Part, is_running
from .recorded import RecordedItem
from .speech import fresh

_WHOLE: Final = (ToolCall, McpCall)
"""Items that hold the arguments as the model wrote them, whatever came of the call."""


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
        live: Run them all the same, where it is known with what arguments.
    """

    def __init__(self, offer: Offer, part: Part, *, live: bool = False) -> None:
        self._live = live
        self._offer = offer
        self._part = part
        self.function: FunctionTool = offer.function
        self.item_type: str = offer.item_type
        self.parallel: bool = offer.parallel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._offer, name)  # such as `gate`

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> Call:
        """A call opens."""
        one = self._part.begun(call, self.item_type)
        real = self._offer.begin(call, slot, scope)
        if self._live and (
            one is None or isinstance(one.item, _WHOLE) or one.status == "completed"
        ):
            return real
        if one is not None and one.item.type == self.item_type:
            return Given(one, slot, self._part, real)
        return Unknown(real, call.name, self._part)


class StandInAsking(StandInTool):
    """The same for an offer whose requests for approval are of a kind of their own."""

    def ask(self, arguments: str, ids: Ids) -> Asked:
        """The request for one call."""
        return cast("Asks", self._offer).ask(arguments, ids)

    async def stands(self, request: Asked) -> bool:
        """Whether it is still what a person answered to: nobody is asked, so it is believed."""
        return True


def offer_of(offer: Offer, part: Part, *, live: bool = False) -> Offer:
    """The stand-in of an offer."""
    kind = StandInAsking if isinstance(offer, Asks) else StandInTool
    return kind(offer, part, live=live)


class StandInHost:
    """A hosted tool whose offers are stand-ins."""

    def __init__(self, tool: HostedTool, part: Part, *, live: bool = False) -> None:
        self._live = live
        self._tool = tool
        self._part = part
        self.type: str = tool.type

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)  # such as `types`

    def offers(self, definition: Any, scope: Scope) -> Sequence[Offer]:
        """What the real one puts on the menu."""
        offers = self._tool.offers(definition, scope)
        return [offer_of(each, self._part, live=self._live) for each in offers]

    async def aclose(self) -> None:
        """The real one is closed by whoever made it."""


class Given:
    """A call that gives what it gave, and adds what it added.

    Args:
        one: Its recorded item.
        slot: Its place.
        part: The run that it is in.
        real: The real call, which never runs.
    """

    def __init__(self, one: RecordedItem, slot: Slot, part: Part, real: Call) -> None:
        self._real = real
        self._one = one
        self._slot = slot
        self._part = part
        self._added = part.added_by(one)

    def open(self) -> Iterable[Event]:
        """All that was told of it until it ran."""
        list(self._real.open())  # nobody is told of it; it is there to refuse
        return [event for _, event in self._told(running=False)]

    def write(self, delta: str) -> Iterable[Event]:
        """`open` has told it."""
        list(self._real.write(delta))
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """`open` has told it."""
        list(self._real.ready(arguments))
        return ()

    async def run(self) -> AsyncIterator[Event]:
        """All that was told of it since, and of what it added."""
        for position, event in self._running():
            await self._part.score.reach(position)
            yield event
            self._part.score.tell(position)
        if self._one.done is None:
            await self._part.stop(None)

    def refuse(self, reason: str) -> Iterable[Event]:
        """It fails, as it did if it failed so; else as it would today."""
        told = self._running()
        self._part.score.tell(*(position for position, _ in told))
        if any(_says(one.item, reason) for one in (self._one, *self._added)):
            return [event for _, event in told]
        return self._real.refuse(reason)

    def _running(self) -> list[tuple[int, Event]]:
        """All that was told since it ran, of what it added, too."""
        told = [*self._told(running=True), *self._others()]
        return sorted(told, key=lambda each: each[0])

    def _told(self, *, running: bool) -> list[tuple[int, Event]]:
        """Its events of before it ran, or of while it did, in its new place."""
        found = [told for told in self._one.events if is_running(told.event) is running]
        return [(told.position, _placed(fresh(told.event), self._slot)) for told in found]

    def _others(self) -> Iterator[tuple[int, Event]]:
        """The events of what it added, which the loop gives its place."""
        for one in self._added:
            slot = Slot(f"{self._slot.item_id}_{one.index}", ANEW)
            for told in one.events:
                yield told.position, _placed(fresh(told.event), slot)


def _placed(event: Event, slot: Slot) -> Event:
    """A recorded event in its new place."""
    if isinstance(event, ItemEvent):
        event.output_index = slot.output_index
        event.item.id = slot.item_id
    elif isinstance(event, Within):
        event.output_index = slot.output_index
        event.item_id = slot.item_id
    return event


class Unknown:
    """A call of which nothing was recorded: it may be refused, but it is not run."""

    def __init__(self, real: Call, name: str, part: Part) -> None:
        self._real = real
        self._name = name
        self._part = part

    def open(self) -> Iterable[Event]:
        """As the call itself."""
        return self._real.open()

    def write(self, delta: str) -> Iterable[Event]:
        """As the call itself."""
        return self._real.write(delta)

    def ready(self, arguments: str) -> Iterable[Event]:
        """As the call itself."""
        return self._real.ready(arguments)

    def refuse(self, reason: str) -> Iterable[Event]:
        """As the call itself."""
        return self._real.refuse(reason)

    async def run(self) -> AsyncIterator[Event]:
        """What it would give is not known."""
        for event in ():
            yield event
        await self._part.stop(
            f"now {self._name} would run, and what it would give is not known: it did not run then"
        )


def _says(item: Item, reason: str) -> bool:
    """Whether this is what a model reads of the item."""
    return any(reason in str(getattr(part, "output", "")) for part in lower_one(item, "call"))
