"""What a request says of its web search: how much the model is to read, and of which sites.

Above: `tools.web_search`. Below: `query`, `address`. Source: `filters`, `user_location`,
`search_context_size` and `external_web_access` of OpenAI's web search tool.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from antiphon.errors import RequestError, ToolFailed
from antiphon.items import Json, WebSearchTool

from .address import host_of, in_domains
from .query import ContextSize, WebQuery

_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PLACE: Final = ("city", "region", "country", "timezone")


@dataclass(frozen=True, slots=True)
class Size:
    """How much the model reads.

    Attributes:
        results: How many results of a search.
        passage: Characters of each.
        page: Characters of a page.
    """

    results: int
    passage: int
    page: int


SIZES: Final[dict[ContextSize, Size]] = {
    "low": Size(4, 600, 4_000),
    "medium": Size(8, 1_500, 12_000),
    "high": Size(16, 4_000, 40_000),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What one definition says.

    Attributes:
        allowed_domains: Where pages may be from (subdomains included); anywhere if empty.
        user_location: Where the user is, roughly; None where nothing is said.
        context_size: How much the model is to read.
        live: False where the client wants nothing fetched anew.
    """

    allowed_domains: tuple[str, ...] = ()
    user_location: Mapping[str, str] | None = None
    context_size: ContextSize = "medium"
    live: bool = True

    @property
    def size(self) -> Size:
        """How much the model is to read, in numbers."""
        return SIZES[self.context_size]

    def query(self, words: str) -> WebQuery:
        """A search for these words."""
        return WebQuery(
            words,
            limit=self.size.results,
            allowed_domains=self.allowed_domains,
            user_location=self.user_location,
            context_size=self.context_size,
            live=self.live,
        )

    def allow(self, url: str) -> bool:
        """Whether a page is where the request wants its pages from."""
        return in_domains(host_of(url), self.allowed_domains)

    def check(self, url: str) -> None:
        """Refuse a page that is not.

        Raises:
            ToolFailed: The model is told where pages may be from.
        """
        if not self.allow(url):
            raise ToolFailed(
                f"{host_of(url) or url[:100]} may not be opened; allowed: "
                f"{', '.join(self.allowed_domains[:20])}"
            )


def terms_of(definition: WebSearchTool) -> Terms:
    """What a definition says.

    Raises:
        RequestError: A filter or the location is not what it should be; `param` is relative to
            the definition.
    """
    return Terms(
        allowed_domains=_domains(definition.filters),
        user_location=_location(definition.user_location),
        context_size=definition.search_context_size or "medium",
        live=(definition.model_extra or {}).get("external_web_access") is not False,
    )


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
