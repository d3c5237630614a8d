"""The WebSocket at /v1/responses: who may open one, and how its client is spoken to.

A handshake is an HTTP request, and is refused as one: with the wire's error object, before
anything is opened. After it, `session` has the connection. Source: Open Responses
specification, "WebSocket transport". Needs a server that speaks WebSocket: for uvicorn that is
the package `websockets`, in `antiphon[server]`.

Above: `app`. Below: `session`, `auth` (whose it is), `caller`.
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from antiphon.errors import RequestError

from .access import Access
from .auth import Keys
from .caller import Caller
from .desk import Desk
from .door import request_id_of
from .problem import Problem
from .rate import Throttle
from .session import STALLED_SECONDS, Session, Terms
from .view import Dialect

CONNECTION_SECONDS: Final = 3600.0
"""How long a connection may last: 60 minutes, as the specification has it."""


class WebSocketDoor:
    """An ASGI application for WebSockets at one path.

    Args:
        keys: Whose key is whose.
        desk: What every response is made with.
        throttle: How many responses each principal may ask for.
        dialect: The provider's own choice for all clients, if it made one.
        max_body: Bytes that a message may have.
        seconds: How long a connection may last.
        stalled: Seconds after which a client that takes nothing has left.
    """

    def __init__(
        self,
        *,
        keys: Keys,
        desk: Desk,
        throttle: Throttle,
        dialect: Dialect | None = None,
        max_body: int = 64 * 1024 * 1024,
        seconds: float = CONNECTION_SECONDS,
        stalled: float = STALLED_SECONDS,
    ) -> None:
        self._keys = keys
        self._desk = desk
        self._dialect: Dialect | None = dialect
        self._terms = Terms(throttle, max_body=max_body, seconds=seconds, stalled=stalled)
        self._sessions: set[Session] = set()
        self._draining = False

    def routes(self) -> list[WebSocketRoute]:
        """Where it stands."""
        return [WebSocketRoute("/v1/responses", self)]

    def drain(self) -> None:
        """Close every connection when the response on it has ended; those without one now, and
        those that are still being opened at once.
        """
        self._draining = True
        for session in self._sessions:
            session.leave()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its handshake on."""
        access = Access(scope, request_id_of(scope).decode())
        try:
            await self._serve(scope, receive, send, access)
        finally:
            access.end()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, access: Access) -> None:
        headers = Headers(scope=scope)
        try:
            principal = await self._keys.principal(scope)
            if self._keys.open:
                _own_pages_only(headers)
            caller = Caller.of(headers, dialect=self._dialect)
        except Exception as error:
            problem = Problem.of(error)
            access.status = problem.status
            await _refuse(problem, scope, receive, send)
            return
        if (await receive())["type"] != "websocket.connect":
            return  # it left before it was let in
        try:
            await send({"type": "websocket.accept"})
        except OSError:
            return
        access.status = 101
        session = Session(
            receive,
            send,
            desk=self._desk,
            principal=principal,
            caller=caller,
            terms=self._terms,
        )
        self._sessions.add(session)
        if self._draining:
            session.leave()
        try:
            await session.run()
        finally:
            self._sessions.discard(session)


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a handshake as HTTP; a server that cannot closes it, which clients see as 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await problem.answer()(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": problem.code or ""})


def _own_pages_only(headers: Headers) -> None:
    """Refuse web pages of other places: a browser lets any page open a WebSocket to here.

    (It lets none POST JSON to here: for that it asks first, and is not answered.)

    Raises:
        RequestError: 403.
    """
    origin = headers.get("origin")
    if origin is None:
        return  # no browser
    try:
        host = urlsplit(origin).hostname or ""
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise RequestError(
            f"this provider has no API keys and is not open to pages of {origin!r}: open the page "
            'from localhost, or configure api_keys={"<key>": "<principal>"}',
            status=403,
            code="local_only",
            type="permission_error",
        )
