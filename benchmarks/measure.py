"""What both benchmarks share: child processes that answer questions, ratios, and the table.

CPU time only, never the clock on the wall (but for latencies, which say so); contenders take
turns within one run, each in its own process, and every figure is a median.
"""

import argparse
import atexit
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent


class Child:
    """A process that prints one line when it is ready, and one for each line that it is given.

    Args:
        script: A file of this folder.
        arguments: For it.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)  # also when the benchmark breaks: nobody is left behind
        self.ready = self._line()

    def ask(self, question: Any) -> Any:
        """Its answer; both are JSON."""
        self.tell(question)
        return self.answer()

    def tell(self, question: Any) -> None:
        """Ask, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """The answer to what was told."""
        return json.loads(self._line())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with code {self._process.wait()}")
        return line.strip()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Without a budget it informs only."""

    case: str
    ours: str
    baseline: str
    ratio: float | None
    budget: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the budget is kept."""
        return self.budget is None or self.ratio is None or self.ratio <= self.budget

    def cells(self) -> list[str]:
        """What is printed."""
        budget = "" if self.budget is None else f"<= {self.budget:g}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = "" if self.budget is None else "yes" if self.holds else "NO"
        return [self.case, self.ours, self.baseline, ratio, budget, verdict]


def compared(
    case: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    *,
    unit: str,
    scale: float = 1.0,
    budget: float | None = None,
) -> Row:
    """A row of interleaved samples: the ratio is the median of the ratios of each round.

    Args:
        case: What was measured.
        ours: One sample a round.
        baseline: The same of whom we are compared with.
        unit: What the samples, times `scale`, are.
        scale: Makes them readable.
        budget: The ratio that is allowed.
    """
    ratio = median(one / other for one, other in zip(ours, baseline, strict=True))
    shown = [f"{median(samples) * scale:.2f} {unit}" for samples in (ours, baseline)]
    return Row(case, shown[0], shown[1], ratio, budget)


@dataclass(slots=True)
class Table:
    """Rows, printed as they come to be."""

    title: str
    rows: list[Row] = field(default_factory=list[Row])
    notes: list[str] = field(default_factory=list[str])

    def add(self, row: Row) -> None:
        """One more row."""
        self.rows.append(row)
        print("  " + "  ".join(cell for cell in row.cells() if cell), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Something a reader should know."""
        self.notes.append(text)
        print(f"  {text}", file=sys.stderr, flush=True)

    def show(self) -> None:
        """Print it as Markdown."""
        heads = ["case", "ours", "baseline", "ratio", "budget", "holds"]
        lines = [heads, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        lines.insert(1, ["-" * width for width in widths])
        print(f"\n### {self.title}\n\n{_machine()}\n")
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            print(f"| {' | '.join(cells)} |")
        for text in self.notes:
            print(f"\n- {text}", end="")
        print()

    @property
    def holds(self) -> bool:
        """Whether all budgets are kept."""
        return all(row.holds for row in self.rows)


def _machine() -> str:
    names = ("antiphon", "httpx2", "aiohttp", "pydantic", "anyio", "starlette", "uvicorn")
    peers = ("openai", "openai-agents", "pydantic-ai-slim")
    versions = {name: _version(name) for name in (*names, *peers)}
    packages = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{datetime.now(UTC):%Y-%m-%d}, {system}, {python}; {packages}."


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def options(description: str) -> argparse.Namespace:
    """The command line of a benchmark: `quick` and `gate`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, under a minute")
    parser.add_argument("--gate", action="store_true", help="exit with 1 if a budget is broken")
    return parser.parse_args()
