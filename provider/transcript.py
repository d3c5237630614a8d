"""A conversation as a text that a model reads in order to summarise it: one JSON object a line.

JSON, because nothing that was said inside a line can pass for the beginning of another; and a
text, because the model is to read what was said and not to go on with it, and because no server
need know the tools that were called.

Above: `summary`. Below: `items.lower`. What is long loses its middle, and says how much.
"""

from collections.abc import Iterator, Sequence
from typing import Final, cast

from pydantic_core import to_json

from antiphon.errors import RequestError
from antiphon.items import (
    Compaction,
    Content,
    FunctionCall,
    InputFile,
    Item,
    Json,
    Lowered,
    Message,
    Reasoning,
    lower_at,
    text_of,
)

MOST: Final = 1_000_000
"""Characters that a transcript may have."""

ROOM: Final = 32_000
"""Characters that one message may have; arguments and outputs of calls have a quarter of it, and
thoughts an eighth."""

_LEAST: Final = 500


def transcript(items: Sequence[Item]) -> str:
    """What was said and done, oldest first.

    Args:
        items: Whole items; a compaction among them has its summary.

    Raises:
        RequestError: 400; there is nothing to read (`invalid_value`), or even shortened it is
            longer than `MOST` (`input_too_large`).
    """
    lines = [line for at, item in enumerate(items) for line in _lines(item, at)]
    if not lines:
        raise RequestError(
            f"input: expected a conversation, got {len(items)} items that say nothing: there is "
            "nothing to compact",
            param="input",
            code="invalid_value",
        )
    room = ROOM
    while True:
        text = "\n".join(to_json(_short(line, room)).decode() for line in lines)
        if len(text) <= MOST:
            return text
        room //= 2
        if room < _LEAST:
            raise RequestError(
                f"input: expected a conversation of which a model can read all, got {len(items):,} "
                f"items, more than {MOST:,} characters even when each is shortened: compact a "
                "part of it first",
                param="input",
                code="input_too_large",
            )


def _lines(item: Item, at: int) -> Iterator[Json]:
    if isinstance(item, Compaction):
        summary: object = getattr(item, "summary", None)
        yield {"earlier_summary": summary if isinstance(summary, str) else ""}
        return
    for part in lower_at(item, at):
        line = _line(part)
        if line is not None:
            yield line


def _line(part: Lowered) -> Json | None:
    if isinstance(part, Message):
        return {"role": part.role, "text": _said(part.content)}
    if isinstance(part, Reasoning):
        return {"thought": part.text} if part.text else None
    if isinstance(part, FunctionCall):
        return {"call": part.name, "id": part.call_id, "arguments": part.arguments}
    return {"output_of": part.call_id, "output": _said(part.output)}


def _said(content: Content) -> str:
    """The words of a content; what is no text is named."""
    if isinstance(content, str):
        return content
    return "\n".join(text_of([part]) or _named(part) for part in content)


def _named(part: object) -> str:
    if isinstance(part, InputFile):
        return f"[file {part.filename or part.file_id or part.file_url or ''}]"
    kind: str = getattr(part, "type", "part")
    return f"[{kind.removeprefix('input_')}]"


_SHARE: Final = {"arguments": 4, "output": 4, "thought": 8}


def _short(line: Json, room: int) -> Json:
    """A line whose texts keep within the room that each kind of them has."""
    return {key: _cut(cast("str", text), room // _SHARE.get(key, 1)) for key, text in line.items()}


def _cut(text: str, room: int) -> str:
    """A text without its middle, where it is longer than its room."""
    if len(text) <= room:
        return text
    head, tail = room * 2 // 3, room // 3
    left_out = len(text) - head - tail
    return f"{text[:head]}[... {left_out:,} characters left out ...]{text[-tail:]}"
