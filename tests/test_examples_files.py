"""The example in which a spreadsheet becomes a report: in containers, and without them."""

import csv
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path

from antiphon.items import FunctionCallOutput
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.provider import Provider
from tests.sandboxes.docker_kit import docker as docker

from .serving import serve

EXAMPLE = Path(__file__).resolve().parent.parent / "examples/spreadsheet_report.py"
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def run(folder: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the example in a folder, and let it make others there; `more` is of its environment."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), *argv],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONSAFEPATH": "1", "TMPDIR": str(folder), **more},
    )


def test_a_spreadsheet_becomes_a_cited_one_with_a_chart(docker: None, tmp_path: Path) -> None:
    ran = run(tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    told = [
        "'south': '+52%'",
        "see [the report](sandbox:/mnt/data/report.xlsx)",
        f"saved {tmp_path}/report-",
    ]
    found = [ran.stdout.find(each) for each in told]
    assert -1 not in found and found == sorted(found), ran.stdout
    (made,) = tmp_path.glob("report-*/report.xlsx")
    with zipfile.ZipFile(made) as book:
        parts = book.namelist()
        assert "xl/chartsheets/sheet1.xml" in parts and "xl/charts/chart1.xml" in parts
        sheets = book.read("xl/workbook.xml").decode()
        assert all(f'name="{each}"' in sheets for each in ("euros", "growth", "chart"))
        assert b"12375" in book.read("xl/worksheets/sheet1.xml")


def test_without_an_engine_it_says_so_and_does_it_plainly(tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("somebody's own")
    ran = run(tmp_path, **NO_ENGINE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("No containers: the script's code runs on this machine")
    (made,) = tmp_path.glob("report-*/report.csv")
    assert f"saved {made} (" in ran.stdout
    assert (tmp_path / "report.csv").read_text() == "somebody's own"
    rows = {row[0]: row[1:] for row in csv.reader(made.read_text("utf-8").splitlines())}
    assert rows["west"][:3] == ["12375", "11700", "11205"] and rows["south"][3].startswith("0.52")


@model("real")
async def real(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Writes how large the upload is, wherever code is run, and names the file."""
    if isinstance(request.items[-1], FunctionCallOutput):
        yield Text("It is in size.txt.")
    else:
        code = "import os; open('size.txt', 'w').write(str(os.path.getsize('orders.xlsx')))"
        yield FunctionCall(request.tools[0].name, {"code": code})


def test_a_real_model_is_asked_and_its_code_runs_in_a_container(
    docker: None, tmp_path: Path
) -> None:
    with serve(Provider(models=[real])) as url:
        ran = run(tmp_path, "--model", "real", "--base-url", f"{url}/v1")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "It is in size.txt." in ran.stdout
    size = (EXAMPLE.with_name("data") / "orders.xlsx").stat().st_size
    (made,) = tmp_path.glob("report-*/size.txt")
    assert made.read_text("utf-8") == str(size)


def test_a_real_model_s_code_is_never_run_without_containers(tmp_path: Path) -> None:
    ran = run(tmp_path, "--model", "real", "--base-url", "http://127.0.0.1:9", **NO_ENGINE)
    assert ran.returncode == 2 and "needs containers" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_is_short_and_says_how_to_run_it() -> None:
    text = EXAMPLE.read_text("utf-8")
    assert len(text.splitlines()) <= 125
    assert f"python examples/{EXAMPLE.name}" in text.split('"""')[1]


def test_a_model_is_known_by_its_name_alone(docker: None, tmp_path: Path) -> None:
    ran = run(tmp_path, "--model", "ollama:absent", OLLAMA_HOST="127.0.0.1:9")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("failed: http://127.0.0.1:9 could not be asked")
