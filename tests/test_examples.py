"""Every example runs offline, as its docstring says, and prints something true."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from antiphon.items import FunctionCallOutput
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.provider import Provider

from .serving import serve

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

SAYS: dict[str, list[str]] = {
    "quickstart": [
        "Yes: 24 degrees and clear.",
        "No: 3 degrees and sleet.",
        "message, reasoning, antiphon:tool_call, message, message, antiphon:tool_call, message",
    ],
    "data_analyst": [
        "rain no: 236.0 cups a day\nrain yes: 171.5 cups a day\n",
        "Yes: 171.5 cups on rainy days against 236.0 on dry ones.",
    ],
    "embed_in_fastapi": [
        "event: response.created",
        "event: response.reasoning.delta",
        "event: response.output_text.delta",
        "data: [DONE]",
        "ITEMS! ARE! THE! ONLY! STATE!",
    ],
    "web_researcher": [
        "search: completed\nopen_page: completed\n",
        "A return costs 6.50 euros ([shop.example](https://shop.example/costs)).",
        "- costs: https://shop.example/costs\n- packing: https://shop.example/packing\n",
    ],
    "own_tool": [
        'mcp_call acme__units {"value":26.2,"source":"mi","target":"km"} -> 42.2 km\n',
        "A marathon is 42.2 km.\nacme:units_call completed\nAs I said: 42.2 km.\n",
        "message function_call function_call_output message message\n",
    ],
    "mcp_files": [
        'May it erase {"name":"teapots"}?',
        'read {"name":"teapots"} -> A teapot with a broken spout, of 1951.',
        'erase {"name":"teapots"} -> failed',
    ],
    "serve_mcp": [
        "... refund: waits for approval\nclerk wants to call refund",
        '"euros": 40',
        "The till says: Error: the user did not approve this call",
    ],
    "serve_ollama": ['mcp_call: stock {"article":"lamp"} -> 7', "message: Yes, 7 lamps."],
}

ELSEWHERE = {
    "report_workflow",
    "deep_research",
    "support_desk",
    "spreadsheet_report",
    "ask_the_docs",
}
"""Examples that test_examples_teams.py, _files.py and _search.py run."""


def run(name: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )


def test_every_example_is_run_here_or_with_the_teams() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == SAYS.keys() | ELSEWHERE


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_offline_and_says_what_happened(name: str) -> None:
    ran = run(name)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    found = [ran.stdout.find(each) for each in SAYS[name]]
    assert -1 not in found, ran.stdout
    assert found == sorted(found)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_is_short_and_says_how_to_run_it(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text("utf-8")
    assert len(text.splitlines()) < 80
    assert f"python examples/{name}.py" in text.split('"""')[1]


@model("real")
async def real(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Calls the one tool that it is given, and tells what came."""
    last = request.items[-1]
    if isinstance(last, FunctionCallOutput):
        yield Text(f"The tool said {last.output}")
    elif request.tools:
        arguments = {
            "weather": {"city": "Lisbon"},
            "stock": {"article": "lamp"},
            "code_interpreter": {"code": "print(len(open('sales.csv').read().split()))"},
        }
        yield FunctionCall(request.tools[0].name, arguments[request.tools[0].name])
    else:
        yield Text("No tools here")


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("quickstart", [], "The tool said 24 degrees, clear"),
        ("data_analyst", ["--unprotected"], "The tool said 5"),
        ("embed_in_fastapi", [], "No tools here"),
    ],
)
def test_an_example_runs_against_a_real_endpoint(name: str, more: list[str], says: str) -> None:
    with serve(Provider(models=[real])) as url:
        ran = run(name, "--model", "real", "--base-url", f"{url}/v1", *more)
    assert ran.returncode == 0, ran.stderr
    assert says in ran.stdout


@pytest.mark.parametrize(
    ("name", "argv"),
    [
        ("data_analyst", ["--unprotected", "--model", "ollama:absent"]),
        ("web_researcher", ["--model", "ollama:absent"]),
        ("serve_ollama", ["--model", "absent", "--base-url", "http://127.0.0.1:9/v1"]),
        ("embed_in_fastapi", ["--model", "absent", "--base-url", "http://127.0.0.1:9/v1"]),
    ],
)
def test_an_example_says_that_its_model_cannot_be_asked(
    name: str, argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    ran = run(name, *argv)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "http://127.0.0.1:9 could not be asked" in ran.stdout


def test_a_real_model_s_code_is_not_run_unprotected_unasked() -> None:
    ran = run("data_analyst", "--model", "real", "--base-url", "http://127.0.0.1:9")
    assert ran.returncode == 2
    assert "say --unprotected" in ran.stderr
