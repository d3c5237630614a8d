"""Marks: digests by which a tool, a definition or a listing is known again.

A digest of a tool is what an approval is bound to; a digest of a definition says whether a listing
in the input is still the one that a request would get. Ids of items end with them.

Above: `source`. Below: `items`. Not here: what is done with what is known again.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import from_json, to_json

from antiphon.items import Item, McpListTools, McpTool

from .way import Way

_MARK: Final = 16
_KEY: Final = secrets.token_bytes(32)
_ID: Final = re.compile(r"_[0-9a-f]{48}([0-9a-f]{16})")


def digest(*told: Any) -> str:
    """Sixteen hexadecimal digits that stand for some JSON."""
    return hashlib.sha256(_ordered(told)).hexdigest()[:_MARK]


def definition_mark(way: Way, label: str, *filters: object) -> str:
    """What stands for a definition: another way there is another definition, be it another key
    alone. Of what is not to be known the digest is keyed, for nobody to try values by it; a new
    process has a new key, and asks such a server once more.
    """
    hidden = way.hidden and hmac.digest(_KEY, _ordered(way.hidden), "sha256").hex()
    return digest(list(way.place), hidden, label, *filters)


def _ordered(told: Sequence[Any]) -> bytes:
    found = from_json(to_json(list(told)))
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


def digest_of(tool: McpTool) -> str:
    """What a tool is: its name, its words, its schema, and what it says of itself."""
    return digest(tool.name, tool.description, tool.input_schema, tool.annotations)


def mark_of(item_id: str | None) -> str | None:
    """The digest at the end of an id that was made with one; None where there is none."""
    found = _ID.search(item_id or "")
    return found[1] if found and found.end() == len(item_id or "") else None


def listed_before(items: Sequence[Item], label: str, mark: str) -> McpListTools | None:
    """The last listing of this label in the items, if it is one of the same definition."""
    for item in reversed(items):
        if isinstance(item, McpListTools) and item.server_label == label:
            return item if item.error is None and mark_of(item.id) == mark else None
    return None
