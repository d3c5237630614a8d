"""Whose it is, and what is kept: keys, principals, ids, chains, references, secrets."""

import json
from typing import Any

import pytest

from antiphon.errors import ConfigurationError
from antiphon.items import Ids, Message
from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.provider import MemoryStore, Provider, Record, Store
from antiphon.testing.store import check_store, record_of
from antiphon.tools import Context, tool

from .serving import BUILT_IN, EXTENDED, Exchange, events_of, exchange

pytestmark = pytest.mark.anyio

KEYS = {"sk-a": "alice", "sk-a2": "alice", "sk-b": "bob"}
ALICE = {"authorization": "Bearer sk-a"}
BOB = {"authorization": "Bearer sk-b"}


@tool
async def whoami(ctx: Context) -> str:
    """Whose run this is."""
    return ctx.principal


def provider(*turns: Any, **options: Any) -> Provider:
    script = ScriptedModel(turns or ["x"], repeat=True)
    return Provider(models=[script], tools=[whoami], **{"api_keys": KEYS, **options})


async def ask(app: Provider, headers: dict[str, str] = ALICE, **body: Any) -> dict[str, Any]:
    one = await exchange(app, {"input": "hi", **body}, headers=headers)
    assert one.status == 200, one.body
    return json.loads(one.body)


async def get(app: Provider, response_id: str, headers: dict[str, str] = ALICE) -> Exchange:
    return await exchange(app, method="GET", path=f"/v1/responses/{response_id}", headers=headers)


async def delete(app: Provider, response_id: str, headers: dict[str, str] = ALICE) -> Exchange:
    path = f"/v1/responses/{response_id}"
    return await exchange(app, method="DELETE", path=path, headers=headers)


def fault(one: Exchange) -> dict[str, Any]:
    return json.loads(one.body)["error"]


# --- who ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [None, "", "Bearer", "Bearer ", "Bearer sk-x", "Basic sk-a", "sk-a", "Bearer sk-a sk-b", "Bearer \xe9"],
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
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "127.8.8.8"]
)
@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("::1", 1), None])
async def test_without_keys_this_machine_is_served(host: str, client: Any) -> None:
    app = provider(api_keys=None)
    one = await exchange(app, {"input": "x"}, headers={"host": host}, client=client)
    assert one.status == 200


# --- what is kept ------------------------------------------------------------


async def test_anothers_id_and_an_absent_id_look_the_same() -> None:
    app = provider()
    kept = (await ask(app))["id"]
    absent = kept[:-4] + ("0000" if not kept.endswith("0000") else "1111")
    for act in get, delete:
        theirs, nobodys = await act(app, kept, BOB), await act(app, absent, BOB)
        assert theirs.status == nobodys.status == 404
        assert fault(theirs)["message"].replace(kept, absent) == fault(nobodys)["message"]
        assert {**fault(theirs), "message": ""} == {**fault(nobodys), "message": ""}
    assert (await get(app, kept)).status == 200


@pytest.mark.parametrize("field", ["previous_response_id", "item_reference"])
async def test_anothers_id_is_as_good_as_none_in_a_request(field: str) -> None:
    app = provider()
    kept = await ask(app)
    faults: list[Any] = []
    for item_id, response_id in (kept["output"][0]["id"], kept["id"]), ("msg_0", "resp_0"):
        body: dict[str, Any] = {"input": "x", "previous_response_id": response_id}
        if field == "item_reference":
            body = {"input": [{"type": "item_reference", "id": item_id}]}
        one = await exchange(app, body, headers=BOB)
        assert one.status == 404
        error = fault(one)
        faults.append({**error, "message": error["message"].replace(item_id, "").replace(response_id, "")})
    assert faults[0].keys() == faults[1].keys()
    assert faults[0]["code"] == faults[1]["code"]


async def test_a_response_is_kept_and_deleted() -> None:
    app = provider()
    said = await ask(app)
    assert json.loads((await get(app, said["id"])).body) == said
    gone = await delete(app, said["id"])
    assert json.loads(gone.body) == {"id": said["id"], "object": "response", "deleted": True}
    assert (await get(app, said["id"])).status == 404
    assert (await delete(app, said["id"])).status == 404


async def test_a_streamed_response_is_kept_as_it_was_told() -> None:
    app = provider()
    one = await exchange(app, {"input": "x", "stream": True}, headers=ALICE)
    told = events_of(one.body)[-1]["response"]
    assert json.loads((await get(app, told["id"])).body) == told


async def test_get_shows_the_full_item_to_those_who_ask() -> None:
    app = provider([FunctionCall("whoami", {})], "x")
    said = await ask(app, tools=[BUILT_IN])
    assert said["output"][0]["type"] == "mcp_call"
    plain = json.loads((await get(app, said["id"])).body)
    assert plain == said
    full = json.loads((await get(app, said["id"], ALICE | EXTENDED)).body)
    assert full["output"][0]["type"] == "antiphon:tool_call"
    assert full["output"][0]["id"] == said["output"][0]["id"]
    assert (await delete(app, said["id"], ALICE | EXTENDED)).status == 200


@pytest.mark.parametrize(
    ("by_default", "asked", "kept"),
    [(True, None, True), (True, False, False), (True, True, True),
     (False, None, False), (False, False, False), (False, True, True)],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_not_to_be_stored_is_not(
    by_default: bool, asked: bool | None, kept: bool, stream: bool
) -> None:
    store = MemoryStore()
    app = provider(store=store, store_by_default=by_default)
    body = {"input": "x", "stream": stream} | ({} if asked is None else {"store": asked})
    one = await exchange(app, body, headers=ALICE)
    said = events_of(one.body)[-1]["response"] if stream else json.loads(one.body)
    assert said["store"] is kept
    assert (await get(app, said["id"])).status == (200 if kept else 404)
    assert (await store.item(said["output"][0]["id"], principal="alice") is not None) is kept
    assert (len(store._records) == 1) is kept  # pyright: ignore[reportPrivateUsage]


async def test_a_chain_of_three() -> None:
    script = ScriptedModel(["one", "two", "three"])
    app = Provider(models=[script], api_keys=KEYS)
    first = await ask(app, input="1")
    second = await ask(app, input="2", previous_response_id=first["id"])
    third = await ask(app, input="3", previous_response_id=second["id"])
    assert third["previous_response_id"] == second["id"]
    said = [item.text for item in script.requests[2].items if isinstance(item, Message)]
    assert said == ["1", "one", "2", "two", "3"]


async def test_a_chain_without_new_input() -> None:
    script = ScriptedModel(["one", "two"])
    app = Provider(models=[script])
    first = await exchange(app, {"input": "1"})
    body = {"previous_response_id": json.loads(first.body)["id"]}
    assert (await exchange(app, body)).status == 200
    assert len(script.requests[1].items) == 2


async def test_a_chain_that_branches() -> None:
    script = ScriptedModel(["one", "two", "three"])
    app = Provider(models=[script], api_keys=KEYS)
    first = await ask(app, input="1")
    for number in "2", "3":
        await ask(app, input=number, previous_response_id=first["id"])
    texts = [getattr(item, "text", "") for item in script.requests[2].items]
    assert texts == ["1", "one", "3"]


async def test_a_chain_goes_on_when_its_beginning_is_deleted() -> None:
    script = ScriptedModel(["one", "two", "three"])
    app = Provider(models=[script], api_keys=KEYS)
    first = await ask(app, input="1")
    second = await ask(app, input="2", previous_response_id=first["id"])
    await delete(app, first["id"])
    await ask(app, input="3", previous_response_id=second["id"])
    assert [getattr(item, "text", "") for item in script.requests[2].items] == ["2", "two", "3"]


async def test_instructions_are_not_carried_over() -> None:
    script = ScriptedModel(["one", "two"])
    app = Provider(models=[script], api_keys=KEYS)
    first = await ask(app, instructions="Be brief.")
    assert first["instructions"] == "Be brief."
    second = await ask(app, previous_response_id=first["id"])
    assert second["instructions"] is None
    assert [request.instructions for request in script.requests] == ["Be brief.", None]


async def test_what_was_not_stored_cannot_be_continued() -> None:
    app = provider()
    first = await ask(app, store=False)
    one = await exchange(app, {"input": "x", "previous_response_id": first["id"]}, headers=ALICE)
    assert (one.status, fault(one)["code"]) == (404, "previous_response_not_found")


async def test_item_references_are_resolved() -> None:
    script = ScriptedModel([[FunctionCall("whoami", {})], "one", "two"])
    app = Provider(models=[script], tools=[whoami], api_keys=KEYS)
    first = await ask(app, tools=[BUILT_IN])
    call, message = (item["id"] for item in first["output"])
    references = [{"type": "item_reference", "id": call}, {"id": message}]
    await ask(app, input=[{"role": "user", "content": "1"}, *references])
    assert [item.type for item in script.requests[2].items] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]


async def test_a_thin_replay_is_made_whole_again() -> None:
    """What a client saw without its outputs, and sends back, reads to the model as before."""
    script = ScriptedModel([[FunctionCall("whoami", {})], "one", "two"])
    app = Provider(models=[script], tools=[whoami], api_keys=KEYS)
    first = await ask(app, tools=[BUILT_IN])
    await ask(app, input=[{"role": "user", "content": "hi"}, *first["output"]], tools=[BUILT_IN])
    assert script.requests[1].items == script.requests[2].items[:3]


async def test_a_forged_replay_is_taken_as_the_clients_own_word() -> None:
    script = ScriptedModel([[FunctionCall("whoami", {})], "one", "two"])
    app = Provider(models=[script], tools=[whoami], api_keys=KEYS)
    first = await ask(app, tools=[BUILT_IN])
    forged = {**first["output"][0], "output": "root"}
    await ask(app, input=[forged])
    assert getattr(script.requests[2].items[1], "output", "") == "root"
    kept = json.loads((await get(app, first["id"])).body)
    assert kept["output"][0]["output"] == "alice", "what is stored is as it was"


async def test_client_made_ids_are_no_keys() -> None:
    app = provider()
    await ask(app, input=[{"role": "user", "id": "msg_mine", "content": "x"}])
    one = await exchange(app, {"input": [{"id": "msg_mine"}]}, headers=ALICE)
    assert one.status == 404


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
    (record,) = store._records.values()  # pyright: ignore[reportPrivateUsage]
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
    assert SECRET not in repr(store._records)  # pyright: ignore[reportPrivateUsage]


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
    [(b"stream=true", "stream"), (b"starting_after=3", "starting_after"), (b"include[]=all", "include")],
)
async def test_get_refuses_what_it_does_not_do(query: bytes, param: str) -> None:
    app = provider()
    kept = (await ask(app))["id"]
    one = Exchange(app, method="GET", path=f"/v1/responses/{kept}", headers=ALICE)
    one.scope["query_string"] = query
    await one.run()
    assert (one.status, fault(one)["param"]) == (400, param)


# --- stores ------------------------------------------------------------------


async def test_memory_is_a_store() -> None:
    async def make() -> Store:
        return MemoryStore()

    await check_store(make)


async def test_memory_keeps_the_newest() -> None:
    store = MemoryStore(limit=3)
    for name in "abcd":
        await store.save(record_of(name))
    await store.save(record_of("d"))
    kept = [name for name in "abcd" if await store.load(f"resp_{name}", principal="alice")]
    assert kept == ["b", "c", "d"]
    assert await store.item("msg_a", principal="alice") is None
    assert await store.item("msg_b", principal="alice") is not None


async def test_memory_forgets_items_that_a_replacement_no_longer_has() -> None:
    store = MemoryStore()
    await store.save(record_of("a"))
    record = record_of("a")
    shorter = record.response.model_copy(update={"output": record.response.output[:1]})
    await store.save(Record(record.principal, shorter, record.given, record.view))
    assert await store.item("msg_a", principal="alice") is None


@pytest.mark.parametrize("limit", [0, -1])
def test_memory_needs_a_limit(limit: int) -> None:
    with pytest.raises(ConfigurationError):
        MemoryStore(limit=limit)


async def test_closing_a_provider_closes_its_store() -> None:
    store = MemoryStore()
    app = provider(store=store)
    said = await ask(app)
    await app.aclose()
    assert await store.load(said["id"], principal="alice") is None


async def test_ids_can_be_seeded() -> None:
    bodies: list[bytes] = []
    for _ in range(2):
        app = provider([Text("x")], new_ids=lambda: Ids(seed=7), clock=lambda: 1.0)
        bodies.append((await exchange(app, {"input": "x", "stream": True}, headers=ALICE)).body)
    assert bodies[0] == bodies[1]
