"""Agents inside agents, in one process: who speaks, who delegates, and runs of them.

Above: `delegation` (CPU) and `holding` (memory). The model plays turns that were made beforehand
as bytes and validates each event anew, as every adapter has to: it is the cheapest there can be,
so that what delegating adds looks as large as it ever will.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio.lowlevel

from antiphon.agents import Agent, Workflow
from antiphon.items import (
    ArgumentsDelta,
    ArgumentsDone,
    Completed,
    CreateResponse,
    Event,
    FunctionCall,
    Item,
    ItemAdded,
    ItemDone,
    Message,
    OutputText,
    PartAdded,
    PartDone,
    Response,
    ResponseEvent,
    TextDelta,
    TextDone,
    Usage,
    parse_event,
)
from antiphon.models import ModelRequest
from antiphon.tools import Offer, tool

QUESTION = "What do the gauges say?"
_WORD = " river"


@dataclass(frozen=True, slots=True)
class Part:
    """What an agent's model does in a run: the same calls every turn, and then it answers.

    Attributes:
        calls: The name that it calls; None for none.
        turns: Turns with calls.
        at_once: Calls of each of them.
        words: Deltas of the answer.
        aside: Deltas of the text before each turn's calls.
    """

    calls: str | None = None
    turns: int = 1
    at_once: int = 1
    words: int = 1
    aside: int = 0


class Speaker:
    """Plays a part. Which turn it is it reads off the length of its context, so that any number
    of runs may ask it at a time.

    Attributes:
        asked: Where it is a list: the CPU seconds of the process, each time that it was asked.
    """

    def __init__(self, part: Part) -> None:
        self.name = "speaker"
        self.asked: list[float] | None = None
        self._part = part
        self._size = 2 * part.at_once + (part.aside > 0)  # items that a turn leaves behind
        self._turn = _spoken(_turn(part)) if part.calls else []
        self._last = _spoken(_said("msg", 0, part.words))

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """One turn, as it would come from a server: after a wait, and then in a burst."""
        if self.asked is not None:
            self.asked.append(time.process_time())
        await anyio.lowlevel.checkpoint()
        turn = (len(request.items) - 1) // self._size
        over = self._part.calls is None or turn >= self._part.turns
        for kind, data in self._last if over else self._turn:
            yield parse_event(data, kind)

    async def aclose(self) -> None:
        """Nothing is held."""


def _turn(part: Part) -> list[Event]:
    events = _said("aside", 0, part.aside) if part.aside else []
    first = len(events) > 0
    for place in range(part.at_once):
        events += _called(str(part.calls), f"fc_{place}", place + first)
    return events


def _spoken(events: Sequence[Event]) -> list[tuple[str, bytes]]:
    usage = Usage(input_tokens=100, output_tokens=20, total_tokens=120)
    end = Completed(response=Response(id="r", model="speaker", status="completed", usage=usage))
    return [(event.type, event.to_json()) for event in [*events, end]]


def _called(name: str, item_id: str, index: int) -> list[Event]:
    arguments = f'{{"input":"{QUESTION}"}}'
    begun = FunctionCall(id=item_id, call_id=f"call_{item_id}", name=name, arguments="")
    whole = begun.model_copy(update={"arguments": arguments, "status": "completed"})
    at: dict[str, Any] = {"item_id": item_id, "output_index": index}
    return [
        ItemAdded(output_index=index, item=begun),
        *(ArgumentsDelta(**at, delta=arguments[one : one + 8]) for one in range(0, 34, 8)),
        ArgumentsDone(**at, arguments=arguments),
        ItemDone(output_index=index, item=whole),
    ]


def _said(item_id: str, index: int, words: int) -> list[Event]:
    at: dict[str, Any] = {"item_id": item_id, "output_index": index, "content_index": 0}
    whole = OutputText(text=answer(words))
    begun = Message(id=item_id, role="assistant", status="in_progress", content=[])
    done = begun.model_copy(update={"status": "completed", "content": [whole]})
    return [
        ItemAdded(output_index=index, item=begun),
        PartAdded(**at, part=OutputText(text="")),
        *(TextDelta(**at, delta=_WORD) for _ in range(words)),
        TextDone(**at, text=whole.text),
        PartDone(**at, part=whole),
        ItemDone(output_index=index, item=done),
    ]


def answer(words: int) -> str:
    """The answer of a part with so many words."""
    return _WORD * words


def instant(text: str) -> Offer:
    """A tool that says at once what a child would have said in the end."""

    async def reader(input: str) -> str:  # noqa: A002  (as a child's function has it)
        """Reads the gauges."""
        return text

    return tool(reader)


async def gauge(input: str) -> str:  # noqa: A002
    """Reads one gauge."""
    return "The gauge by the bridge says 2.4 metres, and it rises."


def reader(part: Part) -> Agent[str]:
    """The agent at the bottom: it calls `gauge`, and answers."""
    return Agent(
        name="reader", model=Speaker(part), instructions="Read the gauges.", tools=[tool(gauge)]
    )


def above(offer: Offer, *, at_once: int = 1, turns: int = 1) -> Agent[str]:
    """An agent that calls `offer`, and says one word."""
    name = offer.function.name
    part = Part(calls=name, turns=turns, at_once=at_once)
    return Agent(
        name=f"over_{name}",
        model=Speaker(part),
        instructions="Ask, then answer.",
        tools=[offer],
    )


def tower(offer: Offer, depth: int) -> Agent[str]:
    """So many agents in each other, the innermost of which calls `offer`."""
    agent = above(offer)
    for _ in range(depth - 1):
        agent = above(agent.as_tool())
    return agent


async def played(agent: Agent[str] | Workflow[str]) -> Response:
    """A whole run, all events taken; its response."""
    request = CreateResponse(
        model=agent.name, input=[Message(role="user", content=QUESTION)], store=False
    )
    last: Event | None = None
    async with aclosing(agent.serve(request)) as events:
        async for event in events:
            last = event
    if not isinstance(last, ResponseEvent) or last.response.status != "completed":
        raise RuntimeError(f"it did not run to the end: {last!r}")
    return last.response


def innermost(items: Sequence[Item]) -> Sequence[Item]:
    """The items of the run at the bottom."""
    inner: Any = items[0]
    while hasattr(inner, "agent"):
        items, inner = inner.output, inner.output[0]
    return items
