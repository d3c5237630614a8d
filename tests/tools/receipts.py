"""What the tests of `@tool` share: receipts of calls, and things that a tool may give."""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

from antiphon.items import ToolCall
from antiphon.testing.tool import check_call_events, play
from antiphon.tools import Tool, tool


class Colour(Enum):
    RED = "red"


class Point(BaseModel):
    x: int
    y: int = 0


@dataclass
class Pair:
    a: int
    b: int


async def receipt(made: Tool[..., Any], arguments: Any = None, **options: Any) -> ToolCall:
    """What came of one call."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    item = check_call_events(await play(made, text, **options))
    assert isinstance(item, ToolCall)
    return item


async def failure(made: Tool[..., Any], arguments: Any = None, **options: Any) -> str:
    item = await receipt(made, arguments, **options)
    assert (item.status, item.output) == ("failed", None)
    assert item.error is not None
    return item.error


async def gives(result: Any) -> ToolCall:
    @tool
    async def give() -> Any:
        return result

    return await receipt(give)
