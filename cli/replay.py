"""`antiphon replay`: would the code of today do what was recorded?

Above: `entry`. Below: `run_file`, `recorded` (what was), `stage` (what is), `compare`. Not here:
asking a model; that is a new run.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import anyio

from antiphon.errors import ConfigurationError
from antiphon.items import Event

from .compare import MISSING, Comparison, Divergence, Field, item_fields
from .options import ReplayOptions
from .paper import Paper
from .preview import excerpts, title_of
from .recorded import RecordedItem, RecordedRun, tree_of
from .run_file import TORN, Take, read_runs
from .stage import Otherwise, Stage
from .target import Target, find_target, recorded_target

_SHOWN: Final = 8
"""Fields of one divergence that are shown."""

_WIDTH: Final = 160
"""Characters of one value that are shown."""


def replay(options: ReplayOptions) -> int:
    """Replay each run of the file; 0 if all are identical.

    Raises:
        ConfigurationError: The file is no run file, or its target is not to be had.
        RequestError: Today the target refuses what it was asked.
    """
    takes = read_runs(options.file)
    spec = options.target
    target = recorded_target(takes[0].header.target) if spec is None else find_target(spec)
    same = True
    with Paper() as paper:
        for number, take in enumerate(takes, start=1):
            if len(takes) > 1:
                paper.line(f"run {number} of {len(takes)}", style="bold")
            same = anyio.run(_replay, options, target, take, paper) and same
    return 0 if same else 1


async def _replay(options: ReplayOptions, target: Target, take: Take, paper: Paper) -> bool:
    if not take.events:
        raise ConfigurationError(
            f"{options.file}: there is nothing to replay: the run was refused, or stopped, before "
            "its first event"
        )
    then = tree_of(take.events)
    stage = Stage(take, then, live=options.live_tools)
    try:
        await stage.play(target.runnable)
    finally:
        if options.live_tools:
            with anyio.CancelScope(shield=True):
                await target.aclose()
    now = tree_of(stage.came)
    comparison = Comparison(stopped=stage.over and stage.reason is None, live=options.live_tools)
    found = comparison.first(then, now)
    return _Report(paper, take, then, stage).tell(found, now, comparison)


class _Report:
    """Says what a replay has found."""

    def __init__(self, paper: Paper, take: Take, then: RecordedRun, stage: Stage) -> None:
        self._paper = paper
        self._take = take
        self._then = then
        self._stage = stage
        self._count = sum(1 for _ in then.told())

    def tell(self, found: Divergence | None, now: RecordedRun, comparison: Comparison) -> bool:
        """Whether all is as it was."""
        asked = self._stage.otherwise
        if asked is not None and (found is None or asked.position <= found.position):
            self._asked(asked)
            if found is None:
                self._paper.note(
                    f"With the same words from the model, all {self._events()} are the same."
                )
                return False
            self._paper.line("")
        if found is not None:
            self._diverged(found, now, comparison)
            return False
        self._paper.line(f"identical: {self._events()}", style="green")
        if self._then.cut == "cancelled":
            self._paper.note("The run was stopped there.")
        elif self._then.cut == "torn":
            self._paper.note("The recording breaks off there, in the middle of the run.")
        if self._take.torn:
            self._paper.note(TORN)
        return True

    def _events(self) -> str:
        return f"{self._count} event{'' if self._count == 1 else 's'}"

    def _asked(self, asked: Otherwise) -> None:
        whose = f"{asked.now.agent} gets another request, in turn {asked.now.turn}"
        self._title("before", asked.position, f"the model of {whose}")
        for name, then, now in asked.then.differences(asked.now):
            self._field(Field(name, MISSING if then is None else then, now))

    def _diverged(self, found: Divergence, now: RecordedRun, comparison: Comparison) -> None:
        self._title("at", found.position, _place(found.path))
        if self._stage.reason is not None:
            self._paper.note(f"  {self._stage.reason}", style="yellow")
        then_type, now_type = _type(found.then), _type(found.now)
        if then_type != now_type:
            self._values(then_type, now_type)
        for each in found.fields[:_SHOWN]:
            if each.path != "type":
                self._field(each)
        if len(found.fields) > _SHOWN:
            self._paper.line(f"  and {len(found.fields) - _SHOWN} fields more")
        self._in_the_end(found, now, comparison)

    def _in_the_end(self, found: Divergence, now: RecordedRun, comparison: Comparison) -> None:
        """What became of the item, where its first difference does not show that."""
        other = _same_place(self._then, now, found.path)
        if other is None or not found.path:
            return
        shown = {each.path.removeprefix("item.") for each in found.fields}
        fields = [
            each
            for each in item_fields(comparison, found.path[-1], other)
            if each.path not in shown
        ]
        if fields:
            self._paper.line("  in the end, the item")
        for each in fields[:_SHOWN]:
            self._field(each)

    def _title(self, where: str, position: int, what: str) -> None:
        place = (
            f"{where} event {position + 1}" if position < self._count else "after the last event"
        )
        self._paper.line(f"differs {place} of {self._count}: {what}", style="bold red")

    def _field(self, one: Field) -> None:
        self._paper.line(f"  {one.path}")
        self._values(_shown(one.then), _shown(one.now))

    def _values(self, then: str, now: str) -> None:
        then, now = excerpts(then, now, _WIDTH)
        self._paper.line(f"    recorded  {then}", style="green")
        self._paper.line(f"    now       {now}", style="red")


def _place(path: Sequence[RecordedItem]) -> str:
    steps = [f"item {one.index + 1}, {title_of(one.item)}" for one in path]
    return " > ".join(steps) or "the response"


def _type(event: Event | None) -> str:
    return MISSING if event is None else event.type


def _shown(value: Any) -> str:
    return value if value is MISSING else json.dumps(value, ensure_ascii=False)


def _same_place(
    then: RecordedRun, now: RecordedRun, path: Sequence[RecordedItem]
) -> RecordedItem | None:
    """What stands in the replay where this item stands in the recording."""
    found: RecordedItem | None = None
    for step, place in zip(path, _indexes(then, path), strict=False):
        if place is None or place >= len(now.items):
            return None
        found = now.items[place]
        if found.item.type != step.item.type:
            return None
        now = found.child or RecordedRun()
    return found


def _indexes(run: RecordedRun, path: Sequence[RecordedItem]) -> Iterator[int | None]:
    for step in path:
        yield next((place for place, one in enumerate(run.items) if one is step), None)
        run = step.child or RecordedRun()
