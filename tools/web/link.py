"""What stands for a page in an answer: a link, and the annotation on it.

Above: `tools.web_search`. Below: `address`; `items`. Not here: the markers that it replaces.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from antiphon.items import UrlCitation

from .address import host_of

_SAFE: Final = "/:?#@!$&'*+,;=%~"
"""What stays in a link as it is: nothing that would end it, or a JSON text around it."""


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link to a page.

    Attributes:
        url: Where it leads.
        title: What the page is called, if it is called anything.
    """

    url: str
    title: str

    @property
    def text(self) -> str:
        """The page's host as a link, as clients know it."""
        host = host_of(self.url)
        where = quote(self.url, safe=_SAFE)
        if not host or not self.url.lower().startswith(("http://", "https://")):
            return f"({where})"
        return f"([{quote(host.removeprefix('www.'), safe='.:-')}]({where}))"

    def annotate(self, start: int, end: int) -> UrlCitation:
        """The annotation where it stands in an answer: its first character, and the one after."""
        return UrlCitation(
            url=self.url, title=self.title or self.url, start_index=start, end_index=end
        )
