"""`Asked`: what a model was asked in one turn, small enough to stand in a run file.

Events say what was said and done, and not what the model read before it spoke. That is noted
beside them, so that a replay can say that it would be asked something else today.

Above: `recorder` (writes them down), `stand_in` (compares). Below: `antiphon.models`.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from pydantic_core import to_json

from antiphon.items import (
    Completed,
    CreateResponse,
    Event,
    Failed,
    Incomplete,
    Json,
    Lowered,
    ResponseEvent,
    Usage,
)
from antiphon.models import Model, ModelRequest

_NAMES: Final = frozenset({"id", "call_id", "status"})
"""Fields of items that differ from run to run, whatever is said."""

_ENDS: Final = frozenset({Completed, Incomplete, Failed})

_OPTIONS: Final = (
    "frequency_penalty",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "top_logprobs",
    "top_p",
)
"""Fields of a request that change what a model says, or what of it is done."""


Key: TypeAlias = tuple[str, int, int]
"""One turn: the agent, which of its runs, and which turn of that."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model was asked.

    Attributes:
        agent: For which agent.
        model: The model's name.
        run: Which of that agent's runs this is, from 1, in the order in which they began.
        turn: Which turn of that run this is, from 1.
        instructions: What it was told first.
        tools: The digest of each function's definition, by name.
        items: How many items it read, and the digest of them, ids aside.
        options: Sampling fields that were set.
    """

    agent: str
    model: str
    run: int
    turn: int
    instructions: str | None
    tools: Mapping[str, str]
    items: tuple[int, str]
    options: Json

    @property
    def key(self) -> Key:
        """Which turn this is, among all."""
        return self.agent, self.run, self.turn

    def differences(self, now: "Asked") -> Iterator[tuple[str, Any, Any]]:
        """What is asked otherwise now: a field, what it was, and what it is."""
        if self.instructions != now.instructions:
            yield "instructions", self.instructions, now.instructions
        for name in sorted({*self.tools, *now.tools}):
            before, after = self.tools.get(name), now.tools.get(name)
            if before != after:
                yield f"tool {name}", _offered(before, after), _offered(after, before)
        for name in sorted({*self.options, *now.options}):
            if self.options.get(name) != now.options.get(name):
                yield name, self.options.get(name), now.options.get(name)
        if self.items != now.items:
            yield "items that it reads", _counted(self.items), _counted(now.items)


def _offered(digest: str | None, other: str | None) -> str:
    if digest is None:
        return "not offered"
    return "offered" if other is None else f"definition {digest}"


def _counted(items: tuple[int, str]) -> str:
    return f"{items[0]} item{'' if items[0] == 1 else 's'} ({items[1]})"


class _Run:
    """One run: how often its model was asked, and the digests of the items that it has read."""

    __slots__ = ("digests", "number", "request", "turn")

    def __init__(self, request: CreateResponse, number: int) -> None:
        self.number = number
        self.request = request  # kept, so that its identity is nobody else's meanwhile
        self.turn = 0
        self.digests: dict[int, tuple[Lowered, str]] = {}

    def digest(self, item: Lowered) -> str:
        """An item's digest, ids aside; taken once, since histories are read again each turn."""
        known = self.digests.get(id(item))
        if known is None:
            told = item.model_dump(mode="json", exclude_none=True)
            bare = {name: value for name, value in told.items() if name not in _NAMES}
            known = self.digests[id(item)] = item, _digest(bare)
        return known[1]


class Looking:
    """Looks at what the models of one agent's runs are asked, turn by turn."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[int, _Run] = {}

    def at(self, request: ModelRequest, *, agent: str, model: str) -> Asked:
        """What this request asks. The turns of one run are known by the request that it serves."""
        original = request.original
        run = self._runs.get(id(original))
        if run is None:
            run = self._runs[id(original)] = _Run(original, len(self._runs) + 1)
        run.turn += 1
        digests = [run.digest(item) for item in request.items]
        return Asked(
            agent=agent,
            model=model,
            run=run.number,
            turn=run.turn,
            instructions=request.instructions,
            tools={tool.name: _digest(tool.model_dump(mode="json")) for tool in request.tools},
            items=(len(digests), _digest(digests)),
            options=_options(original),
        )


def _options(original: CreateResponse) -> Json:
    told = original.model_dump(mode="json", include=set(_OPTIONS), exclude_none=True)
    return {name: told[name] for name in _OPTIONS if name in told}


def _digest(value: Any) -> str:
    return hashlib.sha256(to_json(value)).hexdigest()[:16]


class Watched:
    """A model, and somebody who is told what it is asked, and what that took.

    Args:
        model: Whom to ask.
        agent: For which agent.
        asked: Is told of each turn before the model is asked.
        used: Is told of the tokens of each turn.
    """

    def __init__(
        self,
        model: Model,
        agent: str,
        *,
        asked: Callable[[Asked], None],
        used: Callable[[Key, Usage], None],
    ) -> None:
        self._model = model
        self._agent = agent
        self._asked = asked
        self._used = used
        self._looking = Looking()

    @property
    def name(self) -> str:
        """The model's own."""
        return self._model.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)  # such as `native`

    def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Ask the model."""
        return self._watch(request)

    async def _watch(self, request: ModelRequest) -> AsyncIterator[Event]:
        asked = self._looking.at(request, agent=self._agent, model=self.name)
        self._asked(asked)
        stream = cast("AsyncGenerator[Event, None]", self._model.stream(request))
        async with aclosing(stream):
            async for event in stream:
                if type(event) in _ENDS:
                    usage = cast("ResponseEvent", event).response.usage
                    if usage is not None:
                        self._used(asked.key, usage)
                yield event

    async def aclose(self) -> None:
        """Close the model."""
        await self._model.aclose()
