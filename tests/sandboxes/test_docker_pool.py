"""Sandboxes that wait, places that are shared, and what is left when everything is given back."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from antiphon.errors import SandboxBusy, SandboxNotFound, SandboxUnavailable
from antiphon.sandboxes import Client, DockerSandboxes, Sandbox, build_image
from antiphon.testing.sandbox import open_new, run_cell, run_ok

from .docker_kit import ask, boxes, docker as docker, docker_sandboxes, remove

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("docker")]

LIMIT = (
    "import glob\nfor path in ('/sys/fs/cgroup/memory.max',"
    " '/sys/fs/cgroup/memory/memory.limit_in_bytes'):\n"
    "    for found in glob.glob(path): print(int(open(found).read()) // 2**30)"
)


async def open_sized(sandboxes: DockerSandboxes, size: str, *, who: str = "a") -> Sandbox:
    minted = sandboxes.mint(principal=who, memory_limit=size)
    return await sandboxes.open(container_id=minted, principal=who)


async def test_a_warm_sandbox_is_handed_out_and_replaced() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=2) as sandboxes:
            await sandboxes.warm_up()
            assert sandboxes.ready == 2
            before = set(await boxes(sandboxes))
            ran = await run_ok(
                await open_new(sandboxes), "import sys\nprint('matplotlib.pyplot' in sys.modules)"
            )
            assert ran.stdout == "True\n" and sandboxes.ready == 1
            await sandboxes.warm_up()
            assert sandboxes.ready == 2 and before < set(await boxes(sandboxes))


async def test_a_used_container_never_serves_another() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=1) as sandboxes:
            await sandboxes.warm_up()
            (first,) = await boxes(sandboxes)
            sandbox = await open_new(sandboxes, principal="a")
            await run_ok(sandbox, "open('/tmp/mark', 'w').close()")
            await sandbox.aclose()
            ran = await run_ok(
                await open_new(sandboxes, principal="b"), "import os\nos.path.exists('/tmp/mark')"
            )
            assert ran.shown[0].text == "False"
            await sandboxes.warm_up()
            assert first not in await boxes(sandboxes)


@pytest.mark.parametrize("warm", [0, 1])
async def test_a_sandbox_has_the_memory_that_was_asked_for(warm: int) -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=warm) as sandboxes:
            await sandboxes.warm_up()
            for size in ("4g", "1g"):
                sandbox = await open_sized(sandboxes, size)
                assert (await run_ok(sandbox, LIMIT)).stdout == f"{size[0]}\n"
                await sandbox.aclose()


async def test_what_never_fits_is_said_and_what_does_not_fit_now_is_busy() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(memory=2**30 * 5) as sandboxes:
            with pytest.raises(SandboxUnavailable, match="16g of memory never fits"):
                await run_cell(await open_sized(sandboxes, "16g"), "1")
            big = await open_sized(sandboxes, "4g")
            await run_ok(big, "1")
            await run_ok(await open_sized(sandboxes, "1g"), "1")
            late = await open_sized(sandboxes, "1g")
            with pytest.raises(SandboxBusy, match=r"5\.0 of 5\.0 GiB") as caught:
                await run_cell(late, "1")
            assert caught.value.retry_after > 0
            await big.aclose()
            await run_ok(late, "1")


async def test_one_principal_cannot_hold_all_places() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(live=2) as sandboxes:
            mine = await open_new(sandboxes, principal="greedy")
            await run_ok(mine, "1")
            with pytest.raises(SandboxBusy, match="the most that one may have of 2") as caught:
                await run_cell(await open_new(sandboxes, principal="greedy"), "1")
            assert 0 < caught.value.retry_after <= 60
            await run_ok(await open_new(sandboxes, principal="other"), "1")
            with pytest.raises(SandboxBusy, match="All 2 sandboxes"):
                await run_cell(await open_new(sandboxes, principal="third"), "1")


async def test_a_start_that_failed_gives_its_place_back() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(live=1, image="antiphon-sandbox:absent") as sandboxes:
            for _ in range(2):
                with pytest.raises(SandboxUnavailable, match="antiphon-sandbox:absent"):
                    await run_cell(await open_new(sandboxes), "1")
            assert await boxes(sandboxes) == []


async def test_an_idle_container_expires_with_its_box() -> None:
    now = 0.0
    with anyio.fail_after(60):
        async with docker_sandboxes(clock=lambda: now) as sandboxes:
            sandbox = await open_new(sandboxes)
            await run_ok(sandbox, "1")
            now = 20 * 60.0
            assert await sandboxes.sweep() == 1
            with pytest.raises(SandboxNotFound, match="expired"):
                await run_cell(sandbox, "1")
            await sandboxes.aclose()
            assert await boxes(sandboxes) == []


async def test_warm_boxes_removed_from_outside_are_not_handed_out() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=1) as sandboxes:
            await sandboxes.warm_up()
            (box,) = await boxes(sandboxes)
            await remove(box)
            ran = await run_ok(await open_new(sandboxes), "print('on')")
            assert ran.stdout == "on\n" and not ran.finished.state_lost


def held() -> tuple[int, int]:
    """Open descriptors of this process, and its threads but those that wait for any work."""
    gc.collect()  # what earlier tests have left is not closed in the middle of this one
    threads = [each for each in threading.enumerate() if "worker" not in each.name]
    return len(os.listdir("/proc/self/fd")), len(threads)


async def test_closing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with anyio.fail_after(60):
        gc.collect()
        rounds: list[tuple[int, int]] = []
        for _ in range(2):
            async with docker_sandboxes(warm=1) as sandboxes:
                await sandboxes.warm_up()
                await run_ok(await open_new(sandboxes), "print('on')")
                assert len(os.listdir(tmp_path)) == 1
            assert await boxes(sandboxes) == []
            assert os.listdir(tmp_path) == []
            rounds.append(held())
        assert rounds[0] == rounds[1]


async def test_closing_while_sandboxes_are_being_made_leaves_no_container() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=3) as sandboxes:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_ok, await open_new(sandboxes), "1")
                tasks.start_soon(sandboxes.warm_up)
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert await boxes(sandboxes) == []


ORPHAN = """
import anyio, os, signal, sys
from antiphon.sandboxes import DockerSandboxes, Output

async def main():
    sandboxes = DockerSandboxes(warm=0)
    minted = sandboxes.mint(principal="a")
    sandbox = await sandboxes.open(container_id=minted, principal="a")
    async for event in sandbox.run("print('on')\\nwhile True: pass"):
        if isinstance(event, Output):
            print(sandboxes.owner, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

anyio.run(main)
"""


async def test_a_container_ends_with_its_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def gone(client: Client) -> bool:
        wanted = {"label": [f"antiphon.owner={owner}"]}
        return not client.containers(all=True, filters=wanted)

    with anyio.fail_after(60):
        command = [sys.executable, "-c", ORPHAN]
        ran = await anyio.run_process(command, check=False, stderr=subprocess.DEVNULL)
        owner = ran.stdout.decode().strip()
        assert owner and len(os.listdir(tmp_path)) == 1
        while not await ask(gone):
            pass
        async with docker_sandboxes() as sandboxes:  # the next one cleans up its sockets
            await run_ok(await open_new(sandboxes), "1")
        assert os.listdir(tmp_path) == []


async def test_no_two_sandboxes_are_the_same_user() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=1) as sandboxes:
            await sandboxes.warm_up()
            users: set[str] = set()
            for _ in range(3):
                users.add((await run_ok(await open_new(sandboxes), "!id -u")).stdout)
    assert len(users) == 3 and all(int(user) >= 10_000 for user in users)


async def test_orphans_are_swept_before_the_first_sandbox_and_others_are_left() -> None:
    image = await build_image()

    def leave(client: Client) -> list[str]:
        """Created and never started: nothing in them could end them."""
        here = sandboxes.owner.split("/")[0]
        labels = (
            f"{here}/999999999/1/dead",
            sandboxes.owner.rpartition("/")[0] + "/live",
            "elsewhere/999999999/1/dead",
        )
        return [
            str(client.create_container(image=image, labels={"antiphon.owner": label})["Id"])
            for label in labels
        ]

    with anyio.fail_after(60):
        async with docker_sandboxes() as sandboxes:
            dead, mine, foreign = await ask(leave)
            try:
                await run_ok(await open_new(sandboxes), "1")
                found = await ask(lambda c: c.containers(all=True, filters={}))
                left = {str(box["Id"]) for box in found}
                assert dead not in left and {mine, foreign} <= left
            finally:
                for box in (mine, foreign):
                    await remove(box)


async def test_boxes_that_somebody_else_removes_meanwhile_are_gone_when_it_has_closed() -> None:
    async def clear(box: str) -> None:
        with suppress(Exception):  # either of the two may come too late
            await remove(box)

    with anyio.fail_after(60):
        for _ in range(3):
            async with docker_sandboxes() as sandboxes:
                for _ in range(3):
                    await run_ok(await open_new(sandboxes), "1")
                async with anyio.create_task_group() as tasks:
                    for box in await boxes(sandboxes):
                        tasks.start_soon(clear, box)
                    await sandboxes.aclose()
                    assert await boxes(sandboxes) == []


async def test_a_warm_up_that_nobody_waits_for_any_more_goes_on() -> None:
    with anyio.fail_after(60):
        async with docker_sandboxes(warm=1) as sandboxes:
            with anyio.move_on_after(0):
                await sandboxes.warm_up()
            (box,) = [*sandboxes._pool._making]  # pyright: ignore[reportPrivateUsage]
            await asyncio.wait([box])
            assert sandboxes.ready == 1


async def test_where_a_path_is_too_long_for_a_socket_another_way_is_found_and_nothing_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path / ("x" * 100)
    far.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(far))
    with anyio.fail_after(60):
        async with docker_sandboxes() as sandboxes:
            ran = await run_ok(await open_new(sandboxes), "print('on')")
            assert (ran.stdout, sandboxes.transport) == ("on\n", "stream")
            assert [each.name for each in far.glob("antiphon-*/*")] == ["owner"]
    gc.collect()  # a socket that was left open says so now
