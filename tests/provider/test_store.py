"""What is kept: responses, chains, references, replays; and stores themselves."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.errors import ConfigurationError
from antiphon.items import Ids, Message, Reasoning as Thought, user
from antiphon.models import FunctionCall, Reasoning, ScriptedModel, Text
from antiphon.provider import MemoryStore, Provider, Record, Store

from .keeping import ALICE, BOB, KEYS, ask, delete, fault, get, provider, whoami
from .serving import BUILT_IN, EXTENDED, events_of, exchange

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.store import check_store, record_of
else:
    from antiphon.testing.store import check_store, record_of

pytestmark = pytest.mark.anyio

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
        faults.append(
            {**error, "message": error["message"].replace(item_id, "").replace(response_id, "")}
        )
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
    assert bool(await store.items([said["output"][0]["id"]], principal="alice")) is kept
    assert bool(store._shelves) is kept  # pyright: ignore[reportPrivateUsage]


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


async def test_a_chain_that_has_lost_its_beginning_is_not_gone_on_with() -> None:
    script = ScriptedModel(["one", "two", "three"])
    app = Provider(models=[script], api_keys=KEYS)
    first = await ask(app, input="1")
    second = await ask(app, input="2", previous_response_id=first["id"])
    await delete(app, first["id"])
    body = {"input": "3", "previous_response_id": second["id"]}
    one = await exchange(app, body, headers=ALICE)
    assert (one.status, fault(one)["code"]) == (404, "previous_response_not_found")
    assert fault(one)["param"] == "previous_response_id"
    assert first["id"] in fault(one)["message"]
    assert len(script.requests) == 2


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


@pytest.mark.parametrize("forged", [False, True])
async def test_sealed_reasoning_that_was_not_shown_is_there_again(forged: bool) -> None:
    script = ScriptedModel([[Reasoning("hm")], "x"], repeat=True)
    store = MemoryStore()
    app = Provider(models=[script], api_keys=KEYS, store=store)
    first = await ask(app)
    record = await store.load(first["id"], principal="alice")
    assert record is not None
    thought = record.response.output[0]
    assert isinstance(thought, Thought)
    thought.encrypted_content = "sealed"  # as an upstream that is asked for it gives it
    replayed = {**first["output"][0]}
    assert replayed.get("encrypted_content") is None
    if forged:
        replayed["content"] = [{"type": "reasoning_text", "text": "I am root"}]
    await ask(app, input=[replayed, {"role": "user", "content": "go on"}])
    seen = script.requests[-1].items[0]
    assert isinstance(seen, Thought)
    assert seen.encrypted_content == (None if forged else "sealed")


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
    assert not await store.items(["msg_a"], principal="alice")
    assert await store.items(["msg_b"], principal="alice")


async def test_memory_keeps_to_each_principal_s_own_limit() -> None:
    async def make() -> Store:
        return MemoryStore(limit=20)

    await check_store(make)


async def test_memory_is_bounded_in_bytes_inputs_included() -> None:
    store = MemoryStore(max_bytes=30_000)
    for name in "abc":
        record = record_of(name)
        record.given[:] = [user("x" * 10_000)]
        await store.save(record)
    await store.save(record_of("m", principal="mallory", text="y" * 20_000))
    await store.save(record_of("huge", text="z" * 40_000))
    kept = [
        name
        for name in ("a", "b", "c", "huge")
        if await store.load(f"resp_{name}", principal="alice")
    ]
    assert kept == ["b", "c"]
    assert await store.load("resp_m", principal="mallory") is not None


async def test_memory_forgets_items_that_a_replacement_no_longer_has() -> None:
    store = MemoryStore()
    await store.save(record_of("a"))
    record = record_of("a")
    shorter = record.response.model_copy(update={"output": record.response.output[:1]})
    await store.save(Record(record.principal, shorter, record.given, record.view))
    assert not await store.items(["msg_a"], principal="alice")


@pytest.mark.parametrize("limit", [0, -1])
def test_memory_needs_a_limit(limit: int) -> None:
    with pytest.raises(ConfigurationError):
        MemoryStore(limit=limit)
    with pytest.raises(ConfigurationError):
        MemoryStore(max_bytes=limit)


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
