"""Sandboxes in Docker: what a cell costs, a start, a crash, many at once; and what leaks.

    python benchmarks/sandbox.py [--quick] [--gate]

Against the same runner without a container, `docker run --rm`, `docker exec`, and ipykernel and
llm-sandbox where they are installed. All times are of a wall clock. Needs an engine, on a machine
that has little else to do.
"""

import gc
import os
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import anyio
from measure import Child, Row, Table, compared, options

from antiphon.sandboxes import (
    DockerSandboxes,
    Engine,
    Finished,
    LocalSandboxes,
    Sandbox,
    Sandboxes,
    build_image,
)

WHO = "benchmark"
PEERS = ("run", "exec", "ipykernel", "llm-sandbox")
NAMES = {"run": "docker run --rm", "exec": "docker exec"}
SLOW = 5
"""Rounds of cells that peers take part in."""
SPACE = 1.1
"""Seconds between two crashes: a container that crashes twice within one is discarded."""


async def opened(sandboxes: Sandboxes) -> Sandbox:
    """A sandbox on a new container; nothing runs yet."""
    return await sandboxes.open(container_id=sandboxes.mint(principal=WHO), principal=WHO)


async def cell(sandbox: Sandbox, code: str = "print(1)", *, ends: str = "ok") -> None:
    """Run a cell to its end, which must be this one."""
    async for event in sandbox.run(code):
        if isinstance(event, Finished) and event.status != ends:
            raise RuntimeError(f"the cell ended {event.status}: {event.error}")


async def timed(work: Awaitable[Any]) -> float:
    """Seconds that something takes."""
    began = perf_counter()
    await work
    return perf_counter() - began


def limited(case: str, seconds: list[float], limit: float) -> Row:
    """A row with a target in milliseconds."""
    found = median(seconds) * 1000
    return Row(case, f"{found:.2f} ms", f"{limit:g} ms (target)", found / limit, 1.0)


async def warm_cells(table: Table, peers: dict[str, Child], rounds: int) -> None:
    """Cells of a line each, in sandboxes that have run one."""
    times = 200
    ours: dict[str, list[float]] = {"socket": [], "stream": [], "local": []}
    theirs: dict[str, list[float]] = {name: [] for name in PEERS if name != "run"}
    async with (
        DockerSandboxes(transport="socket", warm=0) as first,
        DockerSandboxes(transport="stream", warm=0) as second,
        LocalSandboxes() as third,
    ):
        places = dict(zip(ours, [await opened(s) for s in (first, second, third)], strict=True))
        for sandbox in places.values():
            await cell(sandbox)
        for turn in range(rounds):
            for name, sandbox in places.items():
                ours[name].append(await timed(_many(sandbox, times)) / times)
            for name, seconds in theirs.items():
                if turn < SLOW:
                    seconds += _asked(table, peers, name, {"warm": 20})
    local = ours["local"]
    table.add(compared("warm cell", ours["socket"], local, unit="ms", scale=1000, budget=1.3))
    table.note("the baseline of a warm cell is the runner without a container")
    row = compared(
        "warm cell, by the engine's stream", ours["stream"], local, unit="ms", scale=1000
    )
    table.add(row)
    for name, seconds in theirs.items():
        if seconds:
            case = f"warm cell, against {NAMES.get(name, name)}"
            given = ours["socket"][: len(seconds)]
            budget = 0.05 if name == "ipykernel" else None
            table.add(compared(case, given, seconds, unit="ms", scale=1000, budget=budget))


async def _many(sandbox: Sandbox, times: int) -> None:
    for _ in range(times):
        await cell(sandbox)


def _asked(table: Table, peers: dict[str, Child], name: str, question: Any) -> list[float]:
    """A peer's seconds; nothing if it is not there or fails, with a note."""
    if name not in peers:
        return []
    answer = peers[name].ask(question)
    if "skipped" in answer:
        table.note(f"left out: {answer['skipped'][:200]}")
        peers.pop(name).close()
        return []
    return [answer["seconds"]]


async def cold_starts(table: Table, peers: dict[str, Child], rounds: int) -> None:
    """From nothing to the end of the first cell, with every fence up; turn by turn."""
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in PEERS if name != "exec"}
    async with DockerSandboxes(warm=0) as sandboxes:
        await (await _first(sandboxes)).aclose()  # the image, and which way in
        for _ in range(rounds):
            sandbox = await opened(sandboxes)
            ours.append(await timed(cell(sandbox)))
            await sandbox.aclose()
            await anyio.sleep(0.3)  # the engine removes it meanwhile: not in the next one's time
            for name, seconds in theirs.items():
                seconds += _asked(table, peers, name, "cold")
    for name, seconds in theirs.items():
        if seconds:
            case = f"cold start, against {NAMES.get(name, name)}"
            budget = 1.0 if name == "run" else None
            given = ours[: len(seconds)]
            table.add(compared(case, given, seconds, unit="ms", scale=1000, budget=budget))


async def _first(sandboxes: Sandboxes) -> Sandbox:
    sandbox = await opened(sandboxes)
    await cell(sandbox)
    return sandbox


async def hand_outs(table: Table, rounds: int) -> None:
    """From asking for a sandbox to the end of its first cell, with some that are ready."""
    seconds: list[float] = []
    with_pandas: list[float] = []
    async with DockerSandboxes(warm=2) as sandboxes:
        for number in range(2 * rounds):
            await sandboxes.warm_up()
            await anyio.sleep(0.2)  # whatever came before is over
            kept = with_pandas if number % 2 else seconds
            code = "import pandas; pandas.DataFrame({'a': [1]})" if number % 2 else "print(1)"
            began = perf_counter()
            sandbox = await opened(sandboxes)
            await cell(sandbox, code)
            kept.append(perf_counter() - began)
            await sandbox.aclose()
    table.add(limited("hand-out and first cell", seconds, 2))
    shown = f"{median(with_pandas) * 1000:.2f} ms"
    table.add(Row("hand-out and a first cell with pandas", shown, "", None))


async def crashes(table: Table, rounds: int) -> None:
    """A new interpreter with pandas in it, after `os._exit` and after a segmentation fault."""
    resets: list[float] = []
    recoveries: list[float] = []
    pandas = "import pandas; pandas.DataFrame({'a': [1]})"
    async with DockerSandboxes(warm=1) as sandboxes:
        await sandboxes.warm_up()
        sandbox = await _first(sandboxes)
        for _ in range(rounds):
            await anyio.sleep(SPACE)
            began = perf_counter()
            await cell(sandbox, "import os; os._exit(0)", ends="crashed")
            await cell(sandbox, pandas)
            resets.append(perf_counter() - began)
            await anyio.sleep(SPACE)
            await cell(sandbox, "import ctypes; ctypes.string_at(0)", ends="crashed")
            recoveries.append(await timed(cell(sandbox)))
    table.add(limited("reset, with pandas", resets, 25))
    table.add(limited("crash to next cell", recoveries, 50))


async def eight(table: Table, rounds: int) -> None:
    """Eight sandboxes at once, three cells each, all closed and gone; none was ready."""
    seconds: list[float] = []

    async def one(sandboxes: Sandboxes) -> None:
        sandbox = await opened(sandboxes)
        for _ in range(3):
            await cell(sandbox)
        await sandbox.aclose()

    async def all_of_them() -> None:
        async with DockerSandboxes(warm=0, share=16) as sandboxes:
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(one, sandboxes)

    for _ in range(rounds):
        seconds.append(await timed(all_of_them()))
    table.add(limited("8 sandboxes, 3 cells each, closed", seconds, 1500))


async def memory(table: Table) -> None:
    """What an idle sandbox holds, as its control group counts it, without the page cache."""
    held: dict[str, int] = {}
    async with _engine() as call:
        for name, warm in (("idle sandbox", 0), ("idle sandbox, pandas and pyplot imported", 1)):
            async with DockerSandboxes(warm=warm) as sandboxes:
                if warm:
                    await sandboxes.warm_up()
                else:
                    await _first(sandboxes)
                (found,) = await call(_mine)
                held[name] = await call(partial(_anonymous, container=found))
    for name, size in held.items():
        table.add(Row(f"memory of an {name}", f"{size / 2**20:.1f} MiB", "", None))


def _anonymous(client: Any, *, container: str) -> int:
    stats: dict[str, Any] = client.stats(container, stream=False)["memory_stats"]
    detail = stats["stats"]
    return int(detail.get("anon", detail.get("total_rss", stats["usage"])))


async def leaks(table: Table, count: int) -> None:
    """So many sandboxes handed out, used and closed; what this process and the engine keep."""
    async with _engine() as call, DockerSandboxes(warm=2, live=16, share=16) as sandboxes:
        await sandboxes.warm_up()
        await _used(sandboxes, max(10, count // 10))
        before = await _state(sandboxes, call)
        began = perf_counter()
        await _used(sandboxes, count)
        took = perf_counter() - began
        after = await _state(sandboxes, call)
    table.note(f"{count} hand-outs, four at a time: {took / count * 1000:.0f} ms each")
    allowed = {"containers": 0, "descriptors": 2, "threads": 1, "tasks": 2, "KiB of memory": 4096}
    for name, more in allowed.items():
        grown = after[name] - before[name]
        case = f"{name} after {count} hand-outs"
        row = Row(case, f"{after[name]}", f"{before[name]} before", max(0, grown) / (more or 1))
        table.add(Row(row.case, row.ours, row.baseline, row.ratio, 1.0 if more else 0.0))


async def _used(sandboxes: Sandboxes, count: int) -> None:
    async def some(number: int) -> None:
        for _ in range(number):
            sandbox = await opened(sandboxes)
            await cell(sandbox, "x = 1\nprint(x)")
            await sandbox.put("a.txt", b"a" * 1000)
            await sandbox.get("a.txt")
            await sandbox.aclose()

    async with anyio.create_task_group() as tasks:
        for place in range(4):
            tasks.start_soon(some, count // 4 + (place < count % 4))


async def _state(sandboxes: DockerSandboxes, call: Callable[..., Any]) -> dict[str, int]:
    """What is there once the pool is full again and the engine has removed the rest."""
    await sandboxes.warm_up()
    for _ in range(100):
        if len(await call(_mine)) <= 2:
            break
        await anyio.sleep(0.2)
    gc.collect()
    pages = int((await anyio.Path("/proc/self/statm").read_text()).split()[1])
    return {
        "containers": len(await call(_mine)),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "tasks": len(anyio.get_running_tasks()),
        "KiB of memory": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
    }


def _mine(client: Any) -> list[str]:
    """The containers that this process has made."""
    found: list[dict[str, Any]] = client.containers(all=True, filters={"label": "antiphon.owner"})
    mark = f"/{os.getpid()}/"
    return [each["Id"] for each in found if mark in each["Labels"]["antiphon.owner"]]


@asynccontextmanager
async def _engine() -> AsyncGenerator[Callable[..., Any]]:
    engine = Engine()
    try:
        yield engine.call
    finally:
        engine.close()


async def measure(table: Table, quick: bool) -> None:
    """All cases, one after another."""
    image = await build_image(progress=table.note)
    peers = {name: Child("sandbox_peers.py", name, image) for name in PEERS}
    for name in PEERS:
        if '"skipped"' in peers[name].ready:
            table.note(f"left out: {peers.pop(name).ready}")
    await warm_cells(table, peers, 5 if quick else 21)
    await cold_starts(table, peers, 5 if quick else 21)
    for child in peers.values():
        child.ask("close")
        child.close()
    await hand_outs(table, 5 if quick else 21)
    await crashes(table, 3 if quick else 11)
    await eight(table, 2 if quick else 7)
    if sys.platform == "linux":
        await memory(table)
        await leaks(table, 40 if quick else 1000)


def main() -> int:
    """Measure, print, and judge."""
    given = options("Sandboxes in Docker against the runner without a container, and others.")
    table = Table("Sandboxes: time on the wall")
    anyio.run(measure, table, given.quick)
    table.show()
    return 1 if given.gate and not table.holds else 0


if __name__ == "__main__":
    sys.exit(main())
