"""Opening pages of the web for a model: only public ones, bounded in bytes and time.

The model chooses the address, and whoever wrote the last page may have chosen it for the model:
so each host is resolved here, every address that it has must be public, and the connection goes
to an address that was looked at, on each redirect again. Above: `tools.web_search`. Below: httpx2.
"""

import re
import zlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
import anyio.to_thread

from antiphon.errors import ConfigurationError, ToolFailed
from antiphon.items import clean

from .address import in_domains, is_public
from .page import WebPage

if TYPE_CHECKING:
    import httpx2

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host name, for a port."""

_HOPS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_META: Final = re.compile(rb"<meta[^>]{0,200}charset=[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.I)
_HTML: Final = ("text/html", "application/xhtml+xml")
_TEXTS: Final = ("application/json", "application/xml", "application/javascript")


class PageFetcher:
    """Opens pages over HTTP. Called with a URL it gives a `WebPage`.

    Args:
        timeout: Seconds for one page, redirects included.
        max_bytes: Bytes of a page, unpacked; a longer one is cut there.
        private_urls: Whether pages of private networks and of this machine may be opened.
        http_client: One's own `httpx2.AsyncClient`; it stays one's own to close. Redirects and
            addresses are still looked at here; one with a proxy connects as the proxy likes.
        resolve: Finds the addresses of a name; the system's way if left out.

    Raises:
        ConfigurationError: A bound is not above 0.
    """

    def __init__(
        self,
        *,
        timeout: float = 15.0,
        max_bytes: int = 2 * 1024 * 1024,
        private_urls: bool = False,
        http_client: "httpx2.AsyncClient | None" = None,
        resolve: Resolve | None = None,
    ) -> None:
        if min(timeout, max_bytes) <= 0:
            raise ConfigurationError(
                f"expected timeout and max_bytes above 0, got {timeout} and {max_bytes}"
            )
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._private = private_urls
        self._client = http_client
        self._resolve = resolve or _addresses

    async def __call__(self, url: str, *, allowed_domains: tuple[str, ...] = ()) -> WebPage:
        """The page behind a URL.

        Args:
            url: Its address, http or https.
            allowed_domains: Where it may be, redirects included; anywhere if empty.

        Raises:
            ToolFailed: It may not be opened, cannot be reached, is no text, or took too long.
        """
        import httpx2

        with anyio.move_on_after(self._timeout):
            try:
                return await self._open(url, allowed_domains)
            except httpx2.InvalidURL as error:
                raise ToolFailed(f"{_short(url)} is no URL: {error}") from error
            except httpx2.HTTPError as error:
                what = type(error).__name__
                raise ToolFailed(f"{_short(url)} cannot be reached ({what})") from error
        raise ToolFailed(f"{_short(url)} took longer than {self._timeout:g} seconds")

    async def _open(self, url: str, domains: tuple[str, ...]) -> WebPage:
        import httpx2

        from .network import certificates

        if self._client is not None:
            return await self._follow(self._client, httpx2.URL(url), domains)
        # No environment: a proxy would resolve names itself, and lead who knows where.
        client = httpx2.AsyncClient(trust_env=False, timeout=self._timeout, verify=certificates())
        async with client:
            return await self._follow(client, httpx2.URL(url), domains)

    async def _follow(
        self, client: "httpx2.AsyncClient", url: "httpx2.URL", domains: tuple[str, ...]
    ) -> WebPage:
        for _ in range(_HOPS + 1):
            request = await self._request(client, url, domains)
            answer = await client.send(request, stream=True, follow_redirects=False)
            try:
                target = answer.headers.get("location")
                if answer.status_code in _REDIRECTS and target:
                    url = url.join(target)
                    continue
                return await self._read(answer, str(url))
            finally:
                await answer.aclose()
        raise ToolFailed(f"{_short(str(url))}: more than {_HOPS} redirects")

    async def _request(
        self, client: "httpx2.AsyncClient", url: "httpx2.URL", domains: tuple[str, ...]
    ) -> "httpx2.Request":
        """A request to an address that was looked at, under the name that was asked for."""
        if url.scheme not in ("http", "https") or not url.host or (url.port or 1) > 65535:
            raise ToolFailed(f"expected an http or https URL, got {_short(str(url))}")
        if url.userinfo:
            raise ToolFailed(f"expected a URL without a user in it, got one at {url.host}")
        if not in_domains(url.host, domains):
            raise ToolFailed(f"{url.host} may not be opened; allowed: {', '.join(domains[:20])}")
        port = url.port or (443 if url.scheme == "https" else 80)
        host = url.raw_host.decode("ascii")
        address = await self._address(host, port)
        name = f"[{host}]" if ":" in host else host
        headers = {
            "host": name if url.port is None else f"{name}:{url.port}",
            "accept": "text/html, text/*;q=0.9, application/json;q=0.8, */*;q=0.1",
            "accept-encoding": "gzip",
            "user-agent": "antiphon (page reader)",
        }
        # The certificate is checked for the name, whatever address the connection goes to.
        return client.build_request(
            "GET",
            url.copy_with(host=address, fragment=None),
            headers=headers,
            extensions={"sni_hostname": host, **_seconds(self._timeout)},
        )

    async def _address(self, host: str, port: int) -> str:
        try:
            found = await self._resolve(host, port)
        except OSError as error:
            raise ToolFailed(f"{host} cannot be found") from error
        if not found:
            raise ToolFailed(f"{host} cannot be found")
        if not self._private and not all(is_public(address) for address in found):
            raise ToolFailed(f"{host} is not a public address and is not opened")
        return found[0].partition("%")[0]

    async def _read(self, answer: "httpx2.Response", url: str) -> WebPage:
        if answer.status_code >= 400:
            raise ToolFailed(f"{_short(url)} answered {answer.status_code}")
        kind, _, rest = answer.headers.get("content-type", "text/html").partition(";")
        kind = kind.strip().lower()
        if not (kind.startswith("text/") or kind in (*_HTML, *_TEXTS) or kind.endswith(_SUFFIXES)):
            raise ToolFailed(f"{_short(url)} is {kind}, expected text")
        data = await self._body(answer, url)
        text = clean(data.decode(_charset(rest, data), "replace"))
        if kind not in _HTML:
            return WebPage(url, "", text.strip())
        from .markup import text_of_html  # brings html's 2,231 entities along

        read = partial(text_of_html, text, base=url)
        title, body = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
        return WebPage(url, title, body)

    async def _body(self, answer: "httpx2.Response", url: str) -> bytes:
        """The first bytes, unpacked here: what unpacks to a thousand times its size is cut."""
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise ToolFailed(f"{_short(url)} is encoded as {encoding!r}, which was not asked for")
        packed = encoding not in ("identity", "")
        unpacker = zlib.decompressobj(47)  # gzip or zlib, whichever it says
        data = bytearray()
        chunks = answer.aiter_bytes() if answer.is_stream_consumed else answer.aiter_raw()
        try:
            async for chunk in chunks:
                left = self._max_bytes - len(data)
                data += unpacker.decompress(chunk, left) if packed else chunk[:left]
                if len(data) >= self._max_bytes:
                    break
        except zlib.error as error:
            raise ToolFailed(f"{_short(url)} is not what it says: {encoding}") from error
        return bytes(data)


_SUFFIXES: Final = ("+json", "+xml")


def _seconds(timeout: float) -> dict[str, dict[str, float]]:
    return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)}


def _charset(parameters: str, data: bytes) -> str:
    """The page's encoding: as its header says, else as it says itself, else UTF-8."""
    _, _, given = parameters.lower().partition("charset=")
    found = _META.search(data[:2048])
    for name in (given.split(";")[0].strip(" \"'"), found[1].decode("ascii") if found else ""):
        try:
            b"x".decode(name or "utf-8", "replace")  # some codecs, such as hex, are none of text
        except LookupError:
            continue
        if name:
            return name
    return "utf-8"


async def _addresses(host: str, port: int) -> Sequence[str]:
    try:
        found = await anyio.getaddrinfo(host, port, type=_STREAM)
    except UnicodeError as error:
        raise OSError(f"no host name: {error}") from error
    return [str(each[4][0]) for each in found]


_STREAM: Final = 1  # socket.SOCK_STREAM: one answer an address


def _short(url: str) -> str:
    return url if len(url) <= 200 else f"{url[:200]}..."
