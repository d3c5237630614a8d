"""`antiphon sandbox`: the image, the check and the containers, on a real engine if there is one."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from antiphon.sandboxes import PROBES, Finding, Sandboxes

from .kit import Run

NOWHERE = ("--engine", "tcp://127.0.0.1:9")

ORPHANED = """
import sys
import anyio
from antiphon.sandboxes import DockerSandboxes, build_image, Engine
from antiphon.sandboxes.docker_flags import OWNER_LABEL
from antiphon.sandboxes.docker_owner import new_owner

async def main():
    engine, image = Engine(), await build_image()
    made = await engine.call(lambda client: client.create_container(
        image, labels={OWNER_LABEL: new_owner()}, name=sys.argv[1]))

anyio.run(main)
"""


@pytest.fixture
def engine(antiphon: Run) -> None:
    """An engine with the image of the sandboxes."""
    ran = antiphon("sandbox", "build")
    if ran.code and os.environ.get("ANTIPHON_REQUIRE_DOCKER") == "1":
        pytest.fail(ran.err)
    elif ran.code:
        pytest.skip(ran.err)


@pytest.mark.usefixtures("engine")
def test_the_image_is_named_and_built_once(antiphon: Run) -> None:
    first, second = antiphon("sandbox", "build"), antiphon("sandbox", "build")
    assert first.code == second.code == 0
    assert first.out.startswith("antiphon-sandbox:")
    assert first.out.split(",")[0] == second.out.split(",")[0]
    assert len(second.out.splitlines()) == 1


@pytest.mark.usefixtures("engine")
def test_check_tries_everything_on_the_engine_and_nothing_gets_through(antiphon: Run) -> None:
    ran = antiphon("sandbox", "check", "--json")
    told = json.loads(ran.out)
    assert [each for each in told["findings"] if each["verdict"] != "held"] == []
    assert [each["id"] for each in told["findings"]] == [probe.id for probe in PROBES]
    assert told["ok"] is True
    assert ran.code == 0


async def half_open(sandboxes: Sandboxes) -> AsyncGenerator[Finding]:
    for number, probe in enumerate(PROBES):
        if number == 3:
            yield Finding(probe, "open", "\x1b[2Ja connection")
        else:
            yield Finding(probe, "unclear" if number == 5 else "held", "EPERM")


def test_what_got_through_is_shown_with_the_reason_and_is_a_failure(
    antiphon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.cli.sandbox.probe_isolation", half_open)
    ran = antiphon("sandbox", "check", *NOWHERE)
    lines = ran.out.splitlines()
    assert ran.code == 1
    assert len(lines) == 1 + len(PROBES) + 2 + 1
    assert lines[4].split()[:2] == ["OPEN", PROBES[3].id]
    assert "a connection" in lines[5]
    assert "\x1b" not in ran.out
    assert lines[-1] == f"{len(PROBES)} tried: {len(PROBES) - 2} held, 1 open, 1 unclear"
    ran = antiphon("sandbox", "check", "--json", *NOWHERE)
    assert (ran.code, json.loads(ran.out)["ok"]) == (1, False)


async def cut_short(sandboxes: Sandboxes) -> AsyncGenerator[Finding]:
    yield Finding(PROBES[0], "held", "EPERM")


def test_a_check_that_did_not_try_everything_is_a_failure(
    antiphon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.cli.sandbox.probe_isolation", cut_short)
    assert antiphon("sandbox", "check", *NOWHERE).code == 1


@pytest.mark.usefixtures("engine")
def test_a_container_whose_provider_is_gone_is_listed_and_pruned(antiphon: Run) -> None:
    name, listed, rows = "", list[dict[str, Any]](), list[str]()
    for _ in range(10):  # whatever else begins on this engine meanwhile prunes it, too
        name = f"antiphon-test-{secrets.token_hex(4)}"
        subprocess.run([sys.executable, "-c", ORPHANED, name], check=True, timeout=60)
        listed = json.loads(antiphon("sandbox", "ls", "--json").out)
        rows = [line for line in antiphon("sandbox", "ls").out.splitlines() if name in line]
        if rows:
            break
    assert {each["name"]: each["orphan"] for each in listed}[name] is True
    assert [row.endswith("orphan") for row in rows] == [True]
    ran = antiphon("sandbox", "prune")
    assert ran.code == 0 and ran.out.startswith("removed ")
    assert name not in antiphon("sandbox", "ls").out


@pytest.mark.parametrize("action", ["build", "check", "ls", "prune"])
def test_without_an_engine_every_action_says_what_to_do(antiphon: Run, action: str) -> None:
    ran = antiphon("sandbox", action, *NOWHERE)
    assert ran.code == 1
    assert "tcp://127.0.0.1:9" in ran.err and "DOCKER_HOST" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("argv", [[], ["nothing"], ["prune", "--json"], ["check", "--base", "x"]])
def test_words_that_make_no_sense_are_usage_errors(antiphon: Run, argv: list[str]) -> None:
    assert antiphon("sandbox", *argv).code == 2


@pytest.mark.usefixtures("engine")
def test_the_demo_runs_in_a_container_and_draws_a_png(antiphon: Run, tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    ran = antiphon("demo", "--fast", "--sandbox", "docker", "--chart", str(chart))
    assert ran.code == 0, ran.err
    assert "code runs in a container without network" in ran.out
    assert "two in three are new to the town" in " ".join(ran.out.split())
    assert chart.read_bytes().startswith(b"\x89PNG")
