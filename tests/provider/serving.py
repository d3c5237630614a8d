"""A Provider behind a real server on loopback, and the same Provider as bare ASGI."""

import json
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias, cast

import anyio
import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Scope

Serve: TypeAlias = Callable[[ASGIApp], AbstractContextManager[str]]

PATIENCE = 60.0
"""Seconds after which a test that waits has failed."""

BUILT_IN = {
    "type": "mcp",
    "server_label": "antiphon",
    "connector_id": "antiphon",
    "require_approval": "never",
}
"""How any SDK asks for all functions that the provider runs."""

OPENAI = {"user-agent": "OpenAI/Python 3.0.0"}
EXTENDED = {"openresponses-extensions": "antiphon"}


@contextmanager
def serve(app: ASGIApp) -> Generator[str]:
    """Serve an application on 127.0.0.1; gives its base URL, such as `http://127.0.0.1:4711`."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait
    config = uvicorn.Config(app, log_level="error", lifespan="auto", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listening.close()
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def serving() -> Iterator[Serve]:
    """Serves any number of applications until the test is over."""
    yield serve


def inside(app: ASGIApp, **options: Any) -> httpx2.AsyncClient:
    """A client of the application in this process: no sockets, and no disconnects either."""
    transport = httpx2.ASGITransport(app)
    return httpx2.AsyncClient(
        transport=transport, base_url="http://localhost", timeout=PATIENCE, **options
    )


class Exchange:
    """One request at the level of ASGI: every `send` is seen as it was made.

    Usage: start `run` in a task group, wait with `until`, end it with `leave`.

    Args:
        body: The request's body; a mapping becomes JSON.
        headers: Beside content-type and host.
    """

    def __init__(
        self,
        app: ASGIApp,
        body: Mapping[str, Any] | bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        path: str = "/v1/responses",
        client: tuple[str, int] | None = ("127.0.0.1", 5000),
        root_path: str = "",
    ) -> None:
        self._app = app
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._asked = False
        self._left = anyio.Event()
        self._news = anyio.Event()
        self.sent: list[Message] = []
        self.gate: anyio.Event | None = None
        self.ended = False
        given = {"content-type": "application/json", "host": "localhost", **(headers or {})}
        self.scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": root_path,
            "query_string": b"",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
            "client": client,
            "server": ("127.0.0.1", 80),
        }

    async def run(self) -> None:
        """Call the application."""
        try:
            await self._app(self.scope, self._receive, self._send)
        finally:
            self.ended = True
            self._tell()

    async def until(self, wanted: Callable[[], object]) -> None:
        """Wait until something is so; it is looked at after every send."""
        with anyio.fail_after(PATIENCE):
            while not wanted():
                await self._news.wait()

    def leave(self) -> None:
        """The client is gone."""
        self._left.set()

    @property
    def status(self) -> int:
        """The answer's status."""
        return cast("int", self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        return {key.decode(): value.decode() for key, value in self.sent[0]["headers"]}

    @property
    def writes(self) -> list[bytes]:
        """The bodies of all sends so far, empty ones left out."""
        bodies: list[bytes] = [m.get("body", b"") for m in self.sent[1:]]
        return [body for body in bodies if body]

    @property
    def body(self) -> bytes:
        """Everything that was sent so far."""
        return b"".join(self.writes)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._tell()
        if self.gate is not None:
            await self.gate.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


async def exchange(app: ASGIApp, body: Mapping[str, Any] | bytes = b"", **options: Any) -> Exchange:
    """One whole exchange."""
    one = Exchange(app, body, **options)
    with anyio.fail_after(PATIENCE):
        await one.run()
    return one


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of an SSE body; comments are left out, `[DONE]` has to be last.

    Raises:
        AssertionError: The bytes are not what wire.md 1 says.
    """
    assert b"\r" not in stream
    assert stream.endswith(b"\n\n")
    frames = [frame for frame in stream.split(b"\n\n")[:-1] if not frame.startswith(b":")]
    assert frames[-1] == b"data: [DONE]"
    return [event_of(frame) for frame in frames[:-1]]


def event_of(frame: bytes) -> dict[str, Any]:
    """The event of one frame, without the blank line that ends it."""
    first, second = frame.split(b"\n")
    assert first.startswith(b"event: ")
    assert second.startswith(b"data: ")
    event = json.loads(second.removeprefix(b"data: "))
    assert event["type"] == first.removeprefix(b"event: ").decode()
    return event


def types(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Their types, in order."""
    return [event["type"] for event in events]
