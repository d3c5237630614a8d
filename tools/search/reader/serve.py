"""The process that reads files: one line of JSON asks for a file, lines of JSON answer.

    asked:    {"path", "name", "most", "overlap", "memory", "seconds"}, or with "size" instead of
              "path": so many bytes of a small text follow
    answered: {"chunks": [[text, heading, start, end, pages, lines], ...]} any number of times, the
              last with "end": characters; or {"error": message, "code": code}

A file of a path is read in a fork of its own (where there are forks), which ends with it: nothing
that a file does to its reader is there for the next. A fork takes twenty times as long as a small
text, which plain Python reads: such are read one after the other, by a process that reads nothing
else. Above: `readers.py`, at the other end of the pipes.
"""

import json
import math
import os
import sys
import time
from typing import Any, BinaryIO

from .chunks import Chunk, chunks_of
from .document import Unreadable
from .extract import extract

_LINE = 128  # chunks


def main() -> None:
    """Serve until the pipe is closed."""
    asking, answering = sys.stdin.buffer, sys.stdout.buffer
    for line in asking:
        asked = json.loads(line)
        if "size" in asked:
            data = asking.read(asked["size"])
            _limit(asked["memory"], asked["seconds"])
            read(asked, answering, data)
        elif hasattr(os, "fork"):
            _forked(asked, answering)
        else:
            read(asked, answering)


def _forked(asked: dict[str, Any], out: BinaryIO) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _limit(asked["memory"], asked["seconds"])
            read(asked, out)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if ended != 0:
        signal = os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0
        why = f"signal {signal}" if signal else "no reason given"
        message = f"reading the file took more memory or time than it may ({why}): split it"
        out.write(b"\n")
        _say(out, {"error": message, "code": "invalid_file"})


def _limit(memory: int, seconds: int) -> None:
    """Limits of this process, from now on; again for each file that it reads."""
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def read(asked: dict[str, Any], out: BinaryIO, data: bytes | None = None) -> None:
    """Read one file, which is at its path if its bytes are not here, and answer."""
    try:
        if data is None:
            with open(asked["path"], "rb") as file:
                data = file.read()
        document = extract(asked["name"], data)
        del data
        waiting: list[Chunk] = []
        for chunk in chunks_of(document, most=asked["most"], overlap=asked["overlap"]):
            waiting.append(chunk)
            if len(waiting) == _LINE:
                _say(out, {"chunks": waiting})
                waiting = []
        _say(out, {"chunks": waiting, "end": len(document.text)})
    except Unreadable as error:
        _say(out, {"error": error.message, "code": error.code})
    except MemoryError:
        message = "reading the file took more memory than it may: split it"
        _say(out, {"error": message, "code": "invalid_file"})
    except Exception as error:
        message = f"the file could not be read ({type(error).__name__}: {str(error)[:200]})"
        _say(out, {"error": message, "code": "invalid_file"})


def _say(out: BinaryIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line).encode() + b"\n")
    out.flush()
