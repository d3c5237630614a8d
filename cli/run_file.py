"""Run files: the events of a run as they happened, one JSON object a line.

    {"antiphon": "run", "version": 1, "target": ..., "request": {...}, "started": ...}
    {"t": 0.0002, "event": {"type": "response.created", ...}}
    {"t": 0.0009, "asked": {"agent": "guide", "turn": 1, ...}}
    {"t": 0.4117, "event": {"type": "response.output_item.added", ...}}
    {"t": 0.5025, "used": {"agent": "guide", "turn": 1, "usage": {...}}}

The fold of the events is the response. A file may hold several runs, each with a header of its
own: one that waits for a person's word, and the one that goes on with it. Where models were
watched, `asked` lines say what they were asked, and `used` lines what that took.

Above: `recorder` (writes), `replay`, `trace`, `run --items` (read). A file is somebody else's:
everything in it is checked, and nothing in it is run.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from antiphon.errors import ConfigurationError
from antiphon.items import (
    CreateResponse,
    Event,
    Fold,
    Item,
    Json,
    Maybe,
    UnknownEvent,
    Usage,
    Wire,
    kind_of,
)

from .asked import Asked, Key

VERSION: Final = 1
MARK: Final = b'{"antiphon":"run"'
"""How every run file begins, as we write it."""

MAX_BYTES: Final = 256 * 1024 * 1024
"""What a run file may have: all of it is held while it is looked at."""

TORN: Final = "The file ends in the middle of a line; its last line is torn, and was left out."

Seconds: TypeAlias = Annotated[float, Field(ge=0, lt=1e12)]
Count: TypeAlias = Annotated[int, Field(ge=1)]


class Header(Wire):
    """The first line of a run.

    Attributes:
        target: What was run, as `module:name`.
        kind: What that is.
        agent: Its name.
        model: The name of its model; None for a workflow.
        request: What was asked of it.
        started: When, in seconds since 1970.
    """

    antiphon: Literal["run"] = "run"
    version: int = VERSION
    target: str
    kind: Literal["agent", "workflow"]
    agent: str
    model: str | None = None
    request: CreateResponse
    started: Seconds


class AskedLine(Wire):
    """`Asked` on a line. What is as it was the last time is left out.

    Attributes:
        read: How many items.
        digest: Of these.
    """

    agent: str
    model: str
    run: Count
    turn: Count
    instructions: str | None = None
    tools: Maybe[dict[str, str]] = None
    options: Maybe[Json] = None
    read: Annotated[int, Field(ge=0)]
    digest: str


class UsedLine(Wire):
    """The tokens of one turn, as its model reported them."""

    agent: str
    run: Count
    turn: Count
    usage: Usage


class _Line(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, allow_inf_nan=False)

    t: Seconds = 0.0
    event: Json | None = None
    asked: AskedLine | None = None
    used: UsedLine | None = None
    antiphon: Any = None
    version: Any = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event and when it happened.

    Attributes:
        position: Its place among the events of the run, from 0.
        t: Seconds since the run began.
    """

    position: int
    t: float
    event: Event


@dataclass(slots=True)
class Take:
    """One run, as it was recorded.

    Attributes:
        header: What was run, and what was asked.
        events: All its events.
        asked: What models were asked. Whoever records may hear of it before he hears of the
            events that came first, so their places among these say nothing.
        used: The tokens of turns, as far as they were reported.
        torn: Whether the file breaks off in the middle of its last line.
        fold: The events, folded.
    """

    header: Header
    events: list[Told] = field(default_factory=list[Told])
    asked: list[Asked] = field(default_factory=list[Asked])
    used: dict[Key, Usage] = field(default_factory=dict[Key, Usage])
    torn: bool = False
    fold: Fold = field(default_factory=Fold)

    def add(self, t: float, event: Event) -> None:
        """One more event.

        Raises:
            ValueError: It speaks of an item that was never added.
        """
        self.fold.add(event)
        self.events.append(Told(len(self.events), t, event))

    @property
    def items(self) -> list[Item]:
        """The whole conversation: what was asked, and what came of it so far."""
        return [*self.header.request.items, *self.fold.output]


def is_run_file(data: bytes) -> bool:
    """Whether this beginning of a file is that of a run file."""
    return data.replace(b" ", b"").startswith(MARK)


def read_runs(path: str) -> list[Take]:
    """The runs of a file; at least one.

    Raises:
        ConfigurationError: It cannot be read, is no run file, or one of another version; the
            message names the line.
    """
    takes: list[Take] = []
    data = read_bytes(path, MAX_BYTES, "a run file")
    if not is_run_file(data[:64]):
        raise ConfigurationError(
            f"{path}: expected a run file, which begins with {MARK.decode()} ...; got something "
            "else: record one with antiphon run ... --record FILE"
        )
    lines = data.split(b"\n")  # what a whole file has after its last line is nothing
    memory = _Memory()
    for number, line in enumerate(lines, start=1):
        try:
            _take(line, takes, memory)
        except ValidationError as error:
            if takes and number == len(lines):
                takes[-1].torn = True
                break
            raise ConfigurationError(f"{path}: line {number}: {fault_of(error)}") from None
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{path}: line {number}: {error}") from None
    return takes


def read_bytes(path: str, limit: int, what: str) -> bytes:
    """All of a file.

    Raises:
        ConfigurationError: It is not there, not a file, or longer than `limit` bytes.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{what} cannot be read: {path}: {error.strerror or error}"
        ) from error
    if len(data) > limit:
        raise ConfigurationError(
            f"{path}: expected {what} of at most {limit:,} bytes; it is longer"
        )
    return data


def _take(line: bytes, takes: list[Take], memory: "_Memory") -> None:
    if not line.strip():
        return
    read = _Line.model_validate_json(line)
    if read.antiphon is not None:
        if read.version != VERSION:
            raise ValueError(
                f"expected version {VERSION}; this run file has version {read.version!r}: "
                "use the antiphon that wrote it, or a newer one"
            )
        takes.append(Take(Header.model_validate_json(line)))
        memory.clear()
    elif read.event is not None:
        kind = kind_of(str(read.event.get("type"))) or UnknownEvent
        takes[-1].add(read.t, kind.model_validate(read.event))
    elif read.asked is not None:
        takes[-1].asked.append(memory.recall(read.asked))
    elif read.used is not None:
        used = read.used
        takes[-1].used[used.agent, used.run, used.turn] = used.usage
    # any other line is a newer version's


class _Memory:
    """Remembers, for each agent, what lines leave out."""

    def __init__(self) -> None:
        self._last: dict[str, Asked] = {}

    def clear(self) -> None:
        """Another run begins."""
        self._last.clear()

    def recall(self, line: AskedLine) -> Asked:
        """What a line says, and what it leaves out."""
        last = self._last.get(line.agent)
        given = line.model_fields_set
        asked = Asked(
            agent=line.agent,
            model=line.model,
            run=line.run,
            turn=line.turn,
            instructions=line.instructions,
            tools=line.tools or {},
            items=(line.read, line.digest),
            options=line.options or {},
        )
        if last is not None:
            fields = ("instructions", "tools", "options")
            same = {name: getattr(last, name) for name in fields if name not in given}
            asked = replace(asked, **same)
        self._last[line.agent] = asked
        return asked


def fault_of(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join(str(step) for step in first["loc"])
    return f"{path}: {first['msg']}" if path else first["msg"]
