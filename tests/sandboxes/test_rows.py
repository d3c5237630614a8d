"""How long containers live, and how long they are told of; time is moved by hand."""

import gc
import weakref
from collections.abc import Callable

import anyio
import pytest

from antiphon.errors import SandboxError, SandboxNotFound
from antiphon.sandboxes import Activity, LocalSandboxes
from antiphon.testing.sandbox import open_new, run_cell, run_ok

pytestmark = pytest.mark.anyio

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def told(sandboxes: LocalSandboxes, container_id: str) -> Activity | None:
    return sandboxes.activity(container_id, "a")


async def test_an_expired_container_is_told_of_for_an_hour() -> None:
    clock = Clock()
    async with LocalSandboxes(idle=600, clock=clock) as sandboxes:
        used, unused = (sandboxes.mint(principal="a", idle=60) for _ in range(2))
        sandbox = await sandboxes.open(container_id=used, principal="a")
        await run_ok(sandbox, "1")
        clock.time = 60
        for container_id in (used, unused):
            found = told(sandboxes, container_id)
            assert found is not None and found.expired
        assert await sandboxes.sweep() == 2
        clock.time = 60 + HOUR - 1
        found = told(sandboxes, used)
        assert found is not None and found.expired and found.idle == 60
        with pytest.raises(SandboxError, match="taken"):
            sandboxes.mint(principal="a", container_id=used)
        clock.time = 60 + HOUR
        assert told(sandboxes, used) is None and told(sandboxes, unused) is None


async def test_one_that_was_closed_is_not_told_of() -> None:
    async with LocalSandboxes() as sandboxes:
        sandbox = await open_new(sandboxes, principal="a")
        await run_ok(sandbox, "1")
        assert told(sandboxes, sandbox.id) is not None
        await sandbox.aclose()
        assert told(sandboxes, sandbox.id) is None


async def test_a_thousand_expired_ones_are_told_of_and_no_more() -> None:
    clock = Clock()
    sandboxes = LocalSandboxes(idle=60, clock=clock)
    minted = [sandboxes.mint(principal="a") for _ in range(1010)]
    clock.time = 60
    await sandboxes.sweep()
    found = [told(sandboxes, container_id) is not None for container_id in minted]
    assert found == [False] * 10 + [True] * 1000


async def test_who_was_told_that_it_has_expired_was_told_for_good() -> None:
    clock = Clock()
    async with LocalSandboxes(idle=60, clock=clock) as sandboxes:
        sandbox = await open_new(sandboxes, principal="a")
        await run_ok(sandbox, "1")
        clock.time = 60
        found = told(sandboxes, sandbox.id)
        assert found is not None and found.expired
        with pytest.raises(SandboxNotFound):  # whoever holds it cannot bring it back
            await run_cell(sandbox, "2")
        clock.time = 59  # nor can a clock that is wrong
        assert not sandboxes.owns(sandbox.id, "a")


async def test_a_container_of_less_time_gives_its_place_back_in_its_own(
    skip_time: Callable[[float], None],
) -> None:
    async with LocalSandboxes(idle=600, live=1, clock=anyio.current_time) as sandboxes:
        long = await open_new(sandboxes)
        await run_ok(long, "1")  # its timer runs for ten minutes
        await long.aclose()
        brief = sandboxes.mint(principal="a", idle=60)
        sandbox = await sandboxes.open(container_id=brief, principal="a")
        await run_ok(sandbox, "1")
        skip_time(60)
        with anyio.fail_after(60):
            while True:
                try:
                    await run_ok(await open_new(sandboxes), "2")
                    break
                except SandboxError:  # SandboxBusy
                    await anyio.lowlevel.checkpoint()


async def test_what_was_opened_and_never_used_is_forgotten() -> None:
    clock = Clock()
    async with LocalSandboxes(idle=60, clock=clock) as sandboxes:
        opened = weakref.ref(await open_new(sandboxes))
        clock.time = 60
        for _ in range(100):
            sandboxes.mint(principal="a")
        gc.collect()
        assert opened() is None
