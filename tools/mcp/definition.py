"""What a request's definition says of a server by URL: where it is, and what is sent to it.

Source: `server_url`, `headers` and `authorization` of OpenAI's `mcp` tool. An error names a header
at most, and never says a value. Above: `tools.mcp_servers`, `tools.mcp_server`. Below: `items`.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from antiphon.errors import RequestError
from antiphon.items import McpServerTool

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""Clients disagree about these: some skip them, some end the host there, some read on."""

_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
_OURS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-protocol-version",
        "mcp-session-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that are the protocol's business."""


def url_of(definition: McpServerTool) -> str:
    """Where the server is, by a URL that no two readers understand differently.

    Raises:
        RequestError: It is no such URL.
    """
    url = definition.server_url or ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and _ODD.search(url) is None
    except ValueError:
        good = False
    if not good or len(url) > 8192 or not _can_be_sent(url):
        raise RequestError(
            "server_url: expected an http(s) URL", param="server_url", code="invalid_url"
        )
    return url


def _can_be_sent(url: str) -> bool:
    import httpx2

    try:
        return bool(httpx2.URL(url).host)
    except (httpx2.InvalidURL, UnicodeError):
        return False


def headers_of(definition: McpServerTool) -> dict[str, str]:
    """What is sent with every request.

    Raises:
        RequestError: There are headers that cannot be sent, or are not the client's to set.
    """
    given = definition.headers or {}
    for name, value in given.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise RequestError(
                f"headers: {name[:80]!r} cannot be set here: leave it out",
                param="headers",
                code="invalid_value",
            )
        if not _VALUE.fullmatch(value):
            raise RequestError(
                f"headers.{name}: expected one line of at most 8192 characters",
                param=f"headers.{name}",
                code="invalid_value",
            )
    token = definition.authorization
    if token is not None and not (_VALUE.fullmatch(token) and token.strip()):
        raise RequestError(
            "authorization: expected a token on one line",
            param="authorization",
            code="invalid_value",
        )
    if token is not None and any(name.lower() == "authorization" for name in given):
        raise RequestError(
            "authorization: it stands in headers, too: leave one out",
            param="authorization",
            code="invalid_value",
        )
    return sent(token, given)


def sent(authorization: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers of every request, a token as a bearer's."""
    found = {name.lower(): value for name, value in (headers or {}).items()}
    if authorization is not None:
        bare = authorization.strip()
        found["authorization"] = bare if bare.lower().startswith("bearer ") else f"Bearer {bare}"
    return found
