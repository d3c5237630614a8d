"""Where a server may lead us to log in: to itself, to the public, and where its owner says."""

import importlib
import logging
from typing import Any

import anyio
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from antiphon.errors import ConfigurationError
from antiphon.tools import MCPServer
from tests.serving import serve

from .mcp_guarded import Kept, Person, login
from .mcp_kit import PATIENCE, end_of, listing_of, play

pytestmark = pytest.mark.anyio


class Inside:
    """A service in the owner's network, that no stranger should reach.

    Attributes:
        asked: The paths that it was asked for.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.asked.append(scope["path"])
            await Response(status_code=404)(scope, receive, send)


class Leading:
    """A server that says that one has to log in, and where to read about it.

    Attributes:
        to: Where.
    """

    def __init__(self, to: str) -> None:
        self.to = to

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            asks = Request(scope, receive).url.path == "/mcp"
            said = {"www-authenticate": f'Bearer resource_metadata="{self.to}/latest/meta-data"'}
            answer = Response(status_code=401, headers=said) if asks else Response(status_code=404)
            await answer(scope, receive, send)


async def led(inside: str, *origins: str) -> str:
    """Why there are no tools of a server that leads inside."""
    with serve(Leading(inside)) as base, anyio.fail_after(PATIENCE):
        url = f"{base}/mcp"
        auth = login(url, Kept(), Person())
        async with MCPServer.http("desk", url, auth=auth, auth_origins=origins) as server:
            return listing_of(end_of(await play("ok", tools=[server])).output).error or ""


async def test_a_server_cannot_lead_its_login_into_a_private_network(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "antiphon.tools.mcp")
    service = Inside()
    with serve(service) as inside:
        assert "logging in failed" in await led(inside)
    assert service.asked == []
    assert f"an MCP server leads to {inside}, in a private network: refused" in caplog.text


async def test_a_login_may_lead_where_its_owner_says() -> None:
    service = Inside()
    with serve(service) as inside:
        await led(inside, inside)
    assert service.asked[0] == "/latest/meta-data"


@pytest.mark.parametrize("url", ["login.corp", "ftp://login.corp", "https://login.corp/path"])
def test_what_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="auth_origins: expected origins"):
        MCPServer.http("desk", "http://desk.corp/mcp", auth_origins=[url])


async def test_an_origin_is_a_scheme_a_host_and_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = importlib.import_module("antiphon.tools.web.network")
    near: list[str] = []
    far: list[str] = []

    def took(asked: list[str]) -> httpx2.MockTransport:
        def answer(request: httpx2.Request) -> httpx2.Response:
            asked.append(str(request.url))
            return httpx2.Response(200)

        return httpx2.MockTransport(answer)

    origins = [httpx2.URL("http://desk.corp/mcp"), httpx2.URL("https://login.corp:8443")]
    ways = module.Near(origins, refused=far.append)
    await ways.aclose()
    monkeypatch.setattr(ways, "_near", took(near))
    monkeypatch.setattr(ways, "_public", took(far))
    inside = ["http://desk.corp/x", "https://desk.corp/x", "https://login.corp:8443/token"]
    outside = ["http://desk.corp:81/", "https://login.corp/token", "http://login.corp:8443/"]
    for url in [*inside, *outside]:
        await ways.handle_async_request(httpx2.Request("GET", url))
    assert (near, far) == (inside, outside)
