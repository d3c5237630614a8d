"""What `antiphon check` asks a model, and how it judges the answers.

Above: `check`. Below: the loop, so that a model is asked exactly as agents ask it. Not here:
tables and exit codes.
"""

import json
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from antiphon.agents import loop
from antiphon.errors import ModelError
from antiphon.items import (
    CreateResponse,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputImage,
    InputText,
    Item,
    Json,
    JsonSchemaFormat,
    Message,
    Reasoning,
    ReasoningOptions,
    Response,
    ResponseEvent,
    TextDelta,
    TextOptions,
    user,
)
from antiphon.models import Model

Verdict: TypeAlias = Literal["ok", "no", "error"]
"""It can; it cannot; it could not be asked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and the first line of why."""

    name: str
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: its items, the pieces in which its text came, and seconds until the first."""

    response: Response
    pieces: int
    first: float

    def calls(self, name: str) -> list[FunctionCall]:
        """The calls of one function."""
        items = self.response.output
        return [item for item in items if isinstance(item, FunctionCall) and item.name == name]

    @property
    def reasoned(self) -> bool:
        """Whether there is a sign of thought."""
        usage = self.response.usage
        tokens = usage.output_tokens_details.reasoning_tokens if usage else 0
        return tokens > 0 or any(isinstance(item, Reasoning) for item in self.response.output)


async def ask(model: Model, request: CreateResponse) -> Heard:
    """Ask once.

    Raises:
        ModelError: It failed.
    """
    began = time.monotonic()
    pieces, first = 0, 0.0
    response: Response | None = None
    async with aclosing(cast("Any", loop(request, model=model))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                first = first or time.monotonic() - began
                pieces += 1
            elif isinstance(event, ResponseEvent):
                response = event.response
    assert response is not None, "a run begins with response.created"
    if response.error is not None:
        raise ModelError(response.error.message, code=response.error.code)
    return Heard(response, pieces, first)


async def answers(model: Model) -> list[Finding]:
    """Does it answer, and does the answer come in pieces?"""
    question = "Count from one to twelve in English words, separated by commas. Nothing else."
    heard = await ask(model, CreateResponse(input=question))
    said = heard.response.output_text.strip()
    if not said:
        return [Finding("answers", "no", f"it said nothing ({heard.response.status})")]
    findings = [Finding("answers", "ok", _quoted(said))]
    if heard.pieces > 1:
        why = f"{heard.pieces} pieces, the first after {heard.first:.2f} s"
        return [*findings, Finding("streams", "ok", why)]
    why = "the whole answer came in one piece: something buffers it"
    return [*findings, Finding("streams", "no", why)]


async def reasons(model: Model) -> list[Finding]:
    """Does it think before it speaks, when asked to?"""
    question = "A bat and a ball cost 1.10 together; the bat costs 1 more. What is the ball?"
    request = CreateResponse(input=question, reasoning=ReasoningOptions(effort="low"))
    heard = await ask(model, request)
    if not heard.reasoned:
        return [Finding("reasons", "no", "no reasoning came, and none was counted")]
    thoughts = [item.text for item in heard.response.output if isinstance(item, Reasoning)]
    shown = next((text for text in thoughts if text.strip()), "")
    return [Finding("reasons", "ok", _quoted(shown) if shown else "it thinks, and shows nothing")]


async def tools(model: Model) -> list[Finding]:
    """Does it call a function when it should, and use what the function gave?"""
    weather = FunctionTool(
        name="get_weather",
        description="The weather in a city now.",
        parameters={
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    )
    items: list[Item] = [user("How warm is it in Lisbon now? Use get_weather.")]
    heard = await ask(model, CreateResponse(input=items, tools=[weather]))
    calls = heard.calls("get_weather")
    if not calls:
        return [Finding("tools", "no", f"it did not call: {_quoted(heard.response.output_text)}")]
    if not isinstance(_object(calls[0].arguments).get("city"), str):
        return [Finding("tools", "no", f"its arguments do not fit: {_quoted(calls[0].arguments)}")]
    outputs = [FunctionCallOutput(call_id=each.call_id, output="23 degrees") for each in calls]
    items = [*items, *heard.response.output, *outputs]
    heard = await ask(model, CreateResponse(input=items, tools=[weather]))
    said = heard.response.output_text
    if "23" not in said:
        return [Finding("tools", "no", f"it called, but did not use the output: {_quoted(said)}")]
    return [Finding("tools", "ok", _quoted(said))]


async def images(model: Model) -> list[Finding]:
    """Does it see?"""
    parts = [
        InputText(text="Which colour is this image? Answer with one word."),
        InputImage(image_url=red_square()),
    ]
    request = CreateResponse(input=[Message(role="user", content=[*parts])])
    said = (await ask(model, request)).response.output_text
    return [Finding("images", "ok" if "red" in said.lower() else "no", _quoted(said))]


async def schema(model: Model) -> list[Finding]:
    """Does its answer follow a JSON schema?"""
    wanted: Json = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "population_millions": {"type": "number"}},
        "required": ["city", "population_millions"],
        "additionalProperties": False,
    }
    form = JsonSchemaFormat(name="capital", json_schema=wanted, strict=True)
    question = "The capital of Portugal, and how many people live there."
    request = CreateResponse(input=question, text=TextOptions(format=form))
    said = (await ask(model, request)).response.output_text
    given = _object(said)
    fits = (
        set(given) == set(wanted["required"])
        and isinstance(given["city"], str)
        and isinstance(given["population_millions"], int | float)
    )
    return [Finding("schema", "ok" if fits else "no", _quoted(said))]


QUESTIONS: Final[dict[str, Callable[[Model], Awaitable[list[Finding]]]]] = {
    "answers": answers,
    "reasons": reasons,
    "tools": tools,
    "images": images,
    "schema": schema,
}
"""What is asked, in this order. `answers` finds `streams`, too."""


def red_square(size: int = 64) -> str:
    """A red PNG as a data URL; some servers refuse images of a few pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + b"\xff\0\0" * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    png += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _object(text: str) -> Json:
    """The JSON object that a text is; an empty one if it is none."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("Json", value) if isinstance(value, dict) else {}


def _quoted(text: str, limit: int = 60) -> str:
    """The first line of what was said, if it is not too long."""
    line = (text.strip().splitlines() or ["nothing"])[0]
    return line if len(line) <= limit else f"{line[:limit]}..."
