"""One WebSocket connection: messages in, one response after the other, events out.

Whatever comes in waits for its turn, so that an error stands where its message stood and never
inside another's answer. A client that leaves, or takes nothing any more, ends its response; so
does the end of the connection's time.

Above: `websocket` (the handshake). Below: `turn` (one response), `continuation` (what is
remembered between them). Not here: frames, pings and compression, which are the server's.
"""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import anyio
import anyio.lowlevel
from pydantic_core import to_json
from starlette.types import Message, Receive, Send

from antiphon.errors import RequestError
from antiphon.items import ApprovalResponse, CreateResponse, McpApprovalResponse

from .admit import admit_body
from .caller import Caller
from .continuation import Continuation
from .desk import Desk
from .envelope import Envelope
from .problem import Problem
from .rate import Throttle
from .sending import Sending
from .turn import Turn

WAITING: Final = 32
"""Messages that may wait for their turn; together they may be as long as one."""

STALLED_SECONDS: Final = 60.0
"""How long a message may take to leave before its client counts as gone."""

_CLOSING_SECONDS: Final = 5.0
_GOING_AWAY: Final = 1001  # what clients take as a reason to connect again
_POLICY: Final = 1008


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a connection is held.

    Attributes:
        throttle: How many responses each principal may ask for.
        max_body: Bytes that a message may have.
        seconds: How long the connection may last.
        stalled: Seconds after which a client that takes nothing has left.
    """

    throttle: Throttle
    max_body: int
    seconds: float
    stalled: float


class Session:
    """One connection, after its handshake.

    Args:
        receive: ASGI's.
        send: ASGI's.
        desk: What every response is made with.
        principal: Whose connection it is.
        caller: How the client is spoken to.
        terms: On what terms it is held.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        desk: Desk,
        principal: str,
        caller: Caller,
        terms: Terms,
    ) -> None:
        self._receive = receive
        self._sending = Sending(send)
        self._memory = Continuation(desk.store)
        self._desk = replace(desk, store=self._memory.store)
        self._principal = principal
        self._caller = caller
        self._terms = terms
        self._waiting: deque[bytes | RequestError] = deque()
        self._waiting_bytes = 0
        self._news = anyio.Event()
        self._left = anyio.CancelScope()
        self._life = anyio.CancelScope()
        self._end = (_too_old(terms.seconds), _GOING_AWAY)
        self._leaving = False
        self._answering = False

    def leave(self) -> None:
        """This server goes: the response that is being told may end, then the line closes."""
        self._leaving = True
        self._end = (_going(), _GOING_AWAY)
        if not self._answering:
            self._life.cancel()

    async def run(self) -> None:
        """Answer everything that comes, until the client leaves or its time is over."""
        self._life.deadline = anyio.current_time() + self._terms.seconds
        try:
            with self._left:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._listen)
                    with self._life:
                        while not self._leaving:
                            heard = await self._next()
                            self._answering = True
                            await self._answer(heard)
                            self._answering = False
                    await self._close()
                    tasks.cancel_scope.cancel()
        finally:
            self._sending.abandon()

    # --- what comes in

    async def _listen(self) -> None:
        """Take messages as they come, also while a response runs: so that leaving is noticed."""
        while True:
            with anyio.move_on_after(self._terms.stalled / 4):
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    break
                self._take(message)
            await anyio.lowlevel.checkpoint()  # a flood lets others have their turn
            waited = time.monotonic() - self._sending.since
            if self._sending.busy and waited >= self._terms.stalled:
                break
        self._left.cancel()

    def _take(self, message: Message) -> None:
        """Put a message where it waits for its turn; what cannot be read waits as its error."""
        if self._leaving or self._life.cancel_called:
            return  # nothing is answered any more
        text: str | None = message.get("text")
        heard: bytes | RequestError
        if text is None:
            heard = RequestError(
                "expected a text message that holds JSON, got a binary one: send text",
                code="unsupported_message",
            )
        elif len(body := text.encode(errors="surrogatepass")) > self._terms.max_body:
            heard = RequestError(
                f"expected a message of at most {self._terms.max_body:,} bytes: "
                "send less, or send files by URL",
                status=413,
                code="request_too_large",
            )
        else:
            heard = body
            self._waiting_bytes += len(body)
        self._waiting.append(heard)
        crowd = len(self._waiting)
        if crowd > WAITING or (crowd > 1 and self._waiting_bytes > self._terms.max_body):
            self._end = (_too_many(), _POLICY)
            self._life.cancel()
        self._news.set()

    async def _next(self) -> bytes | RequestError:
        while not self._waiting:
            self._news = anyio.Event()
            await self._news.wait()
        heard = self._waiting.popleft()
        if isinstance(heard, bytes):
            self._waiting_bytes -= len(heard)
        return heard

    # --- what goes out

    async def _answer(self, heard: bytes | RequestError) -> None:
        """Answer one message: its response's events, or one error."""
        envelope: Envelope | None = None
        try:
            if isinstance(heard, RequestError):
                raise heard
            admit_body(heard, max_items=self._desk.max_items)
            envelope = Envelope.read(heard)
            envelope.check()
            turn = await self._respond(heard, envelope)
        except Exception as error:
            self._forget(envelope)
            await self._write([_error(error, envelope)])
            return
        record = turn.record
        assert record is not None  # a turn that raised nothing has its end
        if record.response.status == "failed":
            self._forget(envelope)
        else:
            self._memory.keep(record, stored=turn.stored, heard=len(heard))

    async def _respond(self, body: bytes, envelope: Envelope) -> Turn:
        request = CreateResponse.parse(body)
        if envelope.generate is False:
            _nothing_to_run(request)
        release = self._terms.throttle.take(self._principal)
        try:
            turn = await Turn.begin(
                self._desk, request, principal=self._principal, view=self._caller.view(request)
            )

            async def write(events: Sequence[bytes]) -> None:
                await self._write(_laned(events, envelope.lane))

            await (turn.warm_up(write) if envelope.generate is False else turn.tell(write))
            return turn
        finally:
            release()

    def _forget(self, envelope: Envelope | None) -> None:
        """What a turn wanted to go on from is gone when the turn fails, as the standard says."""
        if envelope is not None and envelope.previous is not None:
            self._memory.evict(envelope.previous)

    async def _write(self, events: Sequence[bytes]) -> None:
        await self._put(*({"type": "websocket.send", "text": event.decode()} for event in events))

    async def _put(self, *messages: Message) -> None:
        """Send messages as the client takes them: until then its run does not go on."""
        try:
            await self._sending.put(*messages)
        except (OSError, RuntimeError):  # how servers say that the line is gone, or is closing
            self._left.cancel()
            await anyio.lowlevel.checkpoint()

    async def _close(self) -> None:
        """Say why, and end the connection."""
        error, code = self._end
        with anyio.move_on_after(_CLOSING_SECONDS):
            await self._write([_error(error)])
            reason = error.code or ""
            await self._put({"type": "websocket.close", "code": code, "reason": reason})


def _nothing_to_run(request: CreateResponse) -> None:
    """A word counts once, and a warm-up would use it up for nothing.

    Raises:
        RequestError: 400; the request approves a call, and asks for it not to be run.
    """
    if any(isinstance(item, ApprovalResponse | McpApprovalResponse) for item in request.items):
        raise RequestError(
            "generate: expected no approval in a request that runs nothing: send it with the "
            "request that is to run the call",
            param="generate",
            code="invalid_value",
        )


def _laned(events: Sequence[bytes], lane: str | None) -> Sequence[bytes]:
    """Events under the name that their client gave their stream; it needs no escaping."""
    if lane is None:
        return events
    return [b'%b,"stream_id":"%b"}' % (event[:-1], lane.encode()) for event in events]


def _error(error: Exception, envelope: Envelope | None = None) -> bytes:
    """The error event.

    Source: Open Responses schema, WebSocketErrorEvent; `headers` and `stream_id` as OpenAI's.
    """
    problem = Problem.of(error)
    code = problem.code or problem.type
    detail: dict[str, object] = {
        "type": problem.type,
        "code": code,
        "message": problem.message,
        "param": problem.param,
    }
    if problem.retry_after is not None:
        detail["headers"] = {"retry-after": str(math.ceil(problem.retry_after))}
    status = 400 if code == "previous_response_not_found" else problem.status  # as it is published
    event = to_json({"type": "error", "status": status, "error": detail})
    return _laned([event], envelope and envelope.lane)[0]


def _too_old(seconds: float) -> RequestError:
    return RequestError(
        f"a connection lasts {seconds / 60:g} minutes, and this one has: connect again; "
        "responses with store: false cannot be gone on from, so send their items",
        code="websocket_connection_limit_reached",
    )


def _going() -> RequestError:
    return RequestError(
        "this server is about to stop: connect again; responses with store: false cannot be "
        "gone on from, so send their items",
        status=503,
        code="server_shutdown",
        type="server_error",
    )


def _too_many() -> RequestError:
    return RequestError(
        f"expected at most {WAITING} messages to wait, together no longer than one may be: "
        "send the next request when the response before it has ended",
        status=429,
        code="too_many_requests",
        type="too_many_requests",
    )
