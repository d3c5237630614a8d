"""Counting what a model would read, without asking it to speak.

Only who has the tokenizer can: a guess from the length of a text is wrong by half for some
languages, and says nothing of images, tools and a server's own template. So a model counts if its
server does, and else it is no `Counts`.

Above: `provider`. Below: `transport`. Source: OpenAI's `POST /responses/input_tokens`.
"""

from typing import Any, Final, Protocol, cast, runtime_checkable

from pydantic_core import from_json

from antiphon.errors import ModelError
from antiphon.items import Json

from .model import ModelRequest
from .transport import Transport

COUNTED: Final = frozenset(
    {
        "model",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "truncation",
        "personality",
    }
)
"""The fields, beside `input`, of a request to count; servers refuse others."""

_NOWHERE: Final = frozenset({404, 405, 501})


@runtime_checkable
class Counts(Protocol):
    """A model that can count."""

    async def count(self, request: ModelRequest) -> int:
        """How many tokens of input this sampling would be.

        Raises:
            ModelError: It could not be asked; `cannot_count` if its server does not count.
        """
        ...


async def counted(transport: Transport, body: bytes, *, model: str) -> int:
    """Ask a server to count.

    Args:
        transport: To the server.
        body: What is to be counted, as a request to it.
        model: Whose tokens, for errors.

    Raises:
        ModelError: The server was not reached or refused; it does not count (`cannot_count`); or
            what it sent is no count (`bad_answer`).
    """
    try:
        async with transport.post("/responses/input_tokens", body) as answer:
            data = await answer.read()
    except ModelError as error:
        if error.code == "unsupported" or (
            error.status in _NOWHERE and error.code != "model_not_found"
        ):
            raise cannot_count(model, f"{transport.host} has no /responses/input_tokens") from error
        raise
    try:
        told: Any = from_json(data)
    except ValueError:
        told = None
    number: object = cast("Json", told).get("input_tokens") if isinstance(told, dict) else None
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ModelError(
            f"{transport.host}: expected a count of input tokens; got something else",
            code="bad_answer",
        )
    return number


def cannot_count(model: str, why: str) -> ModelError:
    """What is raised for a model whose tokens nobody here can count."""
    return ModelError(f"the tokens of {model!r} cannot be counted: {why}", code="cannot_count")
