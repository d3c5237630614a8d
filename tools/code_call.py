"""One call of the code interpreter: code as it is written, output as it runs, a receipt.

Above: `code_interpreter.py`, which begins it. Below: a sandbox, through `containers.py`.
Source of the events: the `openai` SDK's ResponseCodeInterpreterCall... classes.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from antiphon.errors import SandboxBusy, SandboxError, whence
from antiphon.items import (
    CodeDelta,
    CodeDone,
    CodeInterpreterCall,
    CodeOutput,
    CodeOutputDelta,
    Event,
    Json,
    clean,
)
from antiphon.sandboxes import CellEvent, Display, Finished, Output, Started

from .call import BaseCall
from .container_files import ContainerFile
from .hosted import Scope, Slot
from .partial import StringField
from .place import Place, cell, tell
from .receipt import Receipt
from .result import surprise

logger: logging.Logger = logging.getLogger("antiphon.tools")

_CURE: Final = 'Call it again with JSON such as {"code": "print(1)"}.'


@dataclass(frozen=True, slots=True)
class Desk:
    """What a call has from its request: where it works, for how many seconds, in which run."""

    place: Place
    timeout: float
    scope: Scope


class CodeCall(BaseCall):
    """A call whose item is `code_interpreter_call`; its outputs are always whole."""

    steps = "response.code_interpreter_call"

    def __init__(self, desk: Desk, slot: Slot) -> None:
        super().__init__(slot)
        self.desk = desk
        self.container_id = ""
        self.code = ""
        self.outputs: list[CodeOutput] | None = None
        self.fault: str | None = None
        self._field = StringField("code")
        self._written: list[str] = []
        self._receipt = Receipt()
        self._files: Sequence[ContainerFile] = ()

    def item(self, status: str) -> CodeInterpreterCall:
        """The receipt so far."""
        return CodeInterpreterCall(
            id=self.slot.item_id,
            status=status,
            container_id=self.container_id,
            code=self.code,
            outputs=self.outputs,
        )

    def open(self) -> Iterable[Event]:
        """The item begins, with a container that nothing has started yet."""
        try:
            self.container_id: str = self.desk.place.choose(self.desk.scope)
        except SandboxError as error:
            self.fault = str(error)
        return super().open()

    def write(self, delta: str) -> Iterable[Event]:
        """The part of the code that this fragment holds, if any."""
        return self._show(self._field.feed(delta))

    def ready(self, arguments: str) -> Iterable[Event]:
        """The code is whole."""
        written = "".join(self._written)
        code, fault = _code_of(arguments)
        rest: Iterable[Event] = ()
        if code is None:
            code = written
        elif code.startswith(written):
            rest = self._show(code[len(written) :])
        else:
            code, fault = written, f"The arguments hold `code` twice. {_CURE}"
        self.code: str = code
        self.fault = self.fault or fault
        slot = self.slot
        done = CodeDone(item_id=slot.item_id, output_index=slot.output_index, code=code)
        return (*rest, done)

    def fail(self, reason: str) -> Iterable[Event]:
        """End the item failed; the model reads the reason after what was printed."""
        return self._failed(reason)

    async def run(self) -> AsyncIterator[Event]:
        """Run the code, and tell what it prints and how it ended."""
        if self.fault is not None:
            for event in self.fail(self.fault):
                yield event
            return
        last: Iterable[Event] | None = None
        try:
            async with aclosing(self._cell()) as events:
                async for event in events:
                    if isinstance(event, Started):
                        yield self.step("interpreting")
                    elif isinstance(event, Output):
                        self._receipt.write(clean(event.text))
                        yield self._printed(event)
                    elif isinstance(event, Display):
                        self._receipt.show(event)
                    else:
                        last = self._finish(event)
        except SandboxBusy as error:
            last = self.fail(f"{error} Try again in {error.retry_after:.0f} seconds.")
        except SandboxError as error:
            last = self.fail(str(error) or type(error).__name__)
        except Exception as error:
            logger.error("the code interpreter failed: %s", whence(error))
            last = self.fail(surprise(error, "code_interpreter"))
        for event in self.fail("The sandbox fell silent.") if last is None else last:
            yield event

    async def _cell(self) -> AsyncGenerator[CellEvent, None]:
        desk = self.desk
        async with desk.place.visit(self.container_id, desk.scope) as visit:
            async with aclosing(cell(visit, self.code, desk.timeout)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        self._files = visit.files
                        for url in self._receipt.images:
                            visit.show(url, int(desk.scope.clock()))
                    yield event

    def _finish(self, finished: Finished) -> Iterable[Event]:
        """A cell that ran to its end is completed, whatever its code raised."""
        generation = f"interpreter generation {finished.generation}"
        if finished.status in ("ok", "error"):
            note = ""
            if finished.state_lost:
                note = f"[State was lost before this cell ran in a new interpreter ({generation}).]"
            if finished.error:
                self._receipt.line(finished.error)
            return self._closed("completed", note)
        reason = finished.error or f"The code was not run to its end ({finished.status})."
        if finished.state_lost:
            reason = f"{reason.rstrip()}\n[State was lost: {generation} comes next.]"
        return self._failed(reason)

    def _failed(self, reason: str) -> Iterable[Event]:
        self._receipt.line(reason)
        return self._closed("failed", "")

    def _closed(self, status: Literal["completed", "failed"], note: str) -> Iterable[Event]:
        written = tell(self._files, self.desk.scope)
        if written:
            self._receipt.line(written)
        self.outputs = self._receipt.outputs(note)
        return self.end(status)

    def _show(self, text: str) -> Iterable[Event]:
        if not text:
            return ()
        self._written.append(text)
        slot = self.slot
        return (CodeDelta(item_id=slot.item_id, output_index=slot.output_index, delta=text),)

    def _printed(self, output: Output) -> Event:
        return CodeOutputDelta(
            item_id=self.slot.item_id,
            output_index=self.slot.output_index,
            stream=output.stream,
            delta=clean(output.text),
        )


def _code_of(arguments: str) -> tuple[str | None, str | None]:
    """The code, or what is wrong. Bare line breaks in strings pass: models write them."""
    try:
        given: Any = json.loads(arguments, strict=False)
    except (ValueError, RecursionError) as error:
        return None, f"The arguments are not JSON ({error}). {_CURE}"
    fields = cast("Json", given) if isinstance(given, dict) else {}
    code: object = fields.get("code")
    if not isinstance(code, str):
        return None, f"The arguments have no `code` that is a string. {_CURE}"
    return clean(code), None
