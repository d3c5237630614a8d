"""Lines: sessions with MCP servers, each in a task of its own, used by whoever has a question.

The SDK's contexts have to be left by the task that entered them, and not while somebody else's
cancel scope is open around them: so one task owns a session from its first byte to its last, and
callers only send requests through it. A caller that is cancelled sends the protocol's
cancellation and takes nothing else down. A line that nobody uses for a while is closed; one whose
server hung up is replaced when it is wanted again.

Above: `link`. Below: `way` (where to). Not here: what is asked.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

import anyio

from .fault import leaf, status_of, words
from .traffic import Traffic, Watch
from .way import Way

if TYPE_CHECKING:
    from mcp.client import Client

log: logging.Logger = logging.getLogger("antiphon.tools.mcp")

MOST: Final = 256
"""Sessions that may be open at the same time."""

SHARE: Final = 64
"""Sessions that one principal may have open."""

LISTEN_SECONDS: Final = 2.0
"""How long a server may take to say that it will tell of its changes; after that it still may."""

_PAUSES: Final = (0.5, 5.0, 60.0)
"""Seconds before a server is listened to again that broke off what it tells."""


class Unreachable(Exception):
    """There is no session with a server: nothing was asked of it.

    Attributes:
        status: The HTTP status that it answered with, where it did.
    """

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.status = status


class Line:
    """One session.

    Attributes:
        changes: How often the server said that its tools are others now.
        listed: Digests of what was listed since then, by the digest of the definition.
        why: What the server did that it was left for, if so.
        owner: Whose it is, where it is one principal's.
    """

    def __init__(self, way: Way, *, connect: float, idle: float, owner: str | None = None) -> None:
        self.owner: str | None = owner
        self.changes: int = 0
        self.listed: dict[str, str] = {}
        self.why: str | None = None
        self._way = way
        self._connect = connect
        self._idle = idle
        self._users = 0
        self._news = anyio.Event()
        self._ready = anyio.Event()
        self._scope = anyio.CancelScope()
        self._client: Client | None = None
        self._traffic: Traffic | None = None
        self._over = False
        self._fault = Unreachable("the session was closed")
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._live())

    @property
    def alive(self) -> bool:
        """Whether it can be used, here: a session belongs to its event loop."""
        return not self._over and self._loop is asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        """Whether nobody uses it."""
        return self._users == 0

    async def client(self) -> "Client":
        """The SDK's client, connected.

        Raises:
            Unreachable: It is not, and will not be.
        """
        await self._ready.wait()
        if self._client is None:
            raise self._fault
        if self._traffic is not None:
            self._traffic.asked()
        return self._client

    def wanted(self) -> None:
        """It told us of the progress that a request asks for."""
        if self._traffic is not None:
            self._traffic.wanted()

    def take(self) -> None:
        """One more uses it."""
        self._users += 1
        self._tell()

    def give(self) -> None:
        """One fewer does."""
        self._users -= 1
        self._tell()

    def end(self) -> None:
        """Hang up; whoever waits for an answer is told so."""
        self._over = True
        if self._loop is asyncio.get_running_loop():
            self._scope.cancel()

    async def closed(self) -> None:
        """Until it is."""
        if self._loop is asyncio.get_running_loop():
            await asyncio.wait([self._task])

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def _hung_up(self, why: str | None) -> None:
        self.why = self.why or why
        if self._client is not None:  # before that it may have been one of several attempts
            self._over = True
            self._tell()

    def _others(self) -> None:
        self.changes += 1
        self.listed.clear()

    async def _live(self) -> None:
        """The owner's whole life: enter, wait until nobody wants it, leave."""
        try:
            with self._scope:
                self._scope.deadline = anyio.current_time() + self._connect
                async with AsyncExitStack() as stack:
                    watch = Watch(self._hung_up, self._others)
                    client, self._traffic = await self._way.enter(stack, watch)
                    await self._serve(client)
            if self._client is None:
                self._fault = Unreachable(f"it was not there within {self._connect:g} seconds")
        except Exception as error:
            first = leaf(error)
            if self.why is not None:
                self._fault = Unreachable(self.why)
            elif isinstance(first, Unreachable):
                self._fault = first
            else:
                self._fault = Unreachable(words(first), status_of(first))
            log.info("a session with an MCP server ended: %s", type(first).__name__)
        finally:
            self._over = True
            self._client = None
            self._ready.set()

    async def _serve(self, client: "Client") -> None:
        """Until nobody has used it for a while, or the server hangs up."""
        async with anyio.create_task_group() as tasks:
            heard = anyio.Event()
            tasks.start_soon(self._listen, client, heard)
            with anyio.move_on_after(LISTEN_SECONDS):
                await heard.wait()
            if self._traffic is not None and self._traffic.over:
                raise Unreachable("it hung up")
            self._scope.deadline = math.inf
            self._client = client
            self._ready.set()
            while not self._over:
                news = self._news
                patience = math.inf if self._users else self._idle
                with anyio.move_on_after(patience) as waited:
                    await news.wait()
                if waited.cancelled_caught and not self._users:
                    break
            self._over = True
            tasks.cancel_scope.cancel()

    async def _listen(self, client: "Client", heard: anyio.Event) -> None:
        """From 2026 on, changes are told only to whoever listens for them, and does so before
        anything else is asked. While nobody listened there may have been some.
        """
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
        from mcp.shared.exceptions import MCPError

        offered = client.server_capabilities.tools
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        while offered is not None and offered.list_changed:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    heard.set()
                    async for _ in changes:
                        self._others()
            except (ListenNotSupportedError, MCPError, TimeoutError):
                break
            except SubscriptionLost:
                log.info("an MCP server broke off what it tells of its changes")
            if not heard.is_set():
                break
            await anyio.sleep(next(pauses))
            self._others()
        heard.set()


class Lines:
    """Sessions by what they lead to and whose they are.

    Args:
        connect: Seconds that connecting may take.
        idle: Seconds after which an unused session is closed.
    """

    def __init__(self, *, connect: float, idle: float) -> None:
        self._connect = connect
        self._idle = idle
        self._open: dict[Hashable, Line] = {}
        self._all: WeakSet[Line] = WeakSet()  # those that are being ended, too

    def peek(self, key: Hashable) -> Line | None:
        """The session under this key, if it is open."""
        line = self._open.get(key)
        return line if line is not None and line.alive else None

    @asynccontextmanager
    async def taken(
        self, key: Hashable, way: Way, owner: str | None = None
    ) -> AsyncGenerator[Line, None]:
        """A session, used until the block ends; opened if there is none.

        Args:
            key: What it leads to, and whose it is.
            way: How to get there.
            owner: The principal that it is counted for.

        Raises:
            Unreachable: Too many are open.
        """
        line = self.peek(key)
        if line is None:
            self._make_room(owner)
            line = Line(way, connect=self._connect, idle=self._idle, owner=owner)
            self._all.add(line)
        self._open.pop(key, None)
        self._open[key] = line  # the last one used stands last
        line.take()
        try:
            yield line
        finally:
            line.give()

    def drop(self, key: Hashable, line: Line) -> None:
        """This session is of no more use."""
        line.end()
        if self._open.get(key) is line:
            del self._open[key]

    def _make_room(self, owner: str | None) -> None:
        for key in [key for key, line in self._open.items() if not line.alive]:
            del self._open[key]
        own = [key for key, line in self._open.items() if owner and line.owner == owner]
        crowd = own if len(own) >= SHARE else list(self._open)
        if crowd is not own and len(crowd) < MOST:
            return
        unused = next((key for key in crowd if self._open[key].idle), None)
        if unused is None:
            whose = "of yours" if crowd is own else "here"
            raise Unreachable(f"{len(crowd)} MCP servers {whose} are in use: try again later")
        self.drop(unused, self._open[unused])

    async def aclose(self) -> None:
        """Hang up everywhere; programs have ended then."""
        lines = list(self._all)
        self._open.clear()
        for line in lines:
            line.end()
        for line in lines:
            await line.closed()
