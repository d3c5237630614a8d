"""`Upstream`: all models of one server, by the names that the server gives them.

Above: `provider` and `cli`, which put themselves in front of a server. Below: `ResponsesModel`
and `ChatModel`, over one client. Source: the `models` endpoint and the two APIs of OpenAI,
as other servers offer them. Not here: which of the models a caller may use.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, Literal, TypeAlias, cast

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import Event, now

from .chat import ChatModel
from .clients import checked, client
from .count import Counts, cannot_count
from .loops import PerLoop
from .model import Model, ModelRequest
from .refused import refused, secrets_of, unreached, without
from .responses import ResponsesModel
from .transport import under

Spoken: TypeAlias = Literal["responses", "chat"]
"""What a server speaks: the Responses API, or Chat Completions."""

_LISTING: Final = 8 * 1024 * 1024  # bytes of a list of models that are read
_KEPT: Final = 128  # adapters held; names come from callers, so there may be any number
_PATIENCE: Final = httpx2.Timeout(20.0)  # seconds for a question that needs no thinking


class Upstream:
    """A server of models.

    Args:
        base_url: Such as `http://localhost:11434/v1`; `/v1` is added where there is no path.
        api_key: Sent as a bearer token.
        api: What the server speaks; `auto` asks it, on first use.
        http_client: One's own `httpx2.AsyncClient`; it stays one's own to close.

    Raises:
        ConfigurationError: An argument is not what it should be.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        api: Literal["auto", "responses", "chat"] = "auto",
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        if api not in ("auto", "responses", "chat"):
            raise ConfigurationError(f"api: expected auto, responses or chat; got {api!r}")
        self.base_url: str = _with_path(base_url)
        own = checked(http_client)
        # An adapter checks the URL better than we would; no server is asked yet.
        ResponsesModel("any", base_url=self.base_url)
        self._servers = PerLoop(lambda: _Server(self.base_url, api_key, api, own))

    def __repr__(self) -> str:
        return f"<Upstream {httpx2.URL(self.base_url).host}>"

    def model(self, name: str) -> Model:
        """The model of this name; whether it exists is known when it is asked."""
        return _Named(name, self._servers)

    async def names(self) -> list[str]:
        """The names that the server lists.

        Raises:
            ModelError: It was not reached, refused, or sent no list.
        """
        return await (await self._servers.get()).names()

    async def probe(self) -> Spoken:
        """What the server speaks: Chat Completions if it knows no `POST {base_url}/responses`.

        Raises:
            ModelError: It was not reached.
        """
        return await (await self._servers.get()).probe()

    async def aclose(self) -> None:
        """Give back connections."""
        await self._servers.aclose()


class _Named:
    """One model of an upstream: the adapter is found when it is asked."""

    __slots__ = ("_name", "_servers")

    def __init__(self, name: str, servers: "PerLoop[_Server]") -> None:
        self._name = name
        self._servers = servers

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncIterator[Event]:
        server = await self._servers.get()
        adapter = await server.adapter(self._name)
        async with aclosing(cast("Any", adapter.stream(request))) as events:
            async for event in events:
                yield event

    async def count(self, request: ModelRequest) -> int:
        server = await self._servers.get()
        adapter = await server.adapter(self._name)
        if not isinstance(adapter, Counts):
            raise cannot_count(self._name, "its server speaks Chat Completions, which cannot count")
        return await adapter.count(request)

    async def aclose(self) -> None:
        """Close the upstream's connections, which all its models share."""
        await self._servers.aclose()


class _Server:
    """An upstream as one event loop uses it: a client, and the adapters that share it."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        api: Literal["auto", "responses", "chat"],
        own: httpx2.AsyncClient | None,
    ) -> None:
        self._base_url = base_url
        self._url = httpx2.URL(base_url)
        self._host = f"{self._url.scheme}://{self._url.netloc.decode('ascii')}"
        self._key = api_key
        self._spoken: Spoken | None = None if api == "auto" else api
        self._closes = own is None
        self._http = own or client()
        self._adapters: dict[str, Model] = {}

    async def adapter(self, name: str) -> Model:
        """The adapter of a model."""
        found = self._adapters.get(name)
        if found is not None:
            return found
        spoken = self._spoken or await self.probe()
        kind = ResponsesModel if spoken == "responses" else ChatModel
        made = kind(name, base_url=self._base_url, api_key=self._key, http_client=self._http)
        if self._spoken is not None:
            if len(self._adapters) >= _KEPT:
                del self._adapters[next(iter(self._adapters))]
            self._adapters[name] = made
        return made

    async def probe(self) -> Spoken:
        """Ask with an empty request, which costs nothing: who knows the path says what it lacks."""
        status, _ = await self._ask("POST", "/responses", b"{}")
        spoken: Spoken = "chat" if status in (404, 405) else "responses"
        if status < 500 and status not in (401, 403, 429):  # these say nothing for good
            self._spoken = self._spoken or spoken
        return spoken

    async def names(self) -> list[str]:
        """The ids of `GET {base_url}/models`."""
        _, body = await self._ask("GET", "/models", None)
        try:
            return [each.id for each in _Listing.model_validate_json(body).data]
        except ValidationError as error:
            raise ModelError(
                f"{self._host} sent no list of models at {under(self._url, '/models').path}: "
                "is base_url right? It often ends in /v1",
                code="bad_listing",
            ) from error

    async def aclose(self) -> None:
        """Close the client, if it is ours; the adapters hold nothing else."""
        if self._closes:
            await self._http.aclose()

    async def _ask(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        """The status and, of a GET, the body, which must be a success."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        request = self._http.build_request(
            method, under(self._url, path), content=content, headers=headers, timeout=_PATIENCE
        )
        try:
            response = await self._http.send(request, stream=True)
            try:
                if content is not None:
                    return response.status_code, b""
                if not response.is_success:
                    raise await refused(response, self._host, self._clean, now)
                return response.status_code, await self._read(response)
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise unreached(error, self._host) from error

    async def _read(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _LISTING:
                raise ModelError(
                    f"{self._host} sent a list of models of more than {_LISTING} bytes",
                    code="bad_listing",
                )
        return bytes(body)

    def _clean(self, text: str) -> str:
        return without(secrets_of(self._url, {"authorization": self._key or ""}), text)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str


class _Listing(BaseModel):
    """What a server lists."""

    model_config = ConfigDict(extra="ignore")

    data: list[_Entry]


def _with_path(given: str) -> str:
    """The URL, with `/v1` where it has no path: that is where servers have their API."""
    try:
        url = httpx2.URL(given)
    except (httpx2.InvalidURL, TypeError):
        return given  # the adapter's own check says what is wrong
    return str(url.copy_with(path="/v1")) if url.host and url.path in ("", "/") else given
