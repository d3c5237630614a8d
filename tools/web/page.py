"""A page of the web, as it was opened.

Above: `fetcher`, `pages`, and whoever opens pages a way of their own. Not here: how one opens them.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

_AROUND: Final = 200
"""Characters on either side of words that were found."""

_PLACES: Final = 10
"""Places where a page says something that are shown."""


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page that was opened.

    Attributes:
        url: Where it was found in the end.
        title: Its title, if it has one.
        text: What a reader would read.
    """

    url: str
    title: str
    text: str

    def passages(self, words: str) -> list[str]:
        """Where the page says this, with what stands around it; case does not matter."""
        wanted = re.compile(re.escape(words), re.IGNORECASE)
        passages: list[str] = []
        found = wanted.search(self.text)
        while found is not None and len(passages) < _PLACES:
            end = found.end() + _AROUND
            passages.append(self.text[max(0, found.start() - _AROUND) : end])
            found = wanted.search(self.text, end)
        return passages


OpenPage: TypeAlias = Callable[[str], Awaitable[WebPage | str]]
"""Opens a page: takes its URL, gives a `WebPage`, or its text."""
