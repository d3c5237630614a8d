"""The Provider as a relay: CPU of its process alone, against Starlette that copies chunks.

    python benchmarks/relay.py [--quick] [--gate]

Client, relay and upstream are three processes; both relays run under the same uvicorn and ask
with the same transport, and take turns, round after round. The Provider reads, validates,
renumbers and folds every event; the copier looks at nothing.
"""

import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from gateway import found, gateway
from measure import Child, Table, compared, options

RELAYS = ("provider", "copy")


@dataclass(frozen=True, slots=True)
class Case:
    """So many streams at once, `times` in a row for one sample."""

    name: str
    path: str
    streams: int
    deltas: int
    times: int = 1
    budget: float | None = 1.4


CASES = (
    Case("burst of 2,000 deltas", "burst/2000", 1, 2000, times=5),
    Case("100 bursts of 500", "burst/500", 100, 500),
    Case("100 paced streams", "paced/30/10", 100, 30),
    Case("500 paced streams", "paced/30/10", 500, 30),
)


class Bench:
    """An upstream, a client, and both relays with one transport."""

    def __init__(self, transport: str) -> None:
        self.upstream = Child("upstream.py")
        base = f"http://127.0.0.1:{self.upstream.ready}"
        self.relays = {kind: Child("server.py", kind, transport, base) for kind in RELAYS}
        self.client = Child("load.py")
        for kind in RELAYS:
            for path in ("burst/1", "burst/500", "burst/500"):
                self.load(kind, path, 1)

    def load(self, kind: str, path: str, streams: int) -> dict[str, Any]:
        """Let the client ask a relay."""
        return self.client.ask(self._question(kind, path, streams))

    def cpu(self, kind: str, case: Case) -> float:
        """CPU seconds that a relay spends on a delta."""
        before = self.relays[kind].ask({})["cpu"]
        for _ in range(case.times):
            told = self.load(kind, case.path, case.streams)
            if told["deltas"] != case.streams * case.deltas:
                raise RuntimeError(f"{kind}, {case.name}: {told['deltas']} deltas came")
        spent = self.relays[kind].ask({})["cpu"] - before
        return spent / (case.streams * case.deltas * case.times)

    def memory(self, kind: str, streams: int) -> float | None:
        """Bytes that a stream takes while it is open; for a relay that has done little yet."""
        before = self.relays[kind].ask({})["memory"]
        self.client.tell(self._question(kind, "paced/30/10", streams))
        held: list[float] = []
        for _ in range(12):
            time.sleep(0.25)
            during = self.relays[kind].ask({})["memory"]
            if before is not None and during is not None:
                held.append((during - before) / streams)
        self.client.answer()
        return max(held, default=None)

    def close(self) -> None:
        """End all four processes."""
        for child in (self.client, *self.relays.values(), self.upstream):
            child.close()

    def _question(self, kind: str, path: str, streams: int) -> dict[str, Any]:
        return {"port": int(self.relays[kind].ready), "case": path, "streams": streams}


def cost(table: Table, bench: Bench, transport: str, cases: Sequence[Case], rounds: int) -> None:
    """CPU a delta."""
    for case in cases:
        spent: dict[str, list[float]] = {kind: [] for kind in RELAYS}
        for turn in range(rounds if case.path.startswith("burst") else max(rounds // 3, 1)):
            for kind in RELAYS if turn % 2 else reversed(RELAYS):
                spent[kind].append(bench.cpu(kind, case))
        name = f"{transport}: {case.name}"
        row = compared(name, *spent.values(), unit="us a delta", scale=1e6, budget=case.budget)
        table.add(row)


def first_event(table: Table, bench: Bench, transport: str, rounds: int) -> None:
    """Seconds to the first event: a latency, so by the clock on the wall, one at a time."""
    spent: dict[str, list[float]] = {kind: [] for kind in RELAYS}
    for _ in range(rounds):
        for kind in RELAYS:
            spent[kind] += bench.load(kind, "burst/1", 1)["first"]
    name = f"{transport}: time to first event (wall)"
    table.add(compared(name, *spent.values(), unit="ms", scale=1000, budget=0.6))


def memory(table: Table, transport: str, rounds: int) -> None:
    """Bytes a stream, in fresh processes."""
    held: dict[str, list[float]] = {kind: [] for kind in RELAYS}
    for _ in range(rounds):
        bench = Bench(transport)
        for kind in RELAYS:
            bytes_each = bench.memory(kind, 500)
            if bytes_each is not None:
                held[kind].append(bytes_each)
        bench.close()
    if median([0, *map(len, held.values())]) == 0:
        table.note("memory a stream: left out: this system does not tell resident memory")
        return
    name = f"{transport}: memory a stream, 500 open"
    table.add(compared(name, *held.values(), unit="KiB", scale=1 / 1024, budget=1.3))


def looked_up_to(table: Table, transport: str, rounds: int) -> None:
    """A Rust gateway on the same loads, where it is installed; nothing hangs on it."""
    program = found()
    if program is None:
        table.note("agentic-api: left out: no `agentic-server` here (pip install agentic-api)")
        return
    bench = Bench(transport)
    for case in CASES[:3]:
        # Its CPU comes in hundredths of a second, so a sample has to be long.
        case = replace(case, times=case.times * (4 if case.streams == 1 else 1))
        total = case.streams * case.deltas * case.times
        ours: list[float] = []
        theirs: list[float] = []
        with gateway(program, f"http://127.0.0.1:{bench.upstream.ready}/{case.path}") as other:
            asked = {"port": other.port, "case": case.path, "streams": case.streams}
            for _ in range(rounds):
                ours.append(bench.cpu("provider", case))
                before = other.cpu()
                came = sum(bench.client.ask(asked)["deltas"] for _ in range(case.times))
                if came != total:
                    raise RuntimeError(f"agentic-api, {case.name}: {came} deltas came")
                theirs.append((other.cpu() - before) / total)
        name = f"{transport}: {case.name}, to agentic-api"
        table.add(compared(name, ours, theirs, unit="us a delta", scale=1e6))
    bench.close()


def main() -> int:
    """Measure, print, and judge."""
    given = options("CPU of a Provider that relays, against Starlette that copies chunks.")
    table = Table("Relay: CPU of the relaying process")
    transports = ["httpx2"]
    if importlib.util.find_spec("aiohttp") is None:
        table.note("aiohttp: left out: not installed (`pip install 'antiphon[fast]'`)")
    else:
        transports.append("aiohttp")
    for transport in transports:
        bench = Bench(transport)
        cases, rounds = (CASES[:3], 3) if given.quick else (CASES, 7)
        cost(table, bench, transport, cases, rounds)
        first_event(table, bench, transport, 50 if given.quick else 200)
        bench.close()
        if not given.quick:
            memory(table, transport, 3)
    looked_up_to(table, transports[-1], 1 if given.quick else 5)
    if given.quick:
        table.note("--quick leaves out 500 paced streams and memory a stream")
    table.show()
    return 1 if given.gate and not table.holds else 0


if __name__ == "__main__":
    sys.exit(main())
