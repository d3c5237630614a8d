"""A long body as it arrives: who may send it, how long it says it is, how fast it has to come.

Above: every endpoint that takes uploads. Below: ASGI. Not here: what is in the body.
"""

from typing import Final
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from antiphon.errors import RequestError

_WINDOW: Final = 64 * 1024
_DIGITS: Final = 19  # of a number that is larger than any file


def check_origin(headers: Headers) -> None:
    """Refuse other sites' pages where there are no keys.

    A form is the one body that a browser sends anywhere without asking first.

    Raises:
        RequestError: 403; another site's page sends it.
    """
    origin = headers.get("origin")
    if origin is not None and _host(origin) != _host(f"//{headers.get('host', '')}"):
        raise RequestError(
            f"this provider has no API keys and takes no uploads from pages of {origin[:100]!r}: "
            'configure api_keys={"<key>": "<principal>"}',
            status=403,
            code="local_only",
            type="permission_error",
        )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def announced(headers: Headers) -> int:
    """How long the body is by its own word; 0 where it says nothing that can be read."""
    said = headers.get("content-length", "")
    return int(said[:_DIGITS]) if said.isdecimal() else 0


async def take(receive: Receive, seconds: float) -> tuple[bytes, bool]:
    """At least 64 KiB of a body, or its end, and whether there is more.

    A sender has to come that far in time: one that sends a byte now and then is as idle as one
    that sends nothing.

    Raises:
        RequestError: 408; it did not.
        ClientDisconnect: The client left.
    """
    chunks: list[bytes] = []
    size = 0
    with anyio.move_on_after(seconds):
        while size < _WINDOW:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if not message.get("more_body", False):
                return b"".join(chunks), False
        return b"".join(chunks), True
    raise RequestError(
        f"expected {_WINDOW:,} bytes of the body, or its end, every {seconds:g} seconds: "
        "send it faster",
        status=408,
        code="request_timeout",
    )
