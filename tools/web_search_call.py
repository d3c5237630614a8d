"""One call of the web search: a search, a page opened, or words looked for in a page.

Above: `web_search.py`, which begins it. Below: the provider's search and its way to open pages;
`citations.py`. Source of the events and actions: the `openai` SDK's ResponseFunctionWebSearch.
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.errors import ToolError, ToolFailed, whence
from antiphon.items import Event, Item, Json, UrlCitation, WebSearchCall

from .call import BaseCall
from .citations import Citations
from .hosted import Slot
from .result import misfit, surprise
from .text import bounded, clean
from .web_search_address import in_domains
from .web_search_page import PageFetcher, WebPage
from .web_search_query import ContextSize, WebQuery, WebResult, result_of

logger: logging.Logger = logging.getLogger("antiphon.tools")

OpenPage: TypeAlias = Callable[[str], Awaitable["WebPage | str"]]
"""Opens a page: takes its URL, gives a `WebPage`, or its text."""

_PASSAGE: Final[dict[ContextSize, int]] = {"low": 600, "medium": 1_500, "high": 4_000}
_PAGE: Final[dict[ContextSize, int]] = {"low": 4_000, "medium": 12_000, "high": 40_000}
_AROUND: Final = 200
_MATCHES: Final = 10
_PAGES: Final = 16


class _Action(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", strict=True)

    type: Literal["search", "open_page", "find_in_page"] | None = None
    query: str | None = None
    url: str | None = None
    pattern: str | None = None


def arguments_of(arguments: str) -> Mapping[str, Any]:
    """A call's arguments, with its type where the model left that out.

    Raises:
        ValidationError: They are no JSON object of these fields.
    """
    action = _Action.model_validate_json(arguments)
    if action.type is None:
        action.type = "search" if not action.url else "open_page"
        if action.url and action.pattern:
            action.type = "find_in_page"
    return action.model_dump(exclude_none=True)


_NEEDED: Final = {"search": ("query",), "open_page": ("url",), "find_in_page": ("url", "pattern")}


@dataclass(slots=True)
class Desk:
    """What the calls of one request share: what it asks of the search, pages, and markers."""

    search: Callable[[WebQuery], Awaitable[Iterable[Any]]]
    open_page: OpenPage | None
    timeout: float
    allowed_domains: tuple[str, ...]
    user_location: Mapping[str, str] | None
    context_size: ContextSize
    limit: int
    live: bool
    citations: Citations
    pages: dict[str, WebPage] = field(default_factory=dict[str, WebPage])
    markers: dict[str, str] = field(default_factory=dict[str, str])
    read: int = 0

    def restore(self, items: Sequence[Item]) -> None:
        """Know again the markers of what was found earlier; items that were read are not again."""
        first, self.read = self.read, len(items)
        for item in items[first:]:
            for found in (item.results or ()) if isinstance(item, WebSearchCall) else ():
                url, marker, title = found.get("url"), found.get("cite"), found.get("title")
                if isinstance(url, str) and isinstance(marker, str):
                    name = title if isinstance(title, str) else ""
                    self.citations.restore(marker, shown(url), _annotating(url, name))
                    self.markers.setdefault(url, marker)

    def marker(self, url: str, title: str) -> str:
        """The marker of a page; the same one each time that it is found."""
        self.citations.refresh()  # it may have one from earlier in the conversation
        if url not in self.markers:
            self.markers[url] = self.citations.mint(shown(url), _annotating(url, title))
        return self.markers[url]

    async def page(self, url: str) -> WebPage:
        """A page, opened once."""
        if url in self.pages:
            return self.pages[url]
        if self.open_page is None:
            raise ToolFailed("pages cannot be opened here: search, and use what is found")
        self.check(url)
        if isinstance(self.open_page, PageFetcher):
            opened: WebPage | str = await self.open_page(url, allowed_domains=self.allowed_domains)
        else:
            opened = await self.open_page(url)
        page = WebPage(url, "", opened) if isinstance(opened, str) else opened
        self.check(page.url)
        if len(self.pages) >= _PAGES:
            self.pages.pop(next(iter(self.pages)))
        self.pages[url] = page
        return page

    def allows(self, url: str) -> bool:
        """Whether a page is where the request wants its pages from."""
        return in_domains(host_of(url), self.allowed_domains)

    def check(self, url: str) -> None:
        """Refuse what the request does not allow."""
        if not self.allows(url):
            raise ToolFailed(
                f"{host_of(url) or url[:100]} may not be opened; allowed: "
                f"{', '.join(self.allowed_domains[:20])}"
            )


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
            given = arguments_of(arguments)
        except ValidationError as error:
            self.error = misfit(error, "web_search")
            return ()
        kind = given["type"]
        missing = [name for name in _NEEDED[kind] if not given.get(name, "").strip()]
        self.action = {"type": kind, **{name: given.get(name, "") for name in _NEEDED[kind]}}
        self.action = {key: clean(value) for key, value in self.action.items()}
        if missing:
            self.error = f"`web_search` of type {kind} needs {' and '.join(missing)}: call it again"
        return ()

    def fail(self, reason: str) -> Iterable[Event]:
        """End the item failed; the model reads the reason."""
        self.error = bounded(reason, 1000)
        self.results = None
        return self.end("failed")

    async def run(self) -> AsyncIterator[Event]:
        """Search or open, and tell what was found."""
        if self.error is not None:
            for event in self.fail(self.error):
                yield event
            return
        yield self.step("searching")
        try:
            self.results = await self._within(self.desk.timeout)
        except ToolError as error:
            last = self.fail(clean(str(error)) or "the search gave up without saying why")
        except Exception as error:
            logger.error("the web search failed: %s", whence(error))
            last = self.fail(surprise(error, "web_search"))
        else:
            last = self.end("completed")
        for event in last:
            yield event

    async def _within(self, seconds: float) -> list[Json]:
        with anyio.move_on_after(seconds):
            kind = self.action["type"]
            if kind == "search":
                return await self._search(self.action["query"])
            page = await self.desk.page(self.action["url"])
            if kind == "open_page":
                return [self._shown(page, page.text, _PAGE[self.desk.context_size])]
            return self._find(page, self.action["pattern"])
        raise ToolFailed(f"it took longer than its {seconds:g} seconds and was stopped")

    async def _search(self, words: str) -> list[Json]:
        desk = self.desk
        query = WebQuery(
            words,
            limit=desk.limit,
            allowed_domains=desk.allowed_domains,
            user_location=desk.user_location,
            context_size=desk.context_size,
            live=desk.live,
        )
        given = [result_of(each) for each in await desk.search(query)]
        found = [each for each in given if desk.allows(each.url)][: desk.limit]
        self.action["sources"] = [{"type": "url", "url": each.url} for each in found]
        return [self._shown(each, each.text, _PASSAGE[desk.context_size]) for each in found]

    def _find(self, page: WebPage, pattern: str) -> list[Json]:
        """Where the page says this, with what stands around it."""
        wanted = re.compile(re.escape(pattern), re.IGNORECASE)
        passages: list[str] = []
        found = wanted.search(page.text)
        while found is not None and len(passages) < _MATCHES:
            end = found.end() + _AROUND
            passages.append(page.text[max(0, found.start() - _AROUND) : end])
            found = wanted.search(page.text, end)
        most = _PAGE[self.desk.context_size]
        return [self._shown(page, passage, most) for passage in passages]

    def _shown(self, found: WebResult | WebPage, text: str, most: int) -> Json:
        """One result as the model reads it."""
        title = clean(found.title)[:300]
        return {
            "cite": self.desk.marker(found.url, title),
            "url": found.url,
            "title": title,
            "text": bounded(clean(text), most),
        }


def host_of(url: str) -> str:
    """The host that a URL names; empty where it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def shown(url: str) -> str:
    """What stands for a page in the answer: its host as a link, as clients know it."""
    host = host_of(url)
    if not host or not url.lower().startswith(("http://", "https://")):
        return f"({quote(url, safe=_SAFE)})"
    name = host.removeprefix("www.")
    return f"([{quote(name, safe='.:-')}]({quote(url, safe=_SAFE)}))"


_SAFE: Final = "/:?#@!$&'*+,;=%~"
"""What stays in a link as it is: nothing that would end it, or a JSON text around it."""


def _annotating(url: str, title: str) -> Callable[[int, int], UrlCitation]:
    def annotate(start: int, end: int) -> UrlCitation:
        return UrlCitation(url=url, title=title or url, start_index=start, end_index=end)

    return annotate
