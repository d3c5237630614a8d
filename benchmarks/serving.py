"""The server under load: many streams at once, requests beside them, slow readers, many jobs.

    python benchmarks/serving.py [--quick] [--gate]

Server, load and side requests are three processes; the server is the one of `antiphon serve`. A
figure by the clock says so; it is held against us only where the machine was not too busy to tell:
where the server seldom had to wait for a core, and a bare one (Starlette, the same timers, bytes
made beforehand) keeps the budget in the same run. CPU time is held against us always. Streams
begin within a second, each at its own time, but for "at once", where all deltas of all streams are
due at the same moments.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from measure import Child, Row, Table, options

STREAMS = 500
HERTZ = 10
STUCK = 50
JOBS = 1000
SETTLE = 3.0
"""Seconds that who does not read is given to fill up."""
BUDGET_CPU = 160e-6
"""CPU seconds a delta at which 500 streams take 0.8 of a core, so that one process keeps pace."""
WAITED = 0.02
"""Share of the time that a server may be ready to run and have no core, where the clock counts."""
BUDGET_JOB = 10e-3
"""CPU seconds of a job of five turns; this benchmark's own bound."""


class Bench:
    """A server, and its clients."""

    def __init__(self, kind: str, store: str = "memory://") -> None:
        self.kind = kind
        self.server = Child("serving_server.py", kind, store)
        self.port = int(self.server.ready)
        self.load, self.side = Child("serving_client.py"), Child("serving_client.py")
        self.streams(5, 3)
        self.side.ask({"port": self.port, "side": 0.2})

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        for child in (self.load, self.side, self.server):
            child.close()

    def held(self) -> dict[str, Any]:
        """What the server has used and holds, tidied up."""
        return self.server.ask({"tidy": True})

    def streams(
        self, many: int, deltas: int, *, over: float = 0.0, stuck: int = 0
    ) -> dict[str, Any]:
        """Streams, with small requests beside them while they last; checked."""
        own = deltas / HERTZ
        asked = {"port": self.port, "streams": many, "deltas": deltas, "over": over}
        before = self.held()
        self.load.tell({**asked, "stuck": stuck, "settle": SETTLE})
        if stuck:
            time.sleep(SETTLE)
        filled = self.server.ask({})
        if many > 5:
            self.side.tell({"port": self.port, "side": own + over})
        most = 0
        until = time.perf_counter() + own + over
        while time.perf_counter() < until:
            time.sleep(0.25)
            most = max(most, self.server.ask({})["memory"] or 0)
        told = self.load.answer()
        side: dict[str, list[float]] = self.side.answer() if many > 5 else {}
        after = self.server.ask({})
        if told["deltas"] != many * deltas:
            raise RuntimeError(f"{self.kind}: {told['deltas']} of {many * deltas} deltas came")
        return {
            "cpu": (after["cpu"] - filled["cpu"]) / (many * deltas),
            "length": told["length"] / (own + over),
            "each": [one / own for one in told["each"]],
            "first": told["first"],
            "waited": ((after["waited"] or 0) - (filled["waited"] or 0)) / told["length"],
            "memory": (most - filled["memory"]) / many if most else None,
            "flooded": (filled["flooded"] - before["flooded"]) / stuck if stuck else 0,
            "stuck": (filled["memory"] - before["memory"]) / stuck if stuck and most else 0,
            "left": self.left(before),
            **side,
        }

    def left(self, before: dict[str, Any], *, seconds: float = 20.0) -> int:
        """Tasks and descriptors that stay, when all had time to go."""
        until = time.perf_counter() + seconds
        while True:
            now = self.server.ask({})
            left = sum(max(0, (now[name] or 0) - (before[name] or 0)) for name in ("tasks", "open"))
            if not left or time.perf_counter() > until:
                return left
            time.sleep(0.25)


def at(samples: list[float], share: float) -> float:
    """The value below which this share of sorted samples lies."""
    return samples[min(len(samples) - 1, int(len(samples) * share))]


class Judge:
    """Rows by the clock, whose budget counts only where the machine was not too busy."""

    def __init__(
        self, table: Table, case: str, ours: list[dict[str, Any]], bare: list[dict[str, Any]]
    ) -> None:
        self._table = table
        self._ours = ours
        self._bare = bare
        waited = median(run["waited"] for run in ours)
        self._quiet = waited <= WAITED
        table.note(
            f"{case}: the server waited for a core in {waited:.0%} of the time, "
            f"so that the clock is {'' if self._quiet else 'not '}judged"
        )

    def clock(
        self, case: str, figure: Callable[[dict[str, Any]], float], budget: float, unit: str
    ) -> None:
        """One figure, in units of which `budget` is the most."""
        ours, bare = (median(map(figure, runs)) for runs in (self._ours, self._bare))
        shown = [f"{value * (1000 if unit == 'ms' else 1):.3g} {unit}" for value in (ours, bare)]
        ratio = ours / (budget if unit == "ms" else 1)
        limit = (1.0 if unit == "ms" else budget) if self._quiet and bare <= budget else None
        self._table.add(Row(f"{case} (wall)", shown[0], shown[1], ratio, limit))

    def cpu(self, case: str) -> None:
        """CPU a delta against the budget of one core, with the bare server's beside it."""
        ours, bare = (median(run["cpu"] for run in runs) for runs in (self._ours, self._bare))
        self._table.add(
            Row(
                f"{case}: CPU a delta, to {BUDGET_CPU * 1e6:.0f} us",
                f"{ours * 1e6:.0f} us",
                f"{bare * 1e6:.0f} us",
                ours / BUDGET_CPU,
                1.0,
            )
        )

    def all(self, case: str) -> None:
        """Everything that a load of streams tells."""
        self.cpu(case)
        self.clock(f"{case}: all, to their length", lambda run: run["length"], 1.05, "x")
        self.clock(f"{case}: each, p95", lambda run: at(run["each"], 0.95), 1.05, "x")
        for kind, name in ("health", "GET /healthz"), ("post", "a short POST"):
            for share in 0.5, 0.95:
                self.clock(
                    f"{case}: {name}, p{share * 100:.0f}",
                    lambda run, kind=kind, share=share: at(run[kind], share),
                    0.02,
                    "ms",
                )
        nothing_left(self._table, case, max(run["left"] for run in self._ours))


def nothing_left(table: Table, case: str, left: int) -> None:
    """No task and no descriptor may stay."""
    table.add(Row(f"{case}: tasks and descriptors left", f"{left}", "", float(left), 0.0))


def crowd(
    table: Table,
    case: str,
    folder: Path | None = None,
    *,
    deltas: int,
    rounds: int,
    over: float = 0.0,
    stuck: int = 0,
) -> None:
    """Streams on fresh servers, ours and the bare one in turns; with a folder, over SqlStore."""
    ours: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    for number in range(rounds):
        url = "memory://" if folder is None else f"sqlite+aiosqlite:///{folder / str(number)}.db"
        with Bench("provider", url) as bench:
            ours.append(bench.streams(STREAMS, deltas, over=over, stuck=stuck))
        with Bench("bare", "-") as bench:
            bare.append(bench.streams(STREAMS, deltas, over=over))
    Judge(table, case, ours, bare).all(case)
    if ours[0]["memory"]:
        memory = [median(run["memory"] for run in runs) / 1024 for runs in (ours, bare)]
        shown = [f"{value:.0f} KiB" for value in memory]
        table.add(Row(f"{case}: memory a stream", shown[0], shown[1], memory[0] / memory[1]))
    if stuck:
        flooded = median(run["flooded"] for run in ours) / 2**20
        held = median(run["stuck"] for run in ours) / 1024
        table.note(
            f"{case}: {flooded:.1f} MiB were said to each before it was held up; it took "
            f"{held:.0f} KiB of memory"
        )


def jobs(table: Table, folder: Path, *, many: int, store: str, rounds: int = 3) -> None:
    """Background jobs to their end; later rounds on the same server show what stays."""
    url = f"sqlite+aiosqlite:///{folder / 'jobs.db'}" if store == "SqlStore" else "memory://"
    runs: list[dict[str, float]] = []
    with Bench("provider", url) as bench:
        _worked(bench, 5)  # the first one wakes what looks after jobs, and stays
        for _ in range(rounds):
            runs.append(_worked(bench, many))
    case = f"{many:,} jobs, {store}"
    cpu, took, taken = (median(run[name] for run in runs) for name in ("cpu", "took", "taken"))
    most = f"{BUDGET_JOB * 1000:.0f} ms"
    table.add(Row(f"{case}: CPU a job", f"{cpu * 1000:.1f} ms", most, cpu / BUDGET_JOB, 1.0))
    table.add(Row(f"{case}: until all were taken (wall)", f"{taken:.1f} s", "", None))
    table.add(Row(f"{case}: to the last end (wall)", f"{took:.1f} s", "", None))
    # The store opens its few connections when it first needs them; a leak is there every time.
    nothing_left(table, case, int(min(run["left"] for run in runs)))
    growth = [f"{run['grown'] / many / 1024:.1f}" for run in runs]
    table.note(f"{case}: memory grew by {', '.join(growth)} KiB a job, round after round")


def _worked(bench: Bench, many: int) -> dict[str, float]:
    """Jobs from their beginning until nothing of them is left; checked."""
    before = bench.held()
    began = time.perf_counter()
    told = bench.load.ask({"port": bench.port, "jobs": many})
    until = began + 300
    while bench.server.ask({})["worked"] < before["worked"] + many:
        if time.perf_counter() > until:
            raise RuntimeError(f"{many} jobs did not end within 300 seconds")
        time.sleep(0.05)
    left = bench.left(before)
    took = time.perf_counter() - began
    cpu = (bench.server.ask({})["cpu"] - before["cpu"]) / many
    after = bench.held()
    looked = bench.load.ask({"port": bench.port, "look": told["ids"]})
    if looked != {"completed, 5 items": many}:
        raise RuntimeError(f"of {many} jobs there are {looked}")
    grown = (after["memory"] or 0) - (before["memory"] or 0)
    return {"cpu": cpu, "took": took, "taken": told["seconds"], "left": left, "grown": grown}


def _load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def main() -> int:
    """Measure, print, and judge."""
    given = options("A server under load: streams, side requests, slow readers, jobs.")
    table = Table("Serving: the server of `antiphon serve` under load")
    table.note(f"load of the machine before: {_load()}")
    deltas, rounds = (30, 1) if given.quick else (100, 3)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        crowd(table, "500 at once", deltas=deltas, rounds=rounds)
        crowd(table, "500", deltas=deltas, rounds=rounds, over=1.0)
        crowd(table, "500, SqlStore", folder, deltas=deltas, rounds=rounds, over=1.0)
        crowd(table, "500, 50 stuck", deltas=deltas, rounds=rounds, over=1.0, stuck=STUCK)
        for store in ("memory", "SqlStore"):
            jobs(table, folder, many=200 if given.quick else JOBS, store=store)
    table.note(f"load of the machine after: {_load()}")
    table.show()
    return 1 if given.gate and not table.holds else 0


if __name__ == "__main__":
    sys.exit(main())
