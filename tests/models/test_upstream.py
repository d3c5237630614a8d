"""`Upstream`: a server of models, whatever it speaks, over real connections."""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import httpx2
import pytest

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import Completed, Json, TextDelta, user
from antiphon.models import ModelRequest, Upstream

if TYPE_CHECKING:
    from .conftest import Listen, Reply, Server

Sse: TypeAlias = Callable[..., bytes]
pytestmark = pytest.mark.anyio

ENDED: Json = {
    "type": "response.completed",
    "response": {"id": "r", "object": "response", "status": "completed", "output": []},
}
SPOKEN: Json = {"choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": "stop"}]}


def asking() -> ModelRequest:
    return ModelRequest([user("hello")])


async def test_a_server_that_knows_responses_is_asked_there(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply.json({"error": "what?"}, 400), reply([sse(ENDED)]))
    upstream = Upstream(server.url, api_key="sk-1")
    for _ in range(2):
        events = await listen(upstream.model("m"), asking())
        assert isinstance(events[-1], Completed)
    assert [each.path for each in server.asked] == ["/v1/responses"] * 3  # one of them a probe
    assert server.asked[0].raw == b"{}"
    assert server.asked[1].body["model"] == "m"
    assert {each.headers["authorization"] for each in server.asked} == {"Bearer sk-1"}
    assert server.connections <= 2
    await upstream.aclose()


@pytest.mark.parametrize("status", [404, 405])
async def test_a_server_that_does_not_is_asked_for_chat_completions(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen", status: int
) -> None:
    server.plays(reply.json({}, status), reply([sse(SPOKEN)]))
    upstream = Upstream(server.url)
    events = await listen(upstream.model("m"), asking())
    assert [each.delta for each in events if isinstance(each, TextDelta)] == ["hello"]
    assert [each.path for each in server.asked] == ["/v1/responses", "/v1/chat/completions"]
    assert "authorization" not in server.asked[1].headers
    await upstream.aclose()


@pytest.mark.parametrize(
    ("api", "path"), [("responses", "responses"), ("chat", "chat/completions")]
)
async def test_what_is_said_to_be_spoken_is_not_asked(
    server: "Server", reply: "type[Reply]", listen: "Listen", api: Any, path: str
) -> None:
    server.plays(reply.json({"error": {"message": "no"}}, 400))
    upstream = Upstream(server.url, api=api)
    with pytest.raises(ModelError, match="no"):
        await listen(upstream.model("m"), asking())
    assert [each.path for each in server.asked] == [f"/v1/{path}"]
    await upstream.aclose()


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_a_server_that_will_not_say_is_asked_again(
    server: "Server", reply: "type[Reply]", status: int
) -> None:
    server.plays(reply.json({}, status), reply.json({}, 404))
    upstream = Upstream(server.url)
    assert [await upstream.probe() for _ in range(2)] == ["responses", "chat"]
    await upstream.aclose()


async def test_names_are_those_that_the_server_lists(
    server: "Server", reply: "type[Reply]"
) -> None:
    listing = {"object": "list", "data": [{"id": "b", "owned_by": "x"}, {"id": "a"}]}
    server.plays(reply.json(listing))
    upstream = Upstream(f"{server.url}?api-version=7")
    assert await upstream.names() == ["b", "a"]
    assert server.asked[0].path == "/v1/models?api-version=7"
    await upstream.aclose()


@pytest.mark.parametrize("body", [{"data": None}, {"models": []}, [], {"data": [{"name": "x"}]}])
async def test_what_is_no_list_is_said_to_be_none(
    server: "Server", reply: "type[Reply]", body: Any
) -> None:
    server.plays(reply.json(body))
    upstream = Upstream(server.url)
    with pytest.raises(ModelError, match="sent no list of models at /v1/models") as caught:
        await upstream.names()
    assert caught.value.code == "bad_listing"
    await upstream.aclose()


async def test_a_list_without_end_is_cut(server: "Server", reply: "type[Reply]") -> None:
    server.plays(reply([b"x" * 1024 * 1024] * 20, headers={"content-type": "application/json"}))
    upstream = Upstream(server.url)
    with anyio.fail_after(60), pytest.raises(ModelError, match="more than 8388608 bytes"):
        await upstream.names()
    await upstream.aclose()


async def test_a_refusal_has_its_status_and_never_the_key(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply.json({"error": {"message": "bad key sk-1"}}, 401))
    upstream = Upstream(server.url, api_key="sk-1")
    with pytest.raises(ModelError, match=r"answered 401: bad key \*\*\*") as caught:
        await upstream.names()
    assert caught.value.status == 401
    await upstream.aclose()


async def test_a_server_that_is_not_there_is_said_with_the_cure(listen: "Listen") -> None:
    upstream = Upstream("http://127.0.0.1:9/v1")
    for asked in (upstream.names(), upstream.probe(), listen(upstream.model("m"), asking())):
        with pytest.raises(ModelError, match="is it running, and is base_url right"):
            await asked
    await upstream.aclose()


async def test_a_client_of_one_s_own_is_used_and_left_open(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply.json({"data": []}))
    async with httpx2.AsyncClient(headers={"x-mine": "yes"}) as client:
        upstream = Upstream(server.url, http_client=client)
        assert await upstream.names() == []
        await upstream.aclose()
        assert not client.is_closed
    assert server.asked[0].headers["x-mine"] == "yes"


async def test_names_from_callers_do_not_pile_up(
    server: "Server", reply: "type[Reply]", sse: Sse, listen: "Listen"
) -> None:
    server.plays(reply([sse(ENDED)]))
    upstream = Upstream(server.url, api="responses")
    for number in range(200):
        await listen(upstream.model(f"m{number}"), asking())
    assert server.connections == 1
    await upstream.aclose()


def test_it_serves_one_event_loop_after_another(
    make_server: "type[Server]", reply: "type[Reply]"
) -> None:
    async def names(upstream: Upstream | None = None) -> Upstream:
        playing = make_server()
        playing.plays(reply.json({"data": [{"id": "m"}]}))
        listening = await asyncio.start_server(playing.talk, "127.0.0.1", port)
        upstream = upstream or Upstream(f"http://127.0.0.1:{port}/v1")
        assert await upstream.names() == ["m"]
        listening.close()
        return upstream

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    upstream = anyio.run(names)
    anyio.run(names, upstream)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("http://localhost:11434?v=1", "http://localhost:11434/v1?v=1"),
        ("https://host/openai/v1", "https://host/openai/v1"),
        ("https://host/api/", "https://host/api/"),
    ],
)
def test_v1_is_added_where_there_is_no_path(given: str, used: str) -> None:
    assert Upstream(given).base_url == used


@pytest.mark.parametrize(
    "given",
    [
        {"base_url": "localhost:11434"},
        {"base_url": "ftp://host"},
        {"base_url": ""},
        {"base_url": "http://x:y"},
        {"base_url": "http://x", "api": "grpc"},
        {"base_url": "http://x", "http_client": "curl"},
    ],
)
def test_what_cannot_work_is_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        Upstream(**given)


def test_the_key_is_not_in_its_repr() -> None:
    assert repr(Upstream("http://me:pw@host", api_key="sk-1")) == "<Upstream host>"
