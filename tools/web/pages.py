"""The pages of one request: each is opened once, and only where the request wants pages from.

Above: `tools.web_search`. Below: `fetcher`, or a provider's own way to open pages.
"""

from typing import Final

from antiphon.errors import ToolFailed

from .fetcher import PageFetcher
from .page import OpenPage, WebPage
from .terms import Terms

_KEPT: Final = 16
"""Pages that are kept; those that were opened first are given up."""


class Pages:
    """Opens pages for one request.

    Args:
        open_page: Opens one; None where none can be opened.
        terms: What the request says.
    """

    def __init__(self, open_page: OpenPage | None, terms: Terms) -> None:
        self._open = open_page
        self._terms = terms
        self._kept: dict[str, WebPage] = {}

    async def page(self, url: str) -> WebPage:
        """A page, opened if it is not kept.

        Raises:
            ToolFailed: It cannot be opened, or the request does not allow it.
        """
        if url in self._kept:
            return self._kept[url]
        if self._open is None:
            raise ToolFailed("pages cannot be opened here: search, and use what is found")
        self._terms.check(url)
        if isinstance(self._open, PageFetcher):  # which looks at redirects on the way, too
            opened = await self._open(url, allowed_domains=self._terms.allowed_domains)
        else:
            opened = await self._open(url)
        page = WebPage(url, "", opened) if isinstance(opened, str) else opened
        self._terms.check(page.url)
        if len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[url] = page
        return page
