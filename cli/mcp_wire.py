"""The wire of `antiphon mcp`: stdin and stdout, which are the protocol's and nobody else's.

From `take_wire` on, the rest of the process reads nothing and prints to standard error: the user's
module while it is imported, tools, and programs that they start. It stays so until the process
ends. Above: `mcp`. Below: the SDK's stdio transport.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import suppress
from io import TextIOWrapper
from typing import BinaryIO, TextIO, cast

import anyio

from antiphon.provider import Provider


def take_wire() -> tuple[BinaryIO, BinaryIO]:
    """The two ends, as private files: what comes, and where answers go."""
    sys.stdout.flush()
    came, goes = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(printed := cast("object", sys.stdout), TextIOWrapper):
        printed.reconfigure(line_buffering=True)
    # A thread may still wait for a line when all is over: the ends are never closed under it.
    return os.fdopen(came, "rb", closefd=False), os.fdopen(goes, "wb", closefd=False)


async def serve_wire(provider: Provider, came: BinaryIO, goes: BinaryIO) -> None:
    """Serve what a Provider offers to one host, until that closes its end or SIGTERM comes.

    Raises:
        ConfigurationError: It offers nothing.
    """
    from mcp.server.stdio import stdio_server

    server = provider.mcp_server()
    lines = _Lines(TextIOWrapper(came, "utf-8", errors="replace"))
    out = anyio.wrap_file(TextIOWrapper(goes, "utf-8", newline="\n"))
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_told, tasks.cancel_scope)
            given = cast("anyio.AsyncFile[str]", lines)
            async with stdio_server(given, out) as (read, write):
                await server.run(read, write, server.create_initialization_options())
            tasks.cancel_scope.cancel()
    finally:
        lines.close()
        with anyio.CancelScope(shield=True):
            await provider.aclose()


async def _until_told(scope: anyio.CancelScope) -> None:
    """Cancel what runs when SIGTERM comes, so that sandboxes are handed back."""
    if sys.platform == "win32":
        return
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


class _Lines:
    """Lines of a file, read by a thread that nobody waits for: a line may never come.

    Args:
        file: The file.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._send, self._lines = anyio.create_memory_object_stream[str](0)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        try:
            return await self._lines.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Nobody wants more."""
        self._over = True
        self._lines.close()
        self._send.close()

    def _read(self) -> None:
        with suppress(RuntimeError, CancelledError):  # the loop is closed
            for line in iter(self._file.readline, ""):
                if self._over:
                    return
                asyncio.run_coroutine_threadsafe(self._give(line), self._loop).result()
            self._loop.call_soon_threadsafe(self._send.close)

    async def _give(self, line: str) -> None:
        """Wait until a line is taken: no more than one is kept."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._send.send(line)
