"""The hosted tool `file_search`: events, receipts, options, errors, and citations in a run."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from antiphon.agents import Agent
from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import (
    Event,
    FileCitation,
    FileSearchCall,
    FileSearchTool,
    Message,
    OutputText,
    lower,
)
from antiphon.models import FunctionCall, ScriptedModel, Text
from antiphon.testing.tool import check_call_events, check_hosted_tool, play
from antiphon.tools import FileSearch, Scope, search as kept

from .searching import OWNER, Letters, filled

pytestmark = pytest.mark.anyio

FILES = {
    "boats.md": "# Boats\n\nA keel keeps a boat upright.\n",
    "trees.md": "# Trees\n\nAn oak keeps its leaves until spring.\n",
}


def asking(*queries: str) -> str:
    return json.dumps({"queries": queries})


def wanted(**fields: Any) -> FileSearchTool:
    return FileSearchTool.model_validate(
        {"type": "file_search", "vector_store_ids": ["vs_a"], **fields}
    )


def scope() -> Scope:
    return Scope(principal=OWNER)


async def ran(
    library: kept.Library, *queries: str, definition: FileSearchTool | None = None
) -> FileSearchCall:
    """The receipt of one call."""
    (offer,) = FileSearch(library).offers(definition or wanted(), scope())
    item = check_call_events(await play(offer, asking(*queries), scope=scope()))
    assert isinstance(item, FileSearchCall)
    return item


def names(item: FileSearchCall) -> list[str | None]:
    assert item.status == "completed" and item.results is not None
    return [each.filename for each in item.results]


async def test_it_keeps_the_conformance_of_hosted_tools() -> None:
    async with filled(FILES) as library:
        tool = FileSearch(library)
        (item,) = await check_hosted_tool(tool, wanted(), asking("keel"), scope=scope())
        assert isinstance(item, FileSearchCall) and names(item) == ["boats.md"]


async def test_the_events_of_a_search_come_in_the_order_of_the_wire() -> None:
    async with filled(FILES) as library:
        (offer,) = FileSearch(library).offers(wanted(), scope())
        events: Sequence[Event] = await play(offer, asking("keel"), scope=scope())
    assert [event.type.removeprefix("response.") for event in events] == [
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done",
    ]


async def test_a_result_says_where_it_stands() -> None:
    async with filled(FILES, attributes={"boats.md": {"year": 3}}) as library:
        item = await ran(library, "keel")
    assert item.queries == ["keel"] and item.results is not None
    (result,) = item.results
    assert (result.file_id, result.filename) == ("file-boats.md", "boats.md")
    assert result.attributes == {"year": 3} and result.score is not None and result.score <= 1
    assert result.model_extra == {"heading": "Boats", "lines": [1, 3], "cite": "[cite:1]"}


async def test_several_queries_are_merged_and_the_best_comes_first() -> None:
    async with filled(FILES) as library:
        item = await ran(library, "oak leaves spring", "keel boat upright")
        assert set(names(item)) == {"boats.md", "trees.md"}
        assert item.results is not None
        scores = [each.score or 0.0 for each in item.results]
        assert scores == sorted(scores, reverse=True)
        one = await ran(library, "oak", "keel", definition=wanted(max_num_results=1))
        assert len(names(one)) == 1


async def test_filters_and_a_threshold_leave_results_out() -> None:
    async with filled(FILES, attributes={"boats.md": {"wet": True}}) as library:
        wet = {"type": "eq", "key": "wet", "value": True}
        assert names(await ran(library, "keeps", definition=wanted(filters=wet))) == ["boats.md"]
        high: Any = {"ranker": "auto", "score_threshold": 0.99}
        strict = await ran(library, "keeps zebra", definition=wanted(ranking_options=high))
        assert names(strict) == [], "expected nothing found to be no error"


async def test_several_stores_are_searched_as_one() -> None:
    async with filled(FILES) as library:
        from .searching import store_of

        await library.engine.create(store_of("b"))
        item = await ran(library, "keel", definition=wanted(vector_store_ids=["vs_b", "vs_a"]))
        assert names(item) == ["boats.md"]


@pytest.mark.parametrize("store_id", ["vs_gone", "vs_bobs"])
async def test_a_store_that_is_not_there_fails_the_call_and_the_model_reads_why(
    store_id: str,
) -> None:
    async with filled(FILES) as library:
        item = await ran(library, "keel", definition=wanted(vector_store_ids=[store_id]))
    assert item.status == "failed" and item.results is None
    (_, told) = lower([item])
    assert f"there is no vector store '{store_id}'" in told.to_json().decode()


async def test_an_embedder_that_fails_fails_the_call_and_gives_no_empty_answer() -> None:
    letters = Letters()
    async with filled(FILES, embedder=letters) as library:
        assert names(await ran(library, "keel"))[0] == "boats.md"
        letters.broken = True
        item = await ran(library, "keel")
    assert item.status == "failed"
    assert "cannot be reached" in str(item.model_extra)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"vector_store_ids": []}, "vector_store_ids"),
        ({"filters": {"type": "eq"}}, "filters.key"),
        ({"ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
        (
            {"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            "ranking_options.hybrid_search",
        ),
    ],
)
async def test_a_definition_that_cannot_be_served_is_refused(fields: Any, param: str) -> None:
    tool = FileSearch()
    with pytest.raises(RequestError) as refused:
        tool.offers(wanted(**fields), scope())
    assert refused.value.param == param
    await tool.aclose()


async def test_a_library_with_an_embedder_beside_it_is_a_mistake() -> None:
    async with filled({}) as library:
        with pytest.raises(ConfigurationError, match="of its own"):
            FileSearch(library, embedder=Letters())
        with pytest.raises(ConfigurationError, match="1 to 50"):
            FileSearch(library, max_num_results=51)


def script(*answers: str) -> ScriptedModel:
    """A model that searches for a keel before each of these answers."""
    turns: list[Any] = []
    for answer in answers:
        turns += [[FunctionCall("file_search", {"queries": ["keel"]})], [Text(answer)]]
    return ScriptedModel(turns)


def part_of(message: object) -> OutputText:
    assert isinstance(message, Message) and not isinstance(message.content, str)
    part = message.content[0]
    assert isinstance(part, OutputText)
    return part


async def test_markers_become_citations_and_unknown_ones_are_dropped() -> None:
    async with filled(FILES) as library:
        tools = [FileSearch(library, vector_store_ids=["vs_a"])]
        agent = Agent(
            name="guide", model=script("By a keel[cite:1], not a sail[cite:7]."), tools=tools
        )
        result = await agent.run("Why do boats stand?")
    part = part_of(result.items[-1])
    assert part.text == "By a keel, not a sail."
    (citation,) = part.annotations
    assert citation == FileCitation(file_id="file-boats.md", filename="boats.md", index=9)


async def test_a_citation_quotes_its_passage_where_that_is_asked_for() -> None:
    async with filled(FILES) as library:
        (offer,) = FileSearch(library).offers(wanted(**{"antiphon:quotes": True}), here := scope())
        await play(offer, asking("keel"), scope=here)
        citation = here.citations.find(1)
        assert citation is not None
        told = citation.annotate(4, 4)
    assert told.model_extra == {
        "antiphon:lines": [1, 3],
        "antiphon:quote": "# Boats\n\nA keel keeps a boat upright.",
    }


async def test_a_later_answer_may_cite_what_an_earlier_one_found() -> None:
    async with filled(FILES) as library:
        tools = [FileSearch(library, vector_store_ids=["vs_a"])]
        agent = Agent(name="guide", model=script("A keel.", "As found[cite:1]."), tools=tools)
        first = await agent.run("Why do boats stand?")
        second = await agent.run([*first.items, "And how do you know?"])
    (citation,) = part_of(second.items[-1]).annotations
    assert citation == FileCitation(file_id="file-boats.md", filename="boats.md", index=8)


async def test_a_search_that_must_be_approved_waits_whatever_form_its_query_has() -> None:
    async with filled(FILES) as library:
        tool = FileSearch(library, needs_approval=lambda queries: "keel" in queries)
        (offer,) = tool.offers(wanted(), scope())
        assert offer.gate is not None
        assert await offer.gate(asking("keel"))
        assert await offer.gate('{"query": "keel"}')
        assert not await offer.gate(asking("oak"))
