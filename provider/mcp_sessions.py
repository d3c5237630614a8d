"""Sessions of MCP over HTTP: a hall for each principal, made when it first comes.

Hosts of revisions until 2025-11-25 keep a session, since a server has questions to ask them;
later ones say everything with every request. The SDK does both. A session of another principal is
none here, as one that never was. Halls are tasks of their own: a Provider that is mounted in
another application has no lifespan, so they begin with the first request, and `aclose` ends them.

Above: `mcp_api`. Below: the SDK's session manager.
"""

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

MOST: Final = 128
"""Sessions that one principal may have at a time."""

LEFT: Final = "antiphon.left"
"""Where the scope of an HTTP request holds what is to be cancelled when its client leaves."""

IDLE: Final = 1800.0
"""Seconds after which a session ends that nobody has used."""


class Sessions:
    """All halls.

    Args:
        server: Makes the server of a principal.
        most: Sessions that one principal may have at a time.
        idle: Seconds after which an unused session ends.
        max_body: Bytes that a request may have.
    """

    def __init__(
        self,
        server: "Callable[[str], Server[Any]]",
        *,
        max_body: int,
        most: int = MOST,
        idle: float = IDLE,
    ) -> None:
        self._server = server
        self._most = most
        self._idle = idle
        self._max_body = max_body
        self._halls: dict[str, _Hall] = {}

    async def serve(self, principal: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a principal's host."""
        hall = self._halls.get(principal)
        if hall is None or not hall.open:
            hall = self._halls[principal] = _Hall(self._manager(principal))
        manager = await hall.manager()
        await manager.handle_request(scope, receive, send)

    async def aclose(self) -> None:
        """End all sessions, and the calls that are under way in them."""
        halls = list(self._halls.values())
        self._halls.clear()
        for hall in halls:
            await hall.aclose()

    def _manager(self, principal: str) -> "StreamableHTTPSessionManager":
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        return StreamableHTTPSessionManager(
            self._server(principal),
            max_sessions=self._most,
            session_idle_timeout=self._idle,
            max_request_body_size=self._max_body,
        )


class _Hall:
    """The sessions of one principal, on the loop that it was made on."""

    def __init__(self, manager: "StreamableHTTPSessionManager") -> None:
        self._manager = manager
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._over = asyncio.Event()
        # a context of its own: nothing of the request that came first is known to the others
        self._task = self._loop.create_task(self._live(), context=contextvars.Context())

    @property
    def open(self) -> bool:
        """Whether requests can be served here."""
        return not self._task.done() and self._loop is asyncio.get_running_loop()

    async def manager(self) -> "StreamableHTTPSessionManager":
        """The SDK's manager, running."""
        await asyncio.shield(self._ready)
        return self._manager

    async def aclose(self) -> None:
        """End it."""
        if self._loop is asyncio.get_running_loop():
            self._over.set()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _live(self) -> None:
        async with self._manager.run():
            self._ready.set_result(None)
            await self._over.wait()
