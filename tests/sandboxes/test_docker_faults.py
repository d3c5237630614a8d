"""What strangers' code does to a real container, and what is left: the truth, and the next cell."""

from collections.abc import AsyncGenerator, Callable

import anyio
import anyio.lowlevel
import pytest

from antiphon.sandboxes import DockerSandboxes, Output
from antiphon.testing.sandbox import Ran, open_new, run_cell, run_ok

from .docker_kit import boxes, docker as docker, over, pause, remove

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("docker")]

KEEP = "kept = 1\nopen('file.txt', 'w').write('still here')"


FORGED = """
import os, socket, stat
held = []
for place in ('/run/antiphon/socket', chr(0) + 'antiphon'):
    for hello in (b'control 1\\n', b'interpreter x\\n', b''):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].setblocking(False)
        try:
            held[-1].connect(place)
            socket.send_fds(held[-1], [hello], [0, 1])
        except OSError:
            pass
for fd in range(700, 1024):
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
            os.set_blocking(fd, False)
            os.write(fd, b'garbage' * 100)
    except OSError:
        pass
while True: pass
"""


@pytest.fixture(params=["socket", "stream"])
async def sandboxes(request: pytest.FixtureRequest) -> AsyncGenerator[DockerSandboxes]:
    with anyio.fail_after(120):
        async with over(request.param) as backend:
            yield backend


async def survives(sandboxes: DockerSandboxes, fault: str, *, limit: float | None = None) -> Ran:
    """Run `fault` after KEEP; assert that files are kept and that the next cell is served."""
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, KEEP)
    ran = await run_cell(sandbox, fault, limit=limit)
    after = await run_ok(sandbox, "print('kept' in globals(), open('file.txt').read())")
    assert after.stdout == f"{not ran.finished.state_lost} still here\n", (ran, after)
    assert after.finished.generation == ran.finished.generation
    assert await sandbox.get("file.txt") == b"still here"
    return ran


async def test_a_cell_over_time_keeps_its_state(sandboxes: DockerSandboxes) -> None:
    ran = await survives(sandboxes, "while True: pass", limit=0.3)
    assert ran.finished.status == "timeout" and not ran.finished.state_lost
    assert "Variables are kept" in ran.error


async def test_an_ignored_interrupt_costs_the_state_and_says_so(sandboxes: DockerSandboxes) -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    ran = await survives(sandboxes, code, limit=0.3)
    assert ran.finished.status == "timeout" and ran.finished.state_lost
    assert "All variables are lost; files are kept" in ran.error


async def test_too_much_memory_ends_the_interpreter_and_is_named(
    sandboxes: DockerSandboxes,
) -> None:
    ran = await survives(sandboxes, "held = []\nwhile True: held.append(bytes(b'x') * 10**7)")
    assert ran.finished.status == "crashed" and ran.finished.state_lost
    assert "more memory than the sandbox has (1g)" in ran.error


async def test_a_subprocess_that_takes_all_memory_is_the_one_that_dies(
    sandboxes: DockerSandboxes,
) -> None:
    code = (
        "import subprocess, sys\n"
        "hog = 'held = []\\nwhile True: held.append(bytes(b\"x\") * 10**7)'\n"
        "print(subprocess.run([sys.executable, '-c', hog]).returncode)"
    )
    ran = await survives(sandboxes, code)
    assert ran.finished.status == "ok" and ran.stdout == "-9\n"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("import ctypes\nctypes.string_at(0)", ["SIGSEGV", 'File "<cell 2>", line 2']),
        ("import os\nos._exit(3)", ["exit status 3"]),
        ("import os\nos.abort()", ["SIGABRT"]),
    ],
    ids=["segfault", "exit", "abort"],
)
async def test_a_crash_is_told_with_its_reason(
    sandboxes: DockerSandboxes, fault: str, words: list[str]
) -> None:
    ran = await survives(sandboxes, fault)
    assert ran.finished.status == "crashed" and ran.finished.state_lost
    assert all(word in ran.error for word in words), ran.error
    assert "runner" not in ran.error


async def test_a_fork_bomb_meets_its_limit_and_ends_with_the_cell(
    sandboxes: DockerSandboxes,
) -> None:
    code = (
        "import os\nwhile True:\n    try:\n        os.fork()\n"
        "    except OSError: pass\n    except KeyboardInterrupt: os._exit(1)"
    )
    ran = await survives(sandboxes, code, limit=1)
    assert ran.finished.status in ("timeout", "crashed") and ran.finished.state_lost


async def test_a_fork_bomb_of_the_shell_ends_with_the_cell(sandboxes: DockerSandboxes) -> None:
    ran = await survives(sandboxes, "!bomb() { bomb | bomb & }; bomb; sleep 600", limit=1)
    assert ran.finished.status in ("timeout", "ok", "crashed"), ran
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, "1")


@pytest.mark.parametrize(
    "fault",
    [
        "text = 'x' * 2**20\nfor _ in range(1024): print(text)",
        "import subprocess\nsubprocess.run(['dd', 'if=/dev/zero', 'bs=1M', 'count=1024'])",
    ],
    ids=["python", "subprocess"],
)
async def test_a_gigabyte_of_output_is_cut_and_harms_nobody(
    sandboxes: DockerSandboxes, fault: str
) -> None:
    ran = await survives(sandboxes, fault)
    assert ran.finished.status == "ok" and "cut here" in ran.stdout
    assert len(ran.stdout) < 1_100_000


async def test_a_full_disk_is_an_error_of_the_cell(sandboxes: DockerSandboxes) -> None:
    code = "with open('big', 'wb', buffering=0) as f:\n    while True: f.write(b'x' * 2**20)"
    ran = await survives(sandboxes, code)
    assert ran.finished.status == "error" and "No space left on device" in ran.error
    assert not ran.finished.state_lost


async def test_three_million_empty_files_are_too_many(sandboxes: DockerSandboxes) -> None:
    code = (
        "import os\nos.mkdir('d')\nmade = 0\ntry:\n    for made in range(3_000_000):\n"
        "        os.close(os.open(f'd/{made}', os.O_CREAT | os.O_WRONLY))\n"
        "except OSError as error:\n    print(made < 70_000, error.strerror)"
    )
    ran = await survives(sandboxes, code)
    assert ran.stdout == "True No space left on device\n"


async def test_every_place_that_can_be_written_is_bounded_in_files(
    sandboxes: DockerSandboxes,
) -> None:
    code = (
        "import os\nfor place in ('/tmp', '/dev/shm'):\n    made = 0\n    try:\n"
        "        for made in range(100_000):\n"
        "            os.close(os.open(f'{place}/{made}', os.O_CREAT | os.O_WRONLY))\n"
        "    except OSError: print(made < 20_000)"
    )
    assert (await survives(sandboxes, code)).stdout == "True\nTrue\n"


async def test_kill_minus_one_reaches_neither_pid_1_nor_the_cell_itself(
    sandboxes: DockerSandboxes,
) -> None:
    code = (
        "import os, signal, subprocess\nother = subprocess.Popen(['sleep', '600'])\n"
        "os.kill(-1, signal.SIGKILL)\nprint(other.wait())"
    )
    ran = await survives(sandboxes, code)
    assert ran.stdout == "-9\n" and not ran.finished.state_lost


async def test_no_signal_from_inside_ends_or_stops_pid_1(sandboxes: DockerSandboxes) -> None:
    code = (
        "import os, signal\nfor number in set(range(1, 32)):\n"
        "    try: os.kill(1, number)\n    except OSError as error: print(error)"
    )
    ran = await survives(sandboxes, code)
    assert ran.finished.status == "ok" and not ran.stdout


async def test_forged_frames_and_forged_dials_cost_only_the_interpreter(
    sandboxes: DockerSandboxes,
) -> None:
    ran = await survives(sandboxes, FORGED)
    assert ran.finished.status == "crashed" and "broke the protocol" in ran.error


async def test_a_frozen_interpreter_is_killed_in_its_time(sandboxes: DockerSandboxes) -> None:
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    ran = await survives(sandboxes, code, limit=0.3)
    assert ran.finished.status == "timeout" and ran.finished.state_lost


async def test_two_crashes_at_once_cost_the_container_and_this_is_said(
    sandboxes: DockerSandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.sandboxes.docker._CRASH_PAIR", 60.0)  # on however slow a machine
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, KEEP)
    before = await boxes(sandboxes)
    first = await run_cell(sandbox, "import os\nos._exit(1)")
    second = await run_cell(sandbox, "import os\nos._exit(1)")
    assert "files are kept" in first.error and "all files are lost" in second.error
    assert (await run_ok(sandbox, "import os\nprint(os.listdir())")).stdout == "[]\n"
    while not set(before).isdisjoint(await boxes(sandboxes)):  # removed while nobody waits
        await anyio.lowlevel.checkpoint()


async def test_a_container_removed_under_a_cell_is_said_and_replaced(
    sandboxes: DockerSandboxes,
) -> None:
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, KEEP)
    (mine,) = await boxes(sandboxes)
    ended = None
    async for event in sandbox.run("print('on')\nwhile True: pass"):
        if isinstance(event, Output):
            await remove(mine)
        ended = event
    assert ended is not None and getattr(ended, "status", "") == "crashed"
    assert "all files are lost" in getattr(ended, "error", "")
    ran = await run_ok(sandbox, "import os\nprint(os.listdir())")
    assert ran.stdout == "[]\n" and not ran.stderr


async def test_a_container_removed_between_cells_is_said_by_the_next(
    sandboxes: DockerSandboxes,
) -> None:
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, KEEP)
    (mine,) = await boxes(sandboxes)
    await remove(mine)
    ran = await run_ok(sandbox, "import os\nprint(os.listdir())")
    assert ran.stdout == "[]\n" and ran.finished.state_lost
    assert "files are lost" in ran.stderr


async def test_a_cell_that_cripples_pid_1_loses_its_container_and_this_is_said(
    sandboxes: DockerSandboxes,
) -> None:
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, KEEP)
    code = "import os, resource\nresource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))\nos._exit(1)"
    ran = await run_cell(sandbox, code)
    assert ran.finished.status == "crashed"
    after = await run_ok(sandbox, "import os\nprint(os.listdir())")
    said = ran.error + after.stderr
    assert after.stdout == "[]\n" and "files are lost" in said, (ran, after)


async def test_a_frozen_container_is_given_up(
    sandboxes: DockerSandboxes, skip_time: Callable[[float], None]
) -> None:
    sandbox = await open_new(sandboxes)
    await run_ok(sandbox, KEEP)
    (mine,) = await boxes(sandboxes)
    async for event in sandbox.run("print('on')\nwhile True: pass", timeout=20):
        if isinstance(event, Output):
            await pause(mine)
            skip_time(21)
    ran = await run_ok(sandbox, "import os\nprint(os.listdir())")
    assert ran.stdout == "[]\n" and ran.finished.generation == 2
