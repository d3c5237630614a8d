"""A server's tools, as they go into an `mcp_list_tools` item and before a model.

What a server lists is data of a stranger: it is bounded, made plain and filtered here, once.

Above: `source`, `link`. Below: `plain`, `policy`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pydantic_core import to_json

from antiphon.errors import ToolFailed
from antiphon.items import McpTool

from .plain import Plain
from .policy import Policy

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp_types import Tool

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
