"""The web search over a search of one's own: actions, filters, receipts, refusals."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import httpx2
import pytest
from pydantic import TypeAdapter

from antiphon.errors import ConfigurationError, RequestError, ToolFailed
from antiphon.items import Event, ToolDefinition, WebSearchCall, WebSearchTool, lower_one
from antiphon.testing.tool import check_call_events, check_hosted_tool, play
from antiphon.tools import JsonSearch, Scope, WebPage, WebQuery, WebResult, WebSearch

pytestmark = pytest.mark.anyio

PLAIN = WebSearchTool()
QUERY = '{"type": "search", "query": "tides"}'
FOUND = [
    WebResult("https://sea.example/tides", "Tides", "Twice a day."),
    WebResult("https://moon.example/", "Moon", "It pulls."),
]
PAGE = "The tide rises. " * 40 + "At Fundy it rises 16 m. " + "Then it falls. " * 400


async def search(query: WebQuery) -> Sequence[WebResult]:
    return FOUND


async def open_page(url: str) -> WebPage:
    if "sea" not in url:
        raise ToolFailed("no such page")
    return WebPage(url, "Tides", PAGE)


TOOL = WebSearch(search=search, open_page=open_page)


def definition(**fields: Any) -> ToolDefinition:
    adapter: TypeAdapter[ToolDefinition] = TypeAdapter(ToolDefinition)
    return adapter.validate_python({"type": "web_search", **fields})


def receipt(events: list[Event]) -> WebSearchCall:
    item = check_call_events(events)
    assert isinstance(item, WebSearchCall)
    return item


async def called(tool: WebSearch, arguments: Any, **fields: Any) -> WebSearchCall:
    (offer,) = tool.offers(definition(**fields), Scope())
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return receipt(await play(offer, text))


def read(item: WebSearchCall) -> str:
    """What the model reads."""
    return lower_one(item, "call")[-1].to_json().decode()


async def test_it_keeps_the_conformance_of_hosted_tools() -> None:
    await check_hosted_tool(TOOL, PLAIN, QUERY)


async def test_the_events_of_a_search_come_in_the_order_of_the_wire() -> None:
    (offer,) = TOOL.offers(PLAIN, Scope())
    events = await play(offer, QUERY)
    assert [event.type.removeprefix("response.") for event in events] == [
        "output_item.added",
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "output_item.done",
    ]


async def test_a_search_says_what_it_found_to_the_model_and_its_sources_to_the_client() -> None:
    item = await called(TOOL, QUERY)
    assert item.action == {
        "type": "search",
        "query": "tides",
        "sources": [{"type": "url", "url": one.url} for one in FOUND],
    }
    assert item.results == [
        {"cite": "[cite:1]", "url": FOUND[0].url, "title": "Tides", "text": "Twice a day."},
        {"cite": "[cite:2]", "url": FOUND[1].url, "title": "Moon", "text": "It pulls."},
    ]
    assert "Twice a day." in read(item)
    assert lower_one(item, "c")[0].model_dump()["arguments"] == QUERY.replace(": ", ":").replace(
        ", ", ","
    )


async def test_a_search_that_takes_a_text_gets_one_that_knows_more() -> None:
    seen: list[WebQuery] = []

    async def search(query: str) -> list[dict[str, str]]:
        assert isinstance(query, WebQuery)
        seen.append(query)
        return [{"link": "https://a.example", "name": "A", "snippet": "words"}]

    place = {"type": "approximate", "city": "Oslo", "country": "NO"}
    item = await called(
        WebSearch(search=search, open_page=False),
        QUERY,
        user_location=place,
        search_context_size="low",
        filters={"allowed_domains": ["A.example"]},
        external_web_access=False,
    )
    (query,) = seen
    assert query == "tides"
    assert query.user_location == {"city": "Oslo", "country": "NO"}
    assert (query.context_size, query.limit, query.live) == ("low", 4, False)
    assert query.allowed_domains == ("a.example",)
    assert item.results == [
        {"cite": "[cite:1]", "url": "https://a.example", "title": "A", "text": "words"}
    ]


@pytest.mark.parametrize(
    ("domains", "kept"),
    [
        (["sea.example"], 1),
        (["example"], 2),
        (["EXAMPLE."], 2),
        (["ea.example"], 0),
        (["tides.sea.example"], 0),
        ([], 2),
    ],
)
async def test_results_from_elsewhere_are_left_out(domains: list[str], kept: int) -> None:
    item = await called(TOOL, QUERY, filters={"allowed_domains": domains})
    assert item.status == "completed"
    assert len(item.results or []) == kept
    assert len((item.action or {})["sources"]) == kept


async def test_a_page_elsewhere_is_not_opened() -> None:
    asked = {"type": "open_page", "url": "https://sea.example/tides"}
    item = await called(TOOL, asked, filters={"allowed_domains": ["moon.example"]})
    assert item.status == "failed"
    assert "moon.example" in read(item)


@pytest.mark.parametrize(("size", "characters"), [("low", 4000), (None, 7000), ("high", 7000)])
async def test_a_page_is_read_as_far_as_its_size_allows(size: str | None, characters: int) -> None:
    asked = {"type": "open_page", "url": "https://sea.example/tides"}
    item = await called(TOOL, asked, search_context_size=size)
    assert item.action == asked
    (one,) = item.results or []
    assert one["title"] == "Tides"
    assert one["text"].startswith(PAGE[: min(characters, len(PAGE))][:4000])
    assert ("truncated" in one["text"]) == (len(PAGE) > characters)


async def test_words_are_found_in_a_page_with_what_stands_around_them() -> None:
    asked = {"type": "find_in_page", "url": "https://sea.example/tides", "pattern": "FUNDY it"}
    item = await called(TOOL, asked)
    assert item.action == asked
    (one,) = item.results or []
    assert "At Fundy it rises 16 m." in one["text"]
    assert len(one["text"]) < 500


async def test_words_that_are_not_there_are_an_empty_result_and_no_failure() -> None:
    asked = {"type": "find_in_page", "url": "https://sea.example/t", "pattern": ".*"}
    item = await called(TOOL, asked)
    assert (item.status, item.results) == ("completed", [])


async def test_a_page_is_opened_once_in_a_request() -> None:
    opened: list[str] = []

    async def once(url: str) -> str:
        opened.append(url)
        return "words"

    tool = WebSearch(search=search, open_page=once)
    (offer,) = tool.offers(PLAIN, Scope())
    for kind in ("open_page", "find_in_page"):
        asked = {"type": kind, "url": "https://sea.example", "pattern": "w"}
        assert receipt(await play(offer, json.dumps(asked))).status == "completed"
    assert opened == ["https://sea.example"]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"query": "q"}, "search"),
        ({"url": "https://sea.example"}, "open_page"),
        ({"url": "https://sea.example", "pattern": "tide"}, "find_in_page"),
    ],
)
async def test_a_model_may_leave_out_the_type(arguments: dict[str, str], kind: str) -> None:
    item = await called(TOOL, arguments)
    assert (item.status, (item.action or {})["type"]) == ("completed", kind)


@pytest.mark.parametrize(
    "arguments",
    [
        {"type": "search"},
        {"type": "search", "query": "  "},
        {"type": "open_page", "query": "q"},
        {"type": "find_in_page", "url": "https://sea.example"},
        {"type": "dance"},
        {"query": 1},
        "[]",
    ],
)
async def test_arguments_that_do_not_fit_fail_and_say_why(arguments: Any) -> None:
    item = await called(TOOL, arguments)
    assert item.status == "failed"
    assert "web_search" in read(item)


async def test_a_search_that_fails_is_never_an_empty_success() -> None:
    async def broken(query: WebQuery) -> list[WebResult]:
        raise ValueError("the index is gone")

    async def giving_up(query: WebQuery) -> list[WebResult]:
        raise ToolFailed("over the quota")

    async def nonsense(query: WebQuery) -> list[Any]:
        return [{"title": "no url"}]

    words = {broken: "the index is gone", giving_up: "over the quota", nonsense: "without a url"}
    for function, said in words.items():
        item = await called(WebSearch(search=function, open_page=False), QUERY)
        assert (item.status, item.results) == ("failed", None)
        assert said in read(item)


async def test_a_search_that_takes_too_long_is_stopped() -> None:
    async def slow(query: WebQuery) -> list[WebResult]:
        await anyio.sleep_forever()
        return []

    item = await called(WebSearch(search=slow, timeout=0.01), QUERY)
    assert item.status == "failed"
    assert "longer than its 0.01 seconds" in read(item)


async def test_without_pages_the_model_sees_a_search_alone() -> None:
    (offer,) = WebSearch(search=search, open_page=False).offers(PLAIN, Scope())
    parameters: Any = offer.function.parameters
    assert list(parameters["properties"]) == ["type", "query"]
    (offer,) = WebSearch(search=search).offers(definition(external_web_access=False), Scope())
    parameters = offer.function.parameters
    assert parameters["properties"]["type"]["enum"] == ["search"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"filters": {"allowed_domains": ["https://a.example"]}}, "filters.allowed_domains"),
    ({"filters": {"allowed_domains": "a.example"}}, "filters.allowed_domains"),
    ({"filters": {"allowed_domains": [1]}}, "filters.allowed_domains"),
    ({"filters": {"allowed_domains": ["a"] * 101}}, "filters.allowed_domains"),
    ({"filters": {"blocked_domains": ["a.example"]}}, "filters"),
    ({"user_location": {"type": "exact"}}, "user_location.type"),
    ({"user_location": {"city": 1}}, "user_location.city"),
]


@pytest.mark.parametrize(("fields", "param"), BAD)
def test_a_definition_that_asks_for_what_cannot_be_is_refused(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(RequestError) as caught:
        TOOL.offers(definition(**fields), Scope())
    assert caught.value.param == param


def test_a_search_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="search: expected"):
        WebSearch(search=None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="timeout"):
        WebSearch(search=search, timeout=0)


async def test_a_policy_of_the_arguments_may_ask_for_approval() -> None:
    tool = WebSearch(search=search, needs_approval=lambda url="": bool(url))
    (offer,) = tool.offers(PLAIN, Scope())
    assert offer.gate is not None
    assert not await offer.gate(QUERY)
    assert await offer.gate('{"url": "https://a.example"}')


# --- JSON endpoints


def endpoint(answer: Any, seen: list[httpx2.Request], status: int = 200) -> httpx2.AsyncClient:
    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(status, json=answer)

    return httpx2.AsyncClient(transport=httpx2.MockTransport(handle))


async def test_a_json_endpoint_is_asked_as_its_example_says() -> None:
    seen: list[httpx2.Request] = []
    given = {"web": {"results": [{"url": "https://a.example", "description": "words"}]}}
    one = JsonSearch(
        "https://search.example/find",
        params={"q": "{query}", "count": "{limit}", "in": "{domains}"},
        headers={"x-key": "secret"},
        results="web.results",
        http_client=endpoint(given, seen),
    )
    item = await called(WebSearch(search=one, open_page=False), QUERY)
    assert [one["text"] for one in item.results or []] == ["words"]
    assert dict(seen[0].url.params) == {"q": "tides", "count": "8", "in": ""}
    assert seen[0].headers["x-key"] == "secret"
    assert "secret" not in repr(one)


async def test_a_body_makes_it_a_post_and_what_the_model_wrote_is_not_filled_in_again() -> None:
    seen: list[httpx2.Request] = []
    one = JsonSearch(
        "https://search.example/find",
        body={"query": "{query}", "max": "{limit}", "more": [{"c": "{country}"}, True]},
        results="",
        http_client=endpoint([], seen),
    )
    location = {"country": "NO"}
    tool = WebSearch(search=one, open_page=False)
    asked = {"type": "search", "query": "{limit}"}
    assert (await called(tool, asked, user_location=location)).results == []
    assert json.loads(seen[0].content) == {
        "query": "{limit}",
        "max": 8,
        "more": [{"c": "NO"}, True],
    }


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [({}, 200, "no list at results"), ([], 200, "no list"), ({}, 500, "answered 500")],
)
async def test_an_endpoint_that_fails_fails_the_call(answer: Any, status: int, said: str) -> None:
    client = endpoint(answer, [], status)
    one = JsonSearch("https://s.example", params={"q": "{query}"}, http_client=client)
    item = await called(WebSearch(search=one), QUERY)
    assert item.status == "failed"
    assert said in read(item)


def test_an_endpoint_without_a_place_for_the_query_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\{query\}"):
        JsonSearch("https://s.example", params={"q": "x"})
