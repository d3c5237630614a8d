"""What the tests with a real engine share: whether there is one, and backends on it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from antiphon.errors import SandboxUnavailable
from antiphon.sandboxes import DockerSandboxes, Engine, build_image
from antiphon.testing.sandbox import SandboxCheck

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


@pytest.fixture(scope="session")
def docker() -> None:
    """An engine with the image of the sandboxes."""
    reason = missing()
    if reason and os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, and there is no engine: {reason}")
    elif reason:
        pytest.skip(f"no container engine with the sandbox image: {reason}")


def docker_sandboxes(**options: Any) -> DockerSandboxes:
    """A backend for tests: nothing is kept warm unless asked for."""
    settings: dict[str, Any] = {"warm": 0, "grace": 0.8, **options}
    return DockerSandboxes(**settings)


async def listed(labels: Iterable[str] = ("antiphon.owner",)) -> list[dict[str, Any]]:
    """The containers of sandboxes on the engine."""
    engine = Engine()
    try:
        return await engine.call(
            lambda client: client.containers(all=True, filters={"label": list(labels)})
        )
    finally:
        engine.close()


async def remove(name: str) -> None:
    """What somebody does who cleans up by hand: `docker rm -f`."""
    engine = Engine()
    try:
        await engine.call(lambda client: client.remove_container(name, force=True, v=True))
    finally:
        engine.close()


async def pause(name: str) -> None:
    """Freeze every process of a container, PID 1 too: `docker pause`."""
    engine = Engine()
    try:
        await engine.call(lambda client: client.pause(name))
    finally:
        engine.close()


def name(check: SandboxCheck) -> str:
    """The name of a check, without what all have."""
    return getattr(check, "__name__", "check").removeprefix("check_")
