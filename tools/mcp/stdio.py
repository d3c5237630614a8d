"""The pipes of a program that speaks MCP: one line is one message, and no line is without end.

The SDK's own transport keeps what it has read of a line, however long that becomes, and looks
through it again for every chunk. Here a line has a bound; a program that goes over it is left.
Whoever reads pulls from the pipe itself: what nobody reads waits in the pipe, and not here.

Above: `program`, `traffic`. Below: the SDK's message classes. Not here: what is said.
"""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import ByteReceiveStream, Process

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

log: logging.Logger = logging.getLogger("antiphon.tools.mcp")

LINE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one line: one result."""

LEAVE: Final = 2.0
"""Seconds that a program has to end by itself, once there is nothing more to read; and again
after it was asked to, before it is killed."""

FLUSH: Final = 0.5
"""Seconds for what was said to it already."""

POKE: Final = b'{"jsonrpc":"2.0","id":"still there?","method":"ping"}\n'
"""The SDK's servers up to 1.9 break at the question of 2026 by which a session begins, and end only
when they read one more line; all others answer something."""

_CHUNK: Final = 65536
_AHEAD: Final = 16
"""Messages that wait for a program that does not read: whoever gives up says so without waiting."""

_LOOK: Final = 0.01
_GONE: Final = (
    anyio.EndOfStream,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    OSError,
)


class TooMuch(Exception):
    """A server says more than anybody should have to read; the words say what."""


class Heard:
    """What a program says, as its session reads it: a message, or an error for what is none.

    Args:
        pipe: Its standard output.
    """

    def __init__(self, pipe: ByteReceiveStream) -> None:
        self.endless: bool = False
        self._pipe = pipe
        self._lines: list[bytes] = []
        self._held = bytearray()
        self._told = False

    async def __anext__(self) -> Any:
        """The next one.

        Raises:
            TooMuch: A line does not end.
            StopAsyncIteration: It says no more.
        """
        while not self._lines:
            try:
                await self._read()
            except _GONE:
                raise StopAsyncIteration from None
        return self._message(self._lines.pop())

    async def aclose(self) -> None:
        """Read no more; the pipe is closed with the program."""

    async def _read(self) -> None:
        first, *more = (await self._pipe.receive(_CHUNK)).split(b"\n")
        self._held += first
        if len(self._held) > LINE_LIMIT:
            self.endless = True
            self._held = bytearray()
            raise TooMuch(f"it sent a line of more than {LINE_LIMIT} bytes")
        if more:
            *whole, rest = more
            self._lines = [bytes(self._held), *whole][::-1]  # the next one stands last
            self._held = bytearray(rest)

    def _message(self, line: bytes) -> Any:
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        try:
            said = line.decode("utf-8", "replace")
            return SessionMessage(jsonrpc_message_adapter.validate_json(said, by_name=False))
        except ValueError as error:
            if not self._told:
                self._told = True
                log.warning("an MCP program writes lines that are no messages: they are left out")
            return error


@asynccontextmanager
async def piped(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None,
    errors: IO[Any],
    poke: bytes = b"",
) -> AsyncGenerator[tuple[Heard, "MemoryObjectSendStream[Any]"]]:
    """Start a program; it and all that it started have ended when the block is left.

    Args:
        command: The program and its arguments.
        env: All its variables.
        cwd: Where it runs.
        errors: Where its standard error goes.
        poke: Said behind the first message.

    Raises:
        OSError: It cannot be started.
    """
    process = await anyio.open_process(
        list(command), env=env, cwd=cwd, stderr=errors, start_new_session=True
    )
    assert process.stdout is not None  # it has pipes
    send, receive = anyio.create_memory_object_stream[Any](_AHEAD)
    heard = Heard(process.stdout)
    written = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_write, process, receive, written, poke)
        try:
            yield heard, send
        finally:
            with anyio.CancelScope(shield=True):  # each wait in there has an end
                send.close()
                await _end(process, written, heard)
            tasks.cancel_scope.cancel()


async def _write(
    process: Process,
    messages: "MemoryObjectReceiveStream[Any]",
    written: anyio.Event,
    poke: bytes,
) -> None:
    """One message after another; one that cannot be written ends the reading, too."""
    assert process.stdin is not None
    try:
        with messages:
            async for each in messages:
                said = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send(said.encode() + b"\n" + poke)
                poke = b""
    except _GONE:
        await _shut(process.stdout)
    finally:
        written.set()


async def _end(process: Process, written: anyio.Event, heard: Heard) -> None:
    """Say goodbye, wait, insist: the protocol's order. One that says too much is only ended."""
    from mcp.os.posix.utilities import terminate_posix_process_tree

    async with anyio.create_task_group() as tasks:
        if not heard.endless:
            tasks.start_soon(_drain, process)  # it may have to be read before it can end
            with anyio.move_on_after(FLUSH):
                await written.wait()
        await _shut(process.stdin)
        if not heard.endless:
            await _ended(process)
        await terminate_posix_process_tree(process, LEAVE)  # what it started, too
        if not await _ended(process):
            log.warning("an MCP program cannot be ended: process %d", process.pid)
        tasks.cancel_scope.cancel()
    await _shut(process.stdout)
    # What it left behind may hold the pipes, and asyncio keeps them open as long as that lives.
    transport: Any = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with suppress(PermissionError):
            transport.close()


async def _drain(process: Process) -> None:
    with suppress(*_GONE):
        while process.stdout is not None:
            await process.stdout.receive(_CHUNK)


async def _ended(process: Process) -> bool:
    """Whether it ends in time. Not by `wait`, which waits for all who hold its pipes."""
    with anyio.move_on_after(LEAVE):
        while process.returncode is None:  # noqa: ASYNC110 (nobody tells of it)
            await anyio.sleep(_LOOK)
    return process.returncode is not None


async def _shut(pipe: anyio.abc.AsyncResource | None) -> None:
    if pipe is not None:
        with suppress(*_GONE):
            await pipe.aclose()
