"""One call of a `@tool` function: arguments in, events out, a receipt at the end.

Above: `tool.py`, which begins it. Below: `call.py`. Not here: who may call.
"""

import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar

import anyio
import anyio.to_thread
from pydantic import ValidationError

from antiphon.errors import ModelRetry, ToolError, ToolFailed, whence
from antiphon.items import Content, Event, ToolCall, ToolProgress

from .arguments import Arguments
from .call import ArgumentsCall
from .context import Progress, context_of
from .hosted import Scope, Slot
from .result import RESULT_LIMIT, content_of, misfit, surprise
from .text import bounded, clean

_T = TypeVar("_T")

Kind: TypeAlias = Literal["async", "sync", "stream"]
"""A coroutine function, a plain function (run in a thread), an async generator function."""

logger: logging.Logger = logging.getLogger("antiphon.tools")

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Work:
    """What a tool's calls do. `timeout` in seconds; `context` is the parameter that wants one.
    `discreet`: of an exception that it did not mean for anybody the type is told, and no more.
    """

    name: str
    function: Callable[..., Any]
    kind: Kind
    arguments: Arguments
    context: str | None
    timeout: float | None
    discreet: bool = False


class FunctionRun(ArgumentsCall):
    """A call of a provider-run function; its item is `antiphon:tool_call`."""

    steps: ClassVar[str] = "antiphon:tool_call"

    def __init__(self, work: Work, slot: Slot, scope: Scope) -> None:
        super().__init__(slot)
        self.work = work
        self.scope = scope
        self.output: Content | None = None
        self.error: str | None = None

    def item(self, status: str) -> ToolCall:
        """The receipt so far."""
        return ToolCall(
            id=self.slot.item_id,
            status=status,
            name=self.work.name,
            arguments=self.arguments,
            output=self.output,
            error=self.error,
        )

    def fail(self, reason: str) -> Iterable[Event]:
        """End the item failed; the model reads the reason."""
        self.error = reason
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """Validate, execute, and tell how it ended."""
        name = self.work.name
        try:
            given = self._given()
            if self.work.kind == "stream":
                async with aclosing(self._stream(given)) as progress:
                    async for event in progress:
                        yield event
            else:
                self.output = content_of(await self._result(given), name)
        except ToolError as error:
            said = clean(str(error)) or "the tool gave up without saying why"
            last = self.fail(bounded(said, RESULT_LIMIT))
        except Exception as error:
            logger.error("tool %s failed: %s", name, whence(error))
            last = self.fail(surprise(error, name, discreet=self.work.discreet))
        else:
            last = self.end("completed")
        for event in last:
            yield event

    def _given(self) -> dict[str, Any]:
        work = self.work
        try:
            given = work.arguments.parse(self.arguments)
        except ValidationError as error:
            raise ModelRetry(misfit(error, work.name)) from None
        if work.context is not None:
            given[work.context] = context_of(self.scope, self.slot)
        return given

    async def _result(self, given: dict[str, Any]) -> Any:
        function = self.work.function
        if self.work.kind == "async":
            return await self._within(self.work.timeout, function(**given))
        # An abandoned thread runs on to its end, but nobody waits for it.
        result = await self._within(
            self.work.timeout,
            anyio.to_thread.run_sync(partial(function, **given), abandon_on_cancel=True),
        )
        # a decorator may have hidden that the function is async
        return await result if inspect.isawaitable(result) else result

    async def _stream(self, given: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """Progress as it is told; the one other value is the result."""
        result: Any = _NOTHING
        left = self.work.timeout
        async with aclosing(self.work.function(**given)) as values:
            while True:
                began = anyio.current_time()
                try:
                    value = await self._within(left, anext(values))
                except StopAsyncIteration:
                    break
                if left is not None:  # the time that our reader takes is not the tool's
                    left -= anyio.current_time() - began
                if isinstance(value, Progress):
                    yield self._progress(value)
                elif result is _NOTHING:
                    result = value
                else:
                    raise RuntimeError("it yielded two results: expected one, and Progress")
        if result is _NOTHING:
            raise RuntimeError("it yielded no result: expected one beside any Progress")
        self.output = content_of(result, self.work.name)

    def _progress(self, value: Progress) -> ToolProgress:
        return ToolProgress(
            item_id=self.slot.item_id,
            output_index=self.slot.output_index,
            message=clean(value.message),
            fraction=None if value.fraction is None else min(1.0, max(0.0, value.fraction)),
        )

    async def _within(self, seconds: float | None, work: Awaitable[_T]) -> _T:
        if seconds is None:
            return await work
        with anyio.move_on_after(seconds):
            return await work
        raise ToolFailed(
            f"`{self.work.name}` took longer than its {self.work.timeout:g} seconds and was stopped"
        )
