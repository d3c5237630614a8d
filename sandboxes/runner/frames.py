"""The wire between host and runner: typed frames with a length and hard limits.

A frame is a header (kind, id, length of the payload; big-endian, 9 bytes) and its payload. The
id names the cell or the file request it belongs to; 0 is the interpreter itself. Output frames
carry raw bytes; the others carry *fields*, each a 4-byte length and its bytes. No JSON and no
pickle: this file is imported at every start of an interpreter, and reads what strangers write.

Host to runner: EXECUTE(timeout in ms or 0, code), PUT(name) PUT_DATA* PUT_END | PUT_ABORT,
GET(limit, name), LIST, REMOVE(name). Runner to host: READY(version, python), STARTED, STDOUT,
STDERR, DISPLAY(mime, data[, text]), FINISHED(status, error, files), and for a file request DATA*,
ENTRY(name, size, modified in ms)*, then DONE or FAILED(reason).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

VERSION = 2
"""Raised whenever a frame changes its meaning; both ends must name the same."""

CODE_LIMIT = 4 * 1024 * 1024
"""Bytes of source in one cell."""
STREAM_LIMIT = 1024 * 1024
"""Bytes kept of each of stdout and stderr in one cell; the rest is read and dropped."""
URGENT = 200
"""Explicit flushes sent at once in one cell; later ones wait for the next batch."""
FRAME_RATE = 200
"""Output frames a second, averaged over a cell, that a runner never exceeds after FRAME_BURST."""
FRAME_BURST = 3000
"""Output frames of a cell that are always allowed."""
NOTICE_LIMIT = 256
"""Bytes the notice about dropped output may take on top."""
DISPLAY_LIMIT = 16 * 1024 * 1024
"""Bytes of displayed data in one cell, all values together."""
DISPLAY_COUNT = 100
"""Values displayed in one cell."""
TEXT_LIMIT = 64 * 1024
"""Bytes of a plain-text form, and of an error."""
FRAME_LIMIT = DISPLAY_LIMIT + TEXT_LIMIT + 4096
"""Bytes of payload in one frame, at most: of a displayed value with its text."""
CHUNK = 256 * 1024
"""Bytes of a file in one frame: in each but the last one exactly so many, so that they are few."""
FILE_COUNT = 10_000
"""Files named in one listing."""
LATEST = 253_402_300_799_999
"""Milliseconds since 1970 at the end of the year 9999: no file is told to be younger."""

EXECUTE, PUT, PUT_DATA, PUT_END, PUT_ABORT, GET, LIST, REMOVE = range(1, 9)
READY, STARTED, STDOUT, STDERR, DISPLAY, FINISHED, DATA, ENTRY, DONE, FAILED = range(65, 75)

KINDS = frozenset(range(EXECUTE, REMOVE + 1)) | frozenset(range(READY, FAILED + 1))

CHANGED, SAME = b"changed", b"same"
"""What a cell has made of the files of the working directory."""

OK, ERROR, TIMEOUT, INTERRUPTED = b"ok", b"error", b"timeout", b"interrupted"
"""How a cell ended. The runner says `timeout` by its own timer; whose interrupt the last one was,
the host knows."""

_HEADER = struct.Struct(">BII")
_LENGTH = struct.Struct(">I")


class FrameError(ValueError):
    """Bytes that are no frame, or break a limit."""


class Frame(NamedTuple):
    """One message: what it is, what it belongs to, and its payload."""

    kind: int
    id: int
    payload: bytes


def encode(kind: int, key: int, payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    return _HEADER.pack(kind, key, len(payload)) + payload


def pack(*fields: bytes) -> bytes:
    """Fields as one payload."""
    return b"".join(_LENGTH.pack(len(field)) + field for field in fields)


def unpack(payload: bytes, least: int, most: int = 0) -> list[bytes]:
    """The fields of a payload, from `least` to `most` of them (0: exactly `least`).

    Raises: FrameError.
    """
    fields: list[bytes] = []
    at = 0
    while at < len(payload):
        if at + 4 > len(payload):
            raise FrameError("a field is cut short")
        (length,) = _LENGTH.unpack_from(payload, at)
        at += 4
        if at + length > len(payload) or len(fields) >= max(least, most):
            raise FrameError("a field is cut short, or there are too many")
        fields.append(payload[at : at + length])
        at += length
    if len(fields) < least:
        raise FrameError(f"expected {least} fields, got {len(fields)}")
    return fields


def pack_number(value: int) -> bytes:
    """A non-negative number as a field."""
    return b"%d" % value


def number(field: bytes) -> int:
    """The number in a field. Raises: FrameError."""
    if not field.isdigit() or len(field) > 19:
        raise FrameError("expected a number")
    return int(field)


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add what was read; yield the frames that are whole now. To be consumed to its end.

        Raises: FrameError on an unknown kind or a frame over the limit, before reading it in, and
        after the good frames in front of it.
        """
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= _HEADER.size:
            kind, key, length = _HEADER.unpack_from(buffer, at)
            if kind not in KINDS:
                raise FrameError(f"unknown frame kind {kind}")
            if length > FRAME_LIMIT:
                raise FrameError(f"a frame of {length} bytes is over the limit")
            end = at + _HEADER.size + length
            if len(buffer) < end:
                break
            yield Frame(kind, key, bytes(buffer[at + _HEADER.size : end]))
            at = end
        del buffer[:at]
