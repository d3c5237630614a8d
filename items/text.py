"""Text that is safe to put into an item: no lone surrogates, no more than its bound.

Below: nothing of this room. Above: whoever makes items of what strangers wrote.
"""

import re
from typing import Final

_LONE: Final = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with U+FFFD for every lone surrogate (which no JSON encoder takes)."""
    return text if text.isascii() else _LONE.sub("\ufffd", text)


def bounded(text: str, limit: int) -> str:
    """The first `limit` characters, with a note of how many there were."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[truncated: the first {limit} of {len(text)} characters]"
