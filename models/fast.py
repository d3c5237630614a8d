"""aiohttp under httpx2's interface: the same client for everyone above, less CPU a chunk.

Above: `clients`. Below: aiohttp, an extra (`antiphon[fast]`); asyncio only. Not here: timeouts'
values, redirects, cookies, decompression, which stay httpx2's.
"""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from yarl import URL


@contextmanager
def _errors() -> Generator[None]:
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        raise (httpx2.ConnectTimeout if connecting else httpx2.ReadTimeout)(str(error)) from error
    except TimeoutError as error:
        raise httpx2.ReadTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx2.ConnectError(str(error)) from error
    except aiohttp.ClientOSError as error:
        raise httpx2.ReadError(str(error)) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise httpx2.UnsupportedProtocol(str(error)) from error
    except aiohttp.ClientError as error:
        raise httpx2.RemoteProtocolError(str(error)) from error


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors():
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()  # the rest of the stream will not be read: end it


def _without_userinfo(url: httpx2.URL) -> httpx2.URL:
    """httpx2 has made a header of it already, and aiohttp refuses to be told twice."""
    return url.copy_with(username=None, password=None) if url.userinfo else url


class FastTransport(httpx2.AsyncBaseTransport):
    """Sends with aiohttp. Sessions belong to their loop, so each running loop has its own."""

    def __init__(self) -> None:
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        # Not by aiohttp's own trust_env, which also reads ~/.netrc in a thread for every request
        # and refuses a request that has a key when it finds something there.
        self._proxies = getproxies()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        timeout = cast("dict[str, float | None]", request.extensions.get("timeout", {}))
        chunked = "transfer-encoding" in request.headers
        body: Any = request.stream if chunked else await request.aread()
        with _errors():
            response = await self._session().request(
                request.method,
                URL(str(_without_userinfo(request.url)), encoded=True),
                proxy=self._proxy(request.url),
                headers=[
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in request.headers.raw
                    if name.lower() != b"transfer-encoding"  # aiohttp sets its own
                ],
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=timeout.get("pool"),
                    sock_connect=timeout.get("connect"),
                    sock_read=timeout.get("read"),
                ),
            )
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response),
            request=request,
        )

    async def aclose(self) -> None:
        """Close this loop's session. One whose loop has ended died with it."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _proxy(self, url: httpx2.URL) -> str | None:
        """The proxy that the environment names for this URL (HTTPS_PROXY, NO_PROXY, ...)."""
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if proxy is None or proxy_bypass(url.host):
            return None
        if not proxy.startswith(("http://", "https://")):
            raise httpx2.UnsupportedProtocol("expected an http(s) proxy: pass fast=False for SOCKS")
        return proxy

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context())
            session = self._sessions[loop] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
            )
        return session
