"""Sessions of MCP over HTTP: a hall for each principal, made when it first comes.

Hosts of revisions until 2025-11-25 keep a session, since a server has questions to ask them;
later ones say everything with every request. The SDK does both. A session of another principal is
none here, as one that never was. Halls are tasks of their own: a Provider that is mounted in
another application has no lifespan, so they begin with the first request, and end when nobody has
a session there any more, or with `aclose`.

Above: `mcp_api`. Below: the SDK's session manager.
"""

import asyncio
import contextvars
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

MOST: Final = 128
"""Sessions that one principal may have at a time."""

LEFT: Final = "antiphon.left"
"""Where the scope of an HTTP request holds what is to be cancelled when its client leaves."""

IDLE: Final = 1800.0
"""Seconds after which a session ends that nobody has used."""

QUIET: Final = 30.0
"""Seconds for which a hall without a session waits for the next request."""

_SESSION: Final = "mcp-session-id"


class Sessions:
    """All halls.

    Args:
        server: Makes the server of a principal.
        max_body: Bytes that a request may have.
    """

    def __init__(self, server: "Callable[[str], Server[Any]]", *, max_body: int) -> None:
        self._server = server
        self._most, self._idle, self._quiet = MOST, IDLE, QUIET
        self._max_body = max_body
        self._halls: dict[str, _Hall] = {}

    async def serve(self, principal: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a principal's host."""
        hall = self._halls.get(principal)
        if hall is None or not hall.open:
            hall = _Hall(
                self._manager(principal),
                partial(self._forget, principal),
                idle=self._idle,
                quiet=self._quiet,
            )
            self._halls[principal] = hall
        await hall.serve(scope, receive, send)

    async def aclose(self) -> None:
        """End all sessions, and the calls that are under way in them."""
        halls = list(self._halls.values())
        self._halls.clear()
        for hall in halls:
            await hall.aclose()

    def _forget(self, principal: str, hall: "_Hall") -> None:
        if self._halls.get(principal) is hall:
            del self._halls[principal]

    def _manager(self, principal: str) -> "StreamableHTTPSessionManager":
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        return StreamableHTTPSessionManager(
            self._server(principal),
            max_sessions=self._most,
            session_idle_timeout=self._idle,
            max_request_body_size=self._max_body,
        )


class _Hall:
    """The sessions of one principal, on the loop that it was made on.

    Args:
        manager: Keeps them.
        left: Told when this ends.
        idle: Seconds after which a session ends that nobody uses.
        quiet: Seconds after which this ends when there is none.
    """

    def __init__(
        self,
        manager: "StreamableHTTPSessionManager",
        left: "Callable[[_Hall], None]",
        *,
        idle: float,
        quiet: float,
    ) -> None:
        self._manager = manager
        self._left = left
        self._idle = idle
        self._quiet = quiet
        self._used: dict[str, float] = {}  # sessions, and when each was used last
        self._guests = 0
        self._closing = False
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        # a context of its own: nothing of the request that came first is known to the others
        self._task = self._loop.create_task(self._live(), context=contextvars.Context())

    @property
    def open(self) -> bool:
        """Whether requests can be served here."""
        usable = not self._closing and not self._task.done()
        return usable and self._loop is asyncio.get_running_loop()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answers: list[Message] = []

        async def heard(message: Message) -> None:
            if message["type"] == "http.response.start":
                answers.append(message)
            await send(message)

        self._guests += 1
        self._news.set()
        try:
            await asyncio.shield(self._ready)
            await self._manager.handle_request(scope, receive, heard)
        finally:
            for answer in answers:
                self._note(scope, answer)
            self._guests -= 1
            self._news.set()

    async def aclose(self) -> None:
        """End it."""
        self._closing = True
        if self._loop is asyncio.get_running_loop():
            self._news.set()
            await asyncio.gather(self._task, return_exceptions=True)

    def _note(self, scope: Scope, message: Message) -> None:
        """Which session an answer was about, and whether it still is one."""
        headers = Headers(raw=message["headers"])
        name = Headers(scope=scope).get(_SESSION) or headers.get(_SESSION)
        now = self._loop.time()
        self._used = {each: at for each, at in self._used.items() if now - at < self._idle}
        if name is not None:
            self._used.pop(name, None)
            if message["status"] < 400 and scope["method"] != "DELETE":
                self._used[name] = now

    async def _live(self) -> None:
        try:
            async with self._manager.run():
                self._ready.set_result(None)
                while not self._closing:
                    self._news.clear()
                    wait = self._idle if self._used else self._quiet
                    with anyio.move_on_after(math.inf if self._guests else wait) as waited:
                        await self._news.wait()
                    self._closing |= waited.cancelled_caught and not self._guests
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)  # who waits for it has it
        finally:
            self._closing = True
            self._left(self)
