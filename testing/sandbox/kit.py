"""What the checks of sandboxes are made of: run a cell to its end, and look at what it gave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from antiphon.errors import SandboxFileError, SandboxNotFound
from antiphon.sandboxes import Display, Finished, Output, Sandbox, Sandboxes, Started

SandboxCheck: TypeAlias = Callable[[Sandboxes], Awaitable[None]]
"""One law of sandboxes: takes a fresh backend, fails with AssertionError."""

PRINCIPAL = "conformance"
"""Whose containers the checks use."""


@dataclass(slots=True)
class Ran:
    """What one cell gave: its streams joined, the values it showed, and its end."""

    finished: Finished
    stdout: str = ""
    stderr: str = ""
    shown: list[Display] = field(default_factory=list[Display])

    @property
    def error(self) -> str:
        """The error, empty if there is none."""
        return self.finished.error or ""


async def run_cell(sandbox: Sandbox, code: str, *, limit: float | None = None) -> Ran:
    """Run one cell to its end; asserts that Started comes first and Finished last, once each.

    `limit` is the cell's own, in seconds.
    """
    events = [event async for event in sandbox.run(code, timeout=limit)]
    assert isinstance(events[-1], Finished), events
    assert isinstance(events[0], Started), events
    ran = Ran(events[-1])
    for event in events[1:-1]:
        if isinstance(event, Output):
            assert event.text
            if event.stream == "stdout":
                ran.stdout += event.text
            else:
                ran.stderr += event.text
        else:
            assert isinstance(event, Display), event
            ran.shown.append(event)
    return ran


async def open_new(sandboxes: Sandboxes, *, principal: str = PRINCIPAL) -> Sandbox:
    """A sandbox on a newly minted container."""
    return await sandboxes.open(
        container_id=sandboxes.mint(principal=principal), principal=principal
    )


async def run_ok(sandbox: Sandbox, code: str) -> Ran:
    """Run one cell and assert that it ended well."""
    ran = await run_cell(sandbox, code)
    assert ran.finished.status == "ok", ran
    return ran


def wait_for(name: str) -> str:
    """Source that waits, without sleeping, until a file is there."""
    return f"import os\nwhile not os.path.exists({name!r}): pass\n"


async def refused(asked: Awaitable[object]) -> str:
    """Asserts that a file request is refused; returns the message."""
    try:
        await asked
    except SandboxFileError as error:
        return str(error)
    raise AssertionError("expected SandboxFileError, and it was done")


async def not_found(asked: Awaitable[object]) -> str:
    """Asserts that there is no such container; returns the message."""
    try:
        await asked
    except SandboxNotFound as error:
        return str(error)
    raise AssertionError("expected SandboxNotFound, and it was done")
