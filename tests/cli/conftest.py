"""Every test of the command line may run one, and serve something for it to talk to."""

import sys

import pytest

from .kit import antiphon as antiphon, no_engine as no_engine, serving as serving


@pytest.fixture(autouse=True)
def _path_as_before(  # pyright: ignore[reportUnusedFunction]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command puts the folder that it is in on the path; other tests' modules stay theirs."""
    monkeypatch.setattr(sys, "path", [*sys.path])
