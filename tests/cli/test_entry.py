"""`main`: help, exit codes, and errors that name their cure."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon import __version__
from antiphon.errors import ConfigurationError, ModelError

from .kit import Run

HEAVY = ("pydantic", "mcp", "docker", "openai", "rich", "httpx2", "anyio", "uvicorn", "starlette")


def python(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, timeout=60, check=False, **options
    )


@pytest.mark.parametrize("argv", [["--help"], ["demo", "--help"], ["serve", "--help"]])
def test_help_imports_nothing_that_takes_time(argv: list[str]) -> None:
    code = (
        "import sys\nfrom antiphon.cli import main\n"
        f"try: main({argv!r})\nexcept SystemExit as end: assert end.code == 0\n"
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    ran = python("-c", code)
    assert ran.stderr.strip() == ""
    assert "examples:" in ran.stdout


@pytest.mark.parametrize("command", ["demo", "chat", "serve", "check"])
def test_every_command_has_help_with_examples(antiphon: Run, command: str) -> None:
    ran = antiphon(command, "--help")
    assert ran.code == 0
    assert f"antiphon {command}" in ran.out.partition("examples:")[2]


@pytest.mark.parametrize("family", ["files", "sandbox"])
def test_a_command_that_has_commands_says_what_it_is_for(antiphon: Run, family: str) -> None:
    brief = antiphon(family, "--help").out.splitlines()[2]
    assert brief.endswith(".") and f"antiphon {family} " in antiphon(family, "--help").out
    assert antiphon(family).code == 2


def test_the_version_is_the_package_s(antiphon: Run) -> None:
    assert antiphon("--version").out.strip() == f"antiphon {__version__}"


@pytest.mark.parametrize("argv", [[], ["dance"], ["demo", "--wat"], ["demo", "--fas"]])
def test_words_that_make_no_sense_are_usage_errors(antiphon: Run, argv: list[str]) -> None:
    ran = antiphon(*argv)
    assert ran.code == 2
    assert "usage: antiphon" in ran.err


def failing(error: BaseException) -> Callable[[object], int]:
    def run(options: object) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigurationError("expected x: say y"), 2, "antiphon: expected x: say y\n"),
        (ModelError("the server is gone"), 1, "antiphon: the server is gone\n"),
        (ModelError("go\x1b[2Jne\u202e"), 1, "antiphon: go\ufffd[2Jne\ufffd\n"),
        (ExceptionGroup("group", [ModelError("inside")]), 1, "antiphon: inside\n"),
        (
            ValueError("odd\nand more"),
            1,
            "antiphon: unexpected ValueError: odd (antiphon --debug shows the traceback)\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_one_line_on_stderr_and_an_exit_code(
    antiphon: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    monkeypatch.setattr("antiphon.cli.entry.run", failing(error))
    ran = antiphon("demo")
    assert (ran.code, ran.err, ran.out) == (code, said, "")


@pytest.mark.parametrize("argv", [["--debug", "demo"], ["demo", "--debug"]])
def test_debug_shows_the_traceback(
    antiphon: Run, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    monkeypatch.setattr("antiphon.cli.entry.run", failing(ValueError("odd")))
    ran = antiphon(*argv)
    assert "Traceback" in ran.err
    assert ran.err.endswith("antiphon: unexpected ValueError: odd\n")


def test_an_interrupted_demo_ends_quietly_with_130(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "antiphon.cli", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "ANTIPHON_DEMO_PACE": "5"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "reasoning" in line:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 130


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "antiphon.cli", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "ANTIPHON_DEMO_PACE": "0.005"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141


def test_a_terminal_without_unicode_gets_other_signs(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = python("-m", "antiphon.cli", "demo", "--fast", cwd=tmp_path, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.isascii()
    assert "* code_interpreter_call" in ran.stdout
