"""Servers of the official SDK as an agent has them, by every way and in every revision."""

import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from antiphon.tools import MCPServer
from tests.serving import serve

from .mcp_lively import LATEST, REVISIONS, Lively, OlderApp

LIVELY = str(Path(__file__).parent / "mcp_lively.py")

EVERY = [
    *((way, revision) for way in ("stdio", "http") for revision in (*REVISIONS, LATEST)),
    ("sse", "2024-11-05"),
    ("in process", LATEST),
]
"""Ways, and revisions that are spoken there."""

SOME = [
    ("stdio", "2025-06-18"),
    ("stdio", LATEST),
    ("http", "2025-06-18"),
    ("http", LATEST),
    ("sse", "2024-11-05"),
    ("in process", LATEST),
]
"""Of these each way, with a handshake and without."""


@asynccontextmanager
async def reached(
    way: str, revision: str, lively: Lively | None = None, **options: Any
) -> AsyncGenerator[MCPServer]:
    """Such a server as an agent has it: `stdio`, `http`, `sse` or `in process`."""
    lively = lively or Lively()
    with ExitStack() as served:
        if way == "stdio":
            program = (sys.executable, LIVELY, *([revision] if revision != LATEST else []))
            server = MCPServer.stdio("desk", *program, **options)
        elif way == "in process":
            server = MCPServer.in_process("desk", lively.server, **options)
        else:
            app: Any = (
                lively.server.streamable_http_app() if way == "http" else (lively.server.sse_app())
            )
            if way == "sse" or revision != LATEST:
                app = older_app = OlderApp(app, revision)
                lively.heard = lambda: older_app.listening
            path = "mcp" if way == "http" else "sse"
            base = served.enter_context(serve(app))
            server = MCPServer.http("desk", f"{base}/{path}", **options)
        async with server:
            yield server
