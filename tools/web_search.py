"""The hosted tool `web_search`: a provider's own search, in ten lines of its own.

    async def search(query: str) -> list[dict[str, str]]:
        return [{"url": ..., "title": ..., "text": ...} for ... in my_index(query)]

    Provider(..., tools=[WebSearch(search=search)])

Above: providers and agents, which find it by its type. Below: `web` (pages, and what a request
says of its search), `citations` (markers). Source: OpenAI's web search tool; events and actions
are those of the `openai` SDK's ResponseFunctionWebSearch.
"""

import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias

from pydantic import ValidationError

from antiphon.errors import ConfigurationError, RequestError, ToolFailed
from antiphon.items import (
    Event,
    FunctionTool,
    Item,
    Json,
    ToolDefinition,
    WebSearchCall,
    WebSearchTool,
    bounded,
    clean,
)

from .call import BaseCall
from .citations import HINT, Citations
from .gate import NeedsApproval, gate_of
from .guard import guarded, within
from .hosted import Scope, Slot
from .offer import HostedOffer
from .result import misfit
from .web import (
    Action,
    OpenPage,
    PageFetcher,
    PageLink,
    Pages,
    Terms,
    WebPage,
    WebQuery,
    WebResult,
    actions,
    result_of,
    terms_of,
)

Search: TypeAlias = Callable[[WebQuery], Awaitable[Iterable[Any]]]
"""Finds things: `WebResult`s, or objects with `url`, `title` and `text` (or their usual names)."""

NAMES: Final = (
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
)

_SEARCH: Final = "Search the web."
_BROWSE: Final = (
    "Search the web (`search` with a query), read a page (`open_page` with a url), or find where a "
    "page says something (`find_in_page` with a url and a pattern)."
)


class WebSearch:
    """Searches, opens pages, and finds text in them, for a model that then cites what it used.

    A request declares `{"type": "web_search"}` (or one of the older names), with
    `filters.allowed_domains`, `user_location` and `search_context_size`. The model's markers
    become links in its answer, with `url_citation` annotations.

    Args:
        search: The search: an async callable that takes a query and gives results. See
            `JsonSearch` for one over HTTP.
        open_page: True opens pages over HTTP, public ones alone (see `PageFetcher`); False opens
            none; an async callable opens them its own way, and gives a `WebPage` or a text.
        timeout: Seconds that one search, or one page, may take.
        description: What the model reads of the tool, instead of the text made here.
        needs_approval: Whether a person must approve each call before it runs, or a function
            of `type`, `query`, `url` and `pattern` that says so.

    Raises:
        ConfigurationError: `search` is not callable, or the timeout is not above 0.
    """

    def __init__(
        self,
        *,
        search: Search,
        open_page: OpenPage | bool = True,
        timeout: float = 30.0,
        description: str | None = None,
        needs_approval: NeedsApproval = False,
    ) -> None:
        if not callable(search):
            raise ConfigurationError(
                f"search: expected an async function of a query, got {type(search).__name__}"
            )
        if not 0 < timeout < math.inf:
            raise ConfigurationError(f"expected a timeout above 0 seconds, got {timeout}")
        self._search = search
        self._open: OpenPage | None = PageFetcher(timeout=timeout) if open_page is True else None
        if open_page is not True and open_page is not False:
            self._open = open_page
        self._timeout = timeout
        self._description = description
        self._gate = gate_of(
            needs_approval,
            name=self.type,
            parameters=["type", "query", "url", "pattern"],
            parse=_given,
        )

    @property
    def type(self) -> str:
        """The type of the definitions that ask for it."""
        return "web_search"

    @property
    def types(self) -> Sequence[str]:
        """All names under which definitions ask for it."""
        return NAMES

    def offers(self, definition: ToolDefinition, scope: Scope) -> tuple[HostedOffer]:
        """One function, bound to what the definition says about the search.

        Raises:
            RequestError: A filter or the location is not what it should be.
        """
        if not isinstance(definition, WebSearchTool):
            raise RequestError(
                f"expected a definition of type web_search, got {definition.type!r}", param="type"
            )
        terms = terms_of(definition)
        opens = self._open
        if isinstance(opens, PageFetcher) and not terms.live:
            opens = None
        desk = Desk(self._search, Pages(opens, terms), terms, self._timeout, scope.citations)
        scope.citations.wake(partial(desk.restore, scope.items))
        return (
            HostedOffer(
                self._function(pages=opens is not None),
                "web_search_call",
                lambda call, slot, scope: WebSearchRun(desk, slot),
                self._gate,
            ),
        )

    async def aclose(self) -> None:
        """Nothing is held."""

    def _function(self, *, pages: bool) -> FunctionTool:
        """What the model sees."""
        told = f"{_BROWSE if pages else _SEARCH}\n{HINT}"
        return FunctionTool(
            name=self.type,
            description=told if self._description is None else self._description,
            parameters=actions(pages=pages),
        )


def _given(arguments: str) -> Mapping[str, Any]:
    return Action.model_validate_json(arguments).given()


@dataclass(slots=True)
class Desk:
    """What the calls of one request share: the pages that were opened, and the markers."""

    search: Search
    pages: Pages
    terms: Terms
    timeout: float
    citations: Citations
    markers: dict[str, str] = field(default_factory=dict[str, str])
    read: int = 0

    def restore(self, items: Sequence[Item]) -> None:
        """Know again the markers of what was found earlier; items that were read are not again."""
        first, self.read = self.read, len(items)
        for item in items[first:]:
            for found in (item.results or ()) if isinstance(item, WebSearchCall) else ():
                url, marker, title = found.get("url"), found.get("cite"), found.get("title")
                if isinstance(url, str) and isinstance(marker, str):
                    link = PageLink(url, title if isinstance(title, str) else "")
                    self.citations.restore(marker, link.text, link.annotate)
                    self.markers.setdefault(url, marker)

    def marker(self, link: PageLink) -> str:
        """The marker of a page; the same one each time that it is found."""
        self.citations.refresh()  # it may have one from earlier in the conversation
        if link.url not in self.markers:
            self.markers[link.url] = self.citations.mint(link.text, link.annotate)
        return self.markers[link.url]

    def shown(self, found: WebResult | WebPage, text: str, most: int) -> Json:
        """A text that was found, as the model reads it, and where."""
        link = PageLink(found.url, clean(found.title)[:300])
        return {
            "cite": self.marker(link),
            "url": link.url,
            "title": link.title,
            "text": bounded(clean(text), most),
        }


class WebSearchRun(BaseCall):
    """A call whose item is `web_search_call`; what the model reads of it are its `results`."""

    steps: ClassVar[str] = "response.web_search_call"

    def __init__(self, desk: Desk, slot: Slot) -> None:
        super().__init__(slot)
        self.desk = desk
        self.action: Json = {"type": "search", "query": ""}
        self.results: list[Json] | None = None
        self.error: str | None = None

    def item(self, status: str) -> WebSearchCall:
        """The receipt so far."""
        return WebSearchCall(
            id=self.slot.item_id,
            status=status,
            action=self.action,
            results=self.results,
            error=self.error,
        )

    def write(self, delta: str) -> Iterable[Event]:
        """The wire has no event for a query in the making."""
        return ()

    def ready(self, arguments: str) -> Iterable[Event]:
        """What is to be done is known."""
        try:
            action = Action.model_validate_json(arguments)
        except ValidationError as error:
            self.error = misfit(error, "web_search")
            return ()
        self.action = action.told()
        if action.missing:
            needs = " and ".join(action.missing)
            self.error = f"`web_search` of type {action.kind} needs {needs}: call it again"
        return ()

    def fail(self, reason: str) -> Iterable[Event]:
        """End the item failed; the model reads the reason."""
        self.error = bounded(reason, 1000)
        self.results = None
        return self.end("failed")

    def run(self) -> AsyncIterator[Event]:
        """Search or open, and tell what was found."""
        return guarded(self, self._execute(), name="web_search")

    async def _execute(self) -> AsyncGenerator[Event, None]:
        if self.error is not None:
            raise ToolFailed(self.error)
        yield self.step("searching")
        seconds = self.desk.timeout
        late = f"it took longer than its {seconds:g} seconds and was stopped"
        self.results = await within(self._found(), seconds, late)

    async def _found(self) -> list[Json]:
        if self.action["type"] == "search":
            return await self._search(self.action["query"])
        return await self._read(self.action["url"], self.action.get("pattern"))

    async def _search(self, words: str) -> list[Json]:
        desk, size = self.desk, self.desk.terms.size
        given = [result_of(each) for each in await desk.search(desk.terms.query(words))]
        found = [each for each in given if desk.terms.allow(each.url)][: size.results]
        self.action["sources"] = [{"type": "url", "url": each.url} for each in found]
        return [desk.shown(each, each.text, size.passage) for each in found]

    async def _read(self, url: str, pattern: str | None) -> list[Json]:
        desk = self.desk
        page = await desk.pages.page(url)
        texts = [page.text] if pattern is None else page.passages(pattern)
        return [desk.shown(page, text, desk.terms.size.page) for text in texts]
