"""MCP servers on loopback: one of the official SDK, and one written by hand that can misbehave."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import anyio
import httpx2
from mcp.server import MCPServer as Server
from mcp_types import ToolAnnotations
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import MCPServers

from .serving import PATIENCE, inside

Say: TypeAlias = Callable[[dict[str, Any], Request], Awaitable[Any]]


def desk() -> Server:
    """A server of the SDK."""
    server = Server("desk")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:  # pyright: ignore[reportUnusedFunction]
        """Add two numbers."""
        return a + b

    @server.tool()
    def erase(path: str) -> str:  # pyright: ignore[reportUnusedFunction]
        """Erase a file."""
        return f"erased {path}"

    return server


TOOL: dict[str, Any] = {
    "name": "look",
    "description": "Look.",
    "inputSchema": {"type": "object", "properties": {}},
}


class Stranger:
    """An MCP server written by hand, of an old revision, as one ASGI application.

    Attributes:
        tools: What it lists.
        version: The revision that it speaks.
        answers: What it does instead, by method: an async function of the message.
        seen: Every message, with the headers of its request.
        lost: Whether it has forgotten its sessions.
    """

    def __init__(self, *, version: str = "2025-06-18") -> None:
        self.tools: list[dict[str, Any]] = [TOOL]
        self.version = version
        self.answers: dict[str, Say] = {}
        self.seen: list[tuple[dict[str, Any], Mapping[str, str]]] = []
        self.cancelled = anyio.Event()
        self.sessions = 0
        self.known: set[str] = set()

    def methods(self) -> list[str]:
        """What was asked, in order."""
        return [message.get("method", "") for message, _ in self.seen]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        answer = await self._answer(request)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(status_code=405)
        if request.method == "DELETE":
            return Response(status_code=200)
        message = cast("dict[str, Any]", await request.json())
        self.seen.append((message, dict(request.headers)))
        method = message.get("method", "")
        session = request.headers.get("mcp-session-id")
        if session is not None and session not in self.known:
            return Response("no such session", 404)
        if method == "notifications/cancelled":
            self.cancelled.set()
        if "id" not in message:
            return Response(status_code=202)
        if method in self.answers:
            said = await self.answers[method](message, request)
            return said if isinstance(said, Response) else self.result(message, said)
        if method == "initialize":
            self.sessions += 1
            name = f"s{self.sessions}"
            self.known.add(name)
            started = {
                "protocolVersion": self.version,
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "stranger", "version": "0"},
            }
            return self.result(message, started, headers={"mcp-session-id": name})
        if method == "tools/list":
            return self.result(message, {"tools": self.tools})
        if method == "tools/call":
            return self.result(message, {"content": [{"type": "text", "text": "seen"}]})
        error = {"code": -32601, "message": "no such method"}
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "error": error})

    @staticmethod
    def result(message: dict[str, Any], result: Any, **options: Any) -> Response:
        """A JSON answer."""
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": result}, **options)


def text(*said: str, **more: Any) -> Say:
    """A call that gives these texts."""

    async def say(message: dict[str, Any], request: Request) -> Any:
        return {"content": [{"type": "text", "text": each} for each in said], **more}

    return say


def streamed(chunks: Callable[[], AsyncGenerator[str, None]]) -> Say:
    """A stream of events, as it is."""

    async def say(message: dict[str, Any], request: Request) -> Any:
        return StreamingResponse(chunks(), media_type="text/event-stream")

    return say


def frame(message: dict[str, Any]) -> str:
    """One event."""
    return f"event: message\ndata: {json.dumps(message)}\n\n"


def mcp(url: str, **fields: Any) -> dict[str, Any]:
    """A definition that names a server, whose calls wait for nobody."""
    return {
        "type": "mcp",
        "server_label": "desk",
        "server_url": url,
        "require_approval": "never",
        **fields,
    }


def provider(*turns: Any, tools: MCPServers | None = None, **options: Any) -> Provider:
    """A provider whose model says these turns; private URLs are fine, unless said otherwise."""
    options.setdefault("private_urls", True)
    model = ScriptedModel(list(turns), name="m")
    return Provider(models=[model], tools=[tools or MCPServers(timeout=PATIENCE)], **options)


async def post(app: Provider, *tools: Any, status: int = 200, **fields: Any) -> dict[str, Any]:
    """A request's answer, or its error."""
    body = {"model": "m", "input": "go", "tools": list(tools), **fields}
    with anyio.fail_after(PATIENCE):
        async with inside(app) as client:
            answer = await client.post("/v1/responses", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else answer.json()["error"]


def of_type(response: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The items of a type."""
    return [item for item in response["output"] if item["type"] == kind]


def one(response: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The only item of a type."""
    (found,) = of_type(response, kind)
    return found


def wired(app: Any) -> MCPServers:
    """Servers by URL, all of which are this application in this process."""
    tools = MCPServers(timeout=PATIENCE)
    tools._network = lambda: Wire(app)  # pyright: ignore[reportPrivateUsage]
    return tools


class Wire(httpx2.AsyncBaseTransport):
    """Sends to an application in this process what would go to the network."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx2.ASGITransport(app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._inner.handle_async_request(request)
