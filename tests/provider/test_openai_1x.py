"""The `openai` SDK 1.x, which many still have: the same core, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from antiphon.items import Message
from antiphon.models import FunctionCall, ModelRequest, Reasoning, ScriptedModel, Text, model
from antiphon.provider import Provider
from antiphon.sandboxes import LocalSandboxes
from antiphon.tools import CodeInterpreter, tool

from .serving import Serve

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / ".venv" / "openai-1"
INSTALL = f".venv/bin/pip install --target {OLD.relative_to(ROOT)} 'openai>=1.99,<2'"
STEPS = "create stream helper parse functions hosted code errors asynchronous".split()


@tool
async def climate(city: str) -> str:
    """The climate of a city."""
    return f"mild in {city}"


@model("echo")
async def echo(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Says what it was told."""
    said = request.items[-1]
    yield Text(said.text if isinstance(said, Message) else said.type)


@model("caller")
async def caller(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Calls its first tool, then says what came of it."""
    last = request.items[-1]
    if last.type == "function_call_output":
        yield Text(str(last.output))
        return
    yield FunctionCall(request.tools[0].name, {"city": "Oslo"})


def test_the_core_works_with_openai_1x(serving: Serve) -> None:
    if not (OLD / "openai").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"there is no openai 1.x here: {INSTALL}")
        pytest.skip(INSTALL)
    call = FunctionCall("code_interpreter", {"code": "print(6 * 7)"})
    models = [
        echo,
        caller,
        ScriptedModel([[Reasoning("hm"), Text("42")]], name="thinker", repeat=True),
        ScriptedModel(['{"name": "Ada"}'], name="json", repeat=True),
        ScriptedModel([call, "done"], name="coder", repeat=True),
    ]
    provider = Provider(models=models, tools=[climate, CodeInterpreter(LocalSandboxes())])
    with serving(provider) as url:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("old_client.py")), f"{url}/v1"],
            env={**os.environ, "PYTHONPATH": str(OLD), "PYTHONSAFEPATH": "1"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == ""
    assert done.stdout.split() == STEPS
    assert done.returncode == 0
