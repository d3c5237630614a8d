"""Servers of the official SDK that know one revision of the protocol and no newer one: over the
pipes of a program, over streamable HTTP, and over the HTTP+SSE of 2024.
"""

import pytest

from antiphon.items import McpCall, ToolProgress

from .mcp_kit import call, end_of, play
from .mcp_reaching import EVERY, reached

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("way", "revision"), EVERY)
async def test_a_server_is_spoken_to_in_the_revision_that_it_knows(way: str, revision: str) -> None:
    turn = [call("revision"), call("add", {"a": 20, "b": 22}), call("count")]
    async with reached(way, revision) as server:
        events = await play(turn, "ok", tools=[server])
    calls = [item for item in end_of(events).output if isinstance(item, McpCall)]
    assert [one.output for one in calls] == [revision, "42", "counted"]
    told = [event.message for event in events if isinstance(event, ToolProgress)]
    assert told == ["step 1", "step 2", "step 3"]
