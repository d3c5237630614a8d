"""Readers: processes that read files within limits of memory and time.

A process is started when it is first needed and serves one file at a time; one that is late is
killed with all that it started, and the file failed. Small texts have processes of their own, which
read one after the other (see `reader.serve`). Above: `ingest`. Below: `reader/`.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path, PurePath
from typing import Any, Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from .reader.chunks import Chunk
from .reader.document import BINARY, Unreadable
from .store import Chunking

_SMALL: Final = 256 * 1024
"""Bytes of a text that may be read in the process of the one before it."""
_LONGEST: Final = 64 * 1024 * 1024  # bytes of one line that a reader says
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from reader.serve import main;"
    " del sys.path[0]; main()"
)


class _Reader:
    """One process and what it says."""

    def __init__(self, process: Process) -> None:
        self.process = process
        assert process.stdout is not None
        self.said = BufferedByteReceiveStream(process.stdout)

    async def ask(self, asked: dict[str, Any], data: bytes = b"") -> list[Chunk]:
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(asked).encode() + b"\n" + data)
        chunks: list[Chunk] = []
        while True:
            line = await self.said.receive_until(b"\n", _LONGEST)
            if not line:
                continue
            told = json.loads(line)
            if "error" in told:
                raise Unreadable(told["error"], told["code"])
            chunks += (_chunk(each) for each in told["chunks"])
            if "end" in told:
                return chunks

    async def kill(self) -> None:
        with anyio.CancelScope(shield=True):
            try:
                if os.name == "posix":
                    os.killpg(self.process.pid, signal.SIGKILL)
                else:
                    self.process.kill()
            except ProcessLookupError:
                pass
            await self.process.aclose()


def _chunk(told: list[Any]) -> Chunk:
    text, heading, start, end, pages, lines = told
    return Chunk(
        _clean(text),
        _clean(heading),
        start,
        end,
        None if pages is None else (pages[0], pages[1]),
        None if lines is None else (lines[0], lines[1]),
    )


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which no database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def small(name: str, size: int) -> bool:
    """Whether a file is a text that is read in no time, by code that no text can break."""
    return size <= _SMALL and PurePath(name).suffix.lower().lstrip(".") not in BINARY


class Readers:
    """Reads files, several at a time.

    Args:
        memory: Bytes of address space that reading one file may take (where POSIX limits it).
        seconds: How long it may take.
    """

    def __init__(self, *, memory: int = 512 * 1024**2, seconds: float = 60.0) -> None:
        self._memory = memory
        self._seconds = seconds
        self._idle: dict[bool, list[_Reader]] = {True: [], False: []}

    async def read(self, content: Path | bytes, *, name: str, chunking: Chunking) -> list[Chunk]:
        """The passages of a file.

        Args:
            content: Where it is; or all of it, where it is `small`.
            name: What it is called.
            chunking: How it is cut.

        Raises:
            Unreadable: It cannot be read, or not within the limits.
        """
        asked: dict[str, Any] = {
            "name": name,
            "most": chunking.most,
            "overlap": chunking.overlap,
            "memory": self._memory,
            "seconds": max(1, int(self._seconds)),
        }
        here = isinstance(content, bytes)
        asked |= {"size": len(content)} if here else {"path": str(content)}
        try:
            with anyio.fail_after(self._seconds):
                async with self._reader(self._idle[here]) as reader:
                    return await reader.ask(asked, content if here else b"")
        except TimeoutError:
            raise Unreadable(
                f"reading the file took more than {self._seconds:g} seconds: split it"
            ) from None
        except (
            anyio.EndOfStream,
            anyio.IncompleteRead,
            anyio.DelimiterNotFound,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            ValueError,
        ) as error:
            raise Unreadable(
                f"the file made its reader fall silent ({type(error).__name__}): split it"
            ) from error

    @asynccontextmanager
    async def _reader(self, idle: list[_Reader]) -> AsyncGenerator[_Reader]:
        """A reader of one's own; one that broke off in the middle is not used again."""
        reader = idle.pop() if idle else await self._start()
        try:
            yield reader
        except Unreadable:
            idle.append(reader)
            raise
        except BaseException:
            await reader.kill()
            raise
        idle.append(reader)

    async def _start(self) -> _Reader:
        command = [sys.executable, "-I", "-c", _PROGRAM, str(Path(__file__).parent)]
        process = await anyio.open_process(
            command, stderr=None, start_new_session=os.name == "posix"
        )
        return _Reader(process)

    async def aclose(self) -> None:
        """End every process."""
        for idle in self._idle.values():
            while idle:
                await idle.pop().kill()
