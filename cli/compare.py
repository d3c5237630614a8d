"""Compares what was recorded with what came: event by event, along each item.

Ids are mapped where they first appear; times do not count, and neither does the order of what
happened at the same time, in different items. An item that holds a run is compared by that
run's own items.

Above: `replay`. Below: `recorded`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, cast

from antiphon.items import (
    AgentCall,
    Event,
    ItemEvent,
    Json,
    ResponseEvent,
)

from .recorded import RecordedItem, RecordedRun
from .run_file import Told

_TIMES: Final = frozenset({"sequence_number", "created_at", "completed_at"})
_IDS: Final = frozenset(
    {"id", "item_id", "call_id", "container_id", "approval_request_id", "continues", "awaiting"}
)
_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One field that differs; `then` and `now` are JSON, or `MISSING`."""

    path: str
    then: Any
    now: Any


MISSING: Final = "(nothing)"


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a replay leaves its recording.

    Attributes:
        position: Of the recorded event, from 0; or of the event after the last one in its item.
        path: The items that it is in, from the outermost; none for the response's own events.
        then: What was recorded.
        now: What came instead.
        fields: What differs between both.
    """

    position: int
    path: Sequence[RecordedItem]
    then: Event | None
    now: Event | None
    fields: Sequence[Field] = ()


@dataclass(slots=True)
class Comparison:
    """Compares two trees.

    Args:
        stopped: Whether the replay was stopped, so that what is missing at its end does not count.
        live: Whether tools really ran: then it does not count in how many pieces things came, nor
            in which containers.
    """

    stopped: bool
    live: bool = False
    _then: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _now: dict[str, str] = field(default_factory=dict[str, str], init=False)

    def first(self, then: RecordedRun, now: RecordedRun) -> Divergence | None:
        """The first divergence, in the order of the recording."""
        found = self._runs(then, now, (), lax=self.stopped)
        return min(found, key=lambda each: each.position, default=None)

    def _runs(
        self, then: RecordedRun, now: RecordedRun, path: tuple[RecordedItem, ...], *, lax: bool
    ) -> Iterator[Divergence]:
        lax = lax or then.cut is not None
        yield from self._lane(_begun(then), _begun(now), path, lax=True)
        for one, other in _paired(then.items, now.items):
            if one is not None and other is not None:
                yield from self._items(one, other, path, lax=lax)
            elif one is not None and not lax:
                last = now.end.event if now.end else None
                yield Divergence(one.added.position, (*path, one), one.added.event, last)
            elif other is not None and not lax:
                end = then.end
                where = end.position if end else _after(then)
                yield Divergence(where, (*path, other), end and end.event, other.added.event)
        yield from self._lane(_ended(then), _ended(now), path, lax=lax)

    def _items(
        self, one: RecordedItem, other: RecordedItem, path: tuple[RecordedItem, ...], *, lax: bool
    ) -> Iterator[Divergence]:
        inside = (*path, one)
        cut = one.child is not None and one.child.cut is not None
        first, second = one.events, other.events
        if self.live:
            first, second = _joined(first), _joined(second)
        yield from self._lane(first, second, inside, lax=lax or cut)
        if one.child is not None and other.child is not None:
            yield from self._runs(one.child, other.child, inside, lax=lax)

    def _lane(
        self,
        then: Sequence[Told],
        now: Sequence[Told],
        path: tuple[RecordedItem, ...],
        *,
        lax: bool,
    ) -> Iterator[Divergence]:
        """The first divergence along one item, or along a response's own events."""
        last = 0
        for one, other in zip_longest(then, now):
            if one is not None and other is not None:
                last = one.position + 1
                fields = list(self._fields(one.event, other.event))
                if fields:
                    yield Divergence(one.position, path, one.event, other.event, fields)
                    return
            elif lax:
                return
            else:
                position = last if one is None else one.position
                yield Divergence(position, path, one and one.event, other and other.event)
                return

    def _fields(self, one: Event, other: Event) -> Iterator[Field]:
        if isinstance(one, ItemEvent) and isinstance(other, ItemEvent):
            if one.item.type != other.item.type:  # then nothing else is worth telling
                yield Field("item.type", one.item.type, other.item.type)
                return
        yield from self._values(_json(one), _json(other), "", "")

    def _values(self, one: Any, other: Any, path: str, key: str) -> Iterator[Field]:
        differ = one != other or type(one) is not type(other)  # 1 and 1.0, or 1 and true
        if isinstance(one, dict) and isinstance(other, dict):
            first, second = cast("Json", one), cast("Json", other)
            for name in [*first, *(each for each in second if each not in first)]:
                if name not in _TIMES and not (self.live and name == "container_id"):
                    step = f"{path}.{name}" if path else name
                    yield from self._values(
                        first.get(name, _NOTHING), second.get(name, _NOTHING), step, name
                    )
        elif isinstance(one, list) and isinstance(other, list):
            both = cast("list[Any]", one), cast("list[Any]", other)
            for place, (each, its) in enumerate(zip_longest(*both, fillvalue=_NOTHING)):
                yield from self._values(each, its, f"{path}[{place}]", key)
        elif key in _IDS and isinstance(one, str) and isinstance(other, str):
            # One id stands for one other, both ways, from where they are first met.
            if self._then.setdefault(one, other) != other or (
                self._now.setdefault(other, one) != one
            ):
                yield Field(path, one, other)
        elif differ:
            yield Field(path, _told(one), _told(other))


def item_fields(comparison: Comparison, one: RecordedItem, other: RecordedItem) -> list[Field]:
    """What differs between two items, as they were in the end."""
    first, second = one.item.model_dump(mode="json"), other.item.model_dump(mode="json")
    return [
        each
        for each in comparison._values(first, second, "", "")  # pyright: ignore[reportPrivateUsage]
        if each.path.partition(".")[0].partition("[")[0] not in _IDS
    ]


def _told(value: Any) -> Any:
    return MISSING if value is _NOTHING else value


def _json(event: Event) -> Json:
    """An event as JSON, without what its items tell themselves."""
    told = event.model_dump(mode="json")
    if isinstance(event, ResponseEvent):
        del told["response"]["output"]
    elif isinstance(event, ItemEvent) and isinstance(event.item, AgentCall):
        del told["item"]["output"]
    told.pop("output_index", None)  # items are paired already
    return told


def _paired(
    then: Sequence[RecordedItem], now: Sequence[RecordedItem]
) -> Iterator[tuple[RecordedItem | None, RecordedItem | None]]:
    """The items that stand for each other: by their order; sub-agents' runs, which code may begin
    in any order, by who ran with what input, where that says it.
    """
    left = list(now)
    partner: dict[int, RecordedItem] = {}
    for one in then:
        key = _key(one)
        found = next((each for each in left if key is not None and _key(each) == key), None)
        if found is not None:
            left.remove(found)
            partner[one.index] = found
    rest = iter(left)
    for one in then:
        yield one, partner.get(one.index) or next(rest, None)
    for other in rest:
        yield None, other


def _key(one: RecordedItem) -> tuple[str, Any] | None:
    item = one.item
    return (item.agent, item.input) if isinstance(item, AgentCall) else None


def _joined(lane: Sequence[Told]) -> list[Told]:
    """The same events with fragments of one thing that follow each other in one."""
    joined: list[Told] = []
    for told in lane:
        last = joined[-1] if joined else None
        delta, before = _delta(told.event), last and _delta(last.event)
        if last is None or delta is None or before is None or delta[1] != before[1]:
            joined.append(told)
        else:
            whole = told.event.model_copy(update={"delta": before[0] + delta[0]})
            joined[-1] = Told(last.position, last.t, whole)
    return joined


def _delta(event: Event) -> tuple[str, Json] | None:
    """The fragment that an event tells, and of what it is one."""
    delta = getattr(event, "delta", None)
    if not isinstance(delta, str):
        return None
    return delta, event.model_dump(mode="json", exclude={"delta", "sequence_number", "logprobs"})


def _begun(run: RecordedRun) -> list[Told]:
    """A response's own events but its last."""
    return [told for told in run.events if told is not run.end]


def _ended(run: RecordedRun) -> list[Told]:
    return [] if run.end is None else [run.end]


def _after(run: RecordedRun) -> int:
    return max((told.position for told in run.told()), default=-1) + 1
