"""What the tests of the command line share: real servers on loopback, and `main` run whole."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
import uvicorn

from antiphon.cli import main

App: TypeAlias = Callable[..., Any]
Serving: TypeAlias = Callable[[App], str]
Run: TypeAlias = Callable[..., "Outcome"]


class Server(uvicorn.Server):
    """uvicorn in a thread, on a socket that listens at once: early callers wait."""

    def __init__(self, app: App) -> None:
        super().__init__(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait
        self.thread = threading.Thread(target=self.run, args=([self.listening],))

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def stop(self) -> None:
        """Stop, and wait for it."""
        self.should_exit = True
        self.thread.join(timeout=60)
        self.listening.close()
        assert not self.thread.is_alive()


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Serve an application on loopback; gives its URL, without a path."""
    servers: list[Server] = []

    def serve(app: App) -> str:
        server = Server(app)
        servers.append(server)
        server.thread.start()
        return server.url

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a container engine, whatever this one has."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


@pytest.fixture
def antiphon(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line through `main`, as the console script does."""

    def run(*argv: str) -> Outcome:
        capsys.readouterr()
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return run
