"""What only the local backend can show: processes, the environment, room, expiry."""

import os
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from antiphon.errors import (
    ConfigurationError,
    SandboxBusy,
    SandboxError,
    SandboxNotFound,
    SandboxUnavailable,
)
from antiphon.sandboxes import Finished, LocalSandboxes, Output
from antiphon.testing.sandbox import open_new, run_cell, run_ok

pytestmark = pytest.mark.anyio

CHILDREN = """
import subprocess, sys, os
held = os.open({fifo!r}, os.O_WRONLY)
grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])"
subprocess.Popen([sys.executable, "-c", grandchild], pass_fds=[held], close_fds=False)
os.set_inheritable(held, True)
subprocess.Popen([sys.executable, "-c", {sleep!r}], pass_fds=[held])
os.close(held)
"""
SLEEP = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.pause()"


@pytest.fixture(autouse=True)
def bounded() -> Generator[None]:
    """No test waits for ever: the alarm breaks into whatever hangs."""
    import signal

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(60)
    yield
    signal.alarm(0)


@contextmanager
def held_pipe(folder: Path) -> Generator[tuple[str, int]]:
    """A named pipe whose reader sees the end when the last process that holds it is gone."""
    path = str(folder / "held")
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    try:
        yield path, reading
    finally:
        os.close(reading)


def roots(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sandboxes make their folders in this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


async def test_closing_kills_children_and_grandchildren(tmp_path: Path) -> None:
    with held_pipe(tmp_path) as (path, reading):
        async with LocalSandboxes() as sandboxes:
            await run_ok(await open_new(sandboxes), CHILDREN.format(fifo=path, sleep=SLEEP))
        assert await anyio.to_thread.run_sync(os.read, reading, 1) == b""


async def test_a_crash_leaves_no_children_behind(tmp_path: Path) -> None:
    with held_pipe(tmp_path) as (path, reading):
        async with LocalSandboxes() as sandboxes:
            code = CHILDREN.format(fifo=path, sleep=SLEEP) + "os._exit(0)"
            ran = await run_cell(await open_new(sandboxes), code)
            assert ran.finished.status == "crashed"
            assert await anyio.to_thread.run_sync(os.read, reading, 1) == b""


async def test_the_folder_is_private_and_goes_with_the_sandbox(temporary: Path) -> None:
    async with LocalSandboxes() as sandboxes:
        sandbox = await open_new(sandboxes)
        assert not roots(temporary)
        code = "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').close()\nos.chmod('a/b', 0)\n"
        code += "os.chmod('a', 0)\nos.symlink('/', 'root')\nprint(os.getcwd())"
        ran = await run_ok(sandbox, code)
        (root,) = roots(temporary)
        assert ran.stdout.strip() == str(root / "data")
        assert mode(root) == mode(root / "data") == 0o700
        await sandbox.aclose()
        assert not roots(temporary)


async def test_the_environment_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with LocalSandboxes() as sandboxes:
        sandbox = await open_new(sandboxes)
        ran = await run_ok(sandbox, "import os\nfor k, v in os.environ.items(): print(k, v)")
        assert "sk-secret" not in ran.stdout and "MPLBACKEND Agg" in ran.stdout
        known = {"PATH", "LANG", "TZ", "HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"}
        names = {line.split(" ")[0] for line in ran.stdout.splitlines()}
        extra = {name for name in names - known if not name.startswith(("LC_", "MPL", "PYTHON"))}
        assert not extra
        ran = await run_ok(sandbox, "print(open('/proc/self/environ').read())")
        assert "sk-secret" not in ran.stdout


async def test_user_modules_are_found_and_ours_are_not() -> None:
    async with LocalSandboxes() as sandboxes:
        sandbox = await open_new(sandboxes)
        for name in ("display", "frames", "files", "cell"):
            await sandbox.put(f"{name}.py", f"who = 'my {name}'".encode())
        ran = await run_ok(sandbox, "import frames, files, cell\nprint(frames.who, files.who)")
        assert ran.stdout == "my frames my files\n"
        ran = await run_ok(sandbox, "import sys\n[p for p in sys.path if 'runner' in p]")
        assert ran.shown[0].text == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the address space")
async def test_memory_is_limited_and_the_interpreter_survives() -> None:
    async with LocalSandboxes(memory_limit="1g") as sandboxes:
        sandbox = await open_new(sandboxes)
        ran = await run_cell(sandbox, "kept = 1\nb'x' * 2**31")
        assert ran.error.endswith("MemoryError")
        assert (await run_ok(sandbox, "print(kept)")).stdout == "1\n"


async def test_the_reason_of_a_crash_names_the_signal_and_the_line() -> None:
    async with LocalSandboxes() as sandboxes:
        sandbox = await open_new(sandboxes)
        ran = await run_cell(sandbox, "import ctypes\nctypes.string_at(0)")
        assert "SIGSEGV" in ran.error and 'File "<cell 1>", line 2' in ran.error
        assert "runner" not in ran.error
        ran = await run_cell(sandbox, "import os\nos._exit(3)")
        assert "exit status 3" in ran.error


async def test_a_very_deep_traceback_is_cut_not_rendered_for_minutes() -> None:
    code = "import sys\nsys.setrecursionlimit(10**6)\n"
    code += "def r(n):\n    return r(n - 1) if n else 1 / 0\nr(500_000)"
    async with LocalSandboxes() as sandboxes:
        ran = await run_cell(await open_new(sandboxes), code, limit=5)
        assert ran.finished.status == "error" and ran.error.endswith("division by zero")
        assert 'File "<cell 1>", line 5' in ran.error


async def test_a_python_that_is_not_there_is_said_with_a_cure() -> None:
    async with LocalSandboxes(python="/nowhere/python") as sandboxes:
        sandbox = await open_new(sandboxes)
        with pytest.raises(SandboxUnavailable, match=r"/nowhere/python.*LocalSandboxes\(python="):
            await run_cell(sandbox, "1")


async def test_a_program_that_is_no_python_is_said(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho not a python >&2\nexit 7\n")
    script.chmod(0o755)
    async with LocalSandboxes(python=str(script)) as sandboxes:
        with pytest.raises(SandboxUnavailable, match=r"(?s)exit status 7.*not a python"):
            await (await open_new(sandboxes)).put("a", b"")


async def test_one_sandbox_too_many_is_busy_until_another_closes() -> None:
    async with LocalSandboxes(live=1) as sandboxes:
        first, second = await open_new(sandboxes), await open_new(sandboxes)
        await run_ok(first, "1")
        with pytest.raises(SandboxBusy, match=r"All 1 sandboxes") as caught:
            await run_cell(second, "2")
        assert caught.value.retry_after > 0
        with pytest.raises(SandboxBusy):
            await second.put("a", b"")
        await first.aclose()
        await run_ok(second, "2")


async def test_an_idle_container_expires_and_a_busy_one_does_not() -> None:
    now = 0.0
    async with LocalSandboxes(idle=20 * 60, clock=lambda: now) as sandboxes:
        idle, busy = await open_new(sandboxes), await open_new(sandboxes)
        await run_ok(idle, "1")
        async for event in busy.run("print('on')\nimport os\nwhile not os.path.exists('go'): pass"):
            if isinstance(event, Output):
                now = 20 * 60 - 1
                assert await sandboxes.sweep() == 0 and sandboxes.owns(idle.id, "conformance")
                now = 20 * 60
                assert not sandboxes.owns(idle.id, "conformance")
                assert await sandboxes.sweep() == 1
                await busy.put("go", b"")
            elif isinstance(event, Finished):
                assert event.status == "ok"
        with pytest.raises(SandboxNotFound, match="expired"):
            await run_cell(idle, "1")
        with pytest.raises(SandboxNotFound, match="20 idle minutes"):
            await sandboxes.open(container_id=idle.id, principal="conformance")
        now = 40 * 60 - 1
        await run_ok(busy, "1")


async def test_expired_sandboxes_close_by_themselves(
    tmp_path: Path, skip_time: Callable[[float], None]
) -> None:
    with held_pipe(tmp_path) as (path, reading):
        async with LocalSandboxes(idle=60, clock=anyio.current_time) as sandboxes:
            await run_ok(await open_new(sandboxes), CHILDREN.format(fifo=path, sleep=SLEEP))
            skip_time(60)
            assert await anyio.to_thread.run_sync(os.read, reading, 1) == b""


async def test_ids_minted_and_never_used_are_forgotten() -> None:
    now = 0.0
    sandboxes = LocalSandboxes(clock=lambda: now)
    for _ in range(1000):
        sandboxes.mint(principal="a")
        now += 60
    assert await sandboxes.sweep() < 200


async def test_a_closed_backend_opens_nothing() -> None:
    sandboxes = LocalSandboxes()
    minted = sandboxes.mint(principal="a")
    await sandboxes.aclose()
    await sandboxes.aclose()
    with pytest.raises(SandboxUnavailable, match="closed"):
        await sandboxes.open(container_id=minted, principal="a")


async def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        LocalSandboxes(timeout=0)
    with pytest.raises(SandboxError, match="1g, 4g, 16g, 64g"):
        LocalSandboxes(memory_limit="2g")
    async with LocalSandboxes(file_size=4) as sandboxes:
        sandbox = await open_new(sandboxes)
        with pytest.raises(SandboxError, match="timeout above 0"):
            await run_cell(sandbox, "1", limit=-1)
        with pytest.raises(SandboxError, match="a cell may have"):
            await run_cell(sandbox, "#" * 5_000_000)
        with pytest.raises(SandboxError, match="a file may have 4"):
            await sandbox.put("a", b"12345")
