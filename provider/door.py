"""The door: what comes over HTTP, checked before anybody looks at what it says.

One `Door` stands at each path and leads each method to a handler. Every error, whatever it is,
leaves as the wire's error object.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from antiphon.errors import RequestError

from .access import Access
from .caller import check_version
from .problem import Problem
from .uploading import announced

Handler: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Door:
    """An ASGI application for one path.

    Args:
        methods: HTTP method -> handler.
    """

    def __init__(self, methods: Mapping[str, Handler]) -> None:
        self._methods = dict(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead a request to its handler; errors become answers."""
        handler = self._methods.get(scope["method"], self._refuse)
        await guarded(handler, scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = ", ".join(sorted(self._methods))
        message = f"{scope['method']} is not served at this path: use {allowed}"
        answer = Problem(405, message, "invalid_request_error").answer()
        answer.headers["allow"] = allowed
        await answer(scope, receive, send)


async def guarded(handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a handler with a request id on its answer, and its errors told on the wire."""
    started = False
    request_id = request_id_of(scope)
    access = Access(scope, request_id.decode())

    async def tagged(message: Message) -> None:
        nonlocal started
        if message["type"] == "http.response.start":
            started = True
            access.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
        await send(message)

    try:
        check_version(scope)
        await handler(scope, receive, tagged)
    except ClientDisconnect:
        return
    except Exception as error:
        problem = Problem.of(error)
        if started:
            raise  # the answer has begun and cannot be taken back; the server cuts the line
        await problem.answer()(scope, receive, tagged)
    finally:
        access.end()


def refuse(status: int, message: str) -> Handler:
    """A handler that answers with one error."""

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        raise RequestError(message, status=status, type=kind)

    return handler


def request_id_of(scope: Scope) -> bytes:
    """The client's own request id where it is sane, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    if 0 < len(given) <= 128 and given.isascii() and given.isprintable():
        return given.encode()
    return b"req_" + secrets.token_hex(16).encode()


async def read_json(scope: Scope, receive: Receive, *, limit: int, seconds: float) -> bytes:
    """The body of a JSON request.

    Args:
        limit: Bytes that it may have.
        seconds: How long it may take to arrive.

    Raises:
        RequestError: 415 for another content type, 413 for more bytes, 408 for a slow sender.
        ClientDisconnect: The client left.
    """
    headers = Headers(scope=scope)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise RequestError(
            f"content-type: expected application/json, got {kind or 'none'}: "
            "send the header `Content-Type: application/json`",
            status=415,
            code="unsupported_media_type",
        )
    if announced(headers) > limit:
        raise _too_large(limit)
    with anyio.move_on_after(seconds):
        return await _read(receive, limit)
    raise RequestError(
        f"expected the body within {seconds:g} seconds: send it faster, or in parts",
        status=408,
        code="request_timeout",
    )


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(limit: int) -> RequestError:
    return RequestError(
        f"expected a body of at most {limit:,} bytes: send less, or send files by URL",
        status=413,
        code="request_too_large",
    )
