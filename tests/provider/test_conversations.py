"""Conversations: lists of items under an id, read by responses and added to when they end."""

# The SDK's unions of item classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from antiphon.models import Failure, ModelRequest, Text, model
from antiphon.provider import Provider

from .serving import PATIENCE, Serve, inside, types

pytestmark = pytest.mark.anyio

READ: list[list[str]] = []
PRIVATE = {"type": "input_image", "image_url": "http://127.0.0.1/a.png"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}


@model("reader")
async def reader(request: ModelRequest) -> AsyncGenerator[Any, None]:
    """Remembers what it reads."""
    texts = [getattr(item, "text", "") for item in request.items]
    READ.append(texts)
    if texts[-1] == "break":
        yield Failure("odd", "it broke")
    yield Text(f"answer {len(texts)}")


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


async def made(client: httpx2.AsyncClient, **fields: Any) -> str:
    answer = await client.post("/v1/conversations", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def ask(client: httpx2.AsyncClient, text: str, **fields: Any) -> Any:
    body = {"model": "reader", "input": text, **fields}
    answer = await client.post("/v1/responses", json=body)
    return answer.json()


async def test_a_response_reads_its_conversation_and_adds_to_it() -> None:
    READ.clear()
    async with inside(Provider(models=[reader])) as client:
        named = await made(client, items=[said("first")])
        one = await ask(client, "second", conversation=named)
        await ask(client, "third", conversation={"id": named})
        listed = (await client.get(f"/v1/conversations/{named}/items?order=asc")).json()
    assert one["conversation"] == {"id": named}
    assert READ == [["first", "second"], ["first", "second", "answer 2", "third"]]
    assert types(listed["data"]) == ["message"] * 5
    assert [item["role"] for item in listed["data"]] == [
        "user",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert len({item["id"] for item in listed["data"]}) == 5


async def test_items_come_in_pages_in_either_order() -> None:
    async with inside(Provider(models=[reader])) as client:
        named = await made(client, items=[said(str(number)) for number in range(5)])
        url = f"/v1/conversations/{named}/items"
        first = (await client.get(f"{url}?limit=2")).json()
        second = (await client.get(f"{url}?limit=2&after={first['last_id']}")).json()
        oldest = (await client.get(f"{url}?limit=1&order=asc")).json()
    texts = [item["content"] for item in (*first["data"], *second["data"])]
    assert [text if isinstance(text, str) else text[0]["text"] for text in texts] == list("4321")
    assert (first["has_more"], second["has_more"]) == (True, True)
    assert oldest["data"][0]["content"] in ("0", [{"type": "input_text", "text": "0"}])


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"store": False},
        {"conversation": 3},
        {"conversation": {}},
        {"conversation": ""},
    ],
    ids=str,
)
async def test_what_a_conversation_cannot_stand_beside_is_refused(fields: dict[str, Any]) -> None:
    async with inside(Provider(models=[reader])) as client:
        named = await made(client)
        body = {"model": "reader", "input": "x", "conversation": named, **fields}
        answer = await client.post("/v1/responses", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "conversation")


@pytest.mark.parametrize("field", ["background", "conversation"])
async def test_what_needs_a_store_is_refused_where_nothing_is_stored_by_default(
    field: str,
) -> None:
    async with inside(Provider(models=[reader], store_by_default=False)) as client:
        value: Any = True if field == "background" else await made(client)
        body = {"model": "reader", "input": "x", field: value}
        answer = await client.post("/v1/responses", json=body)
        stored = await client.post("/v1/responses", json={**body, "store": True})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, field)
    assert "send store: true" in error["message"]
    assert stored.status_code == 200, stored.text


async def test_another_s_conversation_is_as_good_as_absent() -> None:
    app = Provider(models=[reader], api_keys={"a": "alice", "m": "mallory"})
    async with inside(app, headers={"authorization": "Bearer a"}) as client:
        named = await made(client, items=[said("secret")])
    async with inside(app, headers={"authorization": "Bearer m"}) as client:
        for other in (named, "conv_absent"):
            url = f"/v1/conversations/{other}"
            body = {"model": "reader", "input": "x", "conversation": other}
            answers = [
                await client.get(url),
                await client.post(url, json={"metadata": {}}),
                await client.delete(url),
                await client.get(f"{url}/items"),
                await client.post(f"{url}/items", json={"items": [said("x")]}),
                await client.get(f"{url}/items/msg_1"),
                await client.delete(f"{url}/items/msg_1"),
                await client.post("/v1/responses", json=body),
            ]
            assert {answer.status_code for answer in answers} == {404}
            assert {each.json()["error"]["code"] for each in answers} == {"conversation_not_found"}


async def test_a_failed_response_is_a_turn_of_its_conversation_too() -> None:
    async with inside(Provider(models=[reader])) as client:
        named = await made(client)
        failed = await ask(client, "break", conversation=named)
        listed = (await client.get(f"/v1/conversations/{named}/items")).json()
    assert failed["status"] == "failed"
    assert [item["role"] for item in listed["data"]] == ["user"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"items": [said("x")] * 21}, "items"),
        ("", {"items": [{"type": "message"}]}, "items[0].role"),
        ("", {"metadata": {"k": "v" * 600}}, "metadata"),
        ("", {"items": [{"role": "user", "content": [PRIVATE]}]}, "items[0].content[0].image_url"),
        ("/{}/items", {"items": [said("x"), {"type": "item_reference", "id": "a"}]}, "items[1].id"),
        ("", {"items": [said("x"), OUTPUT]}, "items[1].call_id"),
        ("/{}/items", {"items": [OUTPUT]}, "items[0].call_id"),
        ("/{}", {}, "metadata"),
        ("/{}/items", {"items": []}, "items"),
        ("/{}/items", {}, "items"),
    ],
    ids=str,
)
async def test_a_wrong_body_is_a_400_that_names_the_field(
    path: str, body: dict[str, Any], param: str
) -> None:
    async with inside(Provider(models=[reader])) as client:
        named = await made(client)
        answer = await client.post(f"/v1/conversations{path.format(named)}", json=body)
    assert answer.status_code == (404 if param.endswith(".id") else 400), answer.text
    assert answer.json()["error"]["param"] == param


async def test_an_output_is_added_to_the_conversation_that_has_its_call() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    async with inside(Provider(models=[reader])) as client:
        named = await made(client, items=[call])
        added = [
            (await client.post(f"/v1/conversations/{at}/items", json={"items": [OUTPUT]}))
            for at in (named, named, "conv_none")
        ]
    assert [answer.status_code for answer in added] == [200, 400, 404]
    assert added[1].json()["error"]["code"] == "orphan"  # it has been answered


async def test_the_openai_client_keeps_conversations(serving: Serve) -> None:
    with serving(Provider(models=[reader])) as url:
        async with AsyncOpenAI(
            base_url=f"{url}/v1", api_key="x", max_retries=0, timeout=PATIENCE
        ) as client:
            talk = await client.conversations.create(
                metadata={"topic": "tides"}, items=[{"role": "user", "content": "hello"}]
            )
            response = await client.responses.create(
                model="reader", input="and?", conversation=talk.id
            )
            assert response.conversation is not None
            assert response.conversation.id == talk.id
            await client.conversations.items.create(
                talk.id, items=[{"role": "user", "content": "more"}]
            )
            items = [item async for item in client.conversations.items.list(talk.id, order="asc")]
            assert [item.type for item in items] == ["message"] * 4
            one: Any = await client.conversations.items.retrieve(
                items[2].id or "", conversation_id=talk.id
            )
            assert one.role == "assistant"
            await client.conversations.items.delete(items[0].id or "", conversation_id=talk.id)
            changed = await client.conversations.update(talk.id, metadata={"topic": "moon"})
            assert changed.metadata == {"topic": "moon"}
            cleared = await client.conversations.update(talk.id, metadata=None)
            assert cleared.metadata == {}
            assert (await client.conversations.retrieve(talk.id)).id == talk.id
            gone = await client.conversations.delete(talk.id)
            assert gone.deleted
            given = await client.responses.input_items.list(response.id)
            assert [item.type for item in given.data] == ["message"]
