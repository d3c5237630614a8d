"""Server-sent events: one event, one frame; several whole frames in a write, never part of one.

Source: the WHATWG event stream format, as the Open Responses specification narrows it:
`event: <type>`, `data: <json>`, `\\n` only, no `id:`, and `data: [DONE]` at the end.
"""

import secrets
from typing import cast

from antiphon.items import Event, TextDelta

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def frame(event: Event) -> bytes:
    """The frame of one event."""
    return b"event: %b\ndata: %b\n\n" % (event.type.encode(), event.to_json())


def pad(event: Event) -> None:
    """Add random `obfuscation` to a text delta, so that its length on the wire tells less."""
    if isinstance(event, TextDelta):
        extra = cast("dict[str, object]", event.__pydantic_extra__)
        extra["obfuscation"] = secrets.token_urlsafe(32)[: 32 - len(event.delta) % 32]
