"""Manner: how requests are read, whatever they ask: whose they are, in what words, how large.

Above: every endpoint. Below: `auth`, `caller`, `door`.
"""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from .admit import admit_body
from .auth import Keys
from .caller import Caller
from .door import read_json
from .line import Line
from .rate import Throttle
from .view import Dialect


@dataclass(frozen=True, slots=True)
class Manner:
    """How requests are read and answered.

    Attributes:
        keys: Whose requests they are.
        dialect: Whose reasoning event names all clients get; None: each its own.
        max_body: Bytes that a request body may have.
        max_items: Items that a request may have.
        body_seconds: How long a body may take to arrive.
        keep_alive: Seconds of silence after which a line is kept alive.
        throttle: How many responses each principal may ask for.
    """

    keys: Keys
    dialect: Dialect | None
    max_body: int
    max_items: int
    body_seconds: float
    keep_alive: float
    throttle: Throttle

    async def principal(self, scope: Scope) -> str:
        """Whose request this is.

        Raises:
            RequestError: 401, 403, 503; nobody's that is known here.
        """
        return await self.keys.principal(scope)

    def caller(self, scope: Scope) -> Caller:
        """How its client is spoken to.

        Raises:
            RequestError: 400; it asks for a version that is not spoken here.
        """
        return Caller.of(Headers(scope=scope), dialect=self.dialect)

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """Its JSON body, not yet parsed.

        Raises:
            RequestError: 400, 408, 413, 415; it is not what a body may be.
            ClientDisconnect: The client left.
        """
        body = await read_json(scope, receive, limit=self.max_body, seconds=self.body_seconds)
        admit_body(body, max_items=self.max_items)
        return body

    def line(self, receive: Receive, send: Send, *, streaming: bool) -> Line:
        """The line to its client, for an answer that may take a while."""
        return Line(receive, send, streaming=streaming, quiet=self.keep_alive)
