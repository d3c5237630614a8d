"""What goes wrong inside a sandbox, and what is left standing."""

from __future__ import annotations

from contextlib import aclosing

import anyio

from antiphon.sandboxes import Finished, Output, Sandboxes

from .kit import (
    PRINCIPAL,
    SandboxCheck,
    not_found,
    open_new,
    run_cell,
    run_ok,
)


async def check_a_cell_over_time_keeps_its_state(sandboxes: Sandboxes) -> None:
    """Loops, sleeps, awaits and shell lines are interrupted; the names stay."""
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, "kept = 1\nimport time, asyncio, re")
    for code in (
        "while True: pass",
        "time.sleep(600)",
        "await asyncio.sleep(600)",
        "!sleep 600",
        "re.match('(a*)*b', 'a' * 50)",
    ):
        ran = await run_cell(sandbox, code, limit=0.1)
        assert ran.finished.status == "timeout" and not ran.finished.state_lost, ran
        assert "0.1 s" in ran.error
    assert (await run_ok(sandbox, "print(kept)")).stdout == "1\n"


async def check_an_ignored_interrupt_costs_the_state(sandboxes: Sandboxes) -> None:
    """A cell that does not stop is killed, and the next one has a new interpreter."""
    sandbox = await open_new(sandboxes)
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    await sandbox.put("file.txt", b"still here")
    ran = await run_cell(sandbox, code, limit=0.1)
    assert ran.finished.status == "timeout" and ran.finished.state_lost, ran
    assert ran.finished.generation == 2 and "lost" in ran.error
    again = await run_ok(
        sandbox, "assert 'signal' not in globals()\nprint(open('file.txt').read())"
    )
    assert again.stdout == "still here\n"
    assert again.finished == Finished("ok", None, False, 2)


async def check_a_crash_is_told_and_survived(sandboxes: Sandboxes) -> None:
    """os._exit, a segfault, SIGKILL: what was printed arrives, and the next cell runs."""
    sandbox = await open_new(sandboxes)
    for at, crash in enumerate(
        (
            "import os; os._exit(3)",
            "import ctypes; ctypes.string_at(0)",
            "import os; os.kill(os.getpid(), 9)",
        )
    ):
        ran = await run_cell(sandbox, f"print('last words')\n{crash}")
        assert ran.finished.status == "crashed" and ran.finished.state_lost, ran
        assert ran.stdout == "last words\n"
        assert ran.finished.generation == at + 2 and "lost" in ran.error
        assert (await run_ok(sandbox, "print('on')")).stdout == "on\n"


async def check_a_death_between_cells_is_told(sandboxes: Sandboxes) -> None:
    """An interpreter that dies while nothing runs: the next cell runs, and says what it lost.

    It dies of a file that it is asked for, which a new one then delivers.
    """
    sandbox = await open_new(sandboxes)
    await sandbox.put("deadly", b"words")
    code = (
        "import os, sys\ndef die(event, given):\n"
        "    if event == 'open' and 'deadly' in str(given[0]): os._exit(1)\n"
        "sys.addaudithook(die)"
    )
    await run_ok(sandbox, code)
    assert await sandbox.get("deadly") == b"words"
    ran = await run_ok(sandbox, "assert 'die' not in globals()")
    assert ran.finished == Finished("ok", None, True, 2)


async def check_a_flood_of_output_is_bounded(sandboxes: Sandboxes) -> None:
    """A cell may write for ever: the beginning arrives, a notice, then nothing; it still ends."""
    sandbox = await open_new(sandboxes)
    code = "import os, sys\nfor i in range(200): os.write(1, b'x' * 65536)\nprint('y' * 10**8)"
    ran = await run_ok(sandbox, code)
    assert ran.stdout.startswith("xxx") and "cut here" in ran.stdout
    assert len(ran.stdout) < 1_100_000
    assert (await run_ok(sandbox, "print('on')")).stdout == "on\n"
    code = "for i in range(9999):\n    print(i, flush=i % 2)\n    print(i, file=sys.stderr)"
    ran = await run_ok(sandbox, code)
    assert ran.stdout == ran.stderr == "".join(f"{i}\n" for i in range(9999))
    ran = await run_cell(sandbox, "raise ValueError('z' * 10**6)")
    assert len(ran.error) < 70_000 and ran.error.startswith("Traceback")
    ran = await run_ok(sandbox, "for i in range(1000): display(i)")
    assert len(ran.shown) <= 100 and "left out" in ran.stderr


async def check_closing_a_cell_early_frees_the_sandbox(sandboxes: Sandboxes) -> None:
    """A consumer that leaves interrupts the cell; the next one finds the names."""
    sandbox = await open_new(sandboxes)
    silent = "kept = 1\nprint('on')\nwhile True: pass"
    writing = "while True: print('x' * 9999)"  # is interrupted in the middle of a frame
    for code in (silent, *[writing] * 3):
        async with aclosing(sandbox.run(code)) as events:
            async for event in events:
                if isinstance(event, Output):
                    other = await open_new(sandboxes)
                    await run_ok(other, "1")  # time enough to fill every buffer
                    await other.aclose()
                    break
        ran = await run_ok(sandbox, "print(kept)")
        assert ran.stdout == "1\n" and not ran.finished.state_lost
    async for event in sandbox.run("1"):  # left right at the end, and never closed
        if isinstance(event, Finished):
            break
    await run_ok(sandbox, "2")


async def check_a_slow_consumer_costs_no_state(sandboxes: Sandboxes) -> None:
    """A cell that ended in time was in time, however late its events are taken."""
    sandbox, other = await open_new(sandboxes), await open_new(sandboxes)
    await run_ok(sandbox, "kept = 1")
    async for event in sandbox.run("print('on')\nkept", timeout=0.2):
        if isinstance(event, Output):
            await run_ok(other, "import time; time.sleep(1.5)")
        elif isinstance(event, Finished):
            assert event == Finished("ok", None, False, 1)
    await run_ok(sandbox, "kept")


async def check_cancelling_a_cell_frees_the_sandbox(sandboxes: Sandboxes) -> None:
    """Cancelled while running, while starting, or while waiting: the next cell runs."""
    sandbox = await open_new(sandboxes)
    for code in ("while True: pass", "import time; time.sleep(600)", "!sleep 600"):
        running = anyio.Event()

        async def consume(code: str = code, running: anyio.Event = running) -> None:
            async for event in sandbox.run(f"kept = 1\nprint('on')\n{code}"):
                if isinstance(event, Output):
                    running.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            await running.wait()
            tasks.start_soon(consume)  # waits for its turn
            tasks.cancel_scope.cancel()
        assert (await run_ok(sandbox, "print(kept)")).finished.generation == 1
    fresh = await open_new(sandboxes)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_ok, fresh, "1")
        tasks.cancel_scope.cancel()
    await run_ok(fresh, "2")


async def check_stubborn_cells_are_killed_on_cancel(sandboxes: Sandboxes) -> None:
    """A cancelled cell that ignores the interrupt costs the state, and the next one says so."""
    sandbox = await open_new(sandboxes)
    code = "while True:\n    try:\n        print('on')\n        while True: pass\n"
    code += "    except KeyboardInterrupt: pass"
    async with aclosing(sandbox.run(code)) as events:
        async for event in events:
            if isinstance(event, Output):
                break
    ran = await run_ok(sandbox, "1")
    assert ran.finished.state_lost and ran.finished.generation == 2


async def check_forged_frames_discard_the_interpreter(sandboxes: Sandboxes) -> None:
    """Code that writes garbage, or a frame out of turn, to the stream loses its interpreter."""
    sandbox = await open_new(sandboxes)
    forged = "b'\\x46' + (10**6).to_bytes(4, 'big') + (0).to_bytes(4, 'big')"
    huge = "b'\\x43\\0\\0\\0\\1\\xff\\xff\\xff\\xff'"
    for data in ("b'garbage' * 100", forged, huge):
        code = (
            "import os, stat\nfor fd in range(3, 1024):\n    try:\n"
            "        mode = os.fstat(fd).st_mode\n"
            "        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):\n"
            "            os.set_blocking(fd, False)\n"
            f"            os.write(fd, {data})\n"
            "    except OSError: pass\nwhile True: pass"
        )
        ran = await run_cell(sandbox, code)
        assert ran.finished.status == "crashed" and ran.finished.state_lost, ran
        assert (await run_ok(sandbox, "print('on')")).stdout == "on\n"


async def check_closing_ends_the_container(sandboxes: Sandboxes) -> None:
    """A cell under way ends cancelled; the id is then as unknown as any other."""
    sandbox = await open_new(sandboxes)
    async for event in sandbox.run("print('on')\nwhile True: pass"):
        if isinstance(event, Output):
            await sandbox.aclose()
        elif isinstance(event, Finished):
            assert event.status == "cancelled" and event.state_lost, event
    await sandbox.aclose()
    assert not sandboxes.owns(sandbox.id, PRINCIPAL)
    await not_found(run_cell(sandbox, "1"))
    await not_found(sandbox.put("a", b""))
    await not_found(sandbox.files())
    await not_found(sandboxes.open(container_id=sandbox.id, principal=PRINCIPAL))


FAULT_CHECKS: list[SandboxCheck] = [
    check_a_cell_over_time_keeps_its_state,
    check_an_ignored_interrupt_costs_the_state,
    check_a_crash_is_told_and_survived,
    check_a_death_between_cells_is_told,
    check_a_flood_of_output_is_bounded,
    check_closing_a_cell_early_frees_the_sandbox,
    check_a_slow_consumer_costs_no_state,
    check_cancelling_a_cell_frees_the_sandbox,
    check_stubborn_cells_are_killed_on_cancel,
    check_forged_frames_discard_the_interpreter,
    check_closing_ends_the_container,
]
