"""Law 2: the same loop runs in this process and behind POST, and tells the same bytes."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from hypothesis import example, given

from antiphon.items import Event, Ids, fold, parse_event
from antiphon.models import FunctionCall as Call, Model, Reasoning, Text, Usage
from antiphon.provider import Provider

from .kit import OUTPUTS, Hesitant, body, check_whole, lines, play, request, still
from .paper import kit
from .scripts import FRAGMENTS, LAW, Script, scripted, scripts

EXTENSIONS = {"OpenResponses-Extensions": "antiphon"}
ASKED: dict[str, Any] = {"include": [OUTPUTS], "metadata": {"a": "b"}}
RICH: Script = [
    [Reasoning("hmm"), Call("echo", {"text": "a"}), Usage(1, 2)],
    [Text("so "), Call("code_interpreter", {"code": "hello"}), Call("twice", {"text": "é"})],
    [Text("and "), Call("nowhere", {}), Call("picture", {"text": "p"}), Call("echo", "{")],
    [Text("the "), Text("end."), Usage(3, 4)],
]


def provider(model: Model, *, seed: int = 7) -> Provider:
    return Provider(models=[model], tools=kit(), new_ids=lambda: Ids(seed=seed), clock=still)


def inside(app: Provider) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost")


@asynccontextmanager
async def served(app: Provider) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of a real server on this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait
    port = listener.getsockname()[1]
    config = uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
        server.should_exit = True
    listener.close()


async def streamed(client: httpx2.AsyncClient, **fields: Any) -> list[bytes]:
    """The data of every frame; asserts the frames themselves."""
    answer = await client.post(
        "/v1/responses", json=body(**ASKED, **fields, stream=True), headers=EXTENSIONS
    )
    assert answer.status_code == 200, answer.text
    *frames, done, rest = answer.content.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    told: list[bytes] = []
    for frame in frames:
        if frame.startswith(b":"):
            continue  # the line was kept alive
        name, data = frame.split(b"\n")
        assert name == b"event: " + json.loads(data.removeprefix(b"data: "))["type"].encode()
        told.append(data.removeprefix(b"data: "))
    return told


async def answered(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/v1/responses", json=body(**ASKED, **fields), headers=EXTENSIONS)
    assert answer.status_code == 200, answer.text
    return answer.json()


def check_same(here: list[Event], told: list[bytes], whole: dict[str, Any]) -> None:
    """Byte for byte the same events, and the JSON answer is what they fold to."""
    check_whole(here)
    assert told == lines(here)
    events = [parse_event(line) for line in told]
    assert json.loads(fold(events).to_json()) == whole


@LAW
@given(script=scripts(), fragment=FRAGMENTS)
@example(script=RICH, fragment=3)
def test_the_same_script_tells_the_same_bytes_everywhere(
    script: Script, fragment: int | None
) -> None:
    async def law() -> None:
        here = await play(request(**ASKED), scripted(script, fragment))
        async with inside(provider(scripted(script, fragment))) as client:
            told = await streamed(client)
        async with inside(provider(scripted(script, fragment))) as client:
            whole = await answered(client)
        check_same(here, told, whole)

    anyio.run(law)


@LAW
@given(script=scripts(), fragment=FRAGMENTS)
def test_a_model_that_makes_others_wait_changes_nothing(
    script: Script, fragment: int | None
) -> None:
    async def law() -> None:
        here = await play(request(**ASKED), Hesitant(scripted(script, fragment)))
        async with inside(provider(Hesitant(scripted(script, fragment)))) as client:
            told = await streamed(client)
        async with inside(provider(scripted(script, fragment))) as client:
            whole = await answered(client)
        check_same(here, told, whole)

    anyio.run(law)


@pytest.mark.parametrize("fragment", [None, 1, 5])
def test_a_real_server_tells_the_same_bytes(fragment: int | None) -> None:
    async def law() -> None:
        here = await play(request(**ASKED), scripted(RICH, fragment))
        async with served(provider(scripted(RICH, fragment))) as client:
            told = await streamed(client)
        async with served(provider(scripted(RICH, fragment))) as client:
            whole = await answered(client)
        check_same(here, told, whole)

    anyio.run(law)


def test_the_same_seed_repeats_a_run_and_another_does_not() -> None:
    async def law() -> None:
        first, second = [lines(await play(request(), scripted(RICH, 2))) for _ in range(2)]
        assert first == second
        assert lines(await play(request(), scripted(RICH, 2), seed=8)) != first

    anyio.run(law)
