"""One call of the shell: commands as they are written, output as they run, two items.

A shell call and its output are an item each. The output is added before the call is finished, so
that whatever cuts the run, no call is left without one. Above: `shell.py`, which begins it.
Below: a sandbox, through `containers.py`. Source of the events: the `openai` SDK's
ResponseShellCall... classes.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from antiphon.errors import SandboxBusy, SandboxError, whence
from antiphon.items import (
    Event,
    ItemAdded,
    ItemDone,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellCommandAdded,
    ShellCommandDelta,
    ShellCommandDone,
    ShellOutput,
    ShellOutputDelta,
    ShellOutputDone,
    ShellPrinted,
    clean,
)
from antiphon.sandboxes import CellEvent, Display, Finished, Output

from .container_files import ContainerFile
from .hosted import ANEW, Scope, Slot
from .partial import StringsField
from .place import Place, cell, tell
from .result import misfit, surprise
from .shell_cell import Printed, cell_of

logger: logging.Logger = logging.getLogger("antiphon.tools")

COMMANDS: Final = 32
"""Commands of one call."""


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Action(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", strict=True)

    commands: Annotated[
        list[str], BeforeValidator(_several), Field(min_length=1, max_length=COMMANDS)
    ]
    timeout_ms: Annotated[int, Field(ge=1, le=86_400_000)] | None = None
    max_output_length: Annotated[int, Field(ge=1, le=1_048_576)] | None = None


def action_of(arguments: str) -> _Action:
    """What a call asks for. Bare line breaks in strings pass: models write them.

    Raises:
        ValidationError: It is no JSON object with commands.
    """
    try:
        given: Any = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return _Action.model_validate_json(arguments)  # raises, and says what is wrong
    action = _Action.model_validate(given)
    action.commands = [clean(command) for command in action.commands]
    return action


@dataclass(frozen=True, slots=True)
class ShellDesk:
    """What the calls of one request share: where they work, and how much they may take."""

    place: Place
    timeout: float
    output: int


class ShellRun:
    """A call that becomes a `shell_call` and a `shell_call_output`."""

    def __init__(self, desk: ShellDesk, call_id: str, slot: Slot, scope: Scope) -> None:
        self._desk = desk
        self._slot = slot
        self._scope = scope
        self._call_id = call_id
        self._container = ""
        self._fault: str | None = None
        self._action = ShellAction(commands=[])
        self._field = StringsField("commands")
        self._written: list[str] = []
        self._output_id = scope.ids.item("shell_call_output")
        self._outputs: list[ShellOutput] = []
        self._files: Sequence[ContainerFile] = ()
        self._stage = 0  # 1: its output is added, 2: the call is done

    def _call(self, status: str) -> ShellCall:
        place = {"type": "container_reference", "container_id": self._container}
        return ShellCall(
            id=self._slot.item_id,
            call_id=self._call_id,
            status=status,
            action=self._action,
            environment=place if self._container else None,
        )

    def _output(self, status: str) -> ShellCallOutput:
        return ShellCallOutput(
            id=self._output_id,
            call_id=self._call_id,
            status=status,
            max_output_length=self._action.max_output_length,
            output=list(self._outputs),
        )

    def open(self) -> Iterable[Event]:
        """The item begins, with a container that nothing has started yet."""
        try:
            self._container = self._desk.place.choose(self._scope)
        except SandboxError as error:
            self._fault = str(error)
        return (ItemAdded(output_index=self._slot.output_index, item=self._call("in_progress")),)

    def write(self, delta: str) -> Iterable[Event]:
        """The parts of commands that this fragment holds."""
        for number, text in self._field.pieces(delta):
            yield from self._show(number, text)

    def ready(self, arguments: str) -> Iterable[Event]:
        """The commands are whole."""
        try:
            action = action_of(arguments)
        except ValidationError as error:
            self._fault = self._fault or misfit(error, "shell")
            yield from self._close(self._written)
            return
        written = self._written
        if not all(map(str.startswith, action.commands, written)) or len(written) > len(
            action.commands
        ):
            self._fault = self._fault or "The arguments hold `commands` twice. Call it again."
            yield from self._close(written)
            return
        self._action = ShellAction(
            commands=action.commands,
            timeout_ms=action.timeout_ms,
            max_output_length=action.max_output_length,
        )
        yield from self._close(action.commands)

    def _close(self, commands: list[str]) -> Iterator[Event]:
        """Show what was not shown yet, and say that each is whole."""
        self._action = self._action.model_copy(update={"commands": list(commands)})
        for number, command in enumerate(self._action.commands):
            shown = self._written[number] if number < len(self._written) else ""
            yield from self._show(number, command[len(shown) :])
            place = self._place(number)
            yield ShellCommandDone(**place, command=command)

    def _show(self, number: int, text: str) -> Iterator[Event]:
        while len(self._written) <= number:
            place = self._place(len(self._written))
            self._written.append("")
            yield ShellCommandAdded(**place, command="")
        if text:
            self._written[number] += text
            yield ShellCommandDelta(**self._place(number), delta=text)

    def _place(self, number: int) -> dict[str, Any]:
        slot = self._slot
        return {
            "item_id": slot.item_id,
            "output_index": slot.output_index,
            "command_index": number,
        }

    def _printing(self, number: int) -> dict[str, Any]:
        return {"item_id": self._output_id, "output_index": ANEW, "command_index": number}

    def refuse(self, reason: str) -> Iterable[Event]:
        """It will not be executed, or not to its end; its output says why."""
        if self._stage == 0:
            yield ItemAdded(output_index=ANEW, item=self._output("in_progress"))
        output = Printed().stopped(reason, self._desk.output)
        yield ShellOutputDone(**self._printing(len(self._outputs)), output=[output])
        self._outputs.append(output)
        yield ItemDone(output_index=ANEW, item=self._output("incomplete"))
        if self._stage < 2:
            yield ItemDone(output_index=self._slot.output_index, item=self._call("incomplete"))

    async def run(self) -> AsyncIterator[Event]:
        """Run the commands in order, and tell what each prints and how it ended."""
        if self._fault is not None:
            for event in self.refuse(self._fault):
                yield event
            return
        self._stage = 1
        yield ItemAdded(output_index=ANEW, item=self._output("in_progress"))
        self._stage = 2
        yield ItemDone(output_index=self._slot.output_index, item=self._call("completed"))
        broken = False
        for number, command in enumerate(self._action.commands):
            printed = Printed()
            async with aclosing(self._one(command, number, printed)) as events:
                async for event in events:
                    yield event
            broken = printed.broken
            if broken:
                break
        status = "incomplete" if broken else "completed"
        yield ItemDone(output_index=ANEW, item=self._output(status))

    async def _cell(self, command: str, seconds: float) -> AsyncGenerator[CellEvent, None]:
        place = self._desk.place
        source = cell_of(command, alone=place.containers.sandboxes.isolation != "none")
        async with place.visit(self._container, self._scope) as visit:
            async with aclosing(cell(visit, source, seconds)) as events:
                async for event in events:
                    self._files = visit.files
                    yield event

    async def _one(
        self, command: str, number: int, printed: Printed
    ) -> AsyncGenerator[Event, None]:
        """One command; whatever goes wrong is said in its output."""
        desk = self._desk
        asked = self._action.timeout_ms
        seconds = desk.timeout if asked is None else min(desk.timeout, asked / 1000)
        limit = min(desk.output, self._action.max_output_length or desk.output)
        ended: ShellOutput | None = None
        try:
            async with aclosing(self._cell(command, seconds)) as events:
                async for event in events:
                    if isinstance(event, Output | Display):
                        text = printed.take(event)
                        if text and isinstance(event, Output):
                            delta = ShellPrinted.model_validate({event.stream: text})
                            yield ShellOutputDelta(**self._printing(number), delta=delta)
                    elif isinstance(event, Finished):
                        ended = printed.ended(event, limit, tell(self._files, self._scope))
        except SandboxBusy as error:
            reason = f"{error} Try again in {error.retry_after:.0f} seconds."
            ended = printed.stopped(reason, limit)
        except SandboxError as error:
            ended = printed.stopped(str(error) or type(error).__name__, limit)
        except Exception as error:
            logger.error("the shell failed: %s", whence(error))
            ended = printed.stopped(surprise(error, "shell"), limit)
        output = ended or printed.stopped("The sandbox fell silent.", limit)
        self._outputs.append(output)
        yield ShellOutputDone(**self._printing(number), output=[output])
