"""The stage of a replay: today's agents and workflows, with stand-ins where they would ask or run.

Every agent that runs is a twin of the real one: its own instructions, options and menu, with a
stand-in for its model and, unless tools are live, for each of its tools. Runs inside it are
driven in the same way, as deep as they go.

Above: `replay`. Below: `stand_in`, and the one loop of `antiphon.agents`.
"""

import copy
import math
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio

from antiphon.agents import Agent, Runnable, Setting, Workflow
from antiphon.items import Created, CreateResponse, Event, Ids
from antiphon.models import ModelRequest
from antiphon.tools import HostedTool, Lists, Offer

from .asked import Asked, Key, Looking
from .part import Part, positions_in
from .recorded import RecordedRun
from .run_file import Take, Told
from .score import Score
from .stand_in import StandIn, StandInHost, offer_of
from .stand_in_listing import StandInLister
from .target import runner_of

PATIENCE: Final = 20.0
"""Seconds that a run waits to be stopped, as it was, before it is said that nothing stops it."""

Serve = Callable[..., AsyncGenerator[Event, None]]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A model is asked otherwise than it was.

    Attributes:
        position: Of the event that came next, then.
        then: What it was asked.
        now: What it is asked.
    """

    position: int
    then: Asked
    now: Asked


class Stage:
    """Drives one replay.

    Args:
        take: The recording.
        run: Its events, as a tree.
        live: Whether tools really run.

    Attributes:
        came: The events of the replay, in order.
        reason: Why it stopped before its end, if it is not that the recording ends.
        over: Whether it was stopped.
        otherwise: The first request to a model that is not as it was.
    """

    def __init__(self, take: Take, run: RecordedRun, *, live: bool) -> None:
        self.came: list[Told] = []
        self.reason: str | None = None
        self.over: bool = False
        self.otherwise: Otherwise | None = None
        self._take = take
        self._run = run
        self._live = live
        self._ids = Ids()
        self._scope = anyio.CancelScope()
        self._parts: dict[str, Part] = {}
        self._score = Score()
        self._looking: dict[str, Looking] = {}
        self._asked: dict[tuple[str, int], list[Asked]] = {}
        for asked in take.asked:
            self._asked.setdefault((asked.agent, asked.turn), []).append(asked)

    async def play(self, runnable: Runnable[Any]) -> None:
        """Drive it from its beginning to its end, or until the recording does not go on.

        Raises:
            RequestError: Today it refuses what it was asked.
        """
        self._score.expect(positions_in(self._run, live=self._live))
        part = self._part(runnable, self._run)
        request = self._take.header.request
        with self._scope, self._instead_of_the_real_ones():
            events = self._driven(runnable, part, request, Setting(ids=self._ids))
            async with aclosing(events):
                async for event in events:
                    if not self.over:
                        self.came.append(Told(len(self.came), 0.0, event))

    async def stop(self, reason: str | None) -> None:
        """End the replay; it never returns. Without a reason the recording ends here: so does the
        replay, or else somebody is about to stop this run, as it was stopped then.
        """
        if reason is None and self._run.cut is not None:
            await self._score.reach(math.inf)
        elif reason is None:
            await anyio.sleep(PATIENCE)
            reason = f"a run that was stopped then goes on: nothing stopped it in {PATIENCE:g} s"
        if not self.over:
            self.over = True
            self.reason = reason
        self._scope.cancel()
        await anyio.sleep(math.inf)

    def _part(self, runnable: Runnable[Any], run: RecordedRun) -> Part:
        native = getattr(runnable.model, "native", ()) if isinstance(runnable, Agent) else ()
        if isinstance(runnable, Workflow):  # it has no model: what it does is told by itself
            self._score.tell(*(told.position for one in run.items for told in one.events))
        return Part(run, native, self.stop, self._score, self._take.used)

    async def _driven(
        self,
        runnable: Runnable[Any],
        part: Part,
        request: CreateResponse,
        setting: Setting,
    ) -> AsyncGenerator[Event, None]:
        """The events of one run."""
        if isinstance(runnable, Agent):
            runnable = self._twin(runnable, part, {})
        events = _real(type(runnable))(runnable, request, setting)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Created):
                    self._parts[event.response.id] = part
                yield event

    async def _inside(
        self, runnable: Runnable[Any], request: CreateResponse, setting: Setting
    ) -> AsyncGenerator[Event, None]:
        """The events of a run inside another."""
        assert setting.parent is not None
        part = self._parts[setting.parent.response_id]
        run = part.inside(runnable.name, request.items)
        if run is None:
            await self.stop(f"now {runnable.name} would run here, of which nothing was recorded")
            return
        part = self._part(runnable, run)
        events = self._driven(runnable, part, request, setting)
        async with aclosing(events):
            async for event in events:
                yield event

    def _twin(self, agent: Agent[Any], part: Part, twins: dict[int, Agent[Any]]) -> Agent[Any]:
        """An agent like this one, that asks and runs nobody; those it hands over to likewise."""
        if id(agent) in twins:
            return twins[id(agent)]
        twin = twins[id(agent)] = copy.copy(agent)
        look = self._look_for(agent, part)
        twin.model = StandIn(agent.name, part, look, name=agent.model.name)
        twin.tools = tuple(self._tool(tool, part) for tool in agent.tools)
        twin.handoffs = tuple(self._twin(each, part, twins) for each in agent.handoffs)
        return twin

    def _tool(self, tool: Any, part: Part) -> Any:
        inner = runner_of(tool)
        if inner is not None:
            return replace(tool, serve=self._serving(inner))
        if isinstance(tool, Offer):
            return offer_of(tool, part, live=self._live)
        if isinstance(tool, Lists):
            return tool if self._live else StandInLister(tool, part)
        hosted = isinstance(tool, HostedTool)
        return StandInHost(tool, part, live=self._live) if hosted else tool

    def _serving(self, runnable: Runnable[Any]) -> Serve:
        def serve(request: CreateResponse, setting: Setting) -> AsyncGenerator[Event, None]:
            return self._inside(runnable, request, setting)

        return serve

    def _look_for(self, agent: Agent[Any], part: Part) -> Callable[[ModelRequest], Key | None]:
        looking = self._looking.setdefault(agent.name, Looking())

        def look(request: ModelRequest) -> Key | None:
            now = looking.at(request, agent=agent.name, model=agent.model.name)
            then = self._asked.get((agent.name, now.turn), [])
            for each in then:
                if not any(each.differences(now)):
                    then.remove(each)
                    return each.key
            if not then:
                return None
            asked, position = then.pop(0), part.coming
            if self.otherwise is None or position < self.otherwise.position:
                self.otherwise = Otherwise(position, asked, now)
            return asked.key

        return look

    @contextmanager
    def _instead_of_the_real_ones(self) -> Generator[None]:
        """While it lasts, an agent that a workflow of this replay runs is driven by it, too.

        A workflow's function names the agents that it runs, and may make them as it goes: they
        are met where they begin to serve. Any other run goes on as ever.
        """

        def instead(kind: type[Runnable[Any]]) -> Serve:
            real = _SERVE[kind]

            def serve(
                self: Runnable[Any], request: CreateResponse, setting: Setting | None = None
            ) -> AsyncGenerator[Event, None]:
                if setting is None or setting.parent is None or setting.ids is not stage._ids:
                    return real(self, request, setting)
                return stage._inside(self, request, setting)

            return serve

        stage = self
        for kind in _SERVE:
            type.__setattr__(kind, "serve", instead(kind))
        try:
            yield
        finally:
            for kind, real in _SERVE.items():
                type.__setattr__(kind, "serve", real)


def _real(kind: type[Runnable[Any]]) -> Serve:
    """How runs of this kind are really served."""
    for each in kind.__mro__:
        if found := _SERVE.get(each) or vars(each).get("serve"):
            return found
    raise TypeError(kind)  # there is no kind without: it is abstract


_KINDS: Final[tuple[type[Runnable[Any]], ...]] = (Agent, Workflow)
_SERVE: Final[dict[type[Runnable[Any]], Serve]] = {kind: vars(kind)["serve"] for kind in _KINDS}
"""How runs are really served."""
