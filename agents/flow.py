"""Flow: one run of a workflow, from its first event to its last.

Above: `workflow` (what is run, and `run`, by which its function calls agents). Below: `delegate`
(a child's whole run as one call) and `telling`. The function works in a task of its own; all
that it causes comes through one queue to one generator, which numbers and folds it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias, cast

import anyio
from pydantic_core import to_json

from antiphon.errors import (
    AntiphonError,
    ConfigurationError,
    OutputError,
    RequestError,
    RunError,
    ScriptError,
    whence,
)
from antiphon.items import (
    Event,
    Fault,
    Item,
    ItemAdded,
    ItemDone,
    Message,
    OutputText,
    PartAdded,
    PartDone,
    Response,
    SpentBudget,
    TextDelta,
    TextDone,
)
from antiphon.tools import Scope, Slot

from .budget import OPEN
from .citing import cited_whole
from .closing import closing
from .delegate import AgentRun, Serve
from .journal import Entry, Journal
from .merge import Merge
from .resuming import hoisted
from .stopping import stopping
from .telling import Telling, told_of

log: logging.Logger = logging.getLogger("antiphon.agents")

SHOWN: Final = 1000
"""Characters of an exception's text that a response repeats."""

HOPS: Final = 8
"""Rounds of the event loop that a function has to begin another run, once one of its runs waits
for a person and no other is under way."""

_Told: TypeAlias = Event | int
"""What the function causes: an event, or the index of a call that it gave up."""

CURRENT: ContextVar["Flow | None"] = ContextVar("antiphon_flow", default=None)
"""The flow that the code which runs now is the function of."""


class Flow:
    """One run of a workflow.

    Args:
        name: The workflow's.
        scope: The run, as its children know it.
        telling: Of the workflow's own response.
        journal: What its runs gave before, where it goes on.
    """

    def __init__(self, name: str, scope: Scope, telling: Telling, journal: Journal) -> None:
        self._name = name
        self._scope = scope
        self._telling = telling
        self._merge: Merge[_Told] = Merge()
        self._journal = journal
        self._calls = len(telling.fold.drafts)
        self._active = 0
        self._parked = 0
        self._inside = anyio.CancelScope()
        self._spent: SpentBudget | None = None
        self._over = False
        self._text: str | None = None
        self._error: BaseException | None = AntiphonError("it was cancelled from inside")

    async def events(
        self, function: Callable[[Any], Coroutine[Any, Any, object]], given: object
    ) -> AsyncGenerator[Event, None]:
        """The whole run with its beginning, and with its true end whatever happens."""
        for event in self._telling.begin():
            yield event
        if self._journal.answered:
            for event in self._telling.complete():
                yield event
            return
        left = False
        work = partial(self._work, function, given)
        try:
            async with aclosing(self._merge.told_by([work])) as told:
                async for entry in told:
                    for event in self._tell(entry):
                        try:
                            yield event
                        except GeneratorExit:
                            left = True
                            raise
        except anyio.get_cancelled_exc_class():
            if left:  # nobody listens any more
                raise
            for event in self._telling.cancel():
                yield event
            raise
        for event in self._ending():
            yield event

    async def call(self, agent: str, serve: Serve, items: Sequence[Item]) -> Response:
        """Run a child as one item of this response.

        Raises:
            RunError: It failed, was cut, or could not begin.
            ConfigurationError: The function has returned already.
        """
        if self._over:
            raise self._late()
        words = words_of(items)
        entry = self._journal.take(agent, words)
        if entry is not None and entry.waits:
            await self._park()
        if entry is not None and not entry.words:
            return self._recorded(entry)
        self._active += 1
        try:
            call = await self._called(agent, serve, items, entry)
        finally:
            self._active -= 1
            self._look()
        if call.waits:
            await self._park()
        if call.error is not None or call.response is None:
            why = call.error or "it never began"
            raise RunError(f"{agent} failed: {why}", response=call.response or self._fault(why))
        return call.response

    async def _called(
        self, agent: str, serve: Serve, items: Sequence[Item], entry: Entry | None
    ) -> AgentRun:
        """Make the call, or go on with the one that waits; its end."""

        def read(_: Sequence[Item], __: str) -> Sequence[Item]:
            return items

        slot = Slot(self._scope.ids.item("antiphon:agent_call"), self._calls)
        self._calls += 1
        account = OPEN.get() or self._scope.account
        call = AgentRun(agent, serve, slot, replace(self._scope, account=account), context=read)
        if entry is not None:
            call.go_on(entry.call, entry.words, self._scope.items)
        self._telling.fold.follow(slot.output_index, call.fold)
        self._post(call.open())
        call.ready(to_json({"input": words_of(items)}).decode())
        around = CURRENT.set(None)  # what a child's own tools run is no call of this function
        try:
            await self._pump(call)
        except anyio.get_cancelled_exc_class():
            self._post([slot.output_index])
            raise
        except RequestError as error:
            self._post(call.refuse(error.message))
        except Exception as error:
            self._post(call.refuse(f"{agent} broke: {type(error).__name__}"))
            raise
        finally:
            CURRENT.reset(around)
        details = call.response and call.response.incomplete_details
        if details is not None and details.budget is not None:
            self._spent = self._spent or self._scope.account.over(details.budget.resource)
        return call

    def _recorded(self, entry: Entry) -> Response:
        """What a run gave before.

        Raises:
            RunError: It failed.
        """
        response = entry.response()
        if response.error is not None:
            raise RunError(
                f"{entry.call.agent} failed: {response.error.message}", response=response
            )
        return response

    async def _park(self) -> None:
        """Wait for a person: this response ends before they come, and the function with it."""
        self._parked += 1
        try:
            self._look()
            await anyio.sleep_forever()
        finally:
            self._parked -= 1

    def _look(self, hops: int = HOPS) -> None:
        """Stop the function if all that it waits for are people."""
        if self._parked and not self._active:
            if hops == 0:
                self._inside.cancel()
                return
            asyncio.get_running_loop().call_soon(self._look, hops - 1)

    async def _pump(self, call: AgentRun) -> None:
        """Run the child, no faster than its events are told."""
        if not self._scope.allowance.take():
            self._post(call.refuse("max_tool_calls is reached: no more agents run"))
            return
        spent = call.account.call()
        if spent is not None:
            self._spent = self._spent or self._scope.account.over(spent.resource)
            self._post(call.refuse(told_of(spent)))
            return
        events = cast("AsyncGenerator[Event, None]", call.run())
        async with aclosing(events):
            await self._merge.pump(events)

    def _post(self, entries: Iterable[_Told]) -> None:
        """Queue what is to be told. It never waits, so no cancellation can come between."""
        for entry in entries:
            if self._over:
                raise self._late()
            self._merge.put(entry)

    def _fault(self, message: str) -> Response:
        """The response of what never began."""
        fault = Fault(code="not_run", message=message)
        return Response(id=self._scope.ids("resp"), model=self._name, status="failed", error=fault)

    def _late(self) -> ConfigurationError:
        return ConfigurationError(
            f"run: workflow {self._name!r} has returned already: await every run before that, "
            "in a task group that the function itself opens"
        )

    async def _work(
        self, function: Callable[[Any], Coroutine[Any, Any, object]], given: object
    ) -> None:
        CURRENT.set(self)
        OPEN.set(self._scope.account)
        left = self._scope.account.left()
        try:
            with self._inside, anyio.move_on_after(left) as clock:
                self._text = _text_of(await function(given))
                self._error = None
            if clock.cancelled_caught:
                self._spent = self._scope.account.timed()
        except anyio.get_cancelled_exc_class():
            if stopping():
                raise
        except (Exception, SystemExit) as error:
            self._error = _innermost(error)
        finally:
            self._over = True

    def _tell(self, entry: _Told) -> Iterator[Event]:
        """What an entry of the queue tells."""
        if not isinstance(entry, int):
            yield self._telling.tell(entry)
            return
        draft = self._telling.fold.drafts[entry]
        if draft.whole is None:
            yield from map(self._telling.tell, closing(draft, entry, "cancelled"))

    def _ending(self) -> Iterator[Event]:
        """The answer and the end; or why there is none.

        Raises:
            ScriptError: A script ran out: a test is wrong, not the run.
        """
        error = self._error
        if isinstance(error, ScriptError):
            raise error
        if self._inside.cancel_called:
            yield from self._waiting()
            return
        if self._spent is not None and error is not None:
            yield from self._telling.spend(self._spent)
            return
        if error is None and self._journal.due:
            error = ConfigurationError(
                "it did not come back to the run that was approved: a workflow must ask for the "
                "same runs again when it goes on"
            )
        if error is not None:
            yield from self._telling.fail("workflow_failed", self._reason(error))
            return
        yield from self._telling.close("its workflow returned before it ended")
        if self._text is not None:
            item_id = self._scope.ids.item("message")
            message = _message(self._text, item_id, len(self._telling.fold.drafts))
            for event in cited_whole(message, self._scope.citations):
                yield self._telling.tell(event)
        yield from self._telling.complete()

    def _waiting(self) -> Iterator[Event]:
        """The end for now: the requests that people are to decide on."""
        yield from self._telling.close("its workflow waits for approval")
        for request in hoisted(self._telling.fold, 0, self._scope.items):
            index = len(self._telling.fold.drafts)
            yield self._telling.tell(ItemAdded(output_index=index, item=request))
            yield self._telling.tell(ItemDone(output_index=index, item=request))
        yield from self._telling.complete()

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, RunError | OutputError):
            return str(error)[:SHOWN]
        if isinstance(error, AntiphonError):
            return f"{type(error).__name__}: {error}"[:SHOWN]
        log.error("workflow %s broke: %s", self._name, whence(error))
        return f"internal error: {type(error).__name__}"  # its text may hold what is nobody's here


def words_of(items: Sequence[Item]) -> str:
    """The text of the last user message; empty where there is none."""
    said = [item for item in items if isinstance(item, Message) and item.role == "user"]
    return said[-1].text if said else ""


def _text_of(value: object) -> str | None:
    """What a function returned, as a message says it."""
    return value if value is None or isinstance(value, str) else to_json(value).decode()


def _innermost(error: BaseException) -> BaseException:
    """The first error of a task group's: what made it end."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


def _message(text: str, item_id: str, index: int) -> Iterator[Event]:
    """One message, told as if it had been streamed."""
    at: dict[str, Any] = {"item_id": item_id, "output_index": index, "content_index": 0}
    item = Message(id=item_id, role="assistant", status="in_progress", content=[])
    part = OutputText(text=text)
    yield ItemAdded(output_index=index, item=item)
    yield PartAdded(**at, part=OutputText(text=""))
    if text:
        yield TextDelta(**at, delta=text)
    yield TextDone(**at, text=text)
    yield PartDone(**at, part=part)
    done = item.model_copy(update={"status": "completed", "content": [part]})
    yield ItemDone(output_index=index, item=done)
