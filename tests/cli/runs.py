"""What the tests of run files share: agents in modules of their own, and runs of them."""

import json
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from antiphon.items import Event, Response, fold, parse_event

from .kit import Outcome, Run

Write: TypeAlias = Callable[..., str]
Changed: TypeAlias = Callable[..., Outcome]

PRELUDE = """
import anyio
from antiphon.agents import Agent, chain, parallel, run, workflow
from antiphon.errors import ModelError, RunError
from antiphon.items import FunctionTool, Message
from antiphon.models import (
    Failure, FunctionCall, Reasoning, Refusal, ScriptedModel, Stop, Text, Usage,
)
from antiphon.tools import CodeInterpreter, Context, Progress, ToolFailed, tool

@tool
async def weather(city: str) -> str:
    "Today's weather in a city."
    return f"21 degrees in {city}"
"""

_NUMBERS = count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module into the folder that the command runs in; gives its name, which is new."""
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    written: list[str] = []

    def file(source: str, *, instead_of: str | None = None) -> str:
        """`instead_of` is the module that this one is the next version of: it has its name."""
        name = instead_of or f"app_{next(_NUMBERS)}"
        sys.modules.pop(name, None)
        target = tmp_path / f"{name}.py"
        target.unlink(missing_ok=True)
        for stale in (tmp_path / "__pycache__").glob(f"{name}.*"):
            stale.unlink()
        target.write_text(PRELUDE + source)
        written.append(name)
        return name

    yield file
    sys.path[:] = path
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def changed(antiphon: Run, write: Write) -> Changed:
    """Record a run of a module's agent, change the module's text, and replay."""

    def replay(source: str, *changes: tuple[str, str], live: bool = False) -> Outcome:
        name = write(source)
        ran = antiphon("run", name, "go", "--record", "run.jsonl", "--quiet")
        assert ran.code in (0, 1, 3), ran.err
        for before, after in changes:
            assert before in source, before
            source = source.replace(before, after)
        write(source, instead_of=name)
        return antiphon("replay", "run.jsonl", *(["--live-tools"] if live else []))

    return replay


def module(**names: Any) -> str:
    """A module that is there already, with these names in it; gives its name."""
    made = ModuleType(f"made_{next(_NUMBERS)}")
    vars(made).update(names)
    sys.modules[made.__name__] = made
    return made.__name__


def lines(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a run file."""
    return [json.loads(line) for line in Path(path).read_bytes().split(b"\n") if line]


def events(path: str | Path) -> list[Event]:
    """The events of a run file."""
    told = [line["event"] for line in lines(path) if "event" in line]
    return [parse_event(json.dumps(each).encode()) for each in told]


def folded(path: str | Path) -> Response:
    """The response that a run file tells of."""
    return fold(events(path))
