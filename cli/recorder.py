"""The recorder: writes a run file while the run goes on.

Above: `run`. Below: `run_file` (what the lines are), `asked`. Each line is handed to the system
at once, so that a run which is killed leaves a file that can be read up to there.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pydantic_core import to_json

from antiphon.agents import Agent
from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.items import CreateResponse, Event, Item, Json, Usage
from antiphon.models import Model

from .asked import Asked, Key, Watched
from .run_file import MARK, Header, UsedLine, is_run_file
from .target import Target


class Recorder:
    """Writes one file. What is not a run file is never written over. Use it as a context manager.

    Args:
        path: Where to.

    Raises:
        ConfigurationError: There is something else under this name, or it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._last: dict[str, Asked] = {}
        self._began = time.monotonic()
        self._watched: list[tuple[Agent[Any], Model]] = []
        self._file = _opened(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for agent, model in self._watched:
            agent.model = model
        self._file.close()

    def begin(self, target: Target, items: Sequence[Item]) -> None:
        """A run begins."""
        header = Header(
            target=target.spec,
            kind=target.kind,
            agent=target.runnable.name,
            model=target.model,
            request=CreateResponse(model=target.runnable.name, input=list(items), store=False),
            started=time.time(),
        )
        self._began = time.monotonic()
        self._last.clear()
        self._write(header.to_json())

    def event(self, event: Event) -> None:
        """Something happened."""
        self._write(b'{"t":%.6f,"event":%b}' % (self._seconds(), event.to_json()))

    def asked(self, asked: Asked) -> None:
        """A model is asked."""
        note = to_json(_note(asked, self._last.get(asked.agent)))
        self._last[asked.agent] = asked
        self._write(b'{"t":%.6f,"asked":%b}' % (self._seconds(), note))

    def used(self, key: Key, usage: Usage) -> None:
        """A model has had its turn."""
        agent, run, turn = key
        note = UsedLine(agent=agent, run=run, turn=turn, usage=usage).to_json()
        self._write(b'{"t":%.6f,"used":%b}' % (self._seconds(), note))

    def watch(self, agents: Sequence[Agent[Any]]) -> None:
        """Note what the models of these agents are asked, until this is closed."""
        for agent in agents:
            if not isinstance(agent.model, Watched):
                self._watched.append((agent, agent.model))
                agent.model = Watched(agent.model, agent.name, asked=self.asked, used=self.used)

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise AntiphonError(
                f"{self._path}: the run cannot be recorded any further: "
                f"{error.strerror or error}: make room, or leave --record out"
            ) from error


def _note(asked: Asked, last: Asked | None) -> Json:
    """The line of what is asked, without what the agent's line before says already."""
    note: Json = {
        "agent": asked.agent,
        "model": asked.model,
        "run": asked.run,
        "turn": asked.turn,
        "read": asked.items[0],
        "digest": asked.items[1],
    }
    if last is None or last.instructions != asked.instructions:
        note["instructions"] = asked.instructions
    if last is None or last.tools != asked.tools:
        note["tools"] = asked.tools
    if last is None or last.options != asked.options:
        note["options"] = asked.options
    return note


def _opened(path: str) -> BinaryIO:
    file = Path(path)
    try:
        if file.is_file() and file.stat().st_size:
            with file.open("rb") as before:
                beginning = before.read(64)
            if not is_run_file(beginning):
                raise ConfigurationError(
                    f"--record {path}: there is a file of this name, and it is no run file: "
                    f"choose another name (a run file begins with {MARK.decode()} ...)"
                )
        return file.open("wb")
    except OSError as error:
        raise ConfigurationError(
            f"--record {path}: it cannot be written: {error.strerror or error}: "
            "name a file in a directory that you may write to"
        ) from error
