"""File search over HTTP, as OpenAI's own client sees it: events, results, citations."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from openai import AsyncOpenAI

from antiphon.models import FunctionCall, ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import FileSearch

from .serving import PATIENCE, inside

pytestmark = pytest.mark.anyio

BOATS = "# Boats\n\nA keel keeps a boat upright.\n"
TREES = "# Trees\n\nAn oak keeps its leaves until spring.\n"
SEARCH = FunctionCall("file_search", {"queries": ["what keeps a boat upright?"]})
ANSWER = "A keel does.[cite:1] So I read.[cite:77]"


@asynccontextmanager
async def served(*turns: Any) -> AsyncGenerator[tuple[AsyncOpenAI, str]]:
    """A client of a provider with file search, and the id of a store with two files."""
    script = ScriptedModel([*turns] or [SEARCH, ANSWER], fragment=5, name="model")
    app = Provider(models=[script], tools=[FileSearch()])
    try:
        async with inside(app) as http:
            base = "http://localhost/v1"
            client = AsyncOpenAI(api_key="x", base_url=base, http_client=http, max_retries=0)
            ids: list[str] = []
            for name, text in (("boats.md", BOATS), ("trees.md", TREES)):
                sent = await client.files.create(file=(name, text.encode()), purpose="user_data")
                ids.append(sent.id)
            store = await client.vector_stores.create(name="docs", file_ids=ids)
            with anyio.fail_after(PATIENCE):
                while store.file_counts.in_progress:
                    store = await client.vector_stores.retrieve(store.id)
            assert store.file_counts.completed == 2
            yield client, store.id
    finally:
        await app.aclose()


def tool(store_id: str, **more: Any) -> Any:
    return {"type": "file_search", "vector_store_ids": [store_id], **more}


async def test_the_stream_tells_the_search_and_the_citation_in_their_order() -> None:
    async with served() as (client, store_id):
        stream = await client.responses.create(
            model="model", input="Boats?", tools=[tool(store_id)], stream=True
        )
        events = [event async for event in stream]
        kinds = [event.type for event in events if "delta" not in event.type]
        assert kinds == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.file_search_call.in_progress",
            "response.file_search_call.searching",
            "response.file_search_call.completed",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.annotation.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_results_are_shown_to_whoever_includes_them_and_kept_for_all() -> None:
    async with served(SEARCH, ANSWER, SEARCH, ANSWER) as (client, store_id):
        tools = [tool(store_id, max_num_results=1)]
        thin: Any = await client.responses.create(model="model", input="Boats?", tools=tools)
        assert thin.output[0].results is None
        assert thin.output[0].queries == ["what keeps a boat upright?"]
        include: Any = ["file_search_call.results"]
        whole: Any = await client.responses.create(
            model="model", input="Boats?", tools=tools, include=include
        )
        (result,) = whole.output[0].results
        assert (result.filename, result.text) == ("boats.md", BOATS.strip())
        assert 0.5 < result.score <= 1
        later: Any = await client.responses.retrieve(thin.id, include=include)
        assert [each.filename for each in later.output[0].results] == ["boats.md"]


async def test_a_citation_names_its_file_and_on_request_its_lines_and_unknown_ones_go() -> None:
    async with served(SEARCH, ANSWER, SEARCH, ANSWER) as (client, store_id):
        for more in {}, {"antiphon:quotes": True}:
            answer: Any = await client.responses.create(
                model="model", input="Boats?", tools=[tool(store_id, **more)]
            )
            (part,) = answer.output[-1].content
            assert part.text == "A keel does. So I read."
            (cited,) = part.annotations
            assert (cited.type, cited.filename, cited.index) == ("file_citation", "boats.md", 12)
            quoted = {"antiphon:lines": [1, 3], "antiphon:quote": BOATS.strip()} if more else {}
            assert cited.model_extra == quoted


async def test_filters_and_ranking_options_reach_the_search() -> None:
    async with served(SEARCH, ANSWER, SEARCH, ANSWER) as (client, store_id):
        include: Any = ["file_search_call.results"]
        listed = (await client.vector_stores.files.list(store_id)).data
        for each in listed:
            await client.vector_stores.files.update(
                each.id, vector_store_id=store_id, attributes={"old": each.id == listed[-1].id}
            )
        found: list[list[str]] = []
        for more in (
            {"filters": {"type": "eq", "key": "old", "value": False}},
            {"ranking_options": {"score_threshold": 0.99}},
        ):
            answer: Any = await client.responses.create(
                model="model", input="Boats?", tools=[tool(store_id, **more)], include=include
            )
            assert answer.output[0].status == "completed"
            found.append([each.filename for each in answer.output[0].results])
        assert found == [["trees.md"], []]


async def test_a_later_response_cites_what_an_earlier_one_found() -> None:
    async with served(SEARCH, "Noted.", "It was a keel.[cite:1]") as (client, store_id):
        tools = [tool(store_id)]
        first = await client.responses.create(model="model", input="Look it up.", tools=tools)
        second: Any = await client.responses.create(
            model="model", input="So?", tools=tools, previous_response_id=first.id
        )
        (part,) = second.output[-1].content
        assert part.text == "It was a keel." and part.annotations[0].filename == "boats.md"


async def test_a_deleted_file_is_not_found_any_more() -> None:
    async with served() as (client, store_id):
        for each in (await client.files.list()).data:
            if each.filename == "boats.md":
                await client.files.delete(each.id)
        page = await client.vector_stores.search(store_id, query="keeps")
        assert [each.filename for each in page.data] == ["trees.md"]
