"""The house stands: rooms, doors and wheel agree, and imports point downwards."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]

# What each room may import, beside itself and antiphon.errors.
ROOMS: dict[str, set[str]] = {
    "testing": {"provider", "agents", "tools", "models", "sandboxes", "items"},
    "cli": {"testing", "provider", "agents", "tools", "models", "sandboxes", "items"},
    "provider": {"agents", "tools", "models", "items"},
    "agents": {"tools", "models", "items"},
    "tools": {"sandboxes", "items"},
    "models": {"items"},
    "sandboxes": set(),
    "items": set(),
}
ALONE = ("sandboxes/runner", "sandboxes/probes")
"""Folders that run inside a sandbox, with the standard library and nothing of ours."""

LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def everything() -> list[Path]:
    folders = [*ROOMS, "antiphon", "tests", "examples", "benchmarks"]
    return [path for folder in folders for path in files(folder)]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_pyproject_maps_every_room() -> None:
    assert SETUPTOOLS["package-dir"] == {f"antiphon.{room}": room for room in ROOMS}


def test_every_folder_of_code_at_the_root_is_a_room_or_known() -> None:
    known = {*ROOMS, "antiphon", "tests", "examples", "benchmarks"}
    found = {path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name[0] == "."}
    assert found <= known | {"build"}


def test_the_wheel_lists_every_package() -> None:
    inits = [path for room in ROOMS for path in files(room) if path.stem == "__init__"]
    found = {f"antiphon.{'.'.join(path.parent.relative_to(ROOT).parts)}" for path in inits}
    assert found | {"antiphon"} == set(SETUPTOOLS["packages"])


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_a_door_for_checkers(room: str) -> None:
    doors = sorted((ROOT / "antiphon").glob(f"{room}.pyi")) or sorted(
        (ROOT / "antiphon" / room).glob("*.pyi")
    )
    assert doors
    for door in doors:
        inner = "" if door.stem in (room, "__init__") else f".{door.stem}"
        assert door.read_text("utf-8") == f"from {room}{inner} import *\n"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_downwards_and_through_doors(room: str) -> None:
    allowed = {f"antiphon.{name}" for name in ROOMS[room]} | {"antiphon.errors", "antiphon"}
    for name in ROOMS[room]:  # a room of several doors is entered by one of them
        inner = (ROOT / "antiphon" / name).glob("[!_]*.pyi")
        allowed |= {f"antiphon.{name}.{door.stem}" for door in inner}
    for path in files(room):
        inside = {f"antiphon.{room}"} if room == "testing" else set[str]()
        ours = {name for name in imports(path) if name.split(".")[0] in {"antiphon", *ROOMS}}
        assert ours <= allowed | inside, f"{path.relative_to(ROOT)} may not import {ours - allowed}"


@pytest.mark.parametrize("folder", ALONE)
def test_what_runs_inside_a_sandbox_imports_nothing_of_ours(folder: str) -> None:
    for path in files(folder):
        assert not {name for name in imports(path) if name.split(".")[0] == "antiphon"}


def test_no_file_outgrows_a_reader() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in everything()
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_outgrows_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno}": node.name
        for path in everything()
        if "tests" not in path.parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    }
    assert long == {}
