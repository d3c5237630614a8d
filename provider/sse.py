"""Server-sent events: one event, one frame; several whole frames in a write, never part of one.

Source: the WHATWG event stream format, as the Open Responses specification narrows it:
`event: <type>`, `data: <json>`, `\\n` only, no `id:`, and `data: [DONE]` at the end.
"""

import secrets
from hashlib import sha256
from typing import cast

from antiphon.items import Event, TextDelta

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def frame(event: Event) -> bytes:
    """The frame of one event."""
    return b"event: %b\ndata: %b\n\n" % (event.type.encode(), event.to_json())


def pad(event: Event, seed: str | None = None) -> None:
    """Add `obfuscation` to a text delta, so that its length on the wire tells less.

    Args:
        event: Any event.
        seed: Makes the same padding each time, for all who follow one stream; random without.
    """
    if isinstance(event, TextDelta):
        extra = cast("dict[str, object]", event.__pydantic_extra__)
        noise = secrets.token_urlsafe(32)
        if seed is not None:
            noise = sha256(f"{seed}:{event.sequence_number}".encode()).hexdigest()
        extra["obfuscation"] = noise[: 32 - len(event.delta) % 32]
