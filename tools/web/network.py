"""The network, as far as it may be reached: where a request may lead.

A name that was public when it was looked at may be private when it is connected to, and a server
says itself where to log in. So `Public` resolves names itself, looks at every address and connects
to just those, and `Near` lets nobody but the owner name what is private.

Above: `tools.mcp_server`, which talks to servers over it; `fetcher` (certificates). Below: httpx2,
httpcore2, which this file imports: it is imported when a connection is wanted.
"""

import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from functools import cache
from typing import Any, Final, cast

import anyio
import httpcore2
import httpx2

from .address import is_public

_PLAIN: Final = ("http", 80)

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


@cache
def certificates() -> ssl.SSLContext:
    """Those that the system trusts, read once."""
    return httpx2.create_ssl_context()  # 10 to 20 ms each


class Public(httpx2.AsyncBaseTransport):
    """A transport that reaches public addresses alone, and never through a proxy."""

    def __init__(self) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=certificates(), network_backend=_PublicNetwork()
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
            stream=_Wire(cast("AsyncIterable[bytes]", answer.stream)),
            extensions=_dict(answer),
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


def _dict(answer: Any) -> dict[str, Any]:
    return dict(answer.extensions)


class Near(httpx2.AsyncBaseTransport):
    """Reaches some origins wherever they are, and all others as `Public` does: what a server says
    of where to log in leads into no network that its owner did not name.

    Args:
        origins: URLs of these; of one without TLS its upgrade is meant, too.
        refused: Told of an origin in a private network that is none of them.
    """

    def __init__(self, origins: Iterable[httpx2.URL], *, refused: Callable[[str], None]) -> None:
        known = [_origin(url) for url in origins]
        upgrades = [
            ("https", host, 443) for scheme, host, port in known if (scheme, port) == _PLAIN
        ]
        self._known = frozenset([*known, *upgrades])
        self._near = httpx2.AsyncHTTPTransport(verify=certificates())
        self._public = Public()
        self._refused = refused

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        origin = _origin(request.url)
        if origin in self._known:
            return await self._near.handle_async_request(request)
        try:
            return await self._public.handle_async_request(request)
        except PrivateAddress:
            self._refused("{}://{}:{}".format(*origin))
            raise

    async def aclose(self) -> None:
        await self._near.aclose()
        await self._public.aclose()


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


class _Wire(httpx2.AsyncByteStream):
    """A body as it comes; what breaks it is an error of httpx2."""

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._body:
                yield chunk
        except httpcore2.TimeoutException as error:
            raise httpx2.ReadTimeout("it fell silent") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise httpx2.ReadError("it broke off") from error

    async def aclose(self) -> None:
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()
