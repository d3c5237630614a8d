"""A shell command as a cell of a sandbox: its source, and what its events come to.

The command runs as a process of its own, and its exit code is the value of the cell: no text
that a command prints can be taken for it. Above: `shell_call.py`. Below: a sandbox's cells.
"""

from typing import Final

from antiphon.items import ShellOutcome, ShellOutput, clean
from antiphon.sandboxes import Display, Finished, Output

NOT_RUN: Final = 126
"""The exit code of a command that could not be run, as shells have it."""

_NOTE: Final = 1_000
"""Characters that are kept of what the sandbox says, at least."""

_LOST: Final = "[Python variables were lost before this command: the interpreter is a new one]"

_SOURCE: Final = """
import os, signal, subprocess

def run(command, alone):
    bash = "/bin/bash" if os.path.exists("/bin/bash") else None
    process = subprocess.Popen(
        command, shell=True, executable=bash, stdin=subprocess.DEVNULL, start_new_session=alone
    )
    try:
        code = process.wait()
    except BaseException:  # over time, or nobody waits: nothing of it stays behind
        if alone:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        raise
    return code if code >= 0 else 128 - code
"""


def cell_of(command: str, *, alone: bool) -> str:
    """The source of a cell that runs a command; it leaves no name behind.

    Args:
        command: For the system's shell.
        alone: Whether it gets a session of its own, so that all of it can be killed; where
            nobody ends what is left in the end (no container), it stays with its interpreter.
    """
    run = f'(lambda names: (exec({_SOURCE!r}, names), names["run"])[1])({{}})'
    return f"{run}({command!r}, {alone!r})"


class Printed:
    """What one command has printed, and how it ended.

    Attributes:
        broken: Whether the sandbox ended under it, so that no more can be run there.
    """

    __slots__ = ("_code", "_streams", "broken")

    def __init__(self) -> None:
        self._streams: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._code: int | None = None
        self.broken: bool = False

    def take(self, event: Output | Display) -> str:
        """What it prints now; its exit code is kept."""
        if isinstance(event, Output):
            text = clean(event.text)
            self._streams[event.stream].append(text)
            return text
        value = event.data.decode("utf-8", "replace")
        if event.mime == "text/plain" and value.isdigit() and len(value) < 10:
            self._code = int(value)
        return ""

    def ended(self, finished: Finished, limit: int, written: str) -> ShellOutput:
        """The command's whole output.

        Args:
            finished: How its cell ended.
            limit: Characters of each stream that are kept.
            written: A line that names the files it has written, if it has.
        """
        if finished.status == "timeout":
            lost = f"[the sandbox was restarted] {finished.error or ''}".rstrip()
            note = lost if finished.state_lost else written
            return self._output(ShellOutcome(type="timeout"), limit, note)
        self.broken = finished.status in ("crashed", "cancelled")
        code, note = self._code, written
        if finished.status != "ok" or code is None:
            code, note = NOT_RUN, (finished.error or "its exit code is not known").rstrip()
            if finished.status == "error":
                note = note.splitlines()[-1]
        if finished.state_lost and not self.broken:  # what code has set, beside the shell
            note = f"{_LOST}\n{note}".rstrip()
        return self._output(ShellOutcome(type="exit", exit_code=code), limit, note)

    def stopped(self, reason: str, limit: int) -> ShellOutput:
        """The output of a command that was not run to its end, or not at all."""
        self.broken = True
        return self._output(ShellOutcome(type="exit", exit_code=NOT_RUN), limit, reason)

    def _output(self, outcome: ShellOutcome, limit: int, note: str) -> ShellOutput:
        stdout, stderr = (_cut("".join(text), limit) for text in self._streams.values())
        if note:  # however little of a command's own words is wanted
            stderr += "" if stderr.endswith("\n") or not stderr else "\n"
            stderr += _cut(clean(note), max(limit, _NOTE))
        return ShellOutput(stdout=stdout, stderr=stderr, outcome=outcome)


def _cut(text: str, limit: int) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= limit:
        return text
    head, tail = limit // 2, limit - limit // 2
    note = f"\n[{len(text) - limit} characters left out]\n"
    return f"{text[:head]}{note}{text[len(text) - tail :]}"
