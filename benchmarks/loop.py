"""The loop in the client's process: CPU of a whole run, against a loop written by hand.

    python benchmarks/loop.py [--quick] [--gate]

A fake upstream in a process of its own answers over HTTP on loopback, so only the client's CPU
is counted. Each contender has its own process; all take turns, round after round.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import linear_regression, median
from typing import Any

from measure import Child, Row, Table, compared, options


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation. `times`: how often it is run for one sample."""

    name: str
    turns: int
    times: int
    budget: float
    parallel: int = 1
    history: int = 1

    def question(self) -> dict[str, Any]:
        """It, as a contender reads it."""
        return {
            "turns": self.turns,
            "parallel": self.parallel,
            "history": self.history,
            "times": self.times,
        }


CASES = (
    Case("1 tool turn", 1, 20, 1.3),
    Case("10 tool turns", 10, 4, 1.3),
    Case("50 tool turns", 50, 1, 1.3),
    Case("8 parallel calls", 1, 10, 1.5, parallel=8),
    Case("1,000-item history", 1, 4, 1.5, history=1000),
)
PEERS = ("openai", "openai-agents", "pydantic-ai")
SLOW = 3
"""Rounds that peers take part in; they are many times slower, and nothing hangs on them."""


def over_http(table: Table, rounds: int, slow: int) -> None:
    """All cases over loopback HTTP; peers take part in `slow` rounds."""
    upstream = Child("upstream.py")
    base = f"http://127.0.0.1:{upstream.ready}"
    children = {
        name: Child("contenders.py", name, base)
        for name in ("raw", "antiphon", "antiphon-dicts", *PEERS)
    }
    for name in PEERS:
        if '"skipped"' in children[name].ready:
            table.note(f"left out: {children.pop(name).ready}")
    for case in CASES:
        names = [name for name in children if name != "antiphon-dicts" or case.history > 1]
        spent = _spent(table, case, {name: children[name] for name in names}, rounds, slow)
        for name, samples in spent.items():
            if name != "raw":
                table.add(_row(case, name, samples, spent["raw"]))
    for child in (*children.values(), upstream):
        child.close()


def _spent(
    table: Table, case: Case, children: dict[str, Child], rounds: int, slow: int
) -> dict[str, list[float]]:
    """CPU seconds of each round, by contender; whoever fails is left out, with a note."""
    spent: dict[str, list[float]] = {name: [] for name in children}
    for turn in range(-1, rounds):  # the first one warms up
        for name in list(spent):
            peer = name in PEERS
            if peer and turn >= slow:
                continue
            question = {**case.question(), "times": 1} if peer else case.question()
            answer = children[name].ask(question)
            if "skipped" in answer:
                table.note(f"{case.name}: left out: {answer['skipped'][:200]}")
                del spent[name]
            elif turn >= 0:
                spent[name].append(answer["cpu"])
    return spent


def _row(case: Case, name: str, samples: Sequence[float], raw: Sequence[float]) -> Row:
    own = name.startswith("antiphon")
    shown = {"antiphon": case.name, "antiphon-dicts": f"{case.name}, given as dicts"}
    return compared(
        shown.get(name, f"{case.name}: {name}"),
        samples,
        raw[: len(samples)],
        unit="ms",
        scale=1000,
        budget=case.budget if own else None,
    )


def in_process(table: Table, rounds: int) -> None:
    """200 turns without HTTP: what a turn costs, and whether it stays so."""
    child = Child("inprocess.py")
    runs = [child.ask({}) for _ in range(rounds)]
    child.close()
    turn, said = (median(run[key] for run in runs) * 1000 for key in ("turn", "model"))
    shown = f"{turn:.3f} ms a turn"
    table.add(Row("in-process, 200 turns", shown, "0.1 ms", turn / 0.1, 1.0))
    table.note(f"of an in-process turn {said:.3f} ms are the scripted model's own events")
    table.add(_flat("flat", [run["turns"] for run in runs]))
    each = _medians([run["turns"] for run in runs])
    slope = linear_regression(range(20, 200), each[20:200]).slope
    table.note(f"slope from turn 20 to 200: {slope * 1e9:+.0f} ns a turn")


def _medians(runs: Sequence[Sequence[float]]) -> list[float]:
    """What each turn costs."""
    return [median(run[place] for run in runs) for place in range(len(runs[0]))]


def _flat(name: str, runs: Sequence[Sequence[float]]) -> Row:
    """Late turns against early ones, of runs of 200."""
    each = _medians(runs)
    early, late = median(each[20:50]), median(each[170:200])
    shown = f"{late * 1000:.3f} ms, turns 170 to 200"
    return Row(name, shown, f"{early * 1000:.3f} ms, turns 20 to 50", late / early, 1.2)


@dataclass(frozen=True, slots=True)
class Delegation:
    """One way to delegate. `budget`: of the ratio to the child's own run; see `delegation.py`."""

    name: str
    budget: float
    times: int
    turns: int = 1
    words: int = 50
    aside: int = 0
    at_once: int = 1
    depth: int = 1
    workflow: bool = False
    http: bool = False


DELEGATIONS = (
    Delegation("delegated call of 1 tool turn", 1.3, 100),
    Delegation("delegated call of 10 tool turns", 1.3, 40, turns=10),
    Delegation("10 turns that all speak", 1.3, 15, turns=10, aside=50),
    Delegation("1 tool turn, over HTTP", 1.3, 20, http=True),
    Delegation("10 tool turns, over HTTP", 1.3, 5, turns=10, http=True),
    Delegation("100 children at once", 1.5, 1, at_once=100),
    Delegation("100 in a workflow", 1.5, 1, at_once=100, workflow=True),
    Delegation("10 tool turns at depth 2", 1.6, 25, turns=10, depth=2),
    Delegation("10 tool turns at depth 4", 2.2, 15, turns=10, depth=4),
)


DEEP = 1000
"""Items of a run at the bottom of others, whose memory is measured."""


def delegation(table: Table, rounds: int) -> None:
    """Runs inside runs: what they cost more than by themselves, and whether that stays so."""
    upstream = Child("upstream.py")
    child = Child("delegation.py", f"http://127.0.0.1:{upstream.ready}")
    for case in DELEGATIONS:
        spent = child.ask({**asdict(case), "rounds": rounds})
        without = spent.get("without", [0.0] * rounds)
        own = [more - less for more, less in zip(spent["with"], without, strict=True)]
        row = compared(case.name, own, spent["child"], unit="ms", scale=1000, budget=case.budget)
        table.add(row)
    runs = [child.ask({"flat": True}) for _ in range(rounds)]
    table.add(_flat("flat, with a child in each turn", runs))
    for one in (child, upstream):
        one.close()


def memory(table: Table, sizes: Sequence[int]) -> None:
    """Bytes that a run holds for each of its items: the same for ten times as many, and at most
    on its way the same at any depth.
    """
    child = Child("holding.py")
    flat = {items: child.ask({"items": items, "depth": 0}) for items in sizes}
    for few, many in pairwise(sizes):
        name = f"memory an item, {many:,} over {few:,}"
        table.add(_bytes(name, "held", flat[many], flat[few], 1.1))
    for depth in (1, 2, 4):
        deep = child.ask({"items": DEEP, "depth": depth})
        table.add(_bytes(f"memory an item, at most, depth {depth}", "peak", deep, flat[DEEP], 1.3))
    child.close()


def _bytes(name: str, key: str, ours: Any, baseline: Any, budget: float) -> Row:
    first, other = (f"{one[key] / 1024:.2f} KiB" for one in (ours, baseline))
    return Row(name, first, other, ours[key] / baseline[key], budget)


def imports(table: Table, rounds: int) -> None:
    """What importing costs, against importing what we stand on."""
    base = "pydantic, httpx2, anyio"
    ours = {
        "import antiphon": "antiphon",
        "from antiphon.agents import Agent": "antiphon.agents",
        "Agent, tool and ResponsesModel": ("antiphon.agents, antiphon.tools, antiphon.models"),
    }
    spent: dict[str, list[float]] = {name: [] for name in (base, *ours)}
    _import(ours["Agent, tool and ResponsesModel"])  # which compiles what has changed
    for _ in range(rounds):
        spent[base].append(_import(base))
        for name, modules in ours.items():
            spent[name].append(_import(modules))
    for name in ours:
        row = compared(name, spent[name], spent[base], unit="ms", scale=1000, budget=1.3)
        table.add(row)
    heavy = ("mcp", "docker", "starlette", "uvicorn", "rich", "griffe", "tenacity", "aiohttp")
    code = f"import sys, {ours['Agent, tool and ResponsesModel']}; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in _python(code).split()}
    found = ", ".join(name for name in heavy if name in loaded) or "none"
    table.note(f"of {', '.join(heavy)}, `Agent`, `tool` and `ResponsesModel` import: {found}")


def _import(modules: str) -> float:
    code = "import time; began = time.process_time()"
    return float(_python(f"{code}; import {modules}; print(time.process_time() - began)"))


def _python(code: str) -> str:
    # Everybody imports compiled modules: else it would be our source that is compiled, each time.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, env=own
    )
    return done.stdout


def main() -> int:
    """Measure, print, and judge."""
    given = options("CPU of the agent loop against a loop written by hand on httpx2.")
    table = Table("Loop: CPU of one run, in the client's process")
    over_http(table, 5 if given.quick else 15, 1 if given.quick else SLOW)
    in_process(table, 5 if given.quick else 15)
    delegation(table, 5 if given.quick else 15)
    memory(table, (100, DEEP) if given.quick else (100, DEEP, 10_000))
    imports(table, 3 if given.quick else 11)
    table.show()
    return 1 if given.gate and not table.holds else 0


if __name__ == "__main__":
    sys.exit(main())
