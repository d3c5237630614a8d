"""The examples in which several agents work run offline, and do what they say that they do."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from antiphon.agents import Agent
from antiphon.items import (
    ITEMS,
    FunctionCallOutput,
    Handoff,
    JsonSchemaFormat,
    ToolCall,
)
from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Speech, Text, model
from antiphon.provider import Provider

from .serving import serve

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAMES = ["report_workflow", "deep_research", "support_desk"]
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example leaves behind is in the test's own folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def run(name: str, *argv: str, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run an example; `said` is what is typed, `more` goes into its environment."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *argv],
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONSAFEPATH": "1", **NO_ENGINE, **more},
    )


def assert_in_order(text: str, *parts: str) -> None:
    at = 0
    for part in parts:
        found = text.find(part, at)
        assert found >= 0, f"{part!r} is missing, or too early, in:\n{text}"
        at = found + len(part)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_with_a_team_is_short_and_says_how_to_run_it(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text("utf-8")
    assert len(text.splitlines()) <= 150
    assert f"python examples/{name}.py" in text.split('"""')[1]


def test_the_report_is_searched_computed_summed_up_and_drafted_once_approved(
    tmp_path: Path,
) -> None:
    ran = run("report_workflow", said="y\n")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert_in_order(
        ran.stdout,
        "No container: the code runs on this machine, unprotected.",
        "[antiphon:agent_call] librarian",
        "[file_search_call]",
        "[antiphon:agent_call] analyst",
        "[code_interpreter_call]",
        'for row in csv.DictReader(open("returns.csv")):',
        "2026-08: 3.2%, 84.50 euros\n2026-09: 6.9%, 188.50 euros\n",
        "[antiphon:agent_call] editor",
        "7% come back, not 3%",
        "[packing.md, from line 1] [costs.md, from line 1]\n",
        "[antiphon:agent_call] secretary",
        "[antiphon:approval_request] write_draft",
        "Approve? [y/N]",
        "[antiphon:tool_call] write_draft",
        "-> The draft is in ",
    )
    (draft,) = tmp_path.glob("*/draft.txt")
    assert str(draft) in ran.stdout
    assert draft.read_text("utf-8").startswith("To: me@example.com\nSubject: Box\n\nThe ")
    assert draft.read_text("utf-8").endswith("\n\nSources: packing.md, costs.md\n")


@pytest.mark.parametrize("said", ["n\n", ""], ids=["no", "nobody is there"])
def test_no_draft_is_written_unless_a_person_says_yes(said: str, tmp_path: Path) -> None:
    ran = run("report_workflow", said=said)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert_in_order(
        ran.stdout,
        "Approve? [y/N]",
        "[antiphon:tool_call] write_draft",
        "-> the user did not approve this call",
    )
    assert not list(tmp_path.glob("*/draft.txt"))


def test_a_real_model_s_code_is_not_run_by_the_report_on_this_machine_unasked() -> None:
    ran = run("report_workflow", "--model", "ollama:any")
    assert ran.returncode == 1
    assert "--unprotected" in ran.stderr


def test_the_report_says_why_a_model_failed() -> None:
    ran = run(
        "report_workflow", "--model", "ollama:any", "--unprotected", OLLAMA_HOST="127.0.0.1:9"
    )
    assert ran.returncode == 1
    assert "librarian failed: " in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_research_reads_writes_and_criticises_until_the_critic_is_content() -> None:
    ran = run("deep_research")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert_in_order(
        ran.stdout,
        "planner <- Should we",
        '-> {"sources":["packing.md","costs.md","reviews.md"]}',
        'reader <- packing.md\n  open_source {"name":"packing.md"}\n  -> Since September',
        'reader <- reviews.md\n  open_source {"name":"reviews.md"}\n  -> "Lovely colour',
        "writer <- Should we",
        "critic <- Yes: spouts break in the thin box, and each return costs 6.50 euros.\n"
        '  -> {"good":false,"advice":"Say what 0.20 euros are for."}\n'
        "writer <- Say what 0.20 euros are for.\n",
        '-> {"good":true,"advice":"Good."}\n-> Yes: the thin box saves 0.20 euros a piece',
    )


def test_the_research_gives_its_last_draft_when_the_budget_ends_first() -> None:
    ran = run("deep_research", "--turns", "1")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith(
        "writer <- Say what 0.20 euros are for.\n"
        "  failed: it ended early: the budget of a block of code is used up: 1 turns\n"
        "-> Yes: spouts break in the thin box, and each return costs 6.50 euros.\n"
    )


def test_the_desk_hands_over_there_and_back_and_small_refunds_need_nobody() -> None:
    ran = run("support_desk", said="y\n")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert_in_order(
        ran.stdout,
        "customer: The app",
        "[triage hands over to technical]",
        '[known_issues {"product":"app"} -> Blank page',
        "customer: That helped.",
        "[technical hands over to triage]\n[triage hands over to billing]\n",
        '[refund {"order":1042,"amount":30} -> 30.00 euros of order 1042',
        "customer: And order 977",
        '[refund {"order":977,"amount":80} waits.',
        '[refund {"order":977,"amount":80} -> 80.00 euros of order 977',
        "desk: 80.00 euros",
    )


def test_the_desk_tells_the_model_why_a_refund_was_refused() -> None:
    ran = run("support_desk", said="Too much for us.\n")
    assert_in_order(
        ran.stdout,
        "-> the user did not approve this call: Too much for us.]",
        "desk: the user did not approve this call: Too much for us.",
    )


def test_another_process_can_go_on_from_the_desk_s_file(tmp_path: Path) -> None:
    run("support_desk", "--yes")
    (file,) = tmp_path.glob("*/conversation.json")
    items = ITEMS.validate_json(file.read_bytes())
    assert [item.target for item in items if isinstance(item, Handoff)] == [
        "technical",
        "triage",
        "billing",
    ]
    assert [item.name for item in items if isinstance(item, ToolCall)].count("refund") == 2
    billing = Agent(name="billing", model=ScriptedModel(["You are welcome."]))
    triage = Agent(name="triage", model=ScriptedModel([]), handoffs=[billing])
    assert triage.run_sync([*items, "Thank you!"]).output == "You are welcome."


ARGUMENTS: Mapping[str, dict[str, object]] = {
    "file_search": {"queries": ["thinner box"]},
    "code_interpreter": {"code": "print(6 * 7)"},
    "write_draft": {"to": "a@example.com", "subject": "Box", "body": "Thin."},
    "open_source": {"name": "costs.md"},
    "known_issues": {"product": "app"},
    "refund": {"order": 977, "amount": 80},
}


@model("real")
async def real(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Calls the first tool that it is given, tells what came, and fills forms."""
    last = request.items[-1]
    text = request.original.text
    if text and isinstance(text.format, JsonSchemaFormat):
        forms = {"Plan": {"sources": ["costs.md"]}, "Verdict": {"good": True, "advice": ""}}
        yield Text(json.dumps(forms[text.format.name]))
    elif isinstance(last, FunctionCallOutput) and not str(last.output).startswith("The conv"):
        yield Text(f"The tool said {last.output}")
    elif request.tools:
        name = request.tools[0].name
        yield FunctionCall(name, ARGUMENTS.get(name, {"reason": "Theirs."}))
    else:
        yield Text("I have no tools.")


@pytest.mark.parametrize(
    ("name", "argv", "says"),
    [
        (
            "report_workflow",
            ["--unprotected", "--yes"],
            [
                "The tool said [",
                "The tool said 42",
                "[packing.md, from line 1]",
                "The draft is in",
            ],
        ),
        ("deep_research", [], ["open_source", "-> The tool said A teapot", "-> I have no tools."]),
        ("support_desk", ["--yes"], ["hands over to technical", "The tool said Blank page"]),
    ],
    ids=NAMES,
)
def test_a_team_runs_with_a_real_model(name: str, argv: list[str], says: list[str]) -> None:
    with serve(Provider(models=[real])) as url:
        upstream = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none"}
        ran = run(name, "--model", "openai:real", *argv, **upstream)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert_in_order(ran.stdout, *says)
