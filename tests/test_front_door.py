"""The front door is light, and leads where it says."""

import subprocess
import sys
from pathlib import Path

import antiphon
from antiphon.agents import Agent
from antiphon.tools import tool


def test_the_front_door_gives_the_rooms_own_objects() -> None:
    assert antiphon.Agent is Agent
    assert antiphon.tool is tool
    assert {"Agent", "Provider", "tool"} <= set(dir(antiphon))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(antiphon, "Nobody")


def test_importing_antiphon_imports_no_room_and_no_library() -> None:
    code = (
        "import sys, antiphon; "
        "heavy = {'pydantic', 'httpx2', 'starlette', 'mcp', 'docker', 'rich', 'antiphon.items'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/")
    )
    assert told.stdout.strip() == "[]"


def test_the_rooms_that_agents_need_import_no_server_and_no_engine() -> None:
    code = (
        "import sys, antiphon.agents; "
        "heavy = {'starlette', 'uvicorn', 'mcp', 'docker', 'rich', 'griffe', 'aiohttp', 'openai'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/")
    )
    assert told.stdout.strip() == "[]"
