"""Every bound of what comes over HTTP holds, and whoever goes over it is told so in words."""

import importlib
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.server import MCPServer as Server
from mcp.server.mcpserver import Context
from starlette.requests import Request
from starlette.responses import JSONResponse

from antiphon.items import McpCall
from antiphon.tools import MCPServer
from tests.provider.mcp_serving import Stranger, frame, streamed
from tests.serving import serve

from .mcp_kit import PATIENCE, call, call_of, end_of, play

pytestmark = pytest.mark.anyio


def lower(monkeypatch: pytest.MonkeyPatch, module: str, name: str, limit: int) -> None:
    """A bound is less for this test."""
    monkeypatch.setattr(importlib.import_module(f"antiphon.tools.{module}"), name, limit)


async def looked(stranger: Stranger) -> McpCall:
    """The receipt of a call of this server, which has more time than a test."""
    with serve(stranger) as base, anyio.fail_after(PATIENCE):
        async with MCPServer.http("desk", f"{base}/mcp", timeout=600) as server:
            output = end_of(await play([call("look")], "ok", tools=[server])).output
    return call_of(output)


async def _one_event() -> AsyncGenerator[str, None]:
    yield "event: message\r\ndata: "
    while True:
        yield "x" * 5_000 + "\r\ndata: "
        await anyio.lowlevel.checkpoint()


async def _many_events() -> AsyncGenerator[str, None]:
    while True:
        yield ": still here\n\n" * 1_000
        await anyio.lowlevel.checkpoint()


async def _many_messages() -> AsyncGenerator[str, None]:
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}}
    while True:
        yield frame(note)
        await anyio.lowlevel.checkpoint()


async def test_an_event_without_end_fails_the_call_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lower(monkeypatch, "mcp.address", "EVENT_LIMIT", 50_000)
    stranger = Stranger()
    stranger.answers["tools/call"] = streamed(_one_event)
    error = str((await looked(stranger)).error)
    assert "the server was left: it sent an event of more than 50000 bytes" in error


async def test_a_stream_without_end_fails_the_call_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lower(monkeypatch, "mcp.http", "ANSWER_LIMIT", 100_000)
    stranger = Stranger()
    stranger.answers["tools/call"] = streamed(_many_events)
    error = str((await looked(stranger)).error)
    assert "the server was left: its answer is longer than 100000 bytes" in error


async def test_an_answer_without_end_fails_the_call_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lower(monkeypatch, "mcp.http", "ANSWER_LIMIT", 100_000)
    stranger = Stranger()

    async def long(message: dict[str, Any], request: Request) -> JSONResponse:
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": "x" * 200_000})

    stranger.answers["tools/call"] = long
    error = str((await looked(stranger)).error)
    assert "its answer is longer than 100000 bytes" in error


async def test_messages_that_nobody_asked_for_fail_the_call_and_it_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lower(monkeypatch, "mcp.traffic", "FLOOD", 200)
    stranger = Stranger()
    stranger.answers["tools/call"] = streamed(_many_messages)
    error = str((await looked(stranger)).error)
    assert "the server was left: it sent 200 messages that nobody asked for" in error


async def told(times: int) -> McpCall:
    """The receipt of a call that tells its progress so often."""
    server = Server("desk")

    @server.tool()
    async def work(ctx: Context) -> str:  # pyright: ignore[reportUnusedFunction]
        """Takes its time."""
        for number in range(times):
            await ctx.report_progress(number, times)
        return "done"

    with serve(server.streamable_http_app()) as base, anyio.fail_after(PATIENCE):
        async with MCPServer.http("desk", f"{base}/mcp", timeout=600) as desk:
            output = end_of(await play([call("work")], "ok", tools=[desk])).output
    return call_of(output)


async def test_progress_that_was_asked_for_is_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    lower(monkeypatch, "mcp.traffic", "FLOOD", 200)
    assert (await told(1_000)).output == "done"


async def test_progress_without_end_fails_the_call_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lower(monkeypatch, "mcp.traffic", "PROGRESS", 100)
    assert "the server was left: it told its progress 100 times" in str((await told(500)).error)


async def test_progress_of_nobody_s_request_is_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    async def other() -> AsyncGenerator[str, None]:
        params = {"progressToken": "nobody's", "progress": 1}
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
        while True:
            yield frame(note)
            await anyio.lowlevel.checkpoint()

    lower(monkeypatch, "mcp.traffic", "FLOOD", 200)
    stranger = Stranger()
    stranger.answers["tools/call"] = streamed(other)
    assert "200 messages that nobody asked for" in str((await looked(stranger)).error)


async def test_a_server_cannot_say_that_it_has_forgotten_the_session_and_be_called_twice() -> None:
    stranger = Stranger()

    async def forged(message: dict[str, Any], request: Request) -> JSONResponse:
        data = {"antiphon": {"status": 404, "known": False}}
        error = {"code": -32000, "message": "sorry", "data": data}
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "error": error})

    stranger.answers["tools/call"] = forged
    receipt = await looked(stranger)
    assert stranger.methods().count("tools/call") == 1
    assert receipt.error == {"type": "mcp_protocol_error", "code": -32000, "message": "sorry"}


async def test_a_server_may_be_silent_for_as_long_as_a_call_may_take() -> None:
    server = MCPServer.http("desk", "http://desk.example/mcp", timeout=600, idle=50)
    seen: list[Any] = []
    network: Any = importlib.import_module("antiphon.tools.mcp.http")
    way: Any = server._way  # pyright: ignore[reportPrivateUsage]
    with pytest.MonkeyPatch.context() as patch:
        make = network.http_client

        def made(*args: Any, **options: Any) -> Any:
            seen.append(make(*args, **options))
            raise RuntimeError("enough")

        patch.setattr(network, "http_client", made)
        async with server:
            await play("ok", tools=[server])
    assert way.silence == 650
    (client,) = seen
    assert client.timeout.read == 650
    await client.aclose()
