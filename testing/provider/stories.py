"""Stories: the events of a stream, sorted by the item and the part that they tell of.

Above: the themes. Below: `line`. Not here: any rule about them; what is missing is None.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .line import TERMINAL, Stream
from .sse import Json, obj

ADDED, DONE = "response.output_item.added", "response.output_item.done"


def kind(event: Json) -> str:
    """An event's type; empty where it has none."""
    value = event.get("type")
    return value if isinstance(value, str) else ""


def kinds(events: Iterable[Json]) -> list[str]:
    """The types of events."""
    return [kind(event) for event in events]


def of_kind(stream: Stream, *names: str) -> list[Json]:
    """The events of these types."""
    return [event for event in stream.events if kind(event) in names]


def is_terminal(event: Json) -> bool:
    """Whether a response ends with it."""
    return kind(event) in TERMINAL


@dataclass(slots=True)
class Story:
    """All events of one `output_index`, in order.

    Attributes:
        stream: The name of the specimen.
        index: The output index.
        events: All of them.
    """

    stream: str
    index: int
    events: list[Json] = field(default_factory=list[Json])

    @property
    def added(self) -> Json:
        """The item as it was added; empty where it never was."""
        return self._item(ADDED)

    @property
    def done(self) -> Json:
        """The item as it was finished; empty where it never was."""
        return self._item(DONE)

    @property
    def type(self) -> str:
        """The item's type."""
        value = (self.added or self.done).get("type")
        return value if isinstance(value, str) else ""

    @property
    def inside(self) -> list[Json]:
        """What came beside added and done."""
        return [event for event in self.events if kind(event) not in (ADDED, DONE)]

    @property
    def whole(self) -> bool:
        """Whether the item was not cut short."""
        return self.done.get("status") in (None, "completed")

    def of(self, *names: str) -> list[Json]:
        """The events of these types."""
        return [event for event in self.events if kind(event) in names]

    def joined(self, name: str, **where: int) -> str:
        """The deltas of one type, joined; `where` picks a part."""
        texts = [event.get("delta") for event in self.picked(self.of(name), **where)]
        return "".join(text for text in texts if isinstance(text, str))

    def picked(self, events: Iterable[Json], **where: int) -> list[Json]:
        """The events with these indexes."""
        return [each for each in events if all(each.get(key) == at for key, at in where.items())]

    def indexes(self, key: str) -> list[int]:
        """The values of `content_index` or `summary_index`, in the order of their first event."""
        values = [event.get(key) for event in self.events]
        return list(dict.fromkeys(value for value in values if isinstance(value, int)))

    def _item(self, name: str) -> Json:
        found = self.of(name)
        return obj(found[0].get("item")) if found else {}

    def __str__(self) -> str:
        return f"{self.stream!r}, item {self.index} ({self.type})"


def stories(stream: Stream) -> list[Story]:
    """The stories of a stream, in the order in which they begin."""
    told: dict[int, Story] = {}
    for event in stream.events:
        index = event.get("output_index")
        if isinstance(index, int):
            told.setdefault(index, Story(stream.name, index)).events.append(event)
    return list(told.values())


def stories_of(stream: Stream, *types: str) -> Iterator[Story]:
    """The stories of items of these types."""
    return (story for story in stories(stream) if story.type in types)
