"""`antiphon files`: what it must not lose, make or alter by a slip of whoever types."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from antiphon.tools import search as kept

from .kit import Run
from .served import COMMAND
from .shelves import Shop, tree
from .test_files import provider as provider, shop as shop

PATIENCE = 60


@pytest.fixture
def index(antiphon: Run, tmp_path: Path) -> Shop:
    return Shop(antiphon, ("--index", str(tmp_path / "docs.db")))


def test_json_has_every_character_as_it_was_and_none_that_commands_a_terminal(
    index: Shop, tmp_path: Path
) -> None:
    name, text = "a\u202eb\u0085c.md", "a \u202ekeel\u0085 \x1b[2J\ttab"
    docs = tree(tmp_path / "docs", {name: text})
    assert index.added(docs)["added"] == [f"docs/{name}"]
    assert set(index.listed()) == {f"docs/{name}"}
    assert index.found("keel")[0]["text"] == text
    for command in (["ls", "--store", "docs"], ["search", "keel"]):
        done = index.run("files", *command, "--json", *index.where)
        assert not set("\u202e\u0085\x1b") & set(done.out), done


@pytest.mark.parametrize("command", [["ls"], ["ls", "--store", "docs"], ["search", "keel"]])
def test_only_adding_makes_an_index(index: Shop, tmp_path: Path, command: list[str]) -> None:
    done = index.run("files", *command, *index.where)
    assert done.code == 2 and "there is no index" in done.err and "files add" in done.err
    assert list(tmp_path.iterdir()) == []


def test_pruning_by_another_folder_of_the_same_name_is_refused_before_anything_is_done(
    shop: Shop, tmp_path: Path
) -> None:
    shop.added(tree(tmp_path / "docs", {"a.md": "a keel", "b.md": "an oak"}))
    other = tree(tmp_path / "other" / "docs", {"c.md": "a raft"})
    done = shop.add(other, "--prune")
    assert done.code == 2, done
    assert "2 of the 2 files that the store has of docs/ are not in " in done.err
    assert "--yes" in done.err and "--as NAME" in done.err
    assert set(shop.listed()) == {"docs/a.md", "docs/b.md"} and shop.uploads() in (2, None)
    assert shop.added(other, "--prune", "--yes")["removed"] == ["docs/a.md", "docs/b.md"]
    assert set(shop.listed()) == {"docs/c.md"}


def test_two_commands_that_add_to_one_index_at_once_read_every_file(tmp_path: Path) -> None:
    index = str(tmp_path / "docs.db")
    running: list[subprocess.Popen[str]] = []
    for name in ("one", "two"):
        files = {f"{at:03}.md": f"number {at} of {name}" for at in range(100)}
        docs = tree(tmp_path / name, files)
        argv = [COMMAND, "files", "add", docs, "--index", index, "--store", name, "--json"]
        running.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
    for each in running:
        with each:
            out, _ = each.communicate(timeout=PATIENCE)
        assert each.returncode == 0, out[-2_000:]
        assert len(json.loads(out)["added"]) == 100


KILLED = """
import os, sys
from antiphon.tools.search.library import Library
Library.wake = lambda library: os.kill(os.getpid(), 9)
from antiphon.cli import main
main(sys.argv[1:])
"""


def killed(docs: str, index: Path) -> None:
    """Add a folder, and die when all of it is in the queue."""
    argv = [sys.executable, "-c", KILLED, "files", "add", docs, "--index", str(index)]
    ran = subprocess.run(argv, env={**os.environ, "PYTHONSAFEPATH": "1"}, check=False)
    assert ran.returncode == -9


posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@posix
def test_what_a_killed_command_left_is_read_by_the_same_command(
    index: Shop, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {"a.md": "a keel", os.fsdecode(b"b\xff.md"): "an oak"})
    killed(docs, tmp_path / "docs.db")
    again = index.added(docs)
    assert again["retried"] == ["docs/a.md", "docs/b\ufffd.md"] and not again["failures"]
    assert len(index.found("oak")) == 1
    with sqlite3.connect(tmp_path / "docs.db") as rows:
        told = rows.execute("SELECT DISTINCT source FROM files").fetchall()
    rows.close()
    assert told == [("",)], "expected no path of this machine to stay in what may be given away"


@posix
def test_what_a_killed_command_left_is_added_anew_where_its_folder_has_moved(
    index: Shop, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {"a.md": "a keel", "b.md": "an oak"})
    killed(docs, tmp_path / "docs.db")
    (tmp_path / "new").mkdir()
    Path(docs).rename(tmp_path / "new" / "docs")
    again = index.added(str(tmp_path / "new" / "docs"))
    assert again["failures"] == [] and again["replaced"] == ["docs/a.md", "docs/b.md"]
    assert len(index.listed()) == 2


@posix
@pytest.mark.anyio
async def test_what_a_killed_command_left_is_no_concern_of_a_process_that_reads_uploads(
    index: Shop, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {"a.md": "a keel"})
    await anyio.to_thread.run_sync(killed, docs, tmp_path / "docs.db")
    library = kept.Library(tmp_path / "docs.db")
    assert await library.engine.claim("t", now=1e12, until=2e12, sources=[""]) is None
    assert await library.engine.claim("t", now=1e12, until=2e12, sources=["path"]) is not None
    await library.aclose()
