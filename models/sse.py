"""Server-sent events out of raw chunks of bytes.

Above: `transport`. Not here: HTTP, JSON, or what events mean. Source: the WHATWG HTML standard,
"Server-sent events" (an event that a cut stream left unfinished is dropped, as it says).
"""

import re
from typing import Final, TypeAlias

from antiphon.errors import ModelError

Frame: TypeAlias = tuple[str | None, bytes]
"""An event's name, if it was given, and its data."""

LIMIT: Final = 32 * 1024 * 1024
"""Bytes that one event may have."""

_BOM: Final = b"\xef\xbb\xbf"
_USUAL: Final = re.compile(rb"event: (.*)\ndata: (.+)\n\n")
"""A chunk that is one event, as most are while a model speaks."""


class SseReader:
    """Give it chunks as they come; each `feed` returns the events that became whole.

    Args:
        limit: Bytes that one event may have.

    Only bytes are split, on ASCII line ends, so a chunk may end anywhere, also within a
    character. The common event (one `event:` line, one `data:` line, `\\n`) is cut out without a
    loop over lines.
    """

    __slots__ = ("_ended_in_cr", "_first", "_limit", "_pending", "_size")

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0
        self._ended_in_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take in a chunk.

        Raises:
            ModelError: An event is longer than the limit (`event_too_large`).
        """
        if not (self._pending or self._first or self._ended_in_cr or b"\r" in chunk):
            usual = _USUAL.fullmatch(chunk)
            if usual is not None:
                return [(usual[1].decode("utf-8", "replace"), usual[2])]
        if self._ended_in_cr or b"\r" in chunk:
            chunk = self._plain_line_ends(chunk)
        if not chunk:
            return []
        pending = self._pending
        if pending:
            # A blank line may lie across the border; looking only there keeps an event in a
            # thousand chunks from being copied a thousand times.
            across = chunk[0] == 10 and pending[-1][-1] == 10
            if not across and b"\n\n" not in chunk:
                self._keep(chunk)
                return []
            pending.append(chunk)
            chunk = b"".join(pending)
            pending.clear()
            self._size = 0
        if self._first:
            if len(chunk) < 3 and _BOM.startswith(chunk):
                self._keep(chunk)
                return []
            self._first = False
            chunk = chunk.removeprefix(_BOM)
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        if rest:
            self._keep(rest)
        frames: list[Frame] = []
        for block in blocks:
            frame = _frame(block) if block else None
            if frame is not None:
                frames.append(frame)
        return frames

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise ModelError(
                f"expected events of at most {self._limit} bytes; one was longer and was not read "
                "to its end",
                code="event_too_large",
            )
        self._pending.append(chunk)

    def _plain_line_ends(self, chunk: bytes) -> bytes:
        """Every line end as `\\n`; a `\\r` at the end of a chunk counts at once."""
        if self._ended_in_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._ended_in_cr = False
        if chunk:
            self._ended_in_cr = chunk[-1] == 13
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _frame(block: bytes) -> Frame | None:
    if block.startswith(b"event: "):
        end = block.find(b"\n")
        start = end + 7
        if end > 0 and block.startswith(b"data: ", end + 1) and block.find(b"\n", start) < 0:
            return block[7:end].decode("utf-8", "replace"), block[start:]
    elif block.startswith(b"data: ") and block.find(b"\n") < 0:
        return None, block[6:]
    return _by_lines(block)


def _by_lines(block: bytes) -> Frame | None:
    name: str | None = None
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    if not any(data):
        return None
    return name, b"\n".join(data)
