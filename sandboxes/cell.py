"""One cell as the host sees it: frames in, bounded events out.

The runner bounds what it sends; this side does not rely on it, for code in the sandbox can write
to the stream too. A frame that a well-behaved runner would not send is an error, never repaired.
"""

from __future__ import annotations

import codecs
import time
from collections import deque
from dataclasses import dataclass

from .runner import frames
from .runner.frames import Frame, FrameError
from .sandbox import Display, Output, Started, Status

_MIMES = frozenset({"text/plain", "text/html", "image/png", "image/svg+xml"})
_STREAM_BOUND = frames.STREAM_LIMIT + frames.NOTICE_LIMIT
_TEXT_BOUND = frames.TEXT_LIMIT + frames.NOTICE_LIMIT


@dataclass(frozen=True, slots=True)
class Ended:
    """How a cell ended, before it is known what that cost: see `Finished`."""

    status: Status
    error: str | None
    files_changed: bool = True


class Cell:
    """The state of one cell: its events not yet taken, and its end once there is one."""

    def __init__(self, number: int, *, timeout: float) -> None:
        self.number = number
        self.timeout = timeout
        self.events: deque[Started | Output | Display] = deque()
        self.started = False
        self.ended: Ended | None = None
        self.overdue = False
        """Set by the host's timer when it interrupts the cell."""
        self._began = time.monotonic()
        self._pieces = 0
        self._sizes = {frames.STDOUT: 0, frames.STDERR: 0}
        self._decoders = {
            kind: codecs.getincrementaldecoder("utf-8")("replace") for kind in self._sizes
        }
        self._shown = 0
        self._shown_size = 0

    def accept(self, frame: Frame) -> None:
        """Take a frame of this cell. Raises: FrameError if it is out of turn or over a limit."""
        if self.started == (frame.kind == frames.STARTED) or self.ended is not None:
            raise FrameError(f"a frame of kind {frame.kind} out of turn")
        if frame.kind == frames.STARTED:
            self.started: bool = True
            self.events.append(Started())
        elif frame.kind == frames.DISPLAY:
            self._display(frame.payload)
        elif frame.kind == frames.FINISHED:
            self._finish(frame.payload)
        else:
            self._output(frame.kind, frame.payload)

    def abort(self, reason: str, *, files_lost: bool) -> None:
        """The interpreter is gone: the cell ends with what is known."""
        lost = _ALL_LOST if files_lost else _LOST
        if self.overdue:
            seconds = f"{self.timeout:g} s"
            text = f"The code was stopped after {seconds} and did not react to the interrupt."
            self.ended = Ended("timeout", f"{text} {lost}")
        else:
            self.ended = Ended("crashed", f"{reason}\n{lost}")

    def _output(self, kind: int, data: bytes) -> None:
        self._sizes[kind] += len(data)
        if not data or self._sizes[kind] > _STREAM_BOUND:
            raise FrameError("more output than the runner keeps")
        self._pieces += 1
        seconds = time.monotonic() - self._began
        if self._pieces > frames.FRAME_BURST + frames.FRAME_RATE * seconds:
            raise FrameError("output in smaller pieces than the runner makes")
        self._say(kind, self._decoders[kind].decode(data))

    def _say(self, kind: int, text: str) -> None:
        if text:
            self.events.append(Output("stdout" if kind == frames.STDOUT else "stderr", text))

    def _display(self, payload: bytes) -> None:
        mime, data, *text = frames.unpack(payload, 2, 3)
        self._shown += 1
        self._shown_size += len(data)
        if self._shown > frames.DISPLAY_COUNT or self._shown_size > frames.DISPLAY_LIMIT:
            raise FrameError("more displayed than the runner sends")
        name = mime.decode("ascii", "replace")
        if name not in _MIMES or (text and len(text[0]) > _TEXT_BOUND):
            raise FrameError("a displayed value of an unknown type, or too long")
        self.events.append(Display(name, data, _text(text[0]) if text else None))

    def _finish(self, payload: bytes) -> None:
        status, raw, files = frames.unpack(payload, 3)
        changed = files != frames.SAME
        if len(raw) > _TEXT_BOUND:
            raise FrameError("an error longer than the runner sends")
        for kind, decoder in self._decoders.items():
            self._say(kind, decoder.decode(b"", final=True))
        error = _text(raw)
        if status == frames.TIMEOUT or (status == frames.INTERRUPTED and self.overdue):
            text = f"The code was interrupted after {self.timeout:g} s. Variables are kept."
            self.ended = Ended("timeout", f"{text}\n{error}".rstrip(), changed)
        elif status in (frames.ERROR, frames.INTERRUPTED):  # code may interrupt itself
            self.ended = Ended("error", error, changed)
        elif status == frames.OK:
            self.ended = Ended("ok", None, changed)
        else:
            raise FrameError("an unknown status")


_LOST = "All variables are lost; files are kept. The next cell starts with a new interpreter."
_ALL_LOST = "All variables and all files are lost. The next cell starts in a new container."


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
