"""The line to a provider: raw HTTP, bounded in time and size, nothing interpreted.

Above: `bench`. Below: httpx2, `sse`. Not here: any rule. The server is a
stranger: an answer that is too long, too slow or compressed unasked is a failed check, and after
a few that never came no more are waited for. The key is sent to this server alone, and nothing
that it says back leaves here with the key in it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import anyio
import httpx2
from pydantic_core import to_json

from antiphon import __version__
from antiphon.errors import ConfigurationError
from antiphon.models import server_url

from .report import Broken, Skipped, shown
from .sse import Frame, Json, Told, obj, parse, read_sse

MOST: Final = 16 * 1024 * 1024
"""Bytes that one answer may have."""

PATIENCE: Final = 3
"""Answers in a row that may fail to come before the server is asked whether it is still there."""

LOSSES: Final = 12
"""Answers that may fail to come before no more are asked for."""

_ID: Final = re.compile(r"(?<=/)[a-z]+[_-][\w-]{8,}(?=[/?]|$)")
_PROBE_SECONDS: Final = 5.0
_END_SECONDS: Final = 2.0  # to wait for a body's end after `[DONE]`
_DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, whole.

    Attributes:
        asked: The request, in a few words.
        status: Its status.
        headers: Its headers, names in lower case.
        body: Its bytes.
        ended: Whether the body came to its end; a stream may hang after its last frame.
    """

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    ended: bool = True

    @property
    def kind(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def value(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return parse(self.body)
        except ValueError:
            return None

    @property
    def json(self) -> Json:
        """The body's object; empty where it is none."""
        return obj(self.value())

    @property
    def message(self) -> str:
        """What an error answer says, quoted and cut."""
        error = obj(self.json.get("error"))
        return shown(error.get("message") or self.body)

    @property
    def absent(self) -> str:
        """That it is not offered, with what the server says of it where that tells more."""
        more = "" if self.status in (404, 405, 501) else f" {self.message}"
        return f"not offered: {self.asked} is answered with {self.status}{more}"

    def __str__(self) -> str:
        return f"{self.asked}: {self.status} {'' if self.status < 300 else self.message}".strip()


@dataclass(slots=True)
class Stream:
    """One stream of events, as it came.

    Attributes:
        name: What it is a specimen of.
        asked: The body of the request.
        answer: The HTTP answer; over a WebSocket there is none.
        told: Its frames.
        events: The events among them, in order.
    """

    name: str
    asked: Json
    answer: Answer | None
    told: Told
    events: list[Json] = field(default_factory=list[Json])

    @classmethod
    def of(cls, name: str, asked: Json, answer: Answer) -> Self:
        """The stream in an answer's body."""
        told = read_sse(answer.body)
        events = [frame.event for frame in told.frames if frame.event is not None]
        return cls(name, asked, answer, told, events)

    @property
    def frames(self) -> list[Frame]:
        """Its frames, comments left out."""
        return self.told.frames

    @property
    def terminal(self) -> Json:
        """The response of the terminal event; empty where there is none."""
        ends = [event for event in self.events if event.get("type") in TERMINAL]
        return obj(ends[-1].get("response")) if ends else {}


TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed")


class Line:
    """Asks one provider. Use it as a context manager.

    Args:
        base_url: Such as `http://localhost:8000/v1`; `/v1` is added where there is no path.
        api_key: Sent as a bearer token; None sends none.
        headers: Sent with every request.
        seconds: How long one answer may take, whole.

    Raises:
        ConfigurationError: The URL or the time is not what it should be.
    """

    def __init__(
        self, base_url: str, *, api_key: str | None, headers: Mapping[str, str], seconds: float
    ) -> None:
        if not (math.isfinite(seconds) and seconds > 0):
            raise ConfigurationError(f"seconds: expected seconds above 0, got {seconds}")
        url = server_url(base_url)
        self._url = url.copy_with(path="/v1") if url.path in ("", "/") else url
        self._key = api_key or None
        self._secrets = [each for each in (self._key, self._url.password) if each]
        self._headers = {"user-agent": f"antiphon-conformance/{__version__}", **headers}
        self.seconds = seconds
        self._lost = 0
        self._losses = 0
        self._gone = False
        self._http = httpx2.AsyncClient(timeout=None, follow_redirects=False)

    @property
    def shown(self) -> str:
        """The provider's URL, without credentials."""
        return str(self._url.copy_with(username=None, password=None, query=None))

    @property
    def has_key(self) -> bool:
        """Whether requests bear a key."""
        return self._key is not None

    @property
    def secure(self) -> bool:
        """Whether the line is encrypted."""
        return self._url.scheme == "https"

    def clean(self, text: str) -> str:
        """A text with the secrets blotted out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def url(self, path: str, *, scheme: str | None = None) -> str:
        """The URL of a path under the base; a query of the base stays at the end."""
        before, mark, query = self._url.raw_path.partition(b"?")
        path, more, asked = path.partition("?")
        both = b"&".join(each for each in (query, asked.encode()) if each)
        raw = before.rstrip(b"/") + path.encode() + (b"?" if mark or more else b"") + both
        url = self._url.copy_with(raw_path=raw, **({"scheme": scheme} if scheme else {}))
        return str(url)

    def headers(self, more: Mapping[str, str] | None = None, *, key: bool = True) -> dict[str, str]:
        """The headers of a request; of several sources the last counts, and empty is none."""
        headers = {**self._headers, "accept-encoding": "identity"}
        if key and self._key:
            headers["authorization"] = f"Bearer {self._key}"
        headers.update(more or {})
        return {name: value for name, value in headers.items() if value}

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: bool = True,
        **options: Any,
    ) -> Answer:
        """One request and its whole answer, of any status.

        Args:
            method: GET, POST, DELETE ...
            path: Under the base URL, with its query.
            body: JSON; bytes are sent as they are.
            headers: More headers.
            key: Whether the key is sent.
            options: What else httpx2 is to send (`files`, `data`).

        Raises:
            Broken: No answer came, or one that no client could take.
            Skipped: The server has stopped answering.
        """
        asked = f"{method} {_ID.sub('{id}', path)}"
        more = {"accept": "application/json, text/event-stream", **(headers or {})}
        if body is not None:
            options["content"] = body if isinstance(body, bytes) else to_json(body)
            more.setdefault("content-type", "application/json")
        request = self._http.build_request(
            method, self.url(path), headers=self.headers(more, key=key), **options
        )
        return await self._send(request, asked)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def lost(self, why: str) -> Broken:
        """An answer that never came, or could not be taken; not many of them are waited for."""
        self._lost += 1
        self._losses += 1
        return Broken(why)

    async def check_alive(self) -> None:
        """After some answers that never came, see whether the server is still there.

        Raises:
            Skipped: It is not, or does not answer too often.
        """
        if self._lost >= PATIENCE and not self._gone:
            self._gone = not await self._answers()
            self._lost = 0
        if self._gone or self._losses >= LOSSES:
            raise Skipped(f"the server has stopped answering ({self._losses} answers never came)")

    async def _answers(self) -> bool:
        """Whether the server says anything at all."""
        request = self._http.build_request("GET", self.url("/models"), headers=self.headers())
        with anyio.move_on_after(min(self.seconds, _PROBE_SECONDS)):
            try:
                response = await self._http.send(request, stream=True)
                await response.aclose()
            except httpx2.HTTPError:
                return False
            return True
        return False

    async def _send(self, request: httpx2.Request, asked: str) -> Answer:
        await self.check_alive()
        chunks: list[bytes] = []
        with anyio.move_on_after(self.seconds) as limit:
            try:
                response = await self._http.send(request, stream=True)
                try:
                    ended = await _read(response, chunks)
                finally:
                    with anyio.move_on_after(_END_SECONDS, shield=True):
                        await response.aclose()
            except Broken as error:
                raise self.lost(f"{asked}: {error.why}") from None
            except httpx2.HTTPError as error:
                kind = type(error).__name__
                raise self.lost(f"{asked}: expected an answer, got {kind}: {error}") from error
            self._lost = 0
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(asked, response.status_code, headers, b"".join(chunks), ended)
        assert limit.cancelled_caught
        came = sum(map(len, chunks))
        raise self.lost(
            f"{asked}: expected a whole answer within {self.seconds:g} seconds, "
            f"got {came} bytes of it"
        )


async def _read(response: httpx2.Response, chunks: list[bytes]) -> bool:
    """Read a body; whether it came to its end. A stream may leave the line open after `[DONE]`."""
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() not in ("", "identity"):
        raise Broken(f"content-encoding: expected identity, as was asked, got {shown(encoding)}")
    size, tail = 0, b""
    body = response.aiter_raw()
    while True:
        wait = _END_SECONDS if tail.endswith(_DONE) else math.inf
        with anyio.move_on_after(wait) as patience:
            chunk = await anext(body, None)
            if chunk is None:
                return True
            size += len(chunk)
            if size > MOST:
                raise Broken(f"expected an answer of at most {MOST} bytes; it was longer")
            chunks.append(chunk)
            tail = (tail + chunk)[-len(_DONE) :]
        if patience.cancelled_caught:
            return False
