"""Sandboxes and event loops: what is open ends with its loop, and another one may follow."""

from typing import TypeAlias

import anyio
import anyio.to_thread
import pytest

from antiphon.errors import SandboxUnavailable
from antiphon.sandboxes import DockerSandboxes, LocalSandboxes
from antiphon.testing.sandbox import open_new, run_ok

from .docker_kit import boxes, docker as docker, docker_sandboxes

Backend: TypeAlias = LocalSandboxes | DockerSandboxes


@pytest.fixture(params=["local", "docker"])
def sandboxes(request: pytest.FixtureRequest) -> Backend:
    if request.param == "docker":
        request.getfixturevalue("docker")
        return docker_sandboxes(warm=1)
    return LocalSandboxes(grace=0.5)


async def use(sandboxes: Backend) -> tuple[str, str]:
    """An id, and the working directory, of a new sandbox that nobody closes."""
    with anyio.fail_after(60):
        sandbox = await open_new(sandboxes, principal="a")
        ran = await run_ok(sandbox, "import os\nopen('file', 'w').close()\nprint(os.getcwd())")
        return sandbox.id, ran.stdout.strip()


def test_what_is_open_ends_with_its_event_loop_and_the_next_one_begins_anew(
    sandboxes: Backend,
) -> None:
    first, folder = anyio.run(use, sandboxes)
    assert not sandboxes.owns(first, "a")
    if isinstance(sandboxes, DockerSandboxes):
        assert anyio.run(boxes, sandboxes) == []
    else:
        assert not anyio.run(anyio.Path(folder).exists)
    second, _ = anyio.run(use, sandboxes)
    assert second != first


async def two_at_once(sandboxes: Backend) -> None:
    async with sandboxes:
        sandbox = await open_new(sandboxes)
        await run_ok(sandbox, "x = 1")
        with pytest.raises(SandboxUnavailable, match="open in another event loop"):
            await anyio.to_thread.run_sync(anyio.run, use, sandboxes)
        assert (await run_ok(sandbox, "print(x)")).stdout == "1\n"


def test_two_event_loops_at_once_are_refused_with_a_cure(sandboxes: Backend) -> None:
    anyio.run(two_at_once, sandboxes)
