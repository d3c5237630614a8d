"""What is lost on the way in a real container, or is not: boxes, files, state; and what is said."""

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import docker as docker_py
import pytest

from antiphon.errors import SandboxBusy, SandboxFileError
from antiphon.testing.sandbox import open_new, run_cell, run_ok

from .docker_kit import boxes, docker as docker, docker_sandboxes, remove

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from sandboxes.docker_owner import is_orphan, new_owner
else:
    from antiphon.sandboxes.docker_owner import is_orphan, new_owner

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("docker")]

FILL = """
import os
kept = 1
with open('all', 'wb', buffering=0) as file:
    try:
        while file.write(bytes(4096)): pass
    except OSError: pass
    file.truncate(file.tell() - LEFT)
"""


async def test_an_upload_that_fills_the_disk_is_refused_and_nothing_is_lost() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(disk_size=4 * 2**20) as sandboxes:
            sandbox = await open_new(sandboxes)
            # A whole piece less one page: what is left of it waits in a buffer that cannot go.
            await run_ok(sandbox, FILL.replace("LEFT", "252 * 1024"))
            with pytest.raises(SandboxFileError, match="No space left on device"):
                await sandbox.put("big", bytes(2**20))
            after = await run_ok(sandbox, "print(kept, os.listdir())")
            assert after.stdout == "1 ['all']\n" and not after.finished.state_lost


async def test_files_of_any_size_and_age_are_listed() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes() as sandboxes:
            sandbox = await open_new(sandboxes)
            code = "import os\nfor name in 'ab': open(name, 'w').close()\n"
            await run_ok(sandbox, code + "os.truncate('a', 2**62); os.utime('b', (9e17, 9e17))")
            vast, young = await sandbox.files()
            assert (vast.size, int(young.modified)) == (2**62, 253_402_300_799)


async def test_files_that_were_lost_are_told_even_if_the_next_cell_found_no_room() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(memory=2**30) as sandboxes:
            sandbox = await open_new(sandboxes)
            await run_ok(sandbox, "open('file', 'w').close()")
            crashed = await run_cell(sandbox, "import os; os._exit(1)")
            assert "files are kept" in crashed.error
            (mine,) = await boxes(sandboxes)
            await remove(mine)
            while await boxes(sandboxes):
                await anyio.lowlevel.checkpoint()
            other = await open_new(sandboxes)
            await run_ok(other, "1")
            with pytest.raises(SandboxBusy):
                await run_cell(sandbox, "1")
            await other.aclose()
            ran = await run_ok(sandbox, "import os; print(os.listdir())")
            assert ran.stdout == "[]\n" and "files are lost" in ran.stderr
            assert not (await run_ok(sandbox, "1")).stderr


async def test_a_box_that_was_being_resized_for_who_left_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resizing = asyncio.Event()
    client: Any = docker_py.APIClient
    update = client.update_container

    def told(*arguments: Any, **limits: Any) -> Any:
        anyio.from_thread.run_sync(resizing.set)
        return update(*arguments, **limits)

    monkeypatch.setattr(client, "update_container", told)
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=1) as sandboxes:
            await sandboxes.warm_up()
            minted = sandboxes.mint(principal="a", memory_limit="4g")
            sandbox = await sandboxes.open(container_id=minted, principal="a")
            leaving = asyncio.create_task(run_cell(sandbox, "1"))
            await resizing.wait()
            leaving.cancel()
            await asyncio.wait([leaving])
            await sandboxes.warm_up()
            await sandbox.aclose()
            while len(await boxes(sandboxes)) > sandboxes.ready:
                await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("transport", ["socket", "stream"])
async def test_a_container_that_was_being_created_for_who_left_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    loop, creating, tried, free = (
        asyncio.get_running_loop(), asyncio.Event(), asyncio.Event(), threading.Event(),
    )  # fmt: skip
    client: Any = docker_py.APIClient
    create = client.create_container

    def slow(*arguments: Any, **options: Any) -> Any:
        loop.call_soon_threadsafe(creating.set)
        assert free.wait(60)
        try:
            return create(*arguments, **options)
        finally:
            loop.call_soon_threadsafe(tried.set)

    with anyio.fail_after(60):
        async with docker_sandboxes(transport=transport) as sandboxes:
            monkeypatch.setattr(client, "create_container", slow)
            sandbox = await open_new(sandboxes)
            leaving = asyncio.create_task(run_cell(sandbox, "1"))
            await creating.wait()
            leaving.cancel()  # by the task itself: no shield holds that back
            await asyncio.wait([leaving])
            free.set()
            await tried.wait()
            while await boxes(sandboxes):
                await anyio.lowlevel.checkpoint()


def test_a_container_whose_maker_cannot_be_seen_is_no_orphan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where /proc hides the processes of others, only a signal tells that one is there."""
    owner = f"{new_owner().split('/')[0]}/999999999/1/hidden"

    def hidden(process: int, number: int) -> None:
        raise PermissionError

    assert is_orphan(owner)
    monkeypatch.setattr("os.kill", hidden)
    assert not is_orphan(owner)
