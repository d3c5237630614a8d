"""The provider under the conformance kit, behind a real server, with a mutant before it."""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp

from .conformance_mutants import Switch
from .conformance_reference import Reference
from .conformance_socket import with_socket

_SECONDS = 60.0


@contextmanager
def serving_at(app: ASGIApp) -> Generator[str]:
    """Serve an application, WebSockets included, on 127.0.0.1; gives its base URL.

    The server makes its own socket: one that is handed to it keeps Nagle's algorithm, which costs
    40 ms a request.
    """
    config = uvicorn.Config(
        app, port=0, ws="websockets-sansio", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "the server did not start"
        port: int = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(_SECONDS)
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture(scope="module")
def switch() -> Switch:
    """A provider that offers everything, to be made a mutant of."""
    return Switch(with_socket(Reference()))


@pytest.fixture(scope="module")
def url(switch: Switch) -> Iterator[str]:
    """Where it is served."""
    with serving_at(switch) as base:
        yield base
