"""What the tests of the `openai` SDK share: engines, tools, and checks of every event."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import threading
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import anyio.to_thread
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from antiphon.errors import RequestError
from antiphon.items import ToolDefinition
from antiphon.models import (
    Failure,
    FunctionCall,
    ModelRequest,
    Reasoning,
    Refusal,
    ScriptedModel,
    Stop,
    Text,
    Usage,
    model,
)
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, Offer, Scope, tool

from .serving import PATIENCE, serve

KEY = "sk-test"

CLASSES: dict[str, type[Any]] = {
    typing.get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in typing.get_args(typing.get_args(ResponseStreamEvent)[0])
}
"""The SDK's class of each event type."""

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Today's weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}

CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
STARTED = threading.Event()
RELEASE = threading.Event()


@tool
async def climate(city: str) -> str:
    """The climate of a city."""
    if city == "Atlantis":
        raise ValueError("it sank")
    return f"mild in {city}"


class Full:
    """A hosted tool without a free place."""

    @property
    def type(self) -> str:
        return "shell"

    def offers(self, definition: ToolDefinition, scope: Scope) -> list[Offer]:
        raise RequestError(
            "no place is free", status=429, code="busy", type="too_many_requests", retry_after=3
        )

    async def aclose(self) -> None: ...


@model("echo")
async def echo(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Says how many items it was given, and what the last one was."""
    yield Text(f"{len(request.items)}:")
    yield Text(request.items[-1].type)
    yield Usage(3, 2, cached_tokens=1, reasoning_tokens=1)


@model("caller")
async def caller(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Calls the first tool once for every city, then reports the outputs."""
    outputs = [item.output for item in request.items if item.type == "function_call_output"]
    if outputs:
        yield Text(" and ".join(str(output) for output in outputs))
        return
    words = request.items[-1].text.split()  # pyright: ignore[reportAttributeAccessIssue]
    for city in words:
        yield FunctionCall(request.tools[0].name, {"city": city})


async def slow_code() -> AsyncIterator[str]:
    yield '{"code": "x = 6\\n'
    STARTED.set()
    assert await anyio.to_thread.run_sync(RELEASE.wait, PATIENCE)
    yield 'print(x * 7)"}'


@model("coder")
async def coder(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Writes code in two fragments, the second when the client has seen the first."""
    if request.items[-1].type == "function_call_output":
        yield Text(f"It printed {request.items[-1].output}")
        return
    yield FunctionCall("code_interpreter", slow_code())


@model("thinker")
async def thinker(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Thinks aloud, then in short, then answers."""
    yield Reasoning("raw ")
    yield Reasoning("thought")
    yield Reasoning("in short", summary=True)
    yield Text("42")


def script(name: str, *turn: Any) -> ScriptedModel:
    return ScriptedModel([list(turn)], name=name, repeat=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    provider = Provider(
        models=[
            echo,
            caller,
            coder,
            thinker,
            script("json", Text('{"name": "Ada", '), Text('"age": 36}')),
            script("refuser", Refusal("I would rather not.")),
            script("cut", Text("It was a dark and"), Stop("max_output_tokens"), Usage(1, 2)),
            script("broken", Text("It was"), Failure("server_error", "the engine stalled")),
        ],
        tools=[climate, CodeInterpreter(LocalSandboxes()), Full()],
        api_keys={KEY: "alice"},
    )
    with serve(provider) as base:
        yield f"{base}/v1"


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=PATIENCE) as made:
        yield made


@pytest.fixture
async def aclient(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=PATIENCE) as made:
        yield made


def strictly(response: Any) -> Response:
    """The same response as pydantic reads it: SDK classes are built without validation."""
    said = response.model_dump_json(exclude_unset=True, warnings="error", by_alias=True)
    return Response.model_validate_json(said, strict=True)


def played(stream: Any) -> list[Any]:
    """All events of a sync stream, each checked."""
    return [checked(event, position) for position, event in enumerate(stream)]


def checked(event: Any, position: int) -> Any:
    assert type(event) is CLASSES[event.type], f"{event.type} fell back to {type(event)}"
    assert event.sequence_number == position
    EVENT.validate_json(event.model_dump_json(exclude_unset=True, by_alias=True), strict=True)
    return event


def kinds(events: list[Any]) -> list[str]:
    return [event.type for event in events]
