"""What the tests with a real engine share: whether there is one, backends on it, a way by TCP."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import pytest

from antiphon.errors import SandboxUnavailable
from antiphon.sandboxes import Client, DockerSandboxes, Engine, build_image
from antiphon.testing.sandbox import SandboxCheck

T = TypeVar("T")

REQUIRED = "ANTIPHON_REQUIRE_DOCKER"
"""Set to 1, a missing engine is a failure and no reason to skip."""


@functools.cache
def missing() -> str:
    """Why no sandbox can be made here; empty if one can. Builds the image, once."""
    try:
        anyio.run(build_image)
    except SandboxUnavailable as error:
        return str(error)
    return ""


def skip(reason: str) -> None:
    """Skip the test, or fail it where Docker is required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker() -> None:
    """An engine with the image of the sandboxes."""
    if reason := missing():
        skip(f"no container engine has the sandbox image: {reason}")


def docker_sandboxes(**options: Any) -> DockerSandboxes:
    """A backend for tests: nothing is kept warm unless asked for."""
    settings: dict[str, Any] = {"warm": 0, "grace": 0.8, **options}
    return DockerSandboxes(**settings)


@asynccontextmanager
async def over(transport: str, **options: Any) -> AsyncGenerator[DockerSandboxes]:
    """A backend that reaches containers by a socket, or by a TCP engine's streams."""
    if transport == "socket":
        async with docker_sandboxes(transport="socket", **options) as sandboxes:
            yield sandboxes
    else:
        async with tcp_engine() as url:
            async with docker_sandboxes(engine=url, transport="stream", **options) as sandboxes:
                yield sandboxes


@asynccontextmanager
async def tcp_engine() -> AsyncGenerator[str]:
    """The engine's unix socket, at a port of the loopback address; yields its URL."""
    engine = Engine()
    await engine.call(lambda client: client.version())
    path = engine.place.url.removeprefix("unix://")
    engine.close()
    lines: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        lines.add(line)
        inner, outer = await asyncio.open_unix_connection(path)
        try:
            await asyncio.gather(pump(reader, outer), pump(inner, writer))
        finally:
            writer.close()
            outer.close()
            lines.discard(line)

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for line in list(lines):
            line.cancel()
        if lines:
            await asyncio.wait(list(lines))


async def ask(function: Callable[[Client], T]) -> T:
    """Ask the engine something, as a bystander."""
    engine = Engine()
    try:
        return await engine.call(function)
    finally:
        engine.close()


async def boxes(sandboxes: DockerSandboxes) -> list[str]:
    """The engine's ids of the containers of a backend."""
    wanted = {"label": [f"antiphon.owner={sandboxes.owner}"]}
    return [str(box["Id"]) for box in await ask(lambda c: c.containers(all=True, filters=wanted))]


async def remove(box: str) -> None:
    """What somebody does who cleans up by hand: `docker rm -f`."""
    await ask(lambda client: client.remove_container(box, force=True, v=True))


async def pause(box: str) -> None:
    """Freeze every process of a container, PID 1 too: `docker pause`."""
    await ask(lambda client: client.pause(box))


def name(check: SandboxCheck) -> str:
    """The name of a check, without what all have."""
    return getattr(check, "__name__", "check").removeprefix("check_")
