"""Every backend passes the published suite."""

import anyio
import pytest

from antiphon.sandboxes import LocalSandboxes
from antiphon.testing.sandbox import SANDBOX_CHECKS, SandboxCheck


def name(check: SandboxCheck) -> str:
    return getattr(check, "__name__", "check").removeprefix("check_")


@pytest.mark.anyio
@pytest.mark.parametrize("check", SANDBOX_CHECKS, ids=name)
async def test_local_sandboxes_conform(check: SandboxCheck) -> None:
    with anyio.fail_after(60):
        async with LocalSandboxes(grace=0.8) as sandboxes:
            await check(sandboxes)
