"""What a model may do on the web: search, open a page, find words in one.

Above: `tools.web_search`. Below: `items`. Source: the `action` of OpenAI's `web_search_call`.
"""

from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from antiphon.items import Json, clean

_NEEDED: Final = {"search": ("query",), "open_page": ("url",), "find_in_page": ("url", "pattern")}

_QUERY: Final = "For search: what to look for."
_PATTERN: Final = "For find_in_page: words, as they stand in the page; case does not matter."


class Action(BaseModel):
    """What one call does.

    Attributes:
        type: Which of the three; None where the model left it out.
        query: What to search for.
        url: The page.
        pattern: What to find in it.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", strict=True)

    type: Literal["search", "open_page", "find_in_page"] | None = None
    query: str | None = None
    url: str | None = None
    pattern: str | None = None

    @property
    def kind(self) -> str:
        """Its type, also where the model left it out."""
        if self.type is not None:
            return self.type
        if not self.url:
            return "search"
        return "find_in_page" if self.pattern else "open_page"

    @property
    def missing(self) -> list[str]:
        """The fields that it needs and does not have."""
        return [name for name in _NEEDED[self.kind] if not (getattr(self, name) or "").strip()]

    def given(self) -> Json:
        """All that the model said."""
        return {**self.model_dump(exclude_none=True), "type": self.kind}

    def told(self) -> Json:
        """What an item says of it: its type and the fields of that type."""
        fields = {name: clean(getattr(self, name) or "") for name in _NEEDED[self.kind]}
        return {"type": self.kind, **fields}


def actions(*, pages: bool) -> Json:
    """The JSON schema of a call's arguments: of a search alone, where no page can be opened."""
    properties: Json = {
        "type": {"type": "string", "enum": [*_NEEDED] if pages else ["search"]},
        "query": {"type": "string", "description": _QUERY},
    }
    if pages:
        properties["url"] = {"type": "string", "description": "The page's address."}
        properties["pattern"] = {"type": "string", "description": _PATTERN}
    return {
        "type": "object",
        "properties": properties,
        "required": ["type"] if pages else ["type", "query"],
        "additionalProperties": False,
    }
