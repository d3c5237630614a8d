"""Clients and their connections: one for each loop, ours or the user's, with aiohttp or not."""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import httpx2
import pytest

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import fold
from antiphon.models import ChatModel, ModelRequest, ResponsesModel

if TYPE_CHECKING:
    from models import clients
    from models.clients import client
    from models.loops import PerLoop
    from models.transport import Transport

    from .conftest import Reply, Server

else:
    from antiphon.models import clients
    from antiphon.models.clients import client
    from antiphon.models.loops import PerLoop
    from antiphon.models.transport import Transport

Frames: TypeAlias = list[tuple[str | None, bytes]]
Sse: TypeAlias = Callable[..., bytes]

pytestmark = pytest.mark.anyio
NOW = 1_700_000_000.0
KEY = "sk-very-secret"


class Held:
    """Something that a loop holds."""

    def __init__(self) -> None:
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


def test_each_loop_has_its_own_and_gives_it_back_when_it_ends() -> None:
    things: PerLoop[Held] = PerLoop(Held)

    async def use() -> Held:
        first = await things.get()
        assert await things.get() is first and not first.closed
        return first

    one, other = anyio.run(use), anyio.run(use)
    assert one is not other
    assert one.closed and other.closed


async def test_what_a_loop_holds_can_be_closed_before_it_ends() -> None:
    things: PerLoop[Held] = PerLoop(Held)
    first = await things.get()
    await things.aclose()
    assert first.closed
    assert await things.get() is not first
    await things.aclose()
    await things.aclose()


def test_a_model_serves_one_loop_after_another(
    sse: Sse,
    make_server: "type[Server]",
    reply: "type[Reply]",
    fast: bool,
) -> None:
    """As `Agent.run_sync` does; connections of a loop that has ended are never used again."""
    server = make_server()
    server.plays(reply([sse({"type": "response.completed", "response": {"id": "r"}})]))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        model = ResponsesModel("m", base_url=address, fast=fast)

        async def ask() -> str:
            listening = await asyncio.start_server(server.talk, sock=bound.dup())
            events = [event async for event in model.stream(ModelRequest(items=[]))]
            listening.close()
            return fold(events).status

        assert [anyio.run(ask) for _ in range(3)] == ["completed"] * 3


async def test_ones_own_client_is_used_and_left_open(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply.json({"error": "no"}, 400))
    async with httpx2.AsyncClient(headers={"x-mine": "yes"}) as own:
        transport = Transport(server.url, http_client=own)
        with pytest.raises(ModelError):
            async with transport.post("/x", b"{}"):
                pass
        await transport.aclose()
        assert not own.is_closed
    assert server.asked[0].headers["x-mine"] == "yes"


async def test_a_client_of_the_old_httpx_is_told_how_to_change() -> None:
    class AsyncClient:
        __module__ = "httpx"

    class Mine(AsyncClient):
        pass

    given: Any
    for given in (AsyncClient(), Mine()):
        for kind in (ChatModel, ResponsesModel):
            with pytest.raises(ConfigurationError, match="write `import httpx2 as httpx`"):
                kind("m", base_url="http://localhost/v1", http_client=given)


def test_a_client_of_another_kind_is_refused() -> None:
    given: Any = httpx2.Client()
    with pytest.raises(ConfigurationError, match=r"got httpx2\.Client: pass http_client="):
        Transport("http://localhost/v1", http_client=given)
    given.close()


@pytest.mark.parametrize(
    "wrong",
    [{"retries": -1}, {"fast": True, "http_client": httpx2.AsyncClient()}],
)
def test_settings_that_contradict_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        Transport("http://localhost/v1", **wrong)


async def test_fast_needs_aiohttp_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", absent)
    with pytest.raises(ConfigurationError, match=r"pip install 'antiphon\[fast\]'"):
        ChatModel("m", base_url="http://localhost/v1", fast=True)
    async with client(None) as plain:
        assert not plain.is_closed


def transport_of(made: httpx2.AsyncClient) -> str:
    return type(vars(made)["_transport"]).__name__


async def test_fast_is_chosen_where_it_is_preferred() -> None:
    clients.prefer_fast(False)  # a command that was run in this process may have preferred it
    async with client() as before:
        assert transport_of(before) == "AsyncHTTPTransport"
    clients.prefer_fast()
    try:
        async with client() as after, client(False) as never:
            assert transport_of(after) == "FastTransport"
            assert transport_of(never) == "AsyncHTTPTransport"
    finally:
        clients.prefer_fast(False)


async def test_the_fast_transport_sends_bodies_that_are_made_as_they_go(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply.json({"ok": True}, 200, x_more="1"))
    async with client(True) as http:
        answer = await http.put(f"{server.url}/a%20b?c=d%2Fe", json={"x": 1})
    assert answer.json() == {"ok": True} and answer.headers["x-more"] == "1"
    assert server.asked[0].path == "/v1/a%20b?c=d%2Fe"
    assert server.asked[0].body == {"x": 1}


async def test_the_fast_transport_goes_through_the_environments_proxy(
    server: "Server", reply: "type[Reply]", monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plays(reply.json({"ok": True}))
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with client(True) as http:
        await http.get("http://far.example/x")
        await http.get(f"{server.url}/near")
    assert [asked.path for asked in server.asked] == ["http://far.example/x", "/v1/near"]
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    async with client(True) as http:
        with pytest.raises(httpx2.UnsupportedProtocol, match="pass fast=False"):
            await http.get("http://far.example/x")


async def test_the_fast_transport_keeps_httpx2s_timeouts(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply([b"x"], stuck=True))
    async with client(True) as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(server.url, timeout=httpx2.Timeout(5, read=0.01))
