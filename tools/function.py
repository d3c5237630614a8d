"""One call of a `@tool` function: arguments in, events out, a receipt at the end.

Above: `tool.py`, which begins it. Below: `call.py`. Not here: who may call.
"""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import anyio.to_thread
from pydantic import ValidationError

from antiphon.errors import ModelRetry
from antiphon.items import Content, Event, ToolProgress, clean

from .arguments import Arguments
from .call import ReceiptCall
from .context import Progress, context_of
from .guard import guarded, paced, within
from .hosted import Scope, Slot
from .result import content_of, misfit

Kind: TypeAlias = Literal["async", "sync", "stream"]
"""A coroutine function, a plain function (run in a thread), an async generator function."""

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Work:
    """What a tool's calls do.

    Attributes:
        name: What the model calls.
        function: What runs.
        kind: How.
        arguments: Reads what the model wrote.
        context: The parameter that wants the run's context.
        timeout: Seconds that a call may take.
        discreet: Of an exception that it did not mean for anybody, tell the type and no more.
        item_type: The type of the receipts.
        bound: Arguments that the model does not fill.
    """

    name: str
    function: Callable[..., Any]
    kind: Kind
    arguments: Arguments
    context: str | None
    timeout: float | None
    discreet: bool = False
    item_type: str = "antiphon:tool_call"
    bound: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def late(self) -> str:
        """What the model reads of a call that took too long."""
        return f"`{self.name}` took longer than its {self.timeout or 0:g} seconds and was stopped"


class FunctionRun(ReceiptCall):
    """A call of a provider-run function."""

    def __init__(self, work: Work, slot: Slot, scope: Scope) -> None:
        super().__init__(slot, name=work.name, item_type=work.item_type)
        self.work = work
        self.scope = scope

    def run(self) -> AsyncIterator[Event]:
        """Validate, execute, and tell how it ended."""
        work = self.work
        return guarded(self, self._execute(), name=work.name, discreet=work.discreet)

    async def _execute(self) -> AsyncGenerator[Event, None]:
        given = self._given()
        if self.work.kind != "stream":
            self.output = content_of(await self._result(given), self.work.name)
            return
        async with aclosing(self._stream(given)) as progress:
            async for event in progress:
                yield event

    def _given(self) -> dict[str, Any]:
        work = self.work
        try:
            given = work.arguments.parse(self.arguments)
        except ValidationError as error:
            raise ModelRetry(misfit(error, work.name)) from None
        if work.context is not None:
            given[work.context] = context_of(self.scope, self.slot)
        return {**given, **work.bound}

    async def _result(self, given: dict[str, Any]) -> Any:
        function = self.work.function
        if self.work.kind == "async":
            return await within(function(**given), self.work.timeout, self.work.late)
        # An abandoned thread runs on to its end, but nobody waits for it.
        result = await within(
            anyio.to_thread.run_sync(partial(function, **given), abandon_on_cancel=True),
            self.work.timeout,
            self.work.late,
        )
        # a decorator may have hidden that the function is async
        return await result if inspect.isawaitable(result) else result

    async def _stream(self, given: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """Progress as it is told; the one other value is the result."""
        result: Any = _NOTHING
        values = paced(self.work.function(**given), self.work.timeout, self.work.late)
        async with aclosing(values):
            async for value in values:
                if isinstance(value, Progress):
                    yield self._progress(value)
                elif result is _NOTHING:
                    result = value
                else:
                    raise RuntimeError("it yielded two results: expected one, and Progress")
        if result is _NOTHING:
            raise RuntimeError("it yielded no result: expected one beside any Progress")
        self.output: Content | None = content_of(result, self.work.name)

    def _progress(self, value: Progress) -> ToolProgress:
        return ToolProgress(
            type=f"{self.stem}.progress",
            item_id=self.slot.item_id,
            output_index=self.slot.output_index,
            message=clean(value.message),
            fraction=None if value.fraction is None else min(1.0, max(0.0, value.fraction)),
        )
