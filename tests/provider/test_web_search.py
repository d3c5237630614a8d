"""Web search behind POST: what the `openai` client sees, and what is kept from it."""

# The SDK's unions of event classes are wider than what a test can name.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from antiphon.models import FunctionCall, ModelRequest, ScriptedModel, Text
from antiphon.provider import Provider
from antiphon.tools import WebResult, WebSearch

from .serving import serve
from .talking import kinds, played, strictly

SEARCHED = FunctionCall("web_search", {"type": "search", "query": "tides"})
SOURCES = "web_search_call.action.sources"
LINK = "([sea.example](https://sea.example/tides))"


async def search(query: str) -> list[WebResult]:
    return [WebResult("https://sea.example/tides", "Tides", "Twice a day.")]


def last(request: ModelRequest) -> Text:
    """Says what the call before it gave."""
    return Text(str(request.items[-2].to_json().decode()))


@pytest.fixture
def client() -> Iterator[OpenAI]:
    models = [
        ScriptedModel([SEARCHED, "Twice a day [cite:1]."], name="sailor", fragment=5, repeat=True),
        ScriptedModel([SEARCHED, "a", last], name="echo"),
    ]
    app = Provider(models=models, tools=[WebSearch(search=search, open_page=False)])
    with serve(app) as url:
        yield OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize("kind", ["web_search", "web_search_2025_08_26", "web_search_preview"])
def test_every_name_of_the_tool_gives_a_search_and_a_cited_answer(
    client: OpenAI, kind: Any
) -> None:
    response = client.responses.create(model="sailor", input="?", tools=[{"type": kind}])
    strictly(response)
    call, message = response.output
    assert call.type == "web_search_call"
    assert call.to_dict()["action"] == {"type": "search", "query": "tides"}
    assert "results" not in call.to_dict()
    assert message.type == "message"
    text = message.content[0]
    assert text.type == "output_text"
    assert text.text == f"Twice a day {LINK}."
    (cited,) = text.annotations
    assert cited.type == "url_citation"
    assert (cited.url, cited.title) == ("https://sea.example/tides", "Tides")
    assert text.text[cited.start_index : cited.end_index] == LINK


def test_the_stream_tells_the_search_and_each_citation(client: OpenAI) -> None:
    events = played(
        client.responses.create(
            model="sailor", input="?", tools=[{"type": "web_search"}], stream=True
        )
    )
    told = kinds(events)
    at = told.index("response.web_search_call.in_progress")
    assert told[at : at + 4] == [
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.output_item.done",
    ]
    assert told.count("response.output_text.annotation.added") == 1
    deltas = [one.delta for one in events if one.type == "response.output_text.delta"]
    assert "".join(deltas) == f"Twice a day {LINK}."
    assert not any("[cite" in delta for delta in deltas)


def test_sources_and_results_come_to_those_who_ask_for_them(client: OpenAI) -> None:
    include: Any = [SOURCES, "web_search_call.results"]
    response = client.responses.create(
        model="sailor", input="?", tools=[{"type": "web_search"}], include=include
    )
    data: dict[str, Any] = response.output[0].to_dict()
    assert data["action"]["sources"] == [{"type": "url", "url": "https://sea.example/tides"}]
    assert data["results"][0]["text"] == "Twice a day."


def test_a_thin_replay_reads_to_the_model_as_the_call_did(client: OpenAI) -> None:
    tools: Any = [{"type": "web_search"}]
    first = client.responses.create(model="echo", input="?", tools=tools)
    assert "results" not in first.output[0].to_dict()
    given: Any = [*first.output[:1], {"role": "user", "content": "What was it?"}]
    second = client.responses.create(model="echo", input=given, tools=tools)
    assert "Twice a day." in second.output_text


def test_a_forced_search_goes_by_the_name_of_the_tool(client: OpenAI) -> None:
    response = client.responses.create(
        model="sailor",
        input="?",
        tools=[{"type": "web_search_preview"}],
        tool_choice={"type": "web_search_preview"},
    )
    assert response.output[0].type == "web_search_call"


def test_a_bad_filter_is_a_400_that_names_its_place(client: OpenAI) -> None:
    from openai import BadRequestError

    tools: Any = [{"type": "web_search", "filters": {"allowed_domains": ["a b"]}}]
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(model="sailor", input="?", tools=tools)
    assert caught.value.param == "tools[0].filters.allowed_domains"
