"""What the kit asks models: questions that any model can answer, and that ours does.

Above: `bench`, the themes. Below: nothing. Not here: what must be true of the answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .sse import Json, obj

TRIES: Final = 3
"""How often a model is asked for what it may or may not do."""

PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkA"
    "KP8/wc53yE8AAAAASUVORK5CYII="
)
"""A small red square."""


def function(name: str, about: str, **properties: str) -> Json:
    """A function whose arguments are all texts."""
    fields = {key: {"type": "string", "description": text} for key, text in properties.items()}
    parameters = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return {"type": "function", "name": name, "description": about, "parameters": parameters}


WEATHER: Final = function(
    "get_weather", "Get the current weather for a location", location="The city, e.g. Oslo"
)
TIME: Final = function("get_time", "Get the current time in a city", city="The city")
ASK_WEATHER: Final = "What's the weather like in San Francisco?"
COUNT: Final = "Count from 1 to 5."
LONG_COUNT: Final = (
    "Count from 1 to 3000, one number a line. Write every single number; never stop early."
)
CODE: Final = "print(2**10 + 1)"
ASK_CODE: Final = f"Run exactly this in the code interpreter, once, and tell the result: `{CODE}`"
TWO_CODES: Final = (
    "Run `print(1)` in the code interpreter, and run `print(2)` in it, as two calls of their own."
)
INTERPRETER: Final[Json] = {"type": "code_interpreter", "container": {"type": "auto"}}
BUILT_IN: Final[Json] = {
    "type": "mcp",
    "server_label": "antiphon",
    "connector_id": "antiphon",
    "require_approval": "never",
}
"""How any client asks an antiphon provider for the functions that it runs."""

OUTPUTS: Final = "code_interpreter_call.outputs"


@dataclass(frozen=True, slots=True)
class Question:
    """A request for a specimen.

    Attributes:
        fields: The body, without model and stream.
        part: What the model is to do, for when it does not.
        wanted: Whether the finished items, and the response, show that it did.
        optional: Whether a provider may refuse the request.
        headers: More headers.
    """

    fields: Mapping[str, Any]
    part: str = ""
    wanted: Callable[[Sequence[Json], Json], bool] | None = None
    optional: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def calls(items: Sequence[Json], name: str | None = None) -> list[Json]:
    """The function calls among items, those of one name where it is given."""
    found = [each for each in items if each.get("type") == "function_call"]
    return [each for each in found if name is None or each.get("name") == name]


def has(*kinds: str) -> Callable[[Sequence[Json], Json], bool]:
    """Whether there is an item of one of these types."""
    return lambda items, end: any(each.get("type") in kinds for each in items)


def _cut(items: Sequence[Json], end: Json) -> bool:
    """Whether a response was too long for 16 tokens, however it says so."""
    spent: object = obj(end.get("usage")).get("output_tokens")
    told = end.get("status") == "incomplete"
    return told or (isinstance(spent, int) and spent >= 16)


STREAMS: Final[dict[str, Question]] = {
    "count": Question({"input": COUNT}),
    "call": Question(
        {"input": ASK_WEATHER, "tools": [WEATHER]},
        part="call get_weather, when asked for the weather",
        wanted=lambda items, end: bool(calls(items, "get_weather")),
    ),
    "calls": Question(
        {
            "input": "What's the weather like in Paris and Tokyo? Ask for both at once.",
            "tools": [WEATHER],
            "parallel_tool_calls": True,
        },
        part="make two calls in one turn",
        wanted=lambda items, end: len(calls(items, "get_weather")) > 1,
        optional=True,
    ),
    "thought": Question(
        {
            "input": "Think first: is 91 a prime number?",
            "reasoning": {"effort": "low", "summary": "auto"},
        },
        part="show its reasoning",
        wanted=has("reasoning"),
        optional=True,
    ),
    "cut": Question(
        {"input": LONG_COUNT, "max_output_tokens": 16},
        part="write more than 16 tokens",
        wanted=_cut,
        optional=True,
    ),
    "code": Question(
        {"input": ASK_CODE, "tools": [INTERPRETER], "include": [OUTPUTS]},
        part="run code in a hosted code interpreter",
        wanted=has("code_interpreter_call", "function_call"),
        optional=True,
    ),
    "run": Question(
        {"input": "Call one of your tools now, and tell what came of it.", "tools": [BUILT_IN]},
        part="call a function that the provider runs",
        wanted=has("mcp_call", "function_call"),
        optional=True,
    ),
}
"""The specimens of streams, by name."""
