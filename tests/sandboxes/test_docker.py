"""Docker keeps what every backend promises, over both ways into a container."""

import anyio
import pytest

from antiphon.testing.sandbox import SANDBOX_CHECKS, SandboxCheck

from .docker_kit import docker as docker, name, over

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("docker")]


@pytest.mark.parametrize("check", SANDBOX_CHECKS, ids=name)
@pytest.mark.parametrize("transport", ["socket", "stream"])
async def test_docker_sandboxes_conform(check: SandboxCheck, transport: str) -> None:
    with anyio.fail_after(120):
        async with over(transport) as sandboxes:
            await check(sandboxes)
