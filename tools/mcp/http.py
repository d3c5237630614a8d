"""HTTP to MCP servers: how much may come back, and what stays unsaid.

The SDK brings down a whole session when one request cannot be sent, and reads bodies without a
bound. So each request goes through `Guard`: what fails becomes the JSON-RPC error of that one
request.

Above: `address`. Below: httpx2. Not here: MCP.
"""

import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from functools import partial
from typing import Any, Final, cast

import httpcore2
import httpx2

from .fault import FAULT, OURS

ANSWER_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that one answer may have. A stream that answers nothing (of a GET) may live long, and only
its events have a bound."""

_EVENTS: Final = "text/event-stream"
_BETWEEN: Final = re.compile(rb"(?>\r\n|\n|\r){2}")
"""What ends an event: an empty line."""

_WHY: Final = "antiphon"
"""Where an answer of ours has its words, beside its body."""

_ELSEWHERE: Final = (307, 308)
"""What the SDK follows."""


class _Events(httpx2.AsyncByteStream):
    """A stream whose events have a bound each, and maybe all together. Who goes over it is left,
    and it is said why: the SDK only says that there was no answer.
    """

    def __init__(
        self, body: AsyncIterable[bytes], event: int, total: float, left: Callable[[str], None]
    ) -> None:
        self._body = body
        self._event = event
        self._total = total
        self._left = left

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        size = 0
        total = 0
        last = b""
        async for chunk in self._body:
            total += len(chunk)
            if total > self._total:
                raise self._over(f"its answer is longer than {self._total} bytes")
            seen = last + chunk
            ends = [each.end() for each in _BETWEEN.finditer(seen)]
            if size + (ends[0] if ends else len(seen)) - len(last) > self._event:
                raise self._over(f"it sent an event of more than {self._event} bytes")
            size = len(seen) - ends[-1] if ends else size + len(chunk)
            last = seen[-3:]
            yield chunk

    def _over(self, why: str) -> httpx2.ReadError:
        self._left(why)
        return httpx2.ReadError(why)

    async def aclose(self) -> None:
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()


class Guard(httpx2.AsyncBaseTransport):
    """Puts every failure into an answer, so that one request fails and not the session.

    Args:
        inner: What sends.
        url: The server's whole URL. The client above knows it without its query, so that a
            credential in there is in no log; it is put back here.
        left: Told why nothing more is read from the server.
        event: Bytes that an event of a stream may have.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        url: httpx2.URL,
        *,
        left: Callable[[str], None],
        event: int,
    ) -> None:
        self._inner = inner
        self._url = url
        self._left = left
        self._event = event

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._url.query and _same_place(request.url, self._url):
            request = httpx2.Request(  # a new one: the client logs its own afterwards
                request.method,
                request.url.copy_with(query=self._url.query),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        try:
            answer = await self._inner.handle_async_request(request)
            if _kind(answer).startswith(_EVENTS):
                return self._streamed(answer, math.inf if request.method == "GET" else ANSWER_LIMIT)
            return await _whole(answer, request)
        except (httpx2.ConnectError, httpcore2.ConnectError) as error:
            return fault(502, f"could not connect: {_first(error)}", connected=False)
        except (httpx2.TimeoutException, httpcore2.TimeoutException):
            return fault(504, "it took too long to answer")
        except (httpx2.TransportError, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            return fault(502, f"the connection broke: {_first(error)}")

    def _streamed(self, answer: httpx2.Response, total: float) -> httpx2.Response:
        body = cast("AsyncIterable[bytes]", answer.stream)
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers,
            stream=_Events(body, self._event, total, self._left),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


def _same_place(asked: httpx2.URL, known: httpx2.URL) -> bool:
    """Whether this is the server itself, bare, and not somebody to whom OAuth leads."""
    bare = known.copy_with(userinfo=b"", query=None, fragment=None)
    return asked == bare


def _first(error: Exception) -> str:
    """An error's first words, which name no credential: they are the network's."""
    return (str(error) or type(error).__name__).split("\n", 1)[0][:200]


def _kind(answer: httpx2.Response) -> str:
    return answer.headers.get("content-type", "").strip().lower()


async def _whole(answer: httpx2.Response, request: httpx2.Request) -> httpx2.Response:
    """A body read to its end; what is no JSON-RPC becomes an error that says its status."""
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        await answer.aclose()
        return fault(502, "its answer is compressed, though that was not asked for")
    body = bytearray()
    try:
        async for chunk in cast("AsyncIterable[bytes]", answer.stream):
            body += chunk
            if len(body) > ANSWER_LIMIT:
                raise httpx2.ReadError(f"its answer is longer than {ANSWER_LIMIT} bytes")
    finally:
        await answer.aclose()
    status = answer.status_code
    if status < 400 or request.method != "POST":
        return httpx2.Response(status, headers=answer.headers, content=bytes(body))
    if status == 404 and "mcp-session-id" in request.headers:
        return fault(404, "it does not know the session any more", known=False)
    if _kind(answer).startswith("application/json") and _is_rpc(bytes(body)):
        return httpx2.Response(status, headers=answer.headers, content=bytes(body))
    return fault(status, f"it answered with HTTP {status}", headers=answer.headers)


def _is_rpc(body: bytes) -> bool:
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "error" in said


def fault(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, **told: Any
) -> httpx2.Response:
    """An answer that is a JSON-RPC error; `told` goes on to `MCPError.data`."""
    kept = {
        name: value
        for name, value in (headers or {}).items()
        if name.lower() in ("www-authenticate", "retry-after")
    }
    error = {"code": FAULT, "message": message, "data": {OURS: {"status": status, **told}}}
    return httpx2.Response(
        status,
        headers=kept,
        json={"jsonrpc": "2.0", "id": None, "error": error},
        extensions={_WHY: message},
    )


class Posting(httpx2.AsyncClient):
    """A client of HTTP+SSE, where answers come by another way: who cannot be told a message is
    left, since the SDK tells it nothing more then, and waits.

    Args:
        left: Told why.
    """

    def __init__(self, *, left: Callable[[str], None], **options: Any) -> None:
        super().__init__(**options)
        self._left = left

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send one, by whichever way the credentials want it."""
        if request.method != "POST":
            return await super().send(request, **options)
        try:
            answer = await super().send(request, **options)
        except Exception as error:
            self._left(f"a message could not be sent: {type(error).__name__}")
            raise
        if not answer.is_success and answer.status_code not in _ELSEWHERE:
            self._left(answer.extensions.get(_WHY, f"it answered with HTTP {answer.status_code}"))
        return answer


def http_client(
    network: httpx2.AsyncBaseTransport,
    *,
    url: httpx2.URL,
    headers: Mapping[str, str],
    auth: httpx2.Auth | None,
    silence: float,
    event: int,
    left: Callable[[str], None],
    posting: bool = False,
) -> httpx2.AsyncClient:
    """A client for one server.

    Args:
        network: What sends.
        url: The server's whole URL.
        headers: Of every request; credentials among them.
        auth: For OAuth.
        silence: Seconds that it may say nothing.
        event: Bytes that an event of a stream may have.
        left: Told why nothing more is read from it.
        posting: Whether answers come by another way than messages go (HTTP+SSE).
    """
    given = {"accept-encoding": "identity", **headers}
    if url.userinfo:
        auth = auth or httpx2.BasicAuth(url.username, url.password)
    return (partial(Posting, left=left) if posting else httpx2.AsyncClient)(
        transport=Guard(network, url, left=left, event=event),
        headers=given,
        timeout=httpx2.Timeout(30.0, read=silence),
        auth=auth,
        trust_env=False,
    )
