"""Any run, however it ends, replays as it was; and its run file folds to its response."""

import json
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from antiphon.agents import Agent
from antiphon.cli import main
from antiphon.items import FunctionTool
from tests.laws.kit import Hesitant
from tests.laws.paper import kit
from tests.laws.scripts import BREAKS, FRAGMENTS, LAW as EACH, Script, scripted, scripts

from .runs import folded, lines, module

LAW = settings(EACH, max_examples=40)
ASK = FunctionTool(name="ask", parameters={"type": "object", "properties": {}}, strict=None)


def recorded(agent: Agent[Any], path: str) -> str:
    """Run it and record it; the name of its module."""
    name = module(agent=agent)
    assert main(["run", name, "go", "--quiet", "--record", path]) in (0, 1, 3)
    return name


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_tool_calls": st.integers(1, 3),
        "parallel_tool_calls": st.booleans(),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "max_output_tokens": st.integers(1, 12),
    },
)


@LAW
@given(script=scripts(), fragment=FRAGMENTS, options=OPTIONS)
def test_a_run_replays_as_it_was(
    script: Script, fragment: int | None, options: dict[str, Any]
) -> None:
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "run.jsonl"))
        agent = Agent(
            name="one", model=scripted(script, fragment), tools=[*kit(), ASK], options=options
        )
        name = recorded(agent, path)
        response = folded(path)
        assert json.loads(response.to_json()) == lines(path)[-1]["event"]["response"]
        assert main(["replay", path, "--target", name]) == 0


@LAW
@given(
    script=scripts(),
    fragment=FRAGMENTS,
    breaks=st.integers(0, 40),
    error=BREAKS,
)
def test_a_run_that_broke_off_replays_as_it_was(
    script: Script, fragment: int | None, breaks: int, error: Exception | None
) -> None:
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "run.jsonl"))
        model = Hesitant(scripted(script, fragment), breaks=breaks, error=error)
        name = recorded(Agent(name="one", model=model, tools=[*kit(), ASK]), path)
        assert main(["replay", path, "--target", name]) == 0


PLACES = st.tuples(st.sampled_from(["drop", "again", "swap"]), st.floats(0, 1), st.floats(0, 1))


@LAW
@given(script=scripts(), changes=st.lists(PLACES, min_size=1, max_size=3))
def test_a_file_in_disorder_is_told_or_refused_and_breaks_nothing(
    script: Script, changes: list[tuple[str, float, float]]
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("antiphon.cli.score.QUIET", 0.01)
        patch.setattr("antiphon.cli.stage.PATIENCE", 0.01)
        path = Path(folder, "run.jsonl")
        name = recorded(Agent(name="one", model=scripted(script), tools=[*kit(), ASK]), str(path))
        told = path.read_bytes().split(b"\n")[:-1]
        for how, first, second in changes:
            one, other = (1 + int(share * (len(told) - 2)) for share in (first, second))
            if how == "drop":
                del told[one]
            elif how == "again":
                told.insert(other, told[one])
            else:
                told[one], told[other] = told[other], told[one]
        path.write_bytes(b"\n".join(told) + b"\n")
        with redirect_stderr(StringIO()) as said:
            assert main(["trace", str(path)]) in (0, 2)
            assert main(["replay", str(path), "--target", name]) in (0, 1, 2)
        assert "unexpected" not in said.getvalue()


@LAW
@given(script=scripts(), fragment=FRAGMENTS, share=st.floats(0, 1))
def test_a_recording_that_breaks_off_anywhere_replays_as_far_as_it_goes(
    script: Script, fragment: int | None, share: float
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        agent = Agent(name="one", model=scripted(script, fragment), tools=[*kit(), ASK])
        name = recorded(agent, str(path))
        whole = path.read_bytes()
        header = whole.index(b"\n") + 1
        first = whole.index(b"\n", header) + 1
        path.write_bytes(whole[: first + int(share * (len(whole) - first))])
        assert main(["replay", str(path), "--target", name]) == 0
