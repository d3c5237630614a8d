"""Truncation: what is left out of a context that a model's server calls too long.

With `truncation: auto` the oldest turns go first, whole. What the system said stays, and so does
the last thing that the user said; a call is never parted from its output, nor a thought from
what it led to (law 4). Nobody's tokens are guessed here: the server itself says what is too long.

Above: `turns`. Below: lowered items.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from antiphon.items import FunctionCallOutput, Lowered, Message

_CODES: Final = frozenset({"context_length_exceeded", "string_above_max_length"})
_WORDS: Final = re.compile(
    r"context (length|window|size)|maximum context|prompt is too long|too many (input )?tokens"
    r"|exceeds? the (model's )?(maximum|available) (context|number of tokens)",
    re.IGNORECASE,
)
_SYSTEM: Final = ("system", "developer")


def too_long(code: str, message: str) -> bool:
    """Whether a server's error says that the context was too long for its model."""
    return code in _CODES or _WORDS.search(message) is not None


def shortened(items: Sequence[Lowered]) -> list[Lowered] | None:
    """The context without the older half of what may be left out; None if nothing may be.

    Args:
        items: A whole context: every output stands right behind its run of calls.
    """
    kept = [isinstance(item, Message) and item.role in _SYSTEM for item in items]
    last = _last_user(items)
    units = [unit for unit in _units(items, kept) if last is None or last not in unit]
    before = [unit for unit in units if last is None or unit[0] < last]
    # Older turns go before anything of the present one; of each, the older half.
    going = before or units[:-1]
    if not going:
        return None
    gone = {position for unit in going[: (len(going) + 1) // 2] for position in unit}
    return [item for position, item in enumerate(items) if position not in gone]


def _last_user(items: Sequence[Lowered]) -> int | None:
    for position in range(len(items) - 1, -1, -1):
        item = items[position]
        if isinstance(item, Message) and item.role == "user":
            return position
    return None


def _units(items: Sequence[Lowered], kept: Sequence[bool]) -> Iterator[list[int]]:
    """What stays or goes together: a message with the thoughts before it; or thoughts, the calls
    that they led to, and all their outputs.
    """
    unit: list[int] = []
    answered = False
    for position, item in enumerate(items):
        if kept[position]:
            continue
        output = isinstance(item, FunctionCallOutput)
        if unit and answered and not output:
            yield unit
            unit, answered = [], False
        unit.append(position)
        answered = answered or output
        if isinstance(item, Message):
            yield unit
            unit, answered = [], False
    if unit:
        yield unit
