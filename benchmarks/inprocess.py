"""The loop alone, without HTTP: 200 tool turns with the smallest model that there can be.

`python inprocess.py` prints the CPU seconds of each turn, run after run. Above: `loop`.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator

from script import weather

from antiphon.agents import Agent
from antiphon.items import (
    ArgumentsDelta,
    ArgumentsDone,
    Completed,
    Event,
    FunctionCall,
    ItemAdded,
    ItemDone,
    Message,
    OutputText,
    Response,
    Usage,
)
from antiphon.models import ModelRequest
from antiphon.tools import tool

TURNS = 200
_ARGUMENTS = '{"city":"Lisbon"}'


class Minimal:
    """Calls one tool a turn, in five events, and notes when it was asked."""

    name = "minimal"

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.spoke = 0.0

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        began = time.process_time()
        self.asked.append(began)
        events = _call(len(self.asked)) if len(self.asked) <= TURNS else _answer()
        self.spoke += time.process_time() - began
        for event in events:
            yield event

    async def aclose(self) -> None:
        """Nothing is held."""


def _call(turn: int) -> list[Event]:
    call_id = f"call_{turn}"
    begun = FunctionCall(id="fc", call_id=call_id, name="weather", arguments="")
    whole = FunctionCall(
        id="fc", call_id=call_id, name="weather", arguments=_ARGUMENTS, status="completed"
    )
    return [
        ItemAdded(output_index=0, item=begun),
        ArgumentsDelta(item_id="fc", output_index=0, delta=_ARGUMENTS),
        ArgumentsDone(item_id="fc", output_index=0, arguments=_ARGUMENTS),
        ItemDone(output_index=0, item=whole),
        Completed(response=Response(id="r", model="minimal", status="completed", usage=Usage())),
    ]


def _answer() -> list[Event]:
    message = Message(
        id="msg", status="completed", role="assistant", content=[OutputText(text="Sunny.")]
    )
    return [
        ItemAdded(output_index=0, item=message.model_copy(update={"content": []})),
        ItemDone(output_index=0, item=message),
        Completed(response=Response(id="r", model="minimal", status="completed", usage=Usage())),
    ]


async def _run() -> dict[str, object]:
    model = Minimal()
    agent = Agent(name="guide", model=model, tools=[tool(weather)])
    gc.collect()
    began = time.process_time()
    result = await agent.run("What is the weather like, everywhere?")
    whole = time.process_time() - began
    if result.output_text != "Sunny." or len(result.items) != TURNS + 2:
        raise RuntimeError(f"it did not run to the end: {result.response.status}")
    turns = [later - sooner for sooner, later in zip(model.asked, model.asked[1:], strict=False)]
    return {"turn": whole / TURNS, "model": model.spoke / TURNS, "turns": turns}


async def _main() -> None:
    await _run()
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(await _run()), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
