"""`antiphon files add`, stopped in the middle: nothing is lost, nothing is there twice."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import FileSearch

from .kit import Run, Serving
from .served import COMMAND
from .shelves import Shop, tree

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from cli.files_add import Adding, Report
    from cli.files_index import IndexShelf
    from cli.files_shelf import named
    from cli.files_tree import Choice, find
    from cli.options import Where
else:
    from antiphon.cli.files_add import Adding, Report
    from antiphon.cli.files_index import IndexShelf
    from antiphon.cli.files_shelf import named
    from antiphon.cli.files_tree import Choice, find
    from antiphon.cli.options import Where

PATIENCE = 60
SOON = 25
"""Seconds; a claim on a file that nobody gave back would hold for 30."""


class Stalling:
    """A provider that stops taking uploads after some, until it is let go.

    Args:
        after: How many it takes.
    """

    def __init__(self, after: int) -> None:
        self.app = Provider(models=[ScriptedModel(["x"])], tools=[FileSearch()])
        self.after = after
        self.taken = 0
        self.stalled = threading.Event()
        self.attached = threading.Event()
        self.free = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/v1/files"):
            self.taken += 1
            if self.taken > self.after and not self.free.is_set():
                self.stalled.set()
                await to_thread.run_sync(self.free.wait, PATIENCE)
        await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["path"].endswith("/file_batches"):
            self.attached.set()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_after_ctrl_c_the_same_command_goes_on(
    antiphon: Run, serving: Serving, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {f"{at:03}.txt": f"number {at}" for at in range(100)})
    app = Stalling(60)
    url = f"{serving(app)}/v1"
    argv = [COMMAND, "files", "add", docs, "--url", url]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ran:
        try:
            assert app.stalled.wait(PATIENCE)
            ran.send_signal(signal.SIGINT)
            _, told = ran.communicate(timeout=PATIENCE)
        finally:
            ran.kill()
            app.free.set()
    assert ran.returncode == 130, told
    said = re.search(
        r"^interrupted: (\d+) of 100 files are sent, and in the store docs ", told, re.M
    )
    assert said is not None, told
    sent = int(said[1])
    assert 56 <= sent <= 60, "expected all but those that were under way"
    assert told.endswith("; run the same command again to continue\n")
    assert "Traceback" not in told
    shop = Shop(antiphon, ("--url", url))
    assert len(shop.listed()) == sent
    again = shop.added(docs)
    assert len(again["unchanged"]) + len(again["retried"]) == sent
    assert len(again["added"]) == 100 - sent
    assert len(shop.listed()) == 100


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_after_kill_9_no_file_is_in_the_store_twice(
    antiphon: Run, serving: Serving, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {f"{at:03}.txt": f"number {at}" for at in range(100)})
    app = Stalling(60)
    url = f"{serving(app)}/v1"
    argv = [COMMAND, "files", "add", docs, "--url", url]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        try:
            assert app.stalled.wait(PATIENCE) and app.attached.wait(PATIENCE)
        finally:
            ran.kill()
            app.free.set()
    shop = Shop(antiphon, ("--url", url))
    again = shop.added(docs)
    kept = len(again["unchanged"]) + len(again["retried"])
    assert 50 <= kept <= 60, "expected what was attached to be kept"
    assert len(again["added"]) == 100 - kept
    assert len(shop.listed()) == 100


class Stop:
    """Cancels a scope when so many files were sent (see `files_add.Watch`)."""

    def __init__(self, scope: anyio.CancelScope, after: int) -> None:
        self._scope = scope
        self._after = after

    def sent(self, number: int, total: int) -> None:
        if number >= self._after:
            self._scope.cancel()

    def read(self, number: int, total: int) -> None:
        """Too late."""


async def added(index: Path, docs: str, *, stop: int = 1_000) -> Report | None:
    """Add a folder to an index; None where it was stopped before it had an end."""
    shelf = IndexShelf(str(index), Where(), make=True)
    try:
        store = await named(shelf, "docs", make=True)
        with anyio.CancelScope() as scope:
            adding = Adding(shelf, store, {}, Stop(scope, stop))
            return await adding.run(find([docs], Choice()), prune=False)
    finally:
        with anyio.CancelScope(shield=True):
            await shelf.aclose()
    return None


@pytest.mark.anyio
async def test_an_index_goes_on_at_once_where_a_command_was_stopped(tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {f"{at:03}.txt": f"number {at}" for at in range(100)})
    index = tmp_path / "docs.db"
    assert await added(index, docs, stop=40) is None
    with anyio.fail_after(SOON):
        report = await added(index, docs)
    assert report is not None and report.failures == []
    kept = len(report.unchanged) + len(report.retried)
    assert 40 <= kept < 50 and kept + len(report.added) == 100
    again = await added(index, docs)
    assert again is not None and len(again.unchanged) == 100
