"""What the tests of streams share: models and tools that wait, and one that walks."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio

from antiphon.models import FunctionCall, ModelRequest, Reasoning, ScriptedModel, Text, model
from antiphon.provider import Provider
from antiphon.tools import Progress, tool

from .serving import (
    BUILT_IN,
)

BODY: dict[str, Any] = {"input": "hi", "stream": True}
WITH_TOOLS = {**BODY, "tools": [BUILT_IN]}


class Held:
    """A model and a tool that wait, and note how they end."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.go = anyio.Event()
        self.ended: list[str] = []

    async def wait(self, who: str) -> None:
        self.asked.set()
        try:
            await self.go.wait()
        except BaseException as error:
            self.ended.append(f"{who}: {type(error).__name__}")
            raise

    def model(self, *before: Any) -> Any:
        @model("held")
        async def held(request: ModelRequest) -> AsyncGenerator[Any, None]:
            for piece in before:
                yield piece
            await self.wait("model")
            yield Text("done")

        return held

    def tool(self) -> Any:
        @tool
        async def patience() -> str:
            """Waits."""
            await self.wait("tool")
            return "waited"

        return patience


@tool
async def walk() -> AsyncIterator[Progress | str]:
    """Goes a step, then arrives."""
    yield Progress("half way", 0.5)
    yield "there"


def walker(**options: Any) -> Provider:
    turns = [[Reasoning("hm"), FunctionCall("walk", {}, "call_1")], [Text("We "), Text("are.")]]
    return Provider(models=[ScriptedModel(turns, repeat=True)], tools=[walk], **options)
