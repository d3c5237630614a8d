"""Code that speaks for the runner, and code that is only careless: what the host believes of it."""

from collections.abc import AsyncGenerator

import anyio
import pytest

from antiphon.errors import SandboxFileError
from antiphon.sandboxes import LocalSandboxes, Sandbox
from antiphon.testing.sandbox import open_new, run_cell, run_ok

pytestmark = pytest.mark.anyio

LISTING = """
import sys
frames = sys.modules['_antiphon_runner.frames']
def lie(files, key):
    for name, size, modified in ENTRIES:
        files._wire.send(frames.ENTRY, key, frames.pack(name, size, modified))
    files._wire.send(frames.DONE, key)
sys.modules['_antiphon_runner.files'].Files._list = lie
"""

CONTENT = """
import os, sys
frames = sys.modules['_antiphon_runner.frames']
def lie(files, key, name, limit):
    piece = memoryview(frames.encode(frames.DATA, key, PIECE) * 10_000)
    while True:
        os.write(files._wire.writing, piece)
open('file', 'w').close()
sys.modules['_antiphon_runner.files'].Files._get = lie
"""

PLOT = """
import sys, time, types
plot = types.ModuleType('matplotlib.pyplot')
left = []
plot.get_fignums = lambda: list(left)
plot.close = lambda which: left.clear() if which == 'all' else left.remove(which)
class Figure:
    def savefig(self, file, **options):
        time.sleep(SECONDS)
        file.write(b'drawn')
plot.figure = lambda number: Figure()
sys.modules['matplotlib.pyplot'] = plot
"""


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    with anyio.fail_after(60):
        async with LocalSandboxes(grace=2) as sandboxes:
            yield await open_new(sandboxes)


@pytest.mark.parametrize(
    "entry",
    [
        (b"../../etc/passwd", b"1", b"1"),
        (b"a\nb", b"1", b"1"),
        (b"..", b"1", b"1"),
        (b"\xff\xfe", b"1", b"1"),
        (b".antiphon-put-1", b"1", b"1"),
        (b"young", b"1", b"9" * 18),
    ],
)
async def test_a_listing_with_what_no_runner_lists_costs_the_interpreter(
    sandbox: Sandbox, entry: tuple[bytes, bytes, bytes]
) -> None:
    await run_ok(sandbox, LISTING.replace("ENTRIES", repr([entry])))
    with pytest.raises(SandboxFileError, match="broke the protocol"):
        await sandbox.files()
    assert await sandbox.files() == []


@pytest.mark.parametrize("piece", [b"", b"x"])
async def test_a_content_in_crumbs_is_not_gathered(sandbox: Sandbox, piece: bytes) -> None:
    await run_ok(sandbox, CONTENT.replace("PIECE", repr(piece)))
    with pytest.raises(SandboxFileError, match="in smaller pieces than the runner makes"):
        await sandbox.get("file")


async def test_a_file_of_any_size_and_age_is_listed(sandbox: Sandbox) -> None:
    await run_ok(
        sandbox,
        "import os\nfor name in ('old', 'young', 'vast'): open(name, 'w').close()\n"
        "os.utime('old', (-1e9, -1e9))\nos.utime('young', (1e17, 1e17))\n"
        "size = 1 << 62\nwhile size:\n"
        "    try: os.truncate('vast', size)\n    except OSError: size >>= 1\n    else: break",
    )
    old, vast, young = await sandbox.files()
    assert (old.modified, vast.size > 1 << 40) == (0, True)
    assert 4e9 < young.modified < 253_402_300_800  # the file system may know no later time
    assert (await run_ok(sandbox, "size")).finished.generation == 1


async def test_a_file_of_whole_pieces_comes_out_whole(sandbox: Sandbox) -> None:
    for size in (0, 1, 256 * 1024 - 1, 256 * 1024, 512 * 1024, 512 * 1024 + 1):
        data = bytes(size % 251 for size in range(size))
        await sandbox.put("file", data)
        assert await sandbox.get("file", limit=size) == data


async def test_the_largest_value_that_is_shown_comes_with_its_text(sandbox: Sandbox) -> None:
    code = "class Big:\n    def __repr__(self): return 'y' * 100_000\n"
    await run_ok(sandbox, code + "    def _repr_html_(self): return 'x' * (16 << 20)")
    (shown,) = (await run_ok(sandbox, "Big()")).shown
    assert len(shown.data) == 16 << 20 and len(shown.text or "") > 60_000


async def test_a_thread_may_show_something_while_its_cell_ends(sandbox: Sandbox) -> None:
    await run_ok(
        sandbox,
        "import threading\nclass Big:\n    def _repr_png_(self): return b'x' * 3_000_000\n"
        "go = threading.Event()\n"
        "def show():\n    while True:\n        go.wait(); go.clear(); display(Big())\n"
        "threading.Thread(target=show, daemon=True).start()",
    )
    for number in range(60):
        await run_ok(sandbox, f"import time; go.set(); time.sleep({0.0005 * (number % 12)})")


async def test_an_interrupted_cell_keeps_its_state_however_many_figures_are_open(
    sandbox: Sandbox,
) -> None:
    await run_ok(sandbox, PLOT.replace("SECONDS", "0.3"))
    ran = await run_cell(sandbox, "left += range(20)\nwhile True: pass", limit=0.3)
    assert (ran.finished.status, ran.finished.state_lost) == ("timeout", False)
    assert ran.stderr == "[20 open figures are not shown]\n" and not ran.shown


async def test_figures_that_one_cell_had_no_time_for_take_none_of_the_next(
    sandbox: Sandbox,
) -> None:
    await run_ok(sandbox, PLOT.replace("SECONDS", "0.3"))
    ran = await run_cell(sandbox, "left += range(20)", limit=0.5)
    assert (ran.finished.status, ran.finished.state_lost) == ("timeout", False)
    assert len(ran.shown) < 5
    assert not (await run_cell(sandbox, "1 + 1", limit=0.5)).error


async def test_of_a_thousand_figures_the_first_are_drawn_and_the_rest_is_counted(
    sandbox: Sandbox,
) -> None:
    await run_ok(sandbox, PLOT.replace("SECONDS", "0"))
    ran = await run_ok(sandbox, "left += range(1000)")
    assert len(ran.shown) == 100 and ran.stderr == "[900 open figures are not shown]\n"
