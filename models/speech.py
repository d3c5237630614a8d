"""`Speech`: the pieces in which an engine of one's own says what it says.

Above: `writer` and `voice`, which turn pieces into events. Below: nothing. Not here: items and
events; a piece knows no ids, no indexes and no order of events.
"""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """A fragment of the answer, as it came; consecutive ones make one message."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A fragment of the model's thought; with `summary`, of a summary of it."""

    text: str
    summary: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A fragment of the words with which the model refuses."""

    text: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The model calls a function.

    Attributes:
        name: One of `request.tools`.
        arguments: An object; or its JSON text, as the model wrote it (malformed text passes as
            it is: the loop judges it); or an asynchronous iterable of fragments of that text,
            which are told live.
        call_id: The id that the output will bear; None makes a new one.
    """

    name: str
    arguments: Mapping[str, Any] | str | AsyncIterable[str]
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens used by this sampling; of several, the last counts.

    Attributes:
        input_tokens: All tokens read, cached ones included.
        output_tokens: All tokens written, reasoning included.
        cached_tokens: How many of the input came from a cache.
        reasoning_tokens: How many of the output were reasoning.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """The model was stopped before it was done: what is open stays incomplete."""

    reason: Literal["max_output_tokens", "content_filter"]


@dataclass(frozen=True, slots=True)
class Failure:
    """The model failed; `message` is shown to the client, so it holds no secrets."""

    code: str
    message: str


Speech: TypeAlias = Text | Reasoning | Refusal | FunctionCall | Usage | Stop | Failure
"""Anything that an engine may yield."""
