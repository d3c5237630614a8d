"""Citations: short markers that a model writes after what it took from a source.

A tool that finds something mints a marker for it, shows it to the model beside what was found,
and says what is to stand in its place in the answer. Whoever lets the model's words through
(`agents.citing`) replaces markers by that, and adds the annotation; a marker that was never
minted is dropped. Markers are numbered through a whole conversation, so that a later answer may
cite what an earlier one found.

Above: `web_search.py` and every tool that finds things. Not here: reading the model's words.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from antiphon.items import Annotation

MARKER: Final = re.compile(r"\[cite: ?(\d{1,9}(?:, ?(?:cite: ?)?\d{1,9}){0,15})\]")
"""A marker as models write it: `[cite:3]`, or several as one, `[cite:3, 4]`."""

BEGUN: Final = re.compile(
    r"\[(?:c(?:i(?:t(?:e(?:: ?(?:\d{1,9}, ?(?:cite: ?)?){0,15}"
    r"(?:\d{0,9},?|\d{1,9}, ?c(?:i(?:t(?:e(?::)?)?)?)?))?)?)?)?)?\Z"
)
"""What may become a marker, at the end of a text that goes on."""

_MOST: Final = 10_000_000

LONGEST: Final = 320
"""Characters of the longest marker, with room to spare."""

HINT: Final = (
    "Each result has a `cite` marker, such as [cite:3]. Write it, exactly so, right after what "
    "you take from that result; never write a marker that you were not given."
)
"""How a model is told to cite; for the descriptions of tools."""

MAX_NAMES: Final = 100
"""Words that are looked for in an answer."""

Annotate: TypeAlias = Callable[[int, int], Annotation]
"""Makes the annotation for a span of the answer: its first character, and the one after it."""


@dataclass(frozen=True, slots=True)
class Citation:
    """What a marker stands for.

    Attributes:
        text: What the answer shows in its place; empty where the marker only vanishes.
        annotate: Makes the annotation on where that stands.
    """

    text: str
    annotate: Annotate


class Citations:
    """The markers of one run, and the names that are cited where the answer says them.

    Empty and asleep until a tool that cites is on the menu, or a file has been made.

    Args:
        names: Those of the run around this one: what is made inside is cited outside, too.

    Attributes:
        marking: Whether the model's words are to be read for markers.
        names: The annotations of words that are cited as they stand, the newest last.
    """

    __slots__ = ("_known", "_restorers", "marking", "names")

    def __init__(self, names: dict[str, Annotate] | None = None) -> None:
        self.marking: bool = False
        self.names: dict[str, Annotate] = {} if names is None else names
        self._known: dict[int, Citation] = {}
        self._restorers: list[Callable[[], None]] = []

    @property
    def awake(self) -> bool:
        """Whether the model's words are to be read at all."""
        return self.marking or bool(self.names)

    def wake(self, restore: Callable[[], None] | None = None) -> None:
        """A tool that cites may be called: from here on markers are looked for.

        Args:
            restore: Knows again (by `restore`) what items of the conversation say of markers. It
                is called before any is minted, and when one is not known: a run that goes on in
                another process has its items only after it began.
        """
        self.marking = True
        if restore is not None:
            self._restorers.append(restore)

    def mint(self, text: str, annotate: Annotate) -> str:
        """A new marker, as the model is to write it.

        Args:
            text: What the answer shows in its place.
            annotate: Makes the annotation on where that stands.
        """
        self.refresh()
        number = max(self._known, default=0) + 1
        self._known[number] = Citation(text, annotate)
        return f"[cite:{number}]"

    def restore(self, marker: str, text: str, annotate: Annotate) -> None:
        """A marker that was minted earlier in the conversation; what is no marker is passed over.

        Args:
            marker: As `mint` gave it.
            text: What the answer shows in its place.
            annotate: Makes the annotation on where that stands.
        """
        numbers = numbers_of(marker)
        if len(numbers) == 1 and numbers[0] < _MOST:  # a client may have made it up
            self._known.setdefault(numbers[0], Citation(text, annotate))

    def name(self, word: str, annotate: Annotate) -> None:
        """A word that is cited wherever the answer names it, such as that of a file.

        The newest of one word counts, and the newest `MAX_NAMES` words.

        Args:
            word: How it is written.
            annotate: Makes the annotation on where it stands.
        """
        self.names.pop(word, None)
        self.names[word] = annotate
        if len(self.names) > MAX_NAMES:
            del self.names[next(iter(self.names))]

    def find(self, number: int) -> Citation | None:
        """What the marker of this number stands for; None if it was never minted."""
        if number not in self._known:
            self.refresh()
        return self._known.get(number)

    def refresh(self) -> None:
        """Know again what the conversation's items say of markers."""
        for restore in self._restorers:
            restore()


def numbers_of(marker: str) -> list[int]:
    """The numbers that a marker names."""
    found = MARKER.fullmatch(marker)
    return [] if found is None else [int(each) for each in re.findall(r"\d+", found[1])]
