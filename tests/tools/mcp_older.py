"""A server of the first revision (HTTP+SSE), written by hand, that can misbehave."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

TOOL = {"name": "look", "inputSchema": {"type": "object"}}


class Older:
    """One ASGI application.

    Attributes:
        refuse: Statuses that it answers the next such messages with, and does nothing.
        what: Their method.
        text: What a call gives.
        sessions: How many were begun.
        calls: How many calls it ran.
    """

    def __init__(self, *refuse: int, what: str = "tools/call", text: str = "seen") -> None:
        self.refuse = list(refuse)
        self.what = what
        self.text = text
        self.sessions = 0
        self.calls = 0
        self._said: list[asyncio.Queue[str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            answer = await self._answer(Request(scope, receive))
            await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET":
            self.sessions += 1
            self._said.append(asyncio.Queue())
            return StreamingResponse(self._stream(), media_type="text/event-stream")
        if request.url.path != "/messages":
            return Response(status_code=405)
        message = cast("dict[str, Any]", await request.json())
        if message["method"] == self.what and self.refuse:
            return Response(status_code=self.refuse.pop(0))
        self.calls += message["method"] == "tools/call"
        if "id" in message:
            result = self._result(message["method"])
            said = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            self._said[-1].put_nowait(f"event: message\ndata: {json.dumps(said)}\n\n")
        return Response(status_code=202)

    async def _stream(self) -> AsyncGenerator[str, None]:
        said = self._said[-1]
        yield "event: endpoint\ndata: /messages\n\n"
        while True:
            yield await said.get()

    def _result(self, method: str) -> dict[str, Any]:
        if method == "initialize":
            info = {"name": "older", "version": "0"}
            offered: dict[str, Any] = {"capabilities": {"tools": {}}, "serverInfo": info}
            return {"protocolVersion": "2024-11-05", **offered}
        if method == "tools/list":
            return {"tools": [TOOL]}
        return {"content": [{"type": "text", "text": self.text}]}
