"""Whose it is: keys, principals, this machine alone; secrets; ids; what a GET may ask."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.errors import ConfigurationError
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import MemoryStore, Provider, Record

from .keeping import ALICE, KEYS, ask, fault, get, provider
from .serving import BUILT_IN, EXTENDED, Exchange, exchange

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.store import record_of
else:
    from antiphon.testing.store import record_of

pytestmark = pytest.mark.anyio

# --- who ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer sk-x",
        "Basic sk-a",
        "sk-a",
        "Bearer sk-a sk-b",
        "Bearer \xe9",
    ],
)
async def test_without_a_known_key_nothing_is_served(value: str | None) -> None:
    headers = {} if value is None else {"authorization": value}
    app = provider()
    for method, path in (
        ("POST", "/v1/responses"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/models"),
    ):
        one = await exchange(app, {"input": "x"}, method=method, path=path, headers=headers)
        assert one.status == 401
        assert one.headers["www-authenticate"] == "Bearer"
        assert fault(one)["code"] == "invalid_api_key"
        assert b"sk-" not in one.body


@pytest.mark.parametrize(
    ("value", "principal"),
    [("Bearer sk-a", "alice"), ("bearer sk-a2", "alice"), ("Bearer  sk-b ", "bob")],
)
async def test_a_key_is_a_principal(value: str, principal: str) -> None:
    app = provider([FunctionCall("whoami", {})], "x")
    said = await ask(app, {"authorization": value}, tools=[BUILT_IN])
    assert said["output"][0]["output"] == principal


async def test_with_keys_strangers_from_anywhere_are_served() -> None:
    one = await exchange(
        provider(),
        {"input": "x"},
        headers={**ALICE, "host": "api.example.com"},
        client=("203.0.113.5", 1),
    )
    assert one.status == 200


@pytest.mark.parametrize("keys", [{"": "alice"}, {"sk": ""}])
def test_empty_keys_are_a_mistake(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        provider(api_keys=keys)


def test_keys_are_in_no_dump() -> None:
    app = provider()
    assert "sk-a" not in repr(vars(app)) + repr(vars(app._keys))  # pyright: ignore[reportPrivateUsage]
    assert app.open is False
    assert provider(api_keys=None).open is True


@pytest.mark.parametrize("host", ["203.0.113.5", "10.0.0.1", "192.168.0.2", "fe80::1", "unknown"])
async def test_without_keys_only_this_machine_is_served(host: str) -> None:
    app = provider(api_keys=None)
    for method, path in ("POST", "/v1/responses"), ("GET", "/v1/models"):
        one = await exchange(app, {"input": "x"}, method=method, path=path, client=(host, 1))
        assert one.status == 403
        assert fault(one)["code"] == "local_only"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
     "10.0.0.1:8000", "[fe80::1]:80", "", "[", "[]:80", "localhost@evil.example", "127.0.0.1:x:y"],
)  # fmt: skip
async def test_without_keys_a_foreign_host_is_refused(host: str) -> None:
    """A web page that makes its own name lead here (DNS rebinding) gets nothing."""
    one = await exchange(provider(api_keys=None), {"input": "x"}, headers={"host": host})
    assert one.status == 403


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "127.8.8.8"],
)
@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("::1", 1), None])
async def test_without_keys_this_machine_is_served(host: str, client: Any) -> None:
    app = provider(api_keys=None)
    one = await exchange(app, {"input": "x"}, headers={"host": host}, client=client)
    assert one.status == 200


# --- secrets -----------------------------------------------------------------

SECRET = "s3cr3t"
MCP = {
    "type": "mcp",
    "server_label": "x",
    "server_url": "https://example.com/mcp",
    "authorization": SECRET,
    "headers": {"x-key": SECRET},
}
CARRIERS: list[Any] = [
    MCP,
    {"type": "antiphon:agent", "name": "reader", "tools": [MCP]},
    {
        "type": "antiphon:agent",
        "name": "reader",
        "tools": [{"type": "antiphon:agent", "name": "inner", "tools": [MCP]}],
    },
    {"type": "namespace", "name": "n", "tools": [MCP]},
]


@pytest.mark.parametrize("carrier", CARRIERS, ids=["mcp", "agent", "agent in agent", "namespace"])
@pytest.mark.parametrize("stream", [False, True])
async def test_secrets_are_neither_echoed_nor_stored_nor_logged(
    carrier: Any, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    store = MemoryStore()
    app = provider(store=store)
    body = {"input": "x", "tools": [carrier], "stream": stream}
    one = await exchange(app, body, headers=ALICE | EXTENDED)
    assert one.status == 200, one.body
    assert SECRET.encode() not in one.body
    assert b"example.com" in one.body or carrier["type"] == "mcp"
    (record,) = store._shelves["alice"].records.values()  # pyright: ignore[reportPrivateUsage]
    assert SECRET not in repr(record)
    assert SECRET not in caplog.text
    again = await get(app, record.response.id, ALICE | EXTENDED)
    assert SECRET.encode() not in again.body


async def test_secrets_are_not_in_error_messages() -> None:
    bad = {**MCP, "authorization": {"x": SECRET}}
    one = await exchange(provider(), {"input": "x", "tools": [bad]}, headers=ALICE)
    assert one.status == 400
    assert SECRET.encode() not in one.body


async def test_secrets_of_default_tools_stay_inside() -> None:
    store = MemoryStore()
    app = provider(store=store, default_tools=[MCP])
    one = await exchange(app, {"input": "x"}, headers=ALICE)
    assert SECRET.encode() not in one.body
    assert SECRET not in repr(store._shelves)  # pyright: ignore[reportPrivateUsage]


# --- small things ------------------------------------------------------------


async def test_metadata_is_kept() -> None:
    app = provider()
    said = await ask(app, metadata={"a": "b"})
    assert json.loads((await get(app, said["id"])).body)["metadata"] == {"a": "b"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("my-id-1", True), ("x" * 128, True), ("x" * 129, False), ("a\tb", False), ("\xe9", False)],
)
async def test_request_ids(given: str, kept: bool) -> None:
    for path in "/v1/responses", "/nowhere":
        one = await exchange(
            provider(), {"input": "x"}, path=path, headers=ALICE | {"x-request-id": given}
        )
        assert (one.headers["x-request-id"] == given) is kept
        assert kept or one.headers["x-request-id"].startswith("req_")
        assert [key for key, _ in one.sent[0]["headers"]].count(b"x-request-id") == 1


async def test_models_are_listed() -> None:
    app = Provider(models=[ScriptedModel([], name="a"), ScriptedModel([], name="b")])
    one = await exchange(app, method="GET", path="/v1/models")
    said = json.loads(one.body)
    assert said["object"] == "list"
    assert [listed["id"] for listed in said["data"]] == ["a", "b"]
    assert said["data"][0].keys() == {"id", "object", "created", "owned_by"}


@pytest.mark.parametrize("keys", [KEYS, None])
async def test_health_needs_no_key(keys: Any) -> None:
    app = provider(api_keys=keys)
    one = await exchange(app, method="GET", path="/healthz", client=("203.0.113.5", 1))
    assert (one.status, json.loads(one.body)) == (200, {"status": "ok"})


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_get_asks_for_a_known_version(method: str) -> None:
    app = provider()
    kept = (await ask(app))["id"]
    headers = ALICE | {"openresponses-version": "1999-01-01"}
    one = await exchange(app, method=method, path=f"/v1/responses/{kept}", headers=headers)
    assert (one.status, fault(one)["code"]) == (400, "unsupported_version")
    assert (await get(app, kept)).status == 200


async def test_get_takes_include() -> None:
    search = {"type": "web_search", "query": "q", "sources": [{"url": "u"}]}
    store, app = MemoryStore(), provider()
    app = provider(store=store)
    record = record_of("a")
    call: Any = {"type": "web_search_call", "id": "ws", "status": "completed", "action": search}
    output = type(record.response).model_validate({"id": "resp_a", "output": [call]})
    await store.save(Record("alice", output, [], record.view))
    one = Exchange(app, method="GET", path="/v1/responses/resp_a", headers=ALICE)
    for query, seen in (
        (b"", False),
        (b"include[]=web_search_call.action.sources", True),
        (b"include=web_search_call.action.sources", True),
    ):
        one = Exchange(app, method="GET", path="/v1/responses/resp_a", headers=ALICE)
        one.scope["query_string"] = query
        await one.run()
        assert ("sources" in json.loads(one.body)["output"][0]["action"]) is seen


@pytest.mark.parametrize(
    ("query", "param"),
    [
        (b"stream=true", "stream"),
        (b"starting_after=3", "starting_after"),
        (b"include[]=all", "include"),
    ],
)
async def test_get_refuses_what_it_does_not_do(query: bytes, param: str) -> None:
    app = provider()
    kept = (await ask(app))["id"]
    one = Exchange(app, method="GET", path=f"/v1/responses/{kept}", headers=ALICE)
    one.scope["query_string"] = query
    await one.run()
    assert (one.status, fault(one)["param"]) == (400, param)
