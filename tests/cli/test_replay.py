"""`antiphon replay`: the code of today, driven with what a recorded model said."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from .kit import Run
from .runs import Changed, Write, changed as changed, lines, write as write

GUIDE = """
@tool
async def mood(city: str) -> str:
    "How people feel in a city."
    return f"{city} is happy"

agent = Agent(name="guide", instructions="Be brief.", tools=[weather, mood], model=ScriptedModel([
    [Reasoning("I should look."), FunctionCall("weather", {"city": "Lisbon"}),
     FunctionCall("mood", {"city": "Lisbon"}), Usage(10, 5)],
    [Text("Yes, 21 degrees, and happy."), Usage(30, 6, cached_tokens=10)],
], fragment=6))
"""

Record: TypeAlias = Callable[..., str]


@pytest.fixture
def record(antiphon: Run, write: Write) -> Record:
    """Run a module's agent and record it; gives the module's name."""

    def run(source: str, *argv: str, name: str = "agent") -> str:
        module = write(source)
        given = argv or ("go",)
        ran = antiphon("run", f"{module}:{name}", *given, "--record", "run.jsonl", "--quiet")
        assert ran.code in (0, 1, 3), ran.err
        return module

    return run


def test_a_run_replays_without_asking_its_model_or_running_its_tools(changed: Changed) -> None:
    ran = changed(
        GUIDE,
        ('return f"{city} is happy"', 'raise RuntimeError("it ran")'),
        ("model=ScriptedModel(", "model=ScriptedModel([]) or ScriptedModel("),  # with no turns
    )
    assert (ran.code, ran.out) == (0, "identical: 37 events\n"), ran.out


def test_live_tools_run_and_what_they_give_is_compared(changed: Changed) -> None:
    assert changed(GUIDE, live=True).out == "identical: 37 events\n"
    ran = changed(GUIDE, ("is happy", "is sad"), live=True)
    assert ran.code == 1
    first, *rest = ran.out.splitlines()
    assert first.endswith("item 3, antiphon:tool_call mood")
    assert rest == [
        "  item.output",
        '    recorded  "Lisbon is happy"',
        '    now       "Lisbon is sad"',
    ]


def test_a_tool_that_fails_now_is_shown_with_its_error(changed: Changed) -> None:
    ran = changed(GUIDE, ('return f"{city} is happy"', 'raise ToolFailed("no idea")'), live=True)
    assert ran.code == 1
    assert "recorded  antiphon:tool_call.completed" in ran.out
    assert "now       antiphon:tool_call.failed" in ran.out
    assert '    now       "no idea"' in ran.out.partition("in the end, the item")[2]


def test_other_instructions_are_a_difference_before_the_turn_that_reads_them(
    changed: Changed,
) -> None:
    ran = changed(GUIDE, ("Be brief.", "Be long."))
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "differs before event 3 of 37: the model of guide gets another request, in turn 1",
        "  instructions",
        '    recorded  "Be brief."',
        '    now       "Be long."',
        "With the same words from the model, all 37 events are the same.",
    ]


def test_instructions_that_branch_are_compared_as_they_come_out(changed: Changed) -> None:
    source = GUIDE.replace(
        'instructions="Be brief."',
        'instructions=lambda ctx: "Be brief." if len(ctx.items) == 1 else "Go on."',
    )
    assert changed(source).code == 0
    assert changed(source, ("len(ctx.items) == 1", "len(ctx.items) < 3")).code == 0
    ran = changed(source, ("len(ctx.items) == 1", "len(ctx.items) > 1"))
    assert ran.code == 1
    assert '    now       "Go on."' in ran.out


def test_another_menu_is_a_difference_and_so_is_what_comes_of_it(changed: Changed) -> None:
    ran = changed(GUIDE, ("[weather, mood]", "[weather]"))
    assert ran.code == 1
    asked, _, event = ran.out.partition("\n\n")
    assert asked.splitlines()[1:] == [
        "  tool mood",
        '    recorded  "offered"',
        '    now       "not offered"',
    ]
    assert "item 3, antiphon:tool_call mood" in event.splitlines()[0]
    assert "now       antiphon:tool_call.failed" in event
    assert "there is no tool named 'mood'" in event


def test_a_tool_described_in_other_words_is_a_difference(changed: Changed) -> None:
    ran = changed(GUIDE, ("How people feel", "How everybody feels"))
    assert ran.code == 1
    assert '  tool mood\n    recorded  "definition ' in ran.out


def test_options_that_change_what_is_said_or_done_are_a_difference(changed: Changed) -> None:
    ran = changed(GUIDE, ("fragment=6)", "fragment=6), options={'temperature': 0.2}"))
    assert ran.code == 1
    assert "  temperature\n    recorded  (nothing)\n    now       0.2\n" in ran.out


def test_a_run_that_ends_earlier_now_differs_where_it_went_on(changed: Changed) -> None:
    ran = changed(GUIDE, ("fragment=6)", "fragment=6), max_turns=1"))
    assert ran.code == 1
    assert ran.out.splitlines()[0].endswith("item 4, message assistant")
    assert "recorded  response.output_item.added" in ran.out
    assert "now       response.incomplete" in ran.out


def test_a_run_that_goes_on_now_says_that_the_rest_is_not_known(changed: Changed) -> None:
    source = GUIDE.replace("fragment=6)", "fragment=6), max_turns=1")
    ran = changed(source, (", max_turns=1", ""))
    assert ran.code == 1
    assert "asked for another turn, number 2; what it would say is not known" in ran.out
    assert "recorded  response.incomplete" in ran.out


def test_a_call_that_is_refused_now_is_shown_with_the_reason(changed: Changed) -> None:
    ran = changed(GUIDE, ("fragment=6)", "fragment=6), options={'max_tool_calls': 1}"))
    assert ran.code == 1
    event = ran.out.partition("\n\n")[2]
    assert "item 3, antiphon:tool_call mood" in event
    assert "max_tool_calls is reached" in event
    source = """
from antiphon.sandboxes import LocalSandboxes
agent = Agent(name="one", tools=[CodeInterpreter(LocalSandboxes())], model=ScriptedModel([
    [FunctionCall("code_interpreter", {"code": "print(1)"})], [Text("Done.")],
]))
"""
    ran = changed(source, ("]))\n", "]), options={'tool_choice': 'none'})\n"))
    assert ran.code == 1
    assert "tool_choice is none" in ran.out


def test_a_budget_that_is_smaller_now_ends_the_run_where_it_is_spent(changed: Changed) -> None:
    source = """
from antiphon.agents import budget
agent = Agent(name="one", tools=[weather], budget=budget(tokens=100), model=ScriptedModel([
    [FunctionCall("weather", {"city": "Oslo"}), Usage(10, 10)],
    [FunctionCall("weather", {"city": "Rome"}), Usage(10, 10)],
    [Text("Cold and warm."), Usage(10, 10)],
]))
"""
    assert changed(source).code == 0
    ran = changed(source, ("tokens=100", "tokens=15"))
    assert ran.code == 1
    assert "item 1, antiphon:tool_call weather" in ran.out


def test_lines_about_models_may_be_missing(antiphon: Run, record: Record) -> None:
    record(GUIDE)
    told = Path("run.jsonl").read_bytes().splitlines(keepends=True)
    kept = [line for line in told if b'"asked":' not in line and b'"used":' not in line]
    Path("run.jsonl").write_bytes(b"".join(kept))
    assert antiphon("replay", "run.jsonl").out == "identical: 37 events\n"
    assert "2 turns, 2 calls" in antiphon("trace", "run.jsonl").out


def test_another_target_can_be_driven_and_a_foreign_one_is_never_imported(
    antiphon: Run, record: Record, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(GUIDE)
    other = write(GUIDE.replace("Be brief.", "Be long."))
    assert "Be long." in antiphon("replay", "run.jsonl", "--target", other).out
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ran = antiphon("replay", "../run.jsonl")
    assert ran.code == 2
    assert "say --target module:name" in ran.err


@pytest.mark.parametrize("target", ["antigravity:agent", "deploy:agent", "..:agent", "deploy", ""])
def test_a_run_file_makes_nothing_be_imported_that_does_not_hold_what_it_names(
    antiphon: Run, record: Record, target: str
) -> None:
    record(GUIDE)
    Path("deploy.py").write_text("raise SystemExit('deployed')\n")
    text = Path("run.jsonl").read_text()
    recorded = lines("run.jsonl")[0]["target"]
    Path("run.jsonl").write_text(text.replace(f'"{recorded}"', f'"{target}"'))
    ran = antiphon("replay", "run.jsonl")
    assert ran.code == 2
    assert "deployed" not in ran.err
    assert "say --target module:name" in ran.err


@pytest.mark.parametrize(
    "tail",
    [
        "[Failure('oops', 'it broke')]",
        "[Text('half'), Failure('oops', 'it broke')]",
        "[FunctionCall('weather', '{\"ci'), Stop('max_output_tokens')]",
        "[Text('half'), Stop('content_filter')]",
        "[Refusal('I will not.')]",
        "[]",
        "[FunctionCall('nowhere', {})], [Text('well')]",
        "[FunctionCall('weather', 'no json')], [Text('well')]",
        "[FunctionCall('weather', {'town': 1})], []",
    ],
)
def test_however_a_run_ends_it_replays(changed: Changed, tail: str) -> None:
    source = f"""
agent = Agent(name="one", tools=[weather], model=ScriptedModel([
    [FunctionCall("weather", {{"city": "Oslo"}}), Usage(3, 4)], {tail},
], fragment=3))
"""
    for live in (False, True):
        ran = changed(source, live=live)
        assert ran.code == 0, ran.out


def test_calls_that_ran_side_by_side_replay_in_whatever_order_they_ended(
    changed: Changed,
) -> None:
    source = """
gates = {}

@tool
async def turn(number: int) -> str:
    "Ends after the next one."
    gates[number] = anyio.Event()
    if number < 3:
        with anyio.fail_after(60):
            while number + 1 not in gates:
                await anyio.lowlevel.checkpoint()
            await gates[number + 1].wait()
    gates[number].set()
    return str(number)

agent = Agent(name="one", tools=[turn], model=ScriptedModel([
    [FunctionCall("turn", {"number": n}) for n in range(4)], [Text("done")],
]))
"""
    ran = changed(source)
    assert ran.code == 0, ran.out
    ends = [
        line["event"]["item"].get("output")
        for line in lines("run.jsonl")
        if line.get("event", {}).get("type") == "response.output_item.done"
    ]
    assert ends[:4] == ["3", "2", "1", "0"]
    assert changed(source, live=True).code == 0
    ran = changed(source, ("@tool\nasync def turn", "@tool(parallel=False)\nasync def turn"))
    assert ran.code == 0, ran.out  # when they run is a matter of time
