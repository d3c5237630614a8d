"""`!command` lines."""

from __future__ import annotations


def shell(command: str) -> None:
    """Run a command line of the system's shell; its output is the cell's output."""
    import subprocess
    import sys

    code = subprocess.call(command, shell=True)
    if code:
        sys.stderr.write(f"[exit status {code}]\n")
