"""Why an interpreter ended, in words for whoever wrote the cell."""

from __future__ import annotations

import signal


def obituary(status: int | None, said: str, runner: str) -> str:
    """How it ended, and what it said last.

    Args:
        status: The exit status, negative for a signal; None if it never ran.
        said: What it left on its own standard error.
        runner: The folder of the runner, as tracebacks have it.
    """
    lines = said.splitlines()
    # Below our own first frame stands only the runner, which is nobody's business.
    ours = [at for at, line in enumerate(lines) if runner in line]
    last = "\n".join(lines[: ours[0]] if ours else lines)
    return f"{_verdict(status)}\n{last}".rstrip()


def _verdict(status: int | None) -> str:
    if status is None:
        return "The interpreter never ran."
    if status >= 0:
        return f"The interpreter ended with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"The interpreter was ended by {name}."
