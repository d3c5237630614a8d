"""The server of `serving`, in a process of its own, under the server that `antiphon serve` runs.

`python serving_server.py provider STORE` or `bare -`. It prints its port, and for each line it is
given what it has used and what it holds. The bare one is Starlette that sends bytes made before at
the same times: what the machine, the server and the timers cost, whoever uses them.
"""

import asyncio
import gc
import json
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from antiphon.models import FunctionCall, ModelRequest, Text, model
from antiphon.provider import Provider
from antiphon.tools import tool

if TYPE_CHECKING:
    from cli.server import Server
else:
    from antiphon.cli.server import Server

HERTZ = 10.0
TURNS = 4
"""Times that a job calls its tool, before it answers."""

_PIECE = "x" * 16 * 1024
_PIECES = 2048  # of 16 KiB: 32 MiB, more than lies between server and client anywhere

_DELTA = (
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","item_id":"msg_%b","output_index":0,'
    b'"content_index":0,"delta":" word","sequence_number":5,"logprobs":[]}\n\n' % (b"0" * 48)
)

counts: Counter[str] = Counter()
"""What the models have begun and ended, and how much was said to who does not read."""


async def _paced(deltas: int) -> AsyncGenerator[int]:
    """A number for each delta, when it is due; a late one makes no other late."""
    clock = asyncio.get_running_loop().time
    began = clock()
    for number in range(1, deltas + 1):
        await asyncio.sleep(began + number / HERTZ - clock())
        yield number


@model("paced")
async def paced(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """As many deltas as the instructions say."""
    counts["begun"] += 1
    try:
        async for number in _paced(int(request.instructions or 1)):
            yield Text(f" word{number % 100:02d}")
    finally:
        counts["ended"] += 1


@model("short")
async def short(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """One word."""
    yield Text("yes")


@model("flood")
async def flood(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Much at once, for who does not read; between two pieces others have their turn."""
    counts["begun"] += 1
    try:
        for _ in range(_PIECES):
            await asyncio.sleep(0)
            yield Text(_PIECE)
            counts["flooded"] += len(_PIECE)
    finally:
        counts["ended"] += 1


@model("worker")
async def worker(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Takes its steps one after the other, then tells that it is done."""
    taken = sum(item.type == "function_call_output" for item in request.items)
    if taken < TURNS:
        yield FunctionCall("step", {"number": taken})
        return
    for word in ("All ", "steps ", "are ", "taken."):
        yield Text(word)
    counts["worked"] += 1


@tool
async def step(number: int) -> str:
    """Take a step.

    Args:
        number: Which.
    """
    await asyncio.sleep(0.01)
    return f"step {number} is taken"


def _bare() -> Starlette:
    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def respond(request: Request) -> Response:
        asked = json.loads(await request.body())
        if not asked.get("stream"):
            return JSONResponse({"status": "completed"})

        async def told() -> AsyncGenerator[bytes]:
            async for _ in _paced(int(asked["instructions"])):
                yield _DELTA
            yield b"data: [DONE]\n\n"

        return StreamingResponse(told(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/v1/responses", respond, methods=["POST"]),
            Route("/healthz", health),
        ]
    )


def _memory() -> int | None:
    """Resident bytes, where the system tells."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return None


def _open() -> int | None:
    """Open descriptors, where the system tells."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None


def _waited() -> float | None:
    """Seconds that the main thread was ready to run and had no core, where the system tells."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return None


async def _held(tidy: bool) -> dict[str, Any]:
    if tidy:
        gc.collect()
    return {
        "cpu": time.process_time(),
        "waited": _waited(),
        "memory": _memory(),
        "open": _open(),
        "tasks": len(asyncio.all_tasks()),
        **{name: counts[name] for name in ("begun", "ended", "flooded", "worked")},
    }


def _report(portal: anyio.from_thread.BlockingPortal) -> None:
    for line in sys.stdin:
        print(json.dumps(portal.call(_held, json.loads(line).get("tidy", False))), flush=True)
    os._exit(0)  # whoever asked is gone


async def _serve(app: Any, listening: socket.socket) -> None:
    async with anyio.from_thread.BlockingPortal() as portal:
        threading.Thread(target=_report, args=(portal,), daemon=True).start()
        print(listening.getsockname()[1], flush=True)
        leaving = app.drain if isinstance(app, Provider) else None
        await Server(app, drain=1.0, leaving=leaving).serve(sockets=[listening])


def main() -> None:
    """Serve until nobody asks any more."""
    kind, store = sys.argv[1:]
    app: Any = _bare()
    if kind == "provider":
        app = Provider(models=[paced, short, flood, worker], tools=[step], store=store)
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    asyncio.run(_serve(app, listening))


if __name__ == "__main__":
    main()
