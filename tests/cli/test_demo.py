"""`antiphon demo`: what it shows happens, and what it says is true."""

import csv
import io
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import AsyncGenerator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from antiphon.items import FunctionCallOutput
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.provider import Provider

from .kit import Run, Serving

pytestmark = pytest.mark.usefixtures("no_engine")

if TYPE_CHECKING:
    from cli.rehearsal import Rehearsal, rides
else:
    from antiphon.cli.rehearsal import Rehearsal, rides

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
LANE, NEAR = "Mill Street", ("Canal Road", "High Street")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTIPHON_DEMO_PACE", raising=False)


def counted() -> Counter[tuple[str, str, str]]:
    """Rides by (counter, `before` or `after` the lane, day type), straight from the file."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for row in csv.DictReader(io.StringIO(rides().decode())):
        span = "before" if row["month"] < "2025-04" else "after"
        sums[row["counter"], span, row["day_type"]] += int(row["rides"])
    return sums


def total(
    names: tuple[str, ...], span: str, kinds: tuple[str, ...] = ("weekday", "weekend")
) -> int:
    sums = counted()
    return sum(sums[name, span, kind] for name in names for kind in kinds)


def change(names: tuple[str, ...], *kinds: str) -> float:
    asked = kinds or ("weekday", "weekend")
    return total(names, "after", asked) / total(names, "before", asked) - 1


def test_every_number_of_the_answer_is_true_of_the_file() -> None:
    far = tuple({name for name, _, _ in counted()} - {LANE, *NEAR})
    trend = 1 + change(far)
    gained = total((LANE,), "after") - trend * total((LANE,), "before")
    moved = trend * total(NEAR, "before") - total(NEAR, "after")
    true = [
        f"{total((LANE,), 'after'):,}",
        f"{change((LANE,)):.1%}",
        f"{total((LANE,), 'before'):,}",
        *(f"{change((name,)):.1%}" for name in NEAR),
        f"{trend - 1:.1%}",
        f"{gained:,.0f}",
        f"{moved:,.0f}",
        f"{change((LANE,), 'weekday'):+.1%}",
        f"{change((LANE,), 'weekend'):+.1%}",
    ]
    said = re.findall(r"[+-]?\d[\d,]*\.?\d*%?", Rehearsal.load().answer)
    assert [number.rstrip(",.") for number in said] == true
    assert moved / gained == pytest.approx(1 / 3, abs=0.01)  # "one in three"
    assert len(far) == 3  # "the three places away from the lane"


def test_the_file_holds_every_month_of_two_years_once() -> None:
    rows = list(csv.DictReader(io.StringIO(rides().decode())))
    months = {f"{year}-{month:02d}" for year in (2024, 2025, 2026) for month in range(1, 13)}
    expected = {each for each in months if "2024-04" <= each <= "2026-03"}
    keys = [(row["month"], row["counter"], row["day_type"]) for row in rows]
    assert {month for month, _, _ in keys} == expected
    assert len(keys) == len(set(keys)) == 24 * 6 * 2


def test_the_demo_shows_each_step_and_plain_text_without_a_terminal(antiphon: Run) -> None:
    ran = antiphon("demo", "--fast")
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.out
    assert "not a sandbox for strangers' code" in ran.out
    steps = [
        "message user",
        "reasoning",
        "code_interpreter_call cntr_",
        "│ import csv",
        "interpreting ...",
        f"{LANE:<16}{total((LANE,), 'before'):>10,}{total((LANE,), 'after'):>10,}",
        "completed in",
        "│ near =",
        "its neighbours lost",
        "class Chart:",
        "picture: antiphon-demo.svg",
        "● message\n",
        "Mostly new rides.",
        "completed: the whole run is a list of 7 items",
    ]
    found = [ran.out.find(step) for step in steps]
    assert -1 not in found, steps[found.index(-1)]
    assert found == sorted(found)


def test_the_chart_is_an_svg_of_the_file_s_own_numbers(antiphon: Run) -> None:
    antiphon("demo", "--fast")
    root = ElementTree.fromstring(Path("antiphon-demo.svg").read_text())
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    words = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert {LANE, *NEAR, "Month", "Rides per month", "lane opens"} <= set(words)

    ticks = {
        "".join(each.itertext()): float(each.attrib["y"]) - 4
        for each in root.iter(f"{SVG}text")
        if each.attrib.get("text-anchor") == "end"
    }
    zero, top = ticks["0"], ticks["40,000"]
    lines = [each.attrib["points"].split() for each in root.iter(f"{SVG}polyline")]
    drawn: list[list[float]] = []
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        drawn.append([(zero - y) / (zero - top) * 40_000 for _, y in points])
    for name in (LANE, *NEAR):
        months: Counter[str] = Counter()
        for row in csv.DictReader(io.StringIO(rides().decode())):
            months[row["month"]] += int(row["rides"]) if row["counter"] == name else 0
        true = [months[month] for month in sorted(months)]
        assert any(line == pytest.approx(true, abs=20) for line in drawn), name


def test_the_script_may_be_paced_and_put_in_its_place_by_name(
    antiphon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_DEMO_PACE", "0")
    ran = antiphon("demo", "--sandbox", "local")
    assert ran.code == 0
    assert "the demo's own script runs in a local process" in ran.out


def test_the_chart_goes_where_it_is_wanted(antiphon: Run) -> None:
    ran = antiphon("demo", "--fast", "--chart", "mine.svg")
    assert ran.code == 0
    assert "picture: mine.svg" in ran.out
    assert [each.name for each in Path().iterdir()] == ["mine.svg"]


def test_a_chart_that_cannot_be_written_is_said_with_its_cure(antiphon: Run) -> None:
    ran = antiphon("demo", "--fast", "--chart", "no/such/folder.svg")
    assert ran.code == 2
    assert ran.err.startswith("antiphon: the picture cannot be written to no/such/folder.svg: No ")
    assert ran.err.count("\n") == 1


def test_code_is_shown_while_it_is_still_being_written(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "antiphon.cli", "demo"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "ANTIPHON_DEMO_PACE": "0.001"},
    ) as process:
        assert process.stdout is not None
        seen = b""
        while b"import csv" not in seen:
            piece = os.read(process.stdout.fileno(), 65536)
            assert piece, seen
            seen += piece
        assert b"for street in streets" not in seen
        assert b"interpreting" not in seen
        process.stdout.read()
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("given", ["fast", "-1", "nan", "inf"])
def test_a_pace_that_is_none_is_refused(
    antiphon: Run, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("ANTIPHON_DEMO_PACE", given)
    ran = antiphon("demo")
    assert ran.code == 2
    assert ran.err.startswith("antiphon: ANTIPHON_DEMO_PACE: expected seconds")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--model", "m", "--base-url", "http://127.0.0.1:9"], "say --sandbox local"),
        (["--sandbox", "docker"], "needs a container sandbox"),
        (["--base-url", "http://127.0.0.1:9"], "need --model"),
        (["--model", "m", "--api", "chat"], "belong to --base-url"),
        (["--model", "nobody"], "ollama:"),
        (["--model", "m", "--base-url", "ftp://x"], "http://"),
        (
            ["--model", "m", "--base-url", "http://x", "--api-key-env", "NO_SUCH_KEY"],
            "export NO_SUCH_KEY=",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(antiphon: Run, argv: list[str], said: str) -> None:
    ran = antiphon("demo", "--fast", *argv)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""


@model("coder")
async def coder(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """A real model, as far as the demo can tell."""
    last = request.items[-1]
    if isinstance(last, FunctionCallOutput):
        yield Text(f"It printed {last.output}")
    else:
        yield FunctionCall("code_interpreter", {"code": "print(6 * 7, open('rides.csv').read(5))"})


def test_a_real_model_s_code_runs_locally_when_asked_by_name_with_a_warning(
    antiphon: Run, serving: Serving
) -> None:
    url = serving(Provider(models=[coder]))
    ran = antiphon("demo", "--model", "coder", "--base-url", url, "--sandbox", "local")
    assert ran.code == 0, ran.err
    assert "warning: --sandbox local runs the model's code as you" in ran.out
    assert "  42 month\n" in ran.out
    assert "It printed 42 month" in ran.out


def test_a_model_that_cannot_be_reached_fails_the_demo(antiphon: Run) -> None:
    ran = antiphon("demo", "--model", "m", "--base-url", "http://127.0.0.1:9", "--sandbox", "local")
    assert ran.code == 1
    assert "is it running" in ran.out


def test_the_data_is_in_the_package_where_the_wheel_takes_it_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "data/*" in project["tool"]["setuptools"]["package-data"]["antiphon"]
    names = {each.name for each in files("antiphon").joinpath("data").iterdir()}
    assert {"rides.csv", "demo.toml"} <= names
