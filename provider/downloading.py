"""A content on its way out: always a download, which no browser shows or runs.

Above: every endpoint that gives contents. Below: ASGI. Not here: where contents come from.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from pathlib import PurePath
from typing import Final

from anyio import move_on_after
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from .files import disposition, safe_name

_PIECE: Final = 256 * 1024
"""Bytes of one send: so few that a client which does not read stops whoever sends."""


def download_headers(name: str, size: int, types: Mapping[str, str]) -> dict[str, str]:
    """Headers under which a browser saves a content and never shows or runs it.

    Args:
        name: What it is saved as.
        size: Its bytes.
        types: The types that are told, by the endings of names; all others are only bytes.
    """
    suffix = PurePath(name).suffix.lower()
    return {
        "content-type": types.get(suffix, "application/octet-stream"),
        "content-length": str(size),
        "content-disposition": disposition(safe_name(name)),
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
    }


async def download(
    chunks: AsyncIterable[bytes],
    headers: Mapping[str, str],
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    seconds: float,
) -> None:
    """Send a content.

    Args:
        chunks: Its bytes.
        headers: The answer's.
        scope: ASGI's.
        receive: ASGI's.
        send: ASGI's.
        seconds: How long a client may take for each 256 KiB.

    Raises:
        ClientDisconnect: It took longer, and so has left.
    """

    async def send_soon(message: Message) -> None:
        with move_on_after(seconds) as timer:
            await send(message)
        if timer.cancelled_caught:
            raise ClientDisconnect

    await StreamingResponse(_pieces(chunks), headers=headers)(scope, receive, send_soon)


async def _pieces(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    async for chunk in chunks:
        for at in range(0, len(chunk), _PIECE):
            yield chunk[at : at + _PIECE]
