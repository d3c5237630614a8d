"""The example of notes behind an MCP server, beyond its script: several calls that wait at once."""

import importlib.util
import io
from pathlib import Path
from typing import Any

import pytest

from antiphon.models import FunctionCall, ScriptedModel

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "mcp_files.py"

pytestmark = pytest.mark.anyio


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_each_of_two_calls_that_wait_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("example_mcp_files", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    for name in ("old", "new"):
        (tmp_path / name).write_text("a note")
    calls = [FunctionCall("notes__erase", {"name": name}) for name in ("old", "new")]
    monkeypatch.setattr("sys.stdin", io.StringIO("y\nn\n"))
    await example.work(str(tmp_path), ScriptedModel([calls, "That is all."]))
    assert names_in(tmp_path) == ["new"]
    assert capsys.readouterr().out.count("May it erase") == 2
