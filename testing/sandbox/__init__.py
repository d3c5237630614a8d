"""The conformance suite of sandboxes: what every backend must do, as checks to run against it.

Each check is an async function that takes a fresh backend, uses it through its Protocol alone, and
fails with AssertionError. In a backend's own tests:

    @pytest.mark.anyio
    @pytest.mark.parametrize("check", SANDBOX_CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check: SandboxCheck) -> None:
        with anyio.fail_after(60):
            async with MySandboxes() as sandboxes:
                await check(sandboxes)

The checks never sleep and set no bound of their own. They suppose a grace for interrupted cells of
a second or less, a POSIX system inside, and room for a few live sandboxes. Not here: what only one
backend can show, such as processes left behind on the host.
"""

from .cells import CELL_CHECKS
from .faults import FAULT_CHECKS
from .files import FILE_CHECKS
from .kit import (
    Ran as Ran,
    SandboxCheck as SandboxCheck,
    open_new as open_new,
    run_cell as run_cell,
    run_ok as run_ok,
)
from .rows import ROW_CHECKS

SANDBOX_CHECKS: list[SandboxCheck] = [*CELL_CHECKS, *FAULT_CHECKS, *FILE_CHECKS, *ROW_CHECKS]
"""All checks; a backend keeps every one."""
