"""One HTTP server that answers with events: connections, retries, and answers as they arrive.

Above: the adapters (`responses`, `chat`), which know what the bytes mean. Below: httpx2,
`clients`, `retry`, `sse`. Secrets go into request headers and nowhere else: no error, `repr` or
log line of this room holds one.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import httpx2

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import Clock, now

from .clients import checked, chosen, client
from .loops import PerLoop
from .refused import refused, secrets_of, unreached, without
from .sse import Frame, SseReader

_LAST_BYTES: Final = 0.25  # seconds to wait for a body's end once its last event has come
_ANSWER: Final = 32 * 1024 * 1024  # bytes of an answer that does not stream


class Answer:
    """What a server sends back, while it arrives.

    Attributes:
        streams: Whether it is a stream of events; else it is one JSON object.
        host: Who answers, for errors.
        finished: Set by the reader when the last word was said, so that the connection can be
            used again once the body's end has come.
    """

    __slots__ = ("_chunks", "_first", "_response", "finished", "host", "streams")

    def __init__(self, response: httpx2.Response, host: str) -> None:
        self.streams: bool = "json" not in response.headers.get("content-type", "")
        self.host: str = host
        self.finished: bool = False
        self._response = response
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        # A response that was made whole (a transport of one's own, a mock) has no raw bytes left.
        cooked = encoded or response.is_stream_consumed
        self._chunks = response.aiter_bytes() if cooked else response.aiter_raw()
        self._first = b""

    async def begin(self) -> None:
        """Have the first bytes of the body: a server that dies before has said nothing.

        Raises:
            httpx2.HTTPError: It died.
        """
        self._first = await anext(self._chunks, b"")

    async def frames(self) -> AsyncGenerator[list[Frame], None]:
        """The events that each network chunk completes.

        Raises:
            ModelError: The connection broke (`stream_cut`), or an event is too large.
        """
        reader = SseReader()
        if frames := reader.feed(self._first):
            yield frames
        try:
            async for chunk in self._chunks:
                if frames := reader.feed(chunk):
                    yield frames
        except httpx2.HTTPError as error:
            raise self._cut(error) from error

    async def read(self) -> bytes:
        """All of it.

        Raises:
            ModelError: The connection broke (`stream_cut`), or it is longer than 32 MiB
                (`answer_too_large`).
        """
        parts = [self._first]
        size = len(self._first)
        try:
            async for chunk in self._chunks:
                parts.append(chunk)
                size += len(chunk)
                if size > _ANSWER:
                    raise ModelError(
                        f"{self.host}: expected an answer of at most {_ANSWER} bytes; it was "
                        "longer and was not read to its end",
                        code="answer_too_large",
                    )
        except httpx2.HTTPError as error:
            raise self._cut(error) from error
        return b"".join(parts)

    async def aclose(self) -> None:
        """Give the connection back where all was said; else give it up."""
        if self.finished:
            with anyio.move_on_after(_LAST_BYTES), suppress(httpx2.HTTPError):
                async for _ in self._chunks:
                    pass
        await self._chunks.aclose()
        await self._response.aclose()

    def _cut(self, error: Exception) -> ModelError:
        return ModelError(
            f"{self.host} broke off in the middle of its answer ({type(error).__name__}); "
            "what it said before stands",
            code="stream_cut",
        )


class Transport:
    """Posts to one server.

    Args:
        base_url: Such as `https://host/v1`; paths are appended to it.
        api_key: Sent as a bearer token; None sends none.
        headers: Sent with every request.
        http_client: One's own; it stays one's own to close.
        retries: How often to ask again when it fails before the first token: connection errors,
            408, 409, 429 and 5xx; `Retry-After` is honoured.
        fast: See `clients.client`.
        sleep: Waits seconds.
        clock: Gives seconds since 1970.

    Raises:
        ConfigurationError: The URL, the client or `retries` is not what it should be.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        http_client: httpx2.AsyncClient | None = None,
        retries: int = 2,
        fast: bool | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Clock = now,
    ) -> None:
        if retries < 0:
            raise ConfigurationError(f"retries: expected 0 or more; got {retries}")
        url = server_url(base_url)
        self.host: str = f"{url.scheme}://{url.netloc.decode('ascii')}"
        self._url = url
        self._urls: dict[str, httpx2.URL] = {}  # by path: parsing costs more than a look
        self._headers = _headers(api_key, headers or {})
        self._secrets = secrets_of(url, self._headers)
        self._own = checked(http_client)
        if self._own is not None and fast is not None:
            raise ConfigurationError(
                "expected `http_client` or `fast`; got both: leave `fast` out, "
                "since your client has its own transport"
            )
        if fast:
            chosen(fast)  # says at once if something is missing
        self._clients = PerLoop(lambda: client(fast))
        self._retries = retries
        self._sleep = sleep
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Transport to {self.host}>"

    @asynccontextmanager
    async def post(self, path: str, body: bytes) -> AsyncGenerator[Answer]:
        """Ask, and have the beginning of the answer.

        Raises:
            ModelError: The server was not reached (`connection_error`, `timeout`), or refused
                (with its status, its message, and the seconds that it asks us to wait).
        """
        answer = await self._ask(path, body)
        try:
            yield answer
        finally:
            with anyio.CancelScope(shield=True):
                await answer.aclose()

    def clean(self, text: str) -> str:
        """A text with our secrets blotted out, since some servers repeat what they were given."""
        return without(self._secrets, text)

    async def aclose(self) -> None:
        """Close the connections that are not the user's own."""
        await self._clients.aclose()

    async def _ask(self, path: str, body: bytes) -> Answer:
        try:
            return await self._try(path, body)
        except ModelError as error:
            if not self._retries:
                raise
            # Imported late: most requests never come here.
            from .retry import again, transient

            if not transient(error):
                raise
            failed = error
        return await again(
            lambda: self._try(path, body), failed, tries=self._retries, sleep=self._sleep
        )

    async def _try(self, path: str, body: bytes) -> Answer:
        http = self._own or await self._clients.get()
        request = http.build_request("POST", self._at(path), content=body, headers=self._headers)
        try:
            response = await http.send(request, stream=True)
        except httpx2.HTTPError as error:
            raise unreached(error, self.host) from error
        try:
            if not response.is_success:
                raise await refused(response, self.host, self.clean, self._clock)
            answer = Answer(response, self.host)
            await answer.begin()
        except httpx2.HTTPError as error:
            await response.aclose()
            raise unreached(error, self.host) from error
        except BaseException:
            with anyio.CancelScope(shield=True):
                await response.aclose()
            raise
        return answer

    def _at(self, path: str) -> httpx2.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = under(self._url, path)
        return url


def server_url(given: str) -> httpx2.URL:
    """A server's address, as a user gave it.

    Raises:
        ConfigurationError: It is no http or https URL.
    """
    try:
        url = httpx2.URL(given)
    except (httpx2.InvalidURL, TypeError):
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(
            "base_url: expected a URL such as http://localhost:8000/v1; "
            f"got {url.copy_with(username=None, password=None, query=None)!s}: "
            "begin it with http:// or https://"
        )
    return url


def under(base: httpx2.URL, path: str) -> httpx2.URL:
    """A URL under a base; a query there (`?api-version=...`) stays at the end."""
    before, mark, query = base.raw_path.partition(b"?")
    return base.copy_with(raw_path=before.rstrip(b"/") + path.encode() + mark + query)


def _headers(api_key: str | None, more: Mapping[str, str]) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream, application/json",
        "accept-encoding": "identity",  # compressed events come late
    }
    if api_key:
        headers["authorization"] = f"Bearer {api_key}"
    headers.update({name.lower(): value for name, value in more.items()})
    return headers
