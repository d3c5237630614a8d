"""What a foreign Responses server says of the whole response, read with patience.

Servers send null where the schema wants a number, and leave out what they do not have; of a
terminal response only status, usage, error and output matter here, so only these are read.

Above: `relay`. Not here: events inside items.
"""

import math
from collections.abc import Callable
from typing import Any, Final, cast

from antiphon.items import (
    Completed,
    Event,
    Failed,
    Fault,
    Incomplete,
    IncompleteDetails,
    InputTokensDetails,
    Json,
    OutputTokensDetails,
    Response,
    Usage,
)

from .refused import fault

ENDINGS: Final[dict[str, type[Completed | Incomplete | Failed]]] = {
    "completed": Completed,
    "incomplete": Incomplete,
    "cancelled": Incomplete,
    "failed": Failed,
}
"""The event that ends a response of each status."""


def ending(response: Json, status: str, clean: Callable[[str], str]) -> Event:
    """The terminal event of a foreign response.

    Args:
        response: The object as it came.
        status: One of `ENDINGS`.
        clean: Blots secrets out of a text.
    """
    error: Fault | None = None
    if status == "failed":
        code, message = fault(response.get("error") or {}, clean)
        error = Fault(code=code or "server_error", message=message or "the server gave no reason")
    told: object = _fields(response.get("incomplete_details")).get("reason")
    reason = told if isinstance(told, str) else "cancelled" if status == "cancelled" else None
    return ENDINGS[status](
        response=Response(
            id=_text(response.get("id")),
            model=_text(response.get("model")),
            status=status,
            incomplete_details=IncompleteDetails(reason=reason) if reason else None,
            error=error,
            usage=usage(response.get("usage")),
            service_tier=_text(response.get("service_tier")) or "default",
        )
    )


def usage(told: Any) -> Usage | None:
    """Tokens used, as far as they were told."""
    if not isinstance(told, dict):
        return None
    fields = cast("Json", told)
    read, written = count(fields.get("input_tokens")), count(fields.get("output_tokens"))
    cache = _fields(fields.get("input_tokens_details"))
    thought = _fields(fields.get("output_tokens_details")).get("reasoning_tokens")
    return Usage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=count(fields.get("total_tokens")) or read + written,
        input_tokens_details=InputTokensDetails(
            cached_tokens=count(cache.get("cached_tokens")),
            cache_write_tokens=count(cache.get("cache_write_tokens")),
        ),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=count(thought)),
    )


def count(value: Any) -> int:
    """A number of tokens; 0 where none was told, or what was told is none."""
    if isinstance(value, int):
        return max(value, 0)
    return int(value) if isinstance(value, float) and math.isfinite(value) and value > 0 else 0


def _fields(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
