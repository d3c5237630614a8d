"""What an MCP server says, made harmless: it is data of a stranger, and never instructions of ours.

Names, descriptions, schemas, results and errors come through here: control characters and those
that nobody sees are taken out, everything has a bound, and a credential that a server gives back
is not shown. Above: `mcp_listing`, `mcp_content`, `mcp_line`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from .text import bounded, clean

DEPTH: Final = 24
"""How deep objects and lists may stand in each other."""

_SHORTEST: Final = 6
"""A secret of fewer characters is not looked for: it would be found in any text."""

# C0 and C1 without tab and line ends, directional overrides, and the tags of invisible ASCII.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


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
        text = _UNSEEN.sub("", clean(given))
        for secret in (*self.secrets, *self.later()):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, "[redacted]")
        return text

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
