"""HTTP+SSE: a message that cannot be delivered ends the session at once; an honest one lives on."""

import importlib
from typing import Any

import anyio
import pytest

from antiphon.items import McpCall
from antiphon.tools import MCPServer
from tests.serving import serve

from .mcp_kit import PATIENCE, call, end_of, listing_of, play
from .mcp_older import Older

pytestmark = pytest.mark.anyio

LOOK = [call("look")]


async def looked(older: Older, times: int) -> list[McpCall]:
    """The receipts of calls, one after the other."""
    with serve(older) as base, anyio.fail_after(PATIENCE):
        async with MCPServer.http("desk", f"{base}/sse", timeout=600) as server:
            output = end_of(await play(*[LOOK] * times, "ok", tools=[server])).output
    return [item for item in output if isinstance(item, McpCall)]


@pytest.mark.parametrize("status", [302, 400, 404, 500])
async def test_a_message_that_is_refused_fails_its_call_at_once_and_the_next_one_runs(
    status: int,
) -> None:
    older = Older(status)
    first, second, third = await looked(older, 3)
    assert f"the server was left: it answered with HTTP {status}" in str(first.error)
    assert (second.output, third.output) == ("seen", "seen")
    assert (older.sessions, older.calls) == (2, 2)


@pytest.mark.parametrize("what", ["initialize", "notifications/initialized", "tools/list"])
async def test_a_session_that_cannot_begin_is_a_failed_listing_at_once(what: str) -> None:
    older = Older(503, what=what)
    with serve(older) as base, anyio.fail_after(PATIENCE):
        async with MCPServer.http("desk", f"{base}/sse", timeout=600) as server:
            listing = listing_of(end_of(await play("ok", tools=[server])).output)
            again = listing_of(end_of(await play("ok", tools=[server])).output)
    assert "it answered with HTTP 503" in str(listing.error)
    assert [tool.name for tool in again.tools] == ["look"]


async def test_a_session_lives_on_after_more_bytes_than_one_answer_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.import_module("antiphon.tools.mcp.http"), "ANSWER_LIMIT", 20_000)
    older = Older(text="x" * 8_000)
    receipts = await looked(older, 6)
    assert [one.status for one in receipts] == ["completed"] * 6
    assert older.sessions == 1


async def test_an_event_that_is_too_long_says_so() -> None:
    way: Any = importlib.import_module("antiphon.tools.mcp.address")
    (receipt,) = await looked(Older(text="x" * way.OLD_EVENT_LIMIT), 1)
    assert "the server was left: it sent an event of more than 1048576 bytes" in str(receipt.error)
