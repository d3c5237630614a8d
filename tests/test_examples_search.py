"""The example that asks a tree of documents: what it cites stands where it says that it stands."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from antiphon.items import FunctionCallOutput
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.provider import Provider

from .serving import serve

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "ask_the_docs.py"
CITED = re.compile(r"^  \[(\S+), (lines|pages) (\d+) to (\d+)\] (.*) \.\.\.$", re.MULTILINE)


def run(*argv: str, **more: str) -> str:
    """What the example prints."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), *argv],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONSAFEPATH": "1", **more},
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    return ran.stdout


def test_it_is_short_and_says_how_to_run_it() -> None:
    text = EXAMPLE.read_text("utf-8")
    assert len(text.splitlines()) <= 130
    assert "python examples/ask_the_docs.py" in text.split('"""')[1]


def test_it_reads_both_trees_with_a_bar_and_cites_the_lines_of_each_answer() -> None:
    said = run()
    pages = len(list((ROOT / "docs").glob("*.md")))
    assert "reading" in said and "100%" in said
    assert f"{pages + 12} files can be searched, 0 could not be read" in said
    library, project = CITED.findall(said)
    assert library[0] == "asyncio.md" and "asyncio.wait_for" in library[4]
    name, kind, first, last, quote = project
    assert (name, kind) == ("approvals.md", "lines")
    lines = (ROOT / "docs" / name).read_text("utf-8").splitlines()[int(first) - 1 : int(last)]
    assert " ".join(" ".join(lines).split()).startswith(quote)
    answer = said.partition("> When must a person")[2]
    assert "does not run. Instead, the response ends with an approval request" in answer


def test_the_docstrings_are_those_of_this_python() -> None:
    said = run("Recursively delete a directory tree?")
    ((name, *_, quote),) = CITED.findall(said)
    assert name == "shutil.md" and "shutil.rmtree" in quote
    doc = inspect.getdoc(shutil.rmtree) or ""
    assert doc.split("\n")[0] in said


def test_another_folder_is_read_and_what_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    (tmp_path / "boats.txt").write_text("We decided on a red boat.\nIt has a keel.\n")
    said = run("--folder", str(tmp_path), "What colour is the boat?", "Submarines?")
    assert "1 files can be searched" in said
    assert CITED.findall(said) == [
        ("boats.txt", "lines", "1", "2", "We decided on a red boat. It has a keel.")
    ]
    assert said.endswith("> Submarines?\nNothing here answers that. ... \n")


def test_what_is_hidden_is_not_sent_and_a_folder_that_is_not_there_is_a_mistake(
    tmp_path: Path,
) -> None:
    (tmp_path / "boats.txt").write_text("We decided on a red boat.\n")
    (tmp_path / ".env").write_text("KEY=secret\n")
    assert "1 files can be searched, 0 could not" in run("--folder", str(tmp_path), "KEY secret?")
    argv = [sys.executable, str(EXAMPLE), "--folder", str(tmp_path / "no")]
    env = {**os.environ, "PYTHONSAFEPATH": "1"}
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert ran.returncode == 2 and "--folder: expected a folder, got" in ran.stderr


def test_a_model_that_cannot_be_asked_is_said(tmp_path: Path) -> None:
    (tmp_path / "boats.txt").write_text("We decided on a red boat.\n")
    upstream = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "none"}
    said = run("--model", "openai:real", "--folder", str(tmp_path), "What colour?", **upstream)
    assert "> What colour?\n" in said and "is it running" in said


@model("real")
async def real(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Searches in its own words, and cites the first result."""
    last = request.items[-1]
    if isinstance(last, FunctionCallOutput):
        first = json.loads(str(last.output))[0]
        yield Text(f"It is red.{first['cite']}")
    else:
        yield FunctionCall("file_search", {"queries": ["the boat's colour"]})


def test_it_runs_with_a_real_model(tmp_path: Path) -> None:
    (tmp_path / "boats.txt").write_text("We decided on a red boat.\n")
    with serve(Provider(models=[real])) as url:
        upstream = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none"}
        said = run("--model", "openai:real", "--folder", str(tmp_path), "What colour?", **upstream)
    assert "> What colour?\nIt is red.\n  [boats.txt, lines 1 to 1]" in said
