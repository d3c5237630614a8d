"""A server's tools, as they go into an `mcp_list_tools` item and onto the menu.

What a server lists is data of a stranger: it is bounded, made plain and filtered here, once. A
digest of a tool is what an approval is bound to; a digest of a definition says whether a listing
in the input is still the one that a request would get.

Above: `mcp_source`. Below: `mcp_plain`, `mcp_policy`.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

from antiphon.errors import ToolFailed
from antiphon.items import Item, McpListTools, McpTool

from .mcp_plain import Plain
from .mcp_policy import Policy

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp_types import Tool

    from .mcp_way import Way

TOOLS_LIMIT: Final = 512
"""Tools of one server that a model may be shown."""

PAGES_LIMIT: Final = 100
"""Pages that a listing may have."""

READ_LIMIT: Final = 20_000
"""Tools that are looked at, allowed ones or not."""

SIZE_LIMIT: Final = 2 * 1024 * 1024
"""Bytes of JSON that all tools of a listing may have."""

SCHEMA_LIMIT: Final = 64 * 1024
"""Bytes of JSON that one tool's schema may have."""

WORDS_LIMIT: Final = 8_192
"""Characters of a description that a model reads."""

_MARK: Final = 16
_KEY: Final = secrets.token_bytes(32)
_ID: Final = re.compile(r"_[0-9a-f]{48}([0-9a-f]{16})")


def digest(*told: Any) -> str:
    """Sixteen hexadecimal digits that stand for some JSON."""
    return hashlib.sha256(_ordered(told)).hexdigest()[:_MARK]


def definition_mark(way: "Way", label: str, *filters: object) -> str:
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


async def pages(client: "Client") -> "list[Tool]":
    """All tools of a server, as it lists them.

    Raises:
        ToolFailed: It does not come to an end.
        MCPError: The server refuses.
    """
    from mcp_types import PaginatedRequestParams

    found: list[Tool] = []
    cursors: set[str] = set()
    params: PaginatedRequestParams | None = None
    for _ in range(PAGES_LIMIT):
        page = await client.session.list_tools(params=params)
        found.extend(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return found
        if cursor in cursors or len(found) > READ_LIMIT:
            break
        cursors.add(cursor)
        params = PaginatedRequestParams(cursor=cursor)
    raise ToolFailed(
        f"the server's list of tools does not end: after {len(cursors)} pages and {len(found)} "
        "tools there was more"
    )


def allowed(tools: "Iterable[Tool]", policy: Policy, plain: Plain) -> list[McpTool]:
    """The tools that may be called, made plain, in the server's order.

    Raises:
        ToolFailed: They are too many, or too large.
    """
    kept: dict[str, McpTool] = {}
    size = 0
    for tool in tools:
        made = _made(tool, plain)
        if made is None or made.name in kept or not policy.allows(made):
            continue
        kept[made.name] = made
        size += len(to_json(made))
        if len(kept) > TOOLS_LIMIT or size > SIZE_LIMIT:
            raise ToolFailed(
                f"the server lists more than {TOOLS_LIMIT} tools, or {SIZE_LIMIT} bytes of them: "
                "name those that are wanted in allowed_tools"
            )
    return list(kept.values())


def _made(tool: "Tool", plain: Plain) -> McpTool | None:
    """One tool; None for one that no model could call."""
    name = plain.name(tool.name)
    if name != tool.name or not 0 < len(name) <= 256:
        return None
    hints = tool.annotations
    try:
        schema = plain.json(tool.input_schema)
        said = hints.model_dump(by_alias=True, exclude_none=True, mode="json") if hints else None
        annotations = None if said is None else plain.json(said)
        words = None if tool.description is None else plain.text(tool.description, WORDS_LIMIT)
        made = McpTool(name=name, description=words, input_schema=schema, annotations=annotations)
    except ValueError:  # too deep, or with numbers that JSON cannot say
        return None
    return made if len(to_json(schema)) <= SCHEMA_LIMIT else None
