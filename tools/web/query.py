"""What a web search is asked, and what it finds.

Above: `tools.web_search`, and whoever writes a search of their own. Not here: how one searches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from antiphon.errors import ToolFailed
from antiphon.items import Json, clean

ContextSize: TypeAlias = Literal["low", "medium", "high"]


class WebQuery(str):
    """The words to search for: a text, with what the request says about the search.

    A search that has no use for the rest takes it as the text that it is.

    Attributes:
        limit: How many results are wanted; more are left out.
        allowed_domains: Where results may be from (subdomains included); anywhere if empty.
            Others are left out afterwards in any case.
        user_location: Where the user is, roughly: `city`, `region`, `country`, `timezone`.
        context_size: How much the model is to read.
        live: False where the client wants nothing fetched anew.
    """

    __slots__ = ("allowed_domains", "context_size", "limit", "live", "user_location")

    limit: int
    allowed_domains: tuple[str, ...]
    user_location: Mapping[str, str] | None
    context_size: ContextSize
    live: bool

    def __new__(
        cls,
        text: str,
        *,
        limit: int = 8,
        allowed_domains: tuple[str, ...] = (),
        user_location: Mapping[str, str] | None = None,
        context_size: ContextSize = "medium",
        live: bool = True,
    ) -> "WebQuery":
        """A query of these words."""
        query = super().__new__(cls, text)
        query.limit = limit
        query.allowed_domains = allowed_domains
        query.user_location = user_location
        query.context_size = context_size
        query.live = live
        return query


@dataclass(frozen=True, slots=True)
class WebResult:
    """One thing that was found.

    Attributes:
        url: Where it is.
        title: What it is called.
        text: What it says, or the part of it that answers the query.
    """

    url: str
    title: str = ""
    text: str = ""


_URL: Final = ("url", "link", "href")
_TITLE: Final = ("title", "name")
_TEXT: Final = ("text", "content", "snippet", "description", "body", "extract")


def result_of(given: Any) -> WebResult:
    """A result, as a search gives it: a `WebResult`, or an object with the usual names.

    Raises:
        ToolFailed: It has no URL.
    """
    if isinstance(given, WebResult):
        return given
    fields = cast("Json", given) if isinstance(given, Mapping) else {}
    url = _first(fields, _URL)
    if not url:
        raise ToolFailed(
            "the search gave a result without a url: expected WebResult, or objects with url, "
            f"title and text, got {type(cast('object', given)).__name__}"
        )
    return WebResult(clean(url), clean(_first(fields, _TITLE)), clean(_first(fields, _TEXT)))


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    found = (fields.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")
