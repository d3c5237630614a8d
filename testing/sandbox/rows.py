"""Containers before and beside what runs in them: whose they are, and how long they live."""

from __future__ import annotations

import math
import time

from anyio.lowlevel import checkpoint

from antiphon.errors import SandboxError
from antiphon.sandboxes import Activity, Sandboxes

from .kit import (
    PRINCIPAL,
    SandboxCheck,
    not_found,
    run_cell,
    run_ok,
)


async def check_an_id_belongs_to_its_principal(sandboxes: Sandboxes) -> None:
    """The owner gets the same sandbox again; for others the id does not exist."""
    minted = sandboxes.mint(principal="alice")
    assert minted.startswith("cntr_") and minted != sandboxes.mint(principal="alice")
    assert sandboxes.owns(minted, "alice") and not sandboxes.owns(minted, "bob")
    sandbox = await sandboxes.open(container_id=minted, principal="alice")
    assert sandbox.id == minted
    await run_ok(sandbox, "kept = 1")
    again = await sandboxes.open(container_id=minted, principal="alice")
    assert (await run_ok(again, "print(kept)")).stdout == "1\n"
    foreign = await not_found(sandboxes.open(container_id=minted, principal="bob"))
    absent = await not_found(sandboxes.open(container_id="cntr_no", principal="bob"))
    assert foreign.replace(minted, "cntr_no") == absent


async def check_memory_limits_are_among_the_known(sandboxes: Sandboxes) -> None:
    """An unknown limit is refused; a limit can be set until something runs, not later."""
    minted = sandboxes.mint(principal=PRINCIPAL, memory_limit="1g")
    sandbox = await sandboxes.open(container_id=minted, principal=PRINCIPAL, memory_limit="4g")
    await run_ok(sandbox, "1")
    for limit in ("16g", "3g", "lots"):
        try:
            await sandboxes.open(container_id=minted, principal=PRINCIPAL, memory_limit=limit)
        except SandboxError:
            continue
        raise AssertionError(f"the limit {limit} was taken")


async def check_activity_is_told_as_it_was(sandboxes: Sandboxes) -> None:
    """When a container was made and last used; to ask is no use, and nobody else is answered."""
    before = time.time()
    minted = sandboxes.mint(principal=PRINCIPAL, memory_limit="4g", idle=60.0)
    told = _known(sandboxes, minted)
    assert before <= told.created <= time.time() and told.last >= told.created
    assert (told.idle, told.memory_limit, told.expired) == (60.0, "4g", False)
    assert _known(sandboxes, minted) == told
    assert sandboxes.activity(minted, "another") is None
    assert sandboxes.activity("cntr_no", PRINCIPAL) is None
    sandbox = await sandboxes.open(container_id=minted, principal=PRINCIPAL, memory_limit="1g")
    opened = _known(sandboxes, minted)
    assert opened.last > told.last and opened.memory_limit == "1g"
    async for _ in sandbox.run("print('on')"):
        assert before <= _known(sandboxes, minted).last <= time.time()
    used = _known(sandboxes, minted)
    assert used.last > opened.last and used.created == told.created
    await sandbox.aclose()
    assert sandboxes.activity(minted, PRINCIPAL) is None


async def check_an_idle_time_is_within_the_backends(sandboxes: Sandboxes) -> None:
    """A container may live for less than the backend allows, not for more."""
    own = _known(sandboxes, sandboxes.mint(principal=PRINCIPAL)).idle
    assert _known(sandboxes, sandboxes.mint(principal=PRINCIPAL, idle=own)).idle == own
    for idle in (0.0, -1.0, own + 1, math.inf, math.nan):
        try:
            sandboxes.mint(principal=PRINCIPAL, idle=idle)
        except SandboxError:
            continue
        raise AssertionError(f"an idle time of {idle} s was taken")


async def check_an_idle_container_expires_for_good(sandboxes: Sandboxes) -> None:
    """As long as something goes on it lives; idle for its time it is over, and that is told."""
    minted = sandboxes.mint(principal=PRINCIPAL, idle=0.3)
    sandbox = await sandboxes.open(container_id=minted, principal=PRINCIPAL)
    async for _ in sandbox.run("import time\nprint('on')\ntime.sleep(0.6)"):
        assert not _known(sandboxes, minted).expired
    last = _known(sandboxes, minted).last
    while not _known(sandboxes, minted).expired:
        await checkpoint()
    assert time.time() - last > 0.25 and _known(sandboxes, minted).last == last
    assert not sandboxes.owns(minted, PRINCIPAL)
    await not_found(sandboxes.open(container_id=minted, principal=PRINCIPAL))
    await not_found(run_cell(sandbox, "1"))
    await not_found(sandbox.put("a", b""))
    await not_found(sandbox.files())
    assert _known(sandboxes, minted).expired
    assert sandboxes.activity(minted, "another") is None


def _known(sandboxes: Sandboxes, container_id: str) -> Activity:
    told = sandboxes.activity(container_id, PRINCIPAL)
    assert told is not None, f"nothing is known of {container_id}"
    return told


ROW_CHECKS: list[SandboxCheck] = [
    check_an_id_belongs_to_its_principal,
    check_memory_limits_are_among_the_known,
    check_activity_is_told_as_it_was,
    check_an_idle_time_is_within_the_backends,
    check_an_idle_container_expires_for_good,
]
