"""An engine that dies and comes back, and one that cannot see this machine's sockets.

Both on an engine of the tests' own: the one that others use is never touched.
"""

from collections.abc import Generator

import anyio
import anyio.to_thread
import pytest

from antiphon.errors import SandboxUnavailable
from antiphon.sandboxes import Finished, Output, build_image
from antiphon.testing.sandbox import open_new, run_cell, run_ok

from .docker_daemon import Daemon, private_daemon
from .docker_kit import docker as docker, docker_sandboxes

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("docker")]


@pytest.fixture(scope="module")
def image(docker: None) -> str:
    return anyio.run(build_image)


@pytest.fixture(scope="module")
def daemon(image: str) -> Generator[Daemon]:
    with private_daemon(image) as found:
        yield found


async def test_an_engine_that_cannot_see_the_socket_is_reached_by_its_streams(
    daemon: Daemon, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(daemon.hidden))
    with anyio.fail_after(60):
        async with docker_sandboxes(engine=daemon.url, image=image) as sandboxes:
            ran = await run_ok(await open_new(sandboxes), "print('on')")
            assert ran.stdout == "on\n" and sandboxes.transport == "stream"


@pytest.mark.parametrize("transport", ["socket", "stream"])
async def test_an_engine_restarted_under_a_cell_is_told_and_the_next_cell_served(
    daemon: Daemon, image: str, transport: str
) -> None:
    with anyio.fail_after(120):
        async with docker_sandboxes(
            engine=daemon.url, image=image, transport=transport, warm=1
        ) as sandboxes:
            await sandboxes.warm_up()
            sandbox = await open_new(sandboxes)
            await run_ok(sandbox, "open('file', 'w').close()")
            ended = None
            async for event in sandbox.run("print('on')\nwhile True: pass"):
                if isinstance(event, Output):
                    await anyio.to_thread.run_sync(daemon.stop)
                ended = event
            assert isinstance(ended, Finished) and ended.status == "crashed", ended
            assert ended.state_lost and "all files are lost" in (ended.error or "")
            with pytest.raises(SandboxUnavailable, match=f"{daemon.url}.*DOCKER_HOST"):
                await run_cell(sandbox, "1")
            await anyio.to_thread.run_sync(daemon.start)
            ran = await run_ok(sandbox, "import os\nprint(os.listdir())")
            assert ran.stdout == "[]\n"
            await sandboxes.warm_up()
            assert sandboxes.ready == 1
