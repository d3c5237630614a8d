"""One sampling: what the model says in one turn, lifted into the response.

Above: `loop`. Below: `models` (events with ids of their own) and `menu` (where names lead).
Text, reasoning and the client's calls pass through under the response's own ids and indexes;
a call that the provider runs becomes its tool's own item from its first event on.
"""

import logging
from bisect import insort
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from antiphon.errors import ModelError, whence
from antiphon.items import (
    KINDS,
    ArgumentsDelta,
    ArgumentsDone,
    Completed,
    Event,
    Failed,
    FunctionCall,
    Incomplete,
    Item,
    ItemAdded,
    ItemDone,
    ResponseEvent,
    Usage,
    Within,
)
from antiphon.models import Model, ModelRequest
from antiphon.tools import Call, Gate, Offer, Scope, Slot

from .asking import asked
from .choice import Choice
from .clients import ClientForm
from .custom import Custom, CustomRun
from .menu import Menu
from .stray import Stray

log: logging.Logger = logging.getLogger("antiphon.agents")


@dataclass(slots=True)
class Pending:
    """A call that the provider is to run when the turn is over.

    `undecided` is why it may not: nobody could say whether it needs approval.
    """

    name: str
    call: Call
    slot: Slot
    parallel: bool
    position: int
    undecided: str | None = None


_WITHIN = frozenset(kind for kind in KINDS.values() if issubclass(kind, Within))
"""Looked up by class for every delta: cheaper than asking pydantic's classes `isinstance`."""


class _Route:
    """Where the events of one of the model's items go."""

    __slots__ = (
        "call", "form", "gate", "handed", "item_id", "kind", "name", "output_index", "parallel",
        "position", "source", "undecided", "wrote",
    )  # fmt: skip

    def __init__(self, output_index: int, item: Item) -> None:
        self.kind = type(item)
        self.source = item.id
        self.item_id = ""
        self.output_index = output_index
        self.call: Call | None = None
        self.gate: Gate | None = None
        self.form: ClientForm | None = None
        self.handed = False
        self.name = ""
        self.parallel = True
        self.position = 0
        self.undecided: str | None = None
        self.wrote = False


ONE_AT_A_TIME = "parallel_tool_calls is false: make one call at a time; make this one again"


class Sampling:
    """One turn of the model.

    Attributes:
        pending: Provider-run calls whose arguments are whole, in output order.
        runnable: Those of them that may run, as the turn's end finds.
        client_calls: How many calls the client is to run.
        asked: How many calls wait for a person's word.
        handed: Whether one of its calls hands the conversation over.
        ending: How the model ended: `Completed`, `Incomplete` or `Failed`.
        next_index: The output index that the next item gets.
    """

    def __init__(self, menu: Menu, scope: Scope, *, next_index: int, choice: Choice) -> None:
        self.pending: list[Pending] = []
        self.runnable: list[Pending] = []
        self.client_calls: int = 0
        self.asked: int = 0
        self.handed: bool = False
        self.ending: ResponseEvent | None = None
        self.next_index: int = next_index
        self._menu = menu
        self._scope = scope
        self._choice = choice
        self._routes: dict[int, _Route] = {}  # of the items that are open
        self._over: set[int] = set()
        self._calls = 0

    @property
    def used(self) -> Usage:
        """The tokens that its server reported; nothing where it reported none."""
        return (self.ending and self.ending.response.usage) or Usage()

    async def events(self, model: Model, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """Ask the model; its events, under the response's ids.

        Raises:
            ModelError: The model broke off, or said what no model may say.
        """
        async with aclosing(cast("AsyncGenerator[Event, None]", model.stream(request))) as stream:
            async for event in stream:
                kind = type(event)
                if kind in _WITHIN:
                    inside = cast("Within", event)
                    route = self._routes.get(inside.output_index)
                    if route is None:
                        self._expect_over(inside.output_index, event)
                    elif route.gate is not None or route.form is not None:
                        continue  # it is told once it is known whether it waits, or fits
                    elif route.call is None:
                        fields = vars(inside)  # a pydantic setter costs 3x, for each delta
                        fields["item_id"] = route.item_id
                        fields["output_index"] = route.output_index
                        if kind is ArgumentsDone and route.name:
                            own = self._menu.clients[route.name].name
                            cast("ArgumentsDone", inside).name = own
                        yield inside
                    elif kind is ArgumentsDelta:
                        route.wrote = True
                        for told in route.call.write(cast("ArgumentsDelta", event).delta):
                            yield told
                elif kind is ItemAdded:
                    for told in self._added(cast("ItemAdded", event)):
                        yield told
                elif kind is ItemDone:
                    done = cast("ItemDone", event)
                    route = self._routes.get(done.output_index)
                    if route is not None and (route.gate is not None or route.form is not None):
                        decide = self._decide if route.form is None else self._hand_over
                        for told in await decide(route, done):
                            yield told
                    for told in self._done(done):
                        yield told
                elif isinstance(event, Completed | Incomplete | Failed):
                    self.ending = event
        if self.ending is None:
            raise ModelError("the model's stream ended before its last event", code="stream_cut")

    def _expect_over(self, index: int, event: Event) -> None:
        """What comes after an item's end is dropped: a terminal item is never updated.

        Raises:
            ModelError: There never was such an item.
        """
        if index not in self._over:
            raise ModelError(
                f"the model sent {event.type} for an item that it never added",
                code="invalid_stream",
            )

    def _added(self, event: ItemAdded) -> Iterable[Event]:
        item = event.item
        open_one = self._routes.get(event.output_index)
        if open_one is not None and item.id is not None and open_one.source == item.id:
            return ()  # said twice
        self._over.discard(event.output_index)
        route = _Route(self.next_index, item)
        self._routes[event.output_index] = route
        if isinstance(item, FunctionCall):
            route.name = item.name
            route.position, self._calls = self._calls, self._calls + 1
            route.gate = self._gate(item.name, route.position)
            route.form = self._form(item.name, route.position)
            if route.gate is not None or route.form is not None:
                return ()
            self.next_index += 1
            return self._called(route, item)
        self.next_index += 1
        item.id = route.item_id = self._scope.ids.item(item.type or "")
        event.output_index = route.output_index
        return (event,)

    def _gate(self, name: str, position: int) -> Gate | None:
        """Who says whether a call waits; None for one that does not, or that may not run anyway."""
        gate = self._menu.gate(name)
        if gate is None or not self._may_go(name, position) or self._scope.allowance.empty:
            return None
        return gate

    def _form(self, name: str, position: int) -> ClientForm | None:
        """How a call of the client's is told once it is whole; None for one that is told live."""
        client = self._menu.clients.get(name)
        form = client and client.form
        if form is None or form.live or not self._may_go(name, position):
            return None
        return form

    async def _hand_over(self, route: _Route, event: ItemDone) -> Sequence[Event]:
        """A call of the client's is whole: its item, or a receipt that says why it is none."""
        item, form = event.item, route.form
        if not isinstance(item, FunctionCall) or form is None:
            return ()  # `_done` says what is wrong
        route.form = None
        item.name = route.name
        route.output_index, self.next_index = self.next_index, self.next_index + 1
        slot = Slot(self._scope.ids.item(form.item_type), route.output_index)
        try:
            events = (
                [form.begun(item, slot)]
                if item.status == "incomplete"
                else await form.handed(item, slot)
            )
        except ValueError as error:
            route.undecided = str(error)
            return list(self._own(route, item, None))
        del self._routes[event.output_index]
        self._over.add(event.output_index)
        self.client_calls += item.status != "incomplete"
        return events

    async def _decide(self, route: _Route, event: ItemDone) -> Sequence[Event]:
        """A call that may have to wait is whole: its request, or its beginning at last."""
        item, gate = event.item, route.gate
        if not isinstance(item, FunctionCall) or gate is None:
            return ()  # `_done` says what is wrong
        route.gate = None
        item.name = route.name
        route.output_index, self.next_index = self.next_index, self.next_index + 1
        undecided: str | None = None
        try:
            waits = item.status != "incomplete" and await gate(item.arguments)
        except (Exception, SystemExit) as error:
            log.error("whether %s needs approval could not be said: %s", item.name, whence(error))
            waits, undecided = False, f"nobody could say whether it may run: {type(error).__name__}"
        if waits:
            del self._routes[event.output_index]
            self._over.add(event.output_index)
            return await self._ask(item, route.output_index)
        begun = list(self._called(route, item))
        route.undecided = undecided
        return begun

    async def _ask(self, item: FunctionCall, index: int) -> Sequence[Event]:
        """A call waits: whoever serves the run is told, and then everybody sees the request."""
        offer = self._menu.offers[item.name]
        request = await asked(offer, item.name, item.arguments, self._scope)
        self.asked += 1
        return (
            ItemAdded(output_index=index, item=request),
            ItemDone(output_index=index, item=request),
        )

    def _called(self, route: _Route, item: FunctionCall) -> Iterator[Event]:
        """A function is named: the client's stays a function call, ours becomes its own item."""
        name = route.name = item.name
        client = self._menu.clients.get(name)
        if client is not None and self._may_go(name, route.position):
            route.item_id = self._scope.ids.item(
                "function_call" if client.form is None else client.form.item_type
            )
            if isinstance(client.form, Custom):
                slot = Slot(route.item_id, route.output_index)
                route.call, route.handed = CustomRun(client.form, item, slot), True
                yield from route.call.open()
                return
            item.id, item.name, item.namespace = route.item_id, client.name, client.namespace
            yield ItemAdded(output_index=route.output_index, item=item)
            return
        yield from self._own(route, item, self._menu.offers.get(name))

    def _own(self, route: _Route, item: FunctionCall, offer: Offer | None) -> Iterator[Event]:
        """A call that is ours to run, or to refuse where there is no offer."""
        name = route.name
        kind = "antiphon:tool_call" if offer is None else offer.item_type
        slot = Slot(self._scope.ids.item(kind), route.output_index)
        route.item_id = slot.item_id
        call: Call = Stray(name, slot) if offer is None else offer.begin(item, slot, self._scope)
        route.call = call
        route.parallel = offer is None or offer.parallel
        yield from call.open()
        if item.arguments:
            route.wrote = True
            yield from call.write(item.arguments)

    def _may_go(self, name: str, position: int) -> bool:
        """Whether a call may go out to the client; what may not is refused like our own."""
        alone = self._scope.request.parallel_tool_calls is False
        return self._choice.refusal(name) is None and not (alone and position > 0)

    def _done(self, event: ItemDone) -> Iterator[Event]:
        """The model has finished an item."""
        route = self._routes.pop(event.output_index, None)
        if route is None:
            self._expect_over(event.output_index, event)
            return
        self._over.add(event.output_index)
        item = event.item
        if type(item) is not route.kind:
            raise ModelError(
                f"the model began a {route.kind.__name__} and ended it as a {type(item).__name__}",
                code="invalid_stream",
            )
        if route.call is None:
            event.output_index = route.output_index
            item.id = route.item_id
            if isinstance(item, FunctionCall):
                self._count(route, item)
            yield event
        elif isinstance(item, FunctionCall) and item.status != "incomplete":
            if item.arguments and not route.wrote:
                yield from route.call.write(item.arguments)
            yield from route.call.ready(item.arguments)
            if route.handed:
                self.client_calls += 1
                return
            slot = Slot(route.item_id, route.output_index)
            pending = Pending(
                route.name, route.call, slot, route.parallel, route.position, route.undecided
            )
            insort(self.pending, pending, key=lambda one: one.slot.output_index)

    def _count(self, route: _Route, item: FunctionCall) -> None:
        """A call for the client: under its own name again, and counted if it is whole."""
        client = self._menu.clients.get(route.name)
        if client is not None:
            item.name, item.namespace = client.name, client.namespace
        if item.status != "incomplete":
            self.client_calls += 1
