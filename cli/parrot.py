"""The engine behind `antiphon chat --demo`: it tells what it was given.

Above: `chat`. Below: `antiphon.models`. An example of an engine of one's own, too.
"""

import re
from collections.abc import AsyncGenerator

import anyio

from antiphon.items import Message
from antiphon.models import ModelRequest, Reasoning, Speech, Text, model

_PACE = 0.01


@model("parrot")
async def parrot(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Says which items it sees, and what the last one says."""
    types = [str(item.type) for item in request.items]
    count = len(types)
    yield Reasoning(f"I was given {count} item{'s' if count > 1 else ''}: {', '.join(types)}.")
    last = request.items[-1]
    said = last.text if isinstance(last, Message) else last.type
    words = (
        f"You said: {said}\n"
        "That list is all there is: this chat has no other state. /items shows it."
    )
    for word in re.findall(r"\S+\s*", words):
        yield Text(word)
        await anyio.sleep(_PACE)
