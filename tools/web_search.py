"""The hosted tool `web_search`: a provider's own search, in ten lines of its own.

    async def search(query: str) -> list[dict[str, str]]:
        return [{"url": ..., "title": ..., "text": ...} for ... in my_index(query)]

    Provider(..., tools=[WebSearch(search=search)])

Above: providers and agents, which find it by its type. Below: `web_search_call.py` (one call),
`citations.py` (markers). Source: OpenAI's web search tool.
"""

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, cast

from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import FunctionCall, FunctionTool, Json, ToolDefinition, WebSearchTool

from .citations import HINT
from .gate import Gate, NeedsApproval, gate_of
from .hosted import Scope, Slot
from .web_search_call import Desk, OpenPage, WebSearchRun, arguments_of
from .web_search_page import PageFetcher
from .web_search_query import ContextSize, WebQuery

Search: TypeAlias = Callable[[WebQuery], Awaitable[Iterable[Any]]]
"""Finds things: `WebResult`s, or objects with `url`, `title` and `text` (or their usual names)."""

NAMES: Final = (
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
)

_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PLACE: Final = ("city", "region", "country", "timezone")
_LIMITS: Final[dict[ContextSize, int]] = {"low": 4, "medium": 8, "high": 16}


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
            parse=arguments_of,
        )

    @property
    def type(self) -> str:
        """The type of the definitions that ask for it."""
        return "web_search"

    @property
    def types(self) -> Sequence[str]:
        """All names under which definitions ask for it."""
        return NAMES

    def offers(self, definition: ToolDefinition, scope: Scope) -> Sequence["WebSearchOffer"]:
        """One function, bound to what the definition says about the search.

        Raises:
            RequestError: A filter or the location is not what it should be.
        """
        if not isinstance(definition, WebSearchTool):
            raise RequestError(
                f"expected a definition of type web_search, got {definition.type!r}", param="type"
            )
        live = (definition.model_extra or {}).get("external_web_access") is not False
        opening = self._open
        if not live and isinstance(opening, PageFetcher):
            opening = None
        size: ContextSize = definition.search_context_size or "medium"
        desk = Desk(
            search=self._search,
            open_page=opening,
            timeout=self._timeout,
            allowed_domains=_domains(definition.filters),
            user_location=_location(definition.user_location),
            context_size=size,
            limit=_LIMITS[size],
            live=live,
            citations=scope.citations,
        )
        scope.citations.wake(partial(desk.restore, scope.items))
        return (WebSearchOffer(self._function(pages=opening is not None), desk, self._gate),)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _function(self, *, pages: bool) -> FunctionTool:
        """What the model sees: three kinds of calls where pages can be opened, else one."""
        kinds = ["search", "open_page", "find_in_page"] if pages else ["search"]
        properties: Json = {
            "type": {"type": "string", "enum": kinds},
            "query": {"type": "string", "description": "For search: what to look for."},
        }
        told = "Search the web."
        if pages:
            told = (
                "Search the web (`search` with a query), read a page (`open_page` with a url), or "
                "find where a page says something (`find_in_page` with a url and a pattern)."
            )
            properties["url"] = {"type": "string", "description": "The page's address."}
            words = "For find_in_page: words, as they stand in the page; case does not matter."
            properties["pattern"] = {"type": "string", "description": words}
        return FunctionTool(
            name=self.type,
            description=f"{told}\n{HINT}" if self._description is None else self._description,
            parameters={
                "type": "object",
                "properties": properties,
                "required": ["type"] if pages else ["type", "query"],
                "additionalProperties": False,
            },
        )


@dataclass(frozen=True, slots=True)
class WebSearchOffer:
    """Web search on the menu of one request; its calls share the pages that they opened."""

    function: FunctionTool
    desk: Desk
    gate: Gate | None

    @property
    def item_type(self) -> str:
        """The type of the items that its calls become."""
        return "web_search_call"

    @property
    def parallel(self) -> bool:
        """Calls may run beside others."""
        return True

    def begin(self, call: FunctionCall, slot: Slot, scope: Scope) -> WebSearchRun:
        """A call opens."""
        return WebSearchRun(self.desk, slot)


def _domains(filters: Json | None) -> tuple[str, ...]:
    """The allowed domains of a definition's filters.

    Raises:
        RequestError: They are no domains, or there is another filter.
    """
    given = {key: value for key, value in (filters or {}).items() if value is not None}
    domains: Any = given.pop("allowed_domains", None) or []
    if given:
        raise RequestError(
            f"filters: expected allowed_domains alone, got {', '.join(sorted(given))}, too: "
            "leave it out",
            param="filters",
            code="unsupported_value",
        )
    listed = cast("list[Any]", domains) if isinstance(domains, list) else None
    if listed is None or len(listed) > 100:
        raise _no_domain("a list of at most 100 domains", cast("object", domains))
    names: list[str] = []
    for each in listed:
        name = each.lower().strip().rstrip(".") if isinstance(each, str) else ""
        if not _DOMAIN.fullmatch(name):
            raise _no_domain("domains such as example.com, without a scheme or path", each)
        names.append(name)
    return tuple(names)


def _no_domain(wanted: str, got: object) -> RequestError:
    return RequestError(
        f"filters.allowed_domains: expected {wanted}, got {str(got)[:100]!r}",
        param="filters.allowed_domains",
        code="invalid_value",
    )


def _location(given: Json | None) -> Mapping[str, str] | None:
    """Where the user is; None where nothing is said.

    Raises:
        RequestError: It is not the form that there is, or holds no texts.
    """
    if not given:
        return None
    if given.get("type", "approximate") != "approximate":
        raise RequestError(
            f"user_location.type: expected 'approximate', got {given['type']!r}",
            param="user_location.type",
            code="invalid_value",
        )
    place = {key: given[key] for key in _PLACE if given.get(key) is not None}
    for key, value in place.items():
        if not isinstance(value, str) or len(value) > 200:
            raise RequestError(
                f"user_location.{key}: expected a short text, got {str(value)[:100]!r}",
                param=f"user_location.{key}",
                code="invalid_value",
            )
    return place or None
