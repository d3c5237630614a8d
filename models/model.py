"""What the loop asks of a model, and what it gets back.

Above: `agents.loop`, which asks. Below: the adapters of this room, which answer. A model knows
messages, reasoning and functions; hosted tools have been lowered to functions before it is
asked (`items.lower`) and are lifted again after it has spoken (`agents.menu`).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from antiphon.items import CreateResponse, Event, FunctionTool, Ids, Lowered, ToolChoice


@dataclass(slots=True)
class ModelRequest:
    """One sampling.

    Attributes:
        items: The context: only messages, reasoning, function calls and their outputs.
        instructions: The system's or developer's words, if any.
        tools: What may be called; only functions.
        tool_choice: auto, none, required, one function, or allowed functions.
        max_output_tokens: What is left of the response's bound, in tokens.
        original: The request that started the run, for sampling options (temperature, ...).
        ids: Where new ids come from.
        memo: JSON bytes of items already written, by `id()` of the item; it lives as long as
            the run (which keeps the items alive), so an adapter serialises each item once.
    """

    items: list[Lowered]
    instructions: str | None = None
    tools: list[FunctionTool] = field(default_factory=list[FunctionTool])
    tool_choice: ToolChoice = "auto"
    max_output_tokens: int | None = None
    original: CreateResponse = field(default_factory=CreateResponse)
    ids: Ids = field(default_factory=Ids)
    memo: dict[int, bytes] = field(default_factory=dict[int, bytes])


@runtime_checkable
class Model(Protocol):
    """Where tokens come from.

    `stream` yields, for each item, `ItemAdded`, its deltas as fragments arrive, and `ItemDone`,
    under any `item_id` and `output_index` of its own (the loop assigns the real ones); then
    exactly one of `Completed`, `Incomplete` or `Failed`, whose `response.usage` counts this
    sampling. `Created` and `InProgress` may come first and mean nothing. A function the model
    wants is always a `FunctionCall`.

    Raises (from `stream`):
        ModelError: The model could not be asked, or broke off.
    """

    @property
    def name(self) -> str:
        """The name under which a request finds this model."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Ask once; events come as the model speaks. Closing the iterator ends the sampling."""
        ...

    async def aclose(self) -> None:
        """Give back connections; the model may be used no more."""
        ...
