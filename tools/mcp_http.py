"""HTTP to MCP servers: where it may lead, how much may come back, and what stays unsaid.

The SDK brings down a whole session when one request cannot be sent, and reads bodies without a
bound; a name that was public when it was looked at may be private when it is connected to. So
each request goes through `Guard`: what fails becomes the JSON-RPC error of that one request.
`Public` resolves names itself, looks at every address and connects to just those.

Above: `mcp_way`. Below: httpx2, httpcore2. Not here: MCP.
"""

import functools
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, cast

import anyio
import httpcore2
import httpx2

from .mcp_way import FAULT
from .web_search_address import is_public

ANSWER_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that one answer may have, a stream of events included."""

_EVENTS: Final = "text/event-stream"


_anyio: Callable[[], Any] = httpcore2.AnyIOBackend


class PrivateAddress(httpx2.ConnectError):
    """A name leads to a private network."""


class _PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to public addresses alone: what was looked at is what is connected to."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (the backend's own word)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore2.ConnectTimeout("its name was not resolved in time") from None
        except OSError:
            raise httpcore2.ConnectError("its name cannot be resolved") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if not addresses or not all(is_public(address) for address in addresses):
            raise PrivateAddress("its name leads to a private address")
        backend = cast("httpcore2.AsyncNetworkBackend", _anyio())
        last: Exception = httpcore2.ConnectError("it has no address")
        for address in addresses[:4]:
            try:
                return await backend.connect_tcp(address, port, timeout, local_address)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last


@functools.cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # 10 to 20 ms each


class Public(httpx2.AsyncBaseTransport):
    """A transport that reaches public addresses alone, and never through a proxy."""

    def __init__(self) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_certificates(), network_backend=_PublicNetwork()
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=cast("AsyncIterable[bytes]", request.stream),
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(cast("AsyncIterable[bytes]", answer.stream)),
            extensions=_dict(answer),
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


def _dict(answer: Any) -> dict[str, Any]:
    return dict(answer.extensions)


class _Body(httpx2.AsyncByteStream):
    """A body with a bound; what breaks it is an error of httpx2."""

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        left = ANSWER_LIMIT
        try:
            async for chunk in self._body:
                left -= len(chunk)
                if left < 0:
                    raise httpx2.ReadError(f"its answer is longer than {ANSWER_LIMIT} bytes")
                yield chunk
        except httpcore2.TimeoutException as error:
            raise httpx2.ReadTimeout("it fell silent") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise httpx2.ReadError("it broke off") from error

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
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, url: httpx2.URL) -> None:
        self._inner = inner
        self._url = url

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
                return _streamed(answer)
            return await _whole(answer, request)
        except PrivateAddress as error:
            return fault(502, f"could not connect: {error}", connected=False)
        except (httpx2.ConnectError, httpcore2.ConnectError) as error:
            return fault(502, f"could not connect: {_first(error)}", connected=False)
        except (httpx2.TimeoutException, httpcore2.TimeoutException):
            return fault(504, "it took too long to answer")
        except (httpx2.TransportError, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            return fault(502, f"the connection broke: {_first(error)}")

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


def _streamed(answer: httpx2.Response) -> httpx2.Response:
    return httpx2.Response(
        answer.status_code,
        headers=answer.headers,
        stream=_Body(cast("AsyncIterable[bytes]", answer.stream)),
        extensions=answer.extensions,
    )


async def _whole(answer: httpx2.Response, request: httpx2.Request) -> httpx2.Response:
    """A body read to its end; what is no JSON-RPC becomes an error that says its status."""
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        await answer.aclose()
        return fault(502, "its answer is compressed, though that was not asked for")
    body = bytearray()
    try:
        async with aclosing(aiter(_Body(cast("AsyncIterable[bytes]", answer.stream)))) as chunks:
            async for chunk in chunks:
                body += chunk
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
    error = {"code": FAULT, "message": message, "data": {"antiphon": {"status": status, **told}}}
    return httpx2.Response(
        status, headers=kept, json={"jsonrpc": "2.0", "id": None, "error": error}
    )


def http_client(
    url: httpx2.URL,
    *,
    headers: Mapping[str, str],
    private: bool,
    auth: httpx2.Auth | None,
    inner: httpx2.AsyncBaseTransport | None = None,
) -> httpx2.AsyncClient:
    """A client for one server.

    Args:
        url: The server's whole URL.
        headers: Of every request; credentials among them.
        private: Whether it may be in a private network.
        auth: For OAuth.
        inner: What sends, instead of the network (tests).
    """
    given = {"accept-encoding": "identity", **headers}
    if url.userinfo:
        user, _, password = url.userinfo.decode().partition(":")
        auth = auth or httpx2.BasicAuth(user, password)
    sends = inner or (httpx2.AsyncHTTPTransport(verify=_certificates()) if private else Public())
    timeout = httpx2.Timeout(30.0, read=300.0)
    return httpx2.AsyncClient(
        transport=Guard(sends, url), headers=given, timeout=timeout, auth=auth, trust_env=False
    )
