"""Vector stores that a request's tools name: they are there, or nothing is created."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent
from antiphon.items import ToolDefinition
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import FileSearch, Offer, Scope

from .serving import EXTENDED, PATIENCE, inside

pytestmark = pytest.mark.anyio

ALICE = {"authorization": "Bearer sk-a"}
BOB = {"authorization": "Bearer sk-b"}
ABSENT = f"vs_{'0' * 48}"
SEARCH = FunctionCall("file_search", {"queries": ["what keeps a boat upright?"]})
DAY = 86_400


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@asynccontextmanager
async def served(clock: Hand | None = None) -> AsyncGenerator[Any]:
    """A provider with file search, and a client of Alice's."""
    from antiphon.tools import search

    search_tool = FileSearch(search.Library(clock=clock or Hand()))
    lost = Agent(
        name="lost",
        model=ScriptedModel([SEARCH, "I found nothing."]),
        tools=[FileSearch(search_tool.library, vector_store_ids=[ABSENT])],
    )
    app = Provider(
        models=[ScriptedModel([SEARCH, "A keel."], repeat=True, name="model")],
        agents=[lost],
        tools=[search_tool],
        api_keys={"sk-a": "alice", "sk-b": "bob"},
    )
    try:
        async with inside(app, headers=ALICE) as client:
            yield client
    finally:
        await app.aclose()


async def store_of(client: Any, headers: Mapping[str, str] = ALICE, **fields: Any) -> str:
    """A vector store with one file, which has been read."""
    file = {"file": ("boats.md", b"# Boats\n\nA keel keeps a boat upright.\n")}
    purpose = {"purpose": "user_data"}
    sent = await client.post("/v1/files", files=file, data=purpose, headers=headers)
    body = {"file_ids": [sent.json()["id"]], **fields}
    made = await client.post("/v1/vector_stores", json=body, headers=headers)
    assert made.status_code == 200, made.text
    named: str = made.json()["id"]
    with anyio.fail_after(PATIENCE):
        while (await client.get(f"/v1/vector_stores/{named}", headers=headers)).json()[
            "file_counts"
        ]["in_progress"]:
            pass
    return named


def asking(*stores: str, **body: Any) -> dict[str, Any]:
    tool = {"type": "file_search", "vector_store_ids": list(stores)}
    return {"model": "model", "input": "Boats?", "tools": [tool], **body}


@pytest.mark.parametrize("way", [{}, {"stream": True}, {"background": True}])
async def test_a_store_that_is_not_there_is_a_404_before_anything_is_created(way: Any) -> None:
    async with served() as client:
        there = await store_of(client)
        answer = await client.post("/v1/responses", json=asking(there, ABSENT, **way))
        assert answer.status_code == 404, answer.text
        error = answer.json()["error"]
        assert error["param"] == "tools[0].vector_store_ids"
        assert error["code"] == "vector_store_not_found" and ABSENT in error["message"]


async def test_a_store_that_is_there_is_searched() -> None:
    async with served() as client:
        there = await store_of(client)
        answer = await client.post("/v1/responses", json=asking(there))
        output = answer.json()["output"]
        assert [each["type"] for each in output] == ["file_search_call", "message"]
        assert output[0]["status"] == "completed"


async def test_anothers_store_and_an_absent_one_are_told_in_the_same_words() -> None:
    async with served() as client:
        alices = await store_of(client)
        said: set[str] = set()
        for named in alices, ABSENT:
            answer = await client.post("/v1/responses", json=asking(named), headers=BOB)
            assert answer.status_code == 404
            error = answer.json()["error"]
            said.add(str({**error, "message": error["message"].replace(named, "X")}))
        assert len(said) == 1, said


async def test_an_expired_store_is_a_400_that_says_so() -> None:
    clock = Hand()
    async with served(clock) as client:
        after = {"anchor": "last_active_at", "days": 1}
        named = await store_of(client, expires_after=after)
        clock.time += 2 * DAY
        answer = await client.post("/v1/responses", json=asking(named))
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "vector_store_expired"
        assert error["param"] == "tools[0].vector_store_ids"


async def test_the_stores_of_an_agent_inside_a_request_are_looked_for_too() -> None:
    async with served() as client:
        inner = asking(ABSENT)["tools"]
        outer: Any = {"type": "antiphon:agent", "name": "reader", "tools": inner}
        deep = {**outer, "name": "boss", "tools": [outer]}
        for tool, param in (
            (outer, "tools[0].tools[0].vector_store_ids"),
            (deep, "tools[0].tools[0].tools[0].vector_store_ids"),
        ):
            answer = await client.post(
                "/v1/responses", json={**asking(), "tools": [tool]}, headers=EXTENDED
            )
            assert answer.status_code == 404, answer.text
            assert answer.json()["error"]["param"] == param


async def test_an_agents_own_store_that_is_gone_fails_its_search_and_not_the_request() -> None:
    async with served() as client:
        answer = await client.post("/v1/responses", json={"model": "lost", "input": "Boats?"})
        assert answer.status_code == 200, answer.text
        search, message = answer.json()["output"]
        assert (search["status"], message["status"]) == ("failed", "completed")
        assert "there is no vector store" in search["error"]


async def test_more_stores_than_a_request_may_name_are_refused_without_looking() -> None:
    async with served() as client:
        answer = await client.post("/v1/responses", json=asking(*[ABSENT] * 33))
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "tools[0].vector_store_ids"


class Own:
    """A search of a provider's own, which has no stores."""

    @property
    def type(self) -> str:
        return "file_search"

    def offers(self, definition: ToolDefinition, scope: Scope) -> list[Offer]:
        return []

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_a_search_of_somebody_s_own_is_served_without_endpoints_of_stores() -> None:
    app = Provider(models=[ScriptedModel(["x"])], tools=[Own()])
    async with inside(app) as client:
        asked = {"input": "hi", "tools": [{"type": "file_search", "vector_store_ids": [ABSENT]}]}
        answer = await client.post("/v1/responses", json=asked)
        stores = await client.get("/v1/vector_stores")
    assert (answer.status_code, stores.status_code) == (200, 404)
