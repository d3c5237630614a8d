"""MCP hosts: the official SDK's client, on what a Provider offers, in process and over HTTP."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from pydantic import BaseModel

from antiphon.items import InputImage, InputText
from antiphon.provider import Provider
from antiphon.tools import tool

from .serving import PATIENCE

REVISIONS: Final = ("legacy", "2026-07-28")
"""How a client begins: with the handshake of 2025, or as every request of 2026 does."""

PIXEL: Final = base64.b64encode(b"a picture").decode()


class Weather(BaseModel):
    """A typed result."""

    city: str
    degrees: float


@tool
async def weather(city: str) -> Weather:
    """Today's weather in a city."""
    return Weather(city=city, degrees=21.5)


@tool
def draw(what: str) -> list[InputText | InputImage]:
    """Draw a picture."""
    return [InputText(text=what), InputImage(image_url=f"data:image/png;base64,{PIXEL}")]


class Till:
    """A tool that needs approval, and what it did.

    Attributes:
        paid: What was paid, in order.
    """

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.pay = tool(self._pay, name="pay", needs_approval=True)

    async def _pay(self, amount: int, to: str = "ann") -> str:
        """Pay somebody."""
        self.paid.append(amount)
        return f"paid {amount} to {to}"


class Endless:
    """A tool that never ends, and says when it began and when it was stopped."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.stopped = anyio.Event()
        self.wait = tool(self._wait, name="wait")

    async def _wait(self) -> str:
        """Wait."""
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.stopped.set()
        return ""


class Person:
    """Somebody at a host.

    Attributes:
        answers: What is answered, question after question; the last one from then on.
        asked: What was asked.
    """

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        action: Any = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return ElicitResult(action=action, content={} if action == "accept" else None)


@asynccontextmanager
async def host(app: Provider, revision: str, **options: Any) -> AsyncGenerator[Client]:
    """A host in this process."""
    with anyio.fail_after(PATIENCE):
        async with Client(app.mcp_server(), mode=revision, **options) as client:
            yield client


@asynccontextmanager
async def remote(
    url: str, revision: str, *, key: str | None = None, path: str = "/mcp", **options: Any
) -> AsyncGenerator[Client]:
    """A host on the network."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    with anyio.fail_after(2 * PATIENCE):
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
            transport = streamable_http_client(f"{url}{path}", http_client=http)
            async with Client(transport, mode=revision, **options) as client:
                yield client


def text_of(result: CallToolResult) -> str:
    """All texts of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


ACCEPT: Final = {"accept": "application/json, text/event-stream"}


def hello(**headers: str) -> dict[str, Any]:
    """The request that opens a session, for `serving.exchange`."""
    told = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    }
    return {
        "body": rpc("initialize", told),
        "headers": {**ACCEPT, **headers},
        "path": "/mcp",
    }


def rpc(method: str, params: Mapping[str, Any] | None = None, *, number: int = 1) -> bytes:
    """A request of JSON-RPC."""
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
    return json.dumps(message).encode()


def names(tools: Sequence[Any]) -> list[str]:
    """Their names."""
    return [each.name for each in tools]
