"""Any run, however it ends, replays as it was; and its run file folds to its response."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
