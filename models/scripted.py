"""`ScriptedModel`: says what it was told to say, and remembers what it was asked.

For tests, demonstrations and benchmarks; public on purpose. Below: `voice`. Not here: any
judgement of what is asked.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, TypeAlias

import anyio
from pydantic_core import to_json

from antiphon.errors import ConfigurationError, ScriptError
from antiphon.items import Event

from .model import ModelRequest
from .speech import Failure, FunctionCall, Reasoning, Refusal, Speech, Stop, Text, Usage
from .voice import tell
from .writer import Writer

_KEPT: Final = 1000  # requests that a script without end remembers

Line: TypeAlias = Speech | str
"""One piece; a string is a `Text`."""

Turn: TypeAlias = Line | Sequence[Line] | Callable[[ModelRequest], Line | Sequence[Line]]
"""What is said when asked once: a piece, several, or a function of what was asked."""


class ScriptedModel:
    """A model that plays a script, one turn for each time it is asked.

    Args:
        turns: What to say. A function among them is given the `ModelRequest` and returns its
            turn; what it raises goes through as it is.
        name: The name under which requests find it.
        fragment: Write texts and arguments in fragments of this many characters, as a real
            model would; None says each piece whole.
        pace: Seconds between fragments.
        repeat: Start over when the script is used up, for servers.

    Attributes:
        requests: What was asked so far; `items` and `tools` as they stood then. With `repeat`
            only the last 1,000 are kept, since a server may be asked without end.

    Raises:
        ConfigurationError: `fragment` is less than 1, or `pace` negative.
    """

    def __init__(
        self,
        turns: Sequence[Turn],
        *,
        name: str = "scripted",
        fragment: int | None = None,
        pace: float = 0.0,
        repeat: bool = False,
    ) -> None:
        if fragment is not None and fragment < 1:
            raise ConfigurationError(
                f"fragment: expected at least 1 character; got {fragment}: "
                "leave it out to say each piece whole"
            )
        if pace < 0:
            raise ConfigurationError(f"pace: expected seconds >= 0; got {pace}")
        self._turns = list(turns)
        self._name = name
        self._fragment = fragment
        self._pace = pace
        self._repeat = repeat
        self._next = 0
        self.requests: list[ModelRequest] = []

    def __repr__(self) -> str:
        return f"<ScriptedModel {self._name!r}: turn {self._next} of {len(self._turns)}>"

    @property
    def name(self) -> str:
        """The name under which a request finds this model."""
        return self._name

    def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        """Play the next turn.

        Raises:
            ScriptError: There is none, or it holds what is no piece.
        """
        return self._play(request)

    def assert_complete(self) -> None:
        """Fail a test whose script was not played to its end.

        Raises:
            ScriptError: Turns are left.
        """
        left = len(self._turns) - self._next
        if left:
            raise ScriptError(
                f"{self._name!r}: expected all {len(self._turns)} turns to be played; "
                f"{left} are left: the run ended earlier than the script"
            )

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _play(self, request: ModelRequest) -> AsyncIterator[Event]:
        self.requests.append(replace(request, items=list(request.items), tools=list(request.tools)))
        if self._repeat:
            del self.requests[:-_KEPT]
        lines = _lines(self._turn(), request)
        pieces = self._pieces([_piece(line) for line in lines])
        async with aclosing(pieces):
            async for event in tell(pieces, Writer(request, model=self._name), self._name):
                yield event

    def _turn(self) -> Turn:
        if self._next == len(self._turns) and self._repeat:
            self._next = 0
        if self._next >= len(self._turns):
            raise ScriptError(
                f"{self._name!r}: the script has {len(self._turns)} turns, and one more was asked "
                "for: add a turn, or pass repeat=True to start over"
            )
        self._next += 1
        return self._turns[self._next - 1]

    async def _pieces(self, pieces: Sequence[Speech]) -> AsyncGenerator[Speech, None]:
        if self._fragment is None and not self._pace:
            for piece in pieces:
                yield piece
            return
        first = True
        for piece in pieces:
            if isinstance(piece, Text | Reasoning | Refusal):
                for text in self._split(piece.text):
                    await self._rest(first)
                    first = False
                    yield replace(piece, text=text)
            elif isinstance(piece, FunctionCall) and isinstance(piece.arguments, str | Mapping):
                await self._rest(first)
                yield replace(piece, arguments=self._written(piece.arguments))
            else:
                yield piece
            first = False

    async def _written(self, arguments: str | Mapping[str, Any]) -> AsyncIterator[str]:
        text = arguments if isinstance(arguments, str) else to_json(arguments).decode()
        first = True
        for fragment in self._split(text):
            await self._rest(first)
            first = False
            yield fragment

    async def _rest(self, first: bool) -> None:
        if self._pace and not first:
            await anyio.sleep(self._pace)

    def _split(self, text: str) -> Iterator[str]:
        size = self._fragment or max(len(text), 1)
        for start in range(0, len(text), size):
            yield text[start : start + size]


def _lines(turn: Any, request: ModelRequest) -> Sequence[Any]:
    if callable(turn):
        turn = turn(request)
    if isinstance(turn, Sequence) and not isinstance(turn, str):
        return turn  # pyright: ignore[reportUnknownVariableType]
    return (turn,)


def _piece(line: Any) -> Speech:
    if isinstance(line, str):
        return Text(line)
    if isinstance(line, Text | Reasoning | Refusal | FunctionCall | Usage | Stop | Failure):
        return line
    raise ScriptError(
        f"expected a turn of Text, Reasoning, Refusal, FunctionCall, Usage, Stop, Failure or str; "
        f"got {type(line).__name__}: write the turn with these"
    )
