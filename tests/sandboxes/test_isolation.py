"""Nothing that code in a real sandbox tries gets through, and what would get through is seen."""

import ast
import json
import os
from pathlib import Path

import anyio
import pytest

from antiphon.errors import SandboxFileError
from antiphon.sandboxes import (
    PROBES,
    TRICKS,
    Finding,
    LocalSandboxes,
    Probe,
    Sandbox,
    Transport,
    Tricked,
    probe_isolation,
)
from antiphon.testing.sandbox import open_new, run_ok

from .docker_kit import docker as docker, docker_sandboxes
from .weak import found_open

ROOM = Path(__file__).parent.parent.parent / "sandboxes"
WAYS: tuple[Transport, ...] = ("socket", "stream")


@pytest.fixture(scope="module", params=WAYS)
def findings(docker: None, request: pytest.FixtureRequest) -> dict[str, Finding]:
    """Every probe, run once in two real sandboxes, by each of the two ways into a container."""

    async def collect() -> dict[str, Finding]:
        with anyio.fail_after(240):
            async with docker_sandboxes(transport=request.param) as sandboxes:
                return {each.probe.id: each async for each in probe_isolation(sandboxes)}

    return anyio.run(collect)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.tries)
def test_code_in_a_sandbox_cannot(probe: Probe, findings: dict[str, Finding]) -> None:
    finding = findings[probe.id]
    assert finding.verdict == "held", finding


def test_a_container_without_these_fences_is_found_open(docker: None) -> None:
    expected = {
        *(f"host.{name}" for name in ("memory", "environment", "root", "mounts", "rights")),
        *(f"host.{name}" for name in ("promotion", "filters", "user", "files", "secrets")),
        *(f"kernel.{name}" for name in ("keys", "trace", "memory", "descriptors", "chroot")),
        *(f"kernel.{name}" for name in ("nodes", "identity", "flush", "shares", "filters")),
        *(
            f"limits.{name}"
            for name in ("space", "processors", "processes", "buffers", "terminals")
        ),
        *(f"network.{name}" for name in ("loopback", "abstract", "raw", "netlink", "families")),
    }
    with_verdicts = found_open(sorted(expected))
    assert {key for key, verdict in with_verdicts.items() if verdict == "open"} == expected


def test_every_probe_that_is_written_is_run_and_has_a_name_of_its_own() -> None:
    written = {f"files.{name}" for name in TRICKS} | {"files.owner", "limits.shares"}
    for path in (ROOM / "probes").glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and [a.arg for a in node.args.args] == ["facts"]:
                written.add(f"{path.stem}.{node.name}")
    assert len(PROBES) == len(written) >= 30
    assert {probe.id for probe in PROBES} == written
    assert len({probe.tries for probe in PROBES}) == len(PROBES)


class Naive:
    """A sandbox whose file channel believes every name, on a folder of the host."""

    def __init__(self, sandbox: Sandbox, folder: Path, ground: Path) -> None:
        self.sandbox, self.folder, self.ground = sandbox, folder, ground
        self.run = sandbox.run

    def place(self, name: str) -> Path:
        return Path(os.path.normpath(self.folder / name))

    async def put(self, name: str, data: bytes) -> None:
        path = self.place(name)
        if self.ground in path.parents:  # the test itself must not write elsewhere
            await anyio.Path(path).write_bytes(data)

    async def get(self, name: str, *, limit: int = 0) -> bytes:
        try:
            return await anyio.Path(self.folder / name).read_bytes()
        except OSError as error:
            raise SandboxFileError(str(error)) from error


@pytest.mark.anyio
@pytest.mark.parametrize("trick", ["link", "put_path", "get_path"])
async def test_a_file_channel_that_believes_names_is_tricked(
    trick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with LocalSandboxes() as sandboxes:
        sandbox = await open_new(sandboxes)
        folder = Path((await run_ok(sandbox, "import os\nprint(os.getcwd())")).stdout.strip())
        naive = Naive(sandbox, folder, tmp_path)
        with pytest.raises(Tricked):
            await TRICKS[trick](naive)  # pyright: ignore[reportArgumentType]


PROGRAMS = {
    "threads": "import threading\nt = threading.Thread(target=print, args=('ok',))\n"
    "t.start(); t.join()",
    "a shell and a pipe": "import subprocess\n"
    "print(subprocess.check_output('echo o | tr o k; ls / > /dev/null', shell=True, text=True))",
    "a pool of processes": "import multiprocessing as m\n"
    "with m.get_context('fork').Pool(3) as pool: print('ok', pool.map(abs, range(9)))",
    "a pool of processes started anew": "import concurrent.futures as f, multiprocessing as m\n"
    "with f.ProcessPoolExecutor(2, m.get_context('spawn')) as p: print('ok', *p.map(abs, [1]))",
    "shared memory": "from multiprocessing import shared_memory as s\n"
    "m = s.SharedMemory(create=True, size=4096); m.close(); m.unlink(); print('ok')",
    "asyncio with a server and a child": "import asyncio\n"
    "s = await asyncio.start_unix_server(lambda r, w: w.close(), 'at')\n"
    "r, w = await asyncio.open_unix_connection('at')\n"
    "await r.read(); w.close(); s.close()\n"
    "p = await asyncio.create_subprocess_exec('true'); print('ok', await p.wait())",
    "a manager of shared objects": "import multiprocessing as m\n"
    "with m.get_context('fork').Manager() as g: print('ok', g.list([1]))",
    "no connection, said as an error": "import urllib.request\n"
    "try: urllib.request.urlopen('http://example.com')\n"
    "except OSError as e: print('ok', e)",
    "linear algebra on threads": "import numpy as n\na = n.random.rand(300, 300)\n"
    "print('ok', n.linalg.svd(a @ a)[1].shape)",
    "a table, a workbook and a chart": "import pandas as p, matplotlib.pyplot as plt\n"
    "f = p.DataFrame({'a': range(9)}); f.to_excel('f.xlsx'); p.read_excel('f.xlsx')\n"
    "f.plot(); plt.savefig('f.png'); plt.close(); print('ok', p.Timestamp.now('Europe/Lisbon'))",
    "an image": "from PIL import Image\nImage.new('RGB', (9, 9)).save('i.jpg'); print('ok')",
    "a database": "import sqlite3\nc = sqlite3.connect('d.db')\n"
    "c.execute('pragma journal_mode=wal'); c.execute('create table t(x)'); print('ok')",
    "pipes, maps and locks": "import os, mmap, fcntl, tempfile, shutil\nos.mkfifo('p')\n"
    "f = tempfile.TemporaryFile(); f.truncate(4096); mmap.mmap(f.fileno(), 4096)\n"
    "fcntl.flock(f, fcntl.LOCK_EX); shutil.copyfileobj(f, open('c', 'wb')); print('ok')",
    "signals and timers": "import signal\nsignal.signal(signal.SIGALRM, lambda *_: print('ok'))\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()",
    "chance, hashes and clocks": "import ssl, hashlib, secrets, time, uuid, zoneinfo\n"
    "hashlib.scrypt(b'', salt=b'', n=2, r=1, p=1); uuid.uuid4(); time.sleep(0); print('ok')",
}


@pytest.mark.anyio
@pytest.mark.usefixtures("docker")
async def test_ordinary_programs_notice_nothing_of_the_fences() -> None:
    with anyio.fail_after(120):
        async with docker_sandboxes() as sandboxes:
            sandbox = await open_new(sandboxes)
            for name, program in PROGRAMS.items():
                ran = await run_ok(sandbox, program)
                assert "ok" in ran.stdout or "k" == ran.stdout.strip(), (name, ran)


def test_the_filter_of_calls_refuses_what_it_does_not_name() -> None:
    profile = json.loads((ROOM / "images/seccomp.json").read_text("utf-8"))
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for name in rule["names"]
    }
    never = "socket socketpair setsockopt prctl clone mknod personality ptrace mount unshare setns"
    never += " keyctl bpf io_uring_setup io_uring_enter io_uring_register perf_event_open sync"
    never += " userfaultfd io_setup inotify_init1 mq_open process_vm_readv pidfd_getfd seccomp"
    assert not allowed & {*never.split()}
    assert not any(entry["subArchitectures"] for entry in profile["archMap"])


@pytest.mark.anyio
@pytest.mark.parametrize("trick", [name for name in TRICKS if name not in ("put_link", "put_path")])
async def test_the_local_backend_is_not_tricked_by_files_either(trick: str) -> None:
    async with LocalSandboxes() as sandboxes:
        sandbox = await open_new(sandboxes)
        with anyio.fail_after(60):
            assert await TRICKS[trick](sandbox)
