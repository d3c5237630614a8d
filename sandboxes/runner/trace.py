"""Tracebacks as the author of the cell would see them: no frame of the runner in them."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

from .display import shorten

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_DEEP = 1000


def describe(error: BaseException) -> str:
    """The traceback of an error, chained ones included, at most 64 KiB."""
    import traceback

    try:
        _cut(error)
        report = traceback.TracebackException.from_exception(error)
        _clean(report, set())
        text = "".join(report.format())
    except Exception as broken:  # an exception whose own methods raise
        text = f"{type(error).__name__} (its traceback cannot be shown: {type(broken).__name__})"
    if isinstance(error, SystemExit):
        text += "exit() ends only the cell; the interpreter goes on with its variables.\n"
    return shorten(text.rstrip("\n"))


def _cut(error: BaseException) -> None:
    """Take the middle out of a very deep traceback: rendering a million frames takes minutes."""
    links: list[TracebackType] = []
    link = error.__traceback__
    while link is not None:
        links.append(link)
        link = link.tb_next
    if len(links) > 2 * _DEEP:
        links[_DEEP - 1].tb_next = links[-_DEEP]


def _clean(report: Any, seen: set[int]) -> None:
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    frames = [f for f in report.stack if not f.filename.startswith(_HERE)]
    # What lies above the first frame of the cell is the event loop that carried it.
    cells = [at for at, frame in enumerate(frames) if frame.filename.startswith("<cell ")]
    report.stack[:] = frames[cells[0] :] if cells else []
    _clean(report.__cause__, seen)
    _clean(report.__context__, seen)
    for part in getattr(report, "exceptions", None) or ():
        _clean(part, seen)
