"""Whatever is cut says why, in its own item: nothing of it reads like an empty success."""

from typing import Any

import pytest

from antiphon.errors import ModelError
from antiphon.items import (
    AgentCall,
    Handoff,
    ImageGenerationCall,
    Item,
    ItemAdded,
    McpCall,
    McpListTools,
    ToolCall,
    WebSearchCall,
    lower,
)

from .kit import Raw, asked, end_of, play

pytestmark = pytest.mark.anyio

OPEN: list[Item] = [
    ToolCall(id="x", status="in_progress", name="n", arguments="{}"),
    McpCall(id="x", status="in_progress", server_label="s", name="n", arguments="{}"),
    AgentCall(id="x", status="in_progress", agent="n"),
    WebSearchCall(id="x", status="in_progress"),
    ImageGenerationCall(id="x", status="in_progress"),
    Handoff(id="x", status="in_progress", source="a", target="b", name="n", arguments="{}"),
]


async def cut(item: Item) -> Any:
    """The item as it ends when the model breaks off."""
    broken = Raw([ItemAdded(output_index=0, item=item), ModelError("it went away")])
    return end_of(await play(asked(), broken)).output[0]


@pytest.mark.parametrize("item", OPEN, ids=lambda item: item.type)
async def test_a_call_that_is_cut_holds_the_reason_and_a_model_reads_it(item: Item) -> None:
    ended = await cut(item)
    assert ended.status == "incomplete"
    output: Any = lower([ended])[-1]
    assert output.output == "Error: it went away"


async def test_a_listing_that_is_cut_does_not_say_that_there_are_no_tools() -> None:
    ended = await cut(McpListTools(id="x", server_label="s", tools=[]))
    assert ended.error == "it went away"
