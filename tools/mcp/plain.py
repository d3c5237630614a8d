"""What an MCP server says, made harmless: it is data of a stranger, and never instructions of ours.

Names, descriptions, schemas, results and errors come through here: control characters and those
that nobody sees are taken out, everything has a bound, and a credential that a server gives back
is not shown. Above: `tools`, `content`, `link`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from antiphon.items import bounded, clean

DEPTH: Final = 24
"""How deep objects and lists may stand in each other."""

_SHORTEST: Final = 6
"""A secret of fewer characters is not looked for: it would be found in any text."""

# C0 and C1 without tab and line ends; and what Unicode has to be ignored where it cannot be shown
# (Default_Ignorable_Code_Point): marks of direction, spaces without width, fillers, tags.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b"
    "\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# Joiners and selectors of variants, which scripts and emoji need: one of each behind what is seen.
_JOINING: Final = re.compile("[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f]+")
_NEEDED: Final = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f]?[\u200c\u200d]?")


def _joined(run: re.Match[str]) -> str:
    """Of a run of them what a reader needs: longer ones, and ones behind nothing, hide words."""
    start = run.start()
    if start == 0 or run.string[start - 1].isspace():
        return ""
    needed = _NEEDED.match(run[0])
    return needed[0] if needed else ""


@dataclass(frozen=True, slots=True, repr=False)
class Plain:
    """Makes texts and JSON of one server harmless.

    Attributes:
        secrets: What was sent to the server to let us in.
        later: More of these, which come and go: the tokens of OAuth.
    """

    secrets: tuple[str, ...] = ()
    later: Callable[[], Sequence[str]] = tuple

    def whole(self, given: str) -> str:
        """A text without what nobody sees, and without our secrets."""
        text = _JOINING.sub(_joined, _UNSEEN.sub("", clean(given)))
        for secret in sorted((*self.secrets, *self.later()), key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, "[redacted]")
        return text

    def name(self, given: str) -> str:
        """A name, in which nothing may be that nobody sees."""
        return _JOINING.sub("", self.whole(given))

    def text(self, given: str, limit: int) -> str:
        """The same, with a bound; a note says how much there was."""
        return bounded(self.whole(given), limit)

    def json(self, given: Any, depth: int = DEPTH) -> Any:
        """JSON whose texts are plain, keys included.

        Raises:
            ValueError: It is too deep.
        """
        if isinstance(given, str):
            return self.whole(given)
        if not isinstance(given, Mapping | list):
            return given
        if depth == 0:
            raise ValueError(f"expected JSON at most {DEPTH} deep")
        if isinstance(given, Mapping):
            fields = cast("Mapping[Any, Any]", given)
            return {
                self.whole(str(key)): self.json(each, depth - 1) for key, each in fields.items()
            }
        return [self.json(each, depth - 1) for each in cast("list[Any]", given)]
