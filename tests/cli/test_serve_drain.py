"""`antiphon serve` ends in good order: real processes, real signals."""

import asyncio
import json
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from .served import Process, gone, serve

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from cli.http import TimedH11
    from cli.server import Server
else:
    from antiphon.cli.http import TimedH11
    from antiphon.cli.server import Server

APP = """
import sys
import anyio
from antiphon.models import Text, model
from antiphon.provider import Provider

@model("patient")
async def patient(request):
    yield Text("begun ")
    await anyio.to_thread.run_sync(sys.stdin.readline)
    yield Text("ended")

@model("endless")
async def endless(request):
    yield Text("begun ")
    await anyio.sleep_forever()

app = Provider(models=[patient, endless], store="sqlite+aiosqlite:///kept.db", lease_seconds=1)
"""


@pytest.fixture(autouse=True)
def in_a_folder_with_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("draining.py").write_text(APP)


@contextmanager
def streaming(server: Process, model: str, **body: Any) -> Generator[tuple[str, Iterator[str]]]:
    """A stream that has said something: its response's id, and its further lines."""
    given = {"model": model, "input": "x", "stream": True, **body}
    url = f"{server.url}/responses"
    with httpx2.stream("POST", url, json=given, timeout=60) as answer:
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        assert any("begun" in line for line in lines)
        yield json.loads(first.removeprefix("data: "))["response"]["id"], lines


def go_on(server: Process) -> None:
    assert server.process.stdin is not None
    server.process.stdin.write("go\n")
    server.process.stdin.flush()


def stop(server: Process) -> None:
    server.process.send_signal(signal.SIGTERM)
    while not gone(server.url):
        pass


def errors(server: Process) -> str:
    assert server.process.stderr is not None
    return server.process.stderr.read()


def test_who_asks_meanwhile_is_told_that_it_is_not_ready_and_a_stream_ends() -> None:
    with serve("draining:app") as server:
        base = server.url.removesuffix("/v1")
        with httpx2.Client(base_url=base, timeout=60) as kept:
            assert kept.get("/readyz").json() == {"status": "ok"}
            with streaming(server, "patient") as (_, lines):
                stop(server)
                probe = kept.get("/readyz")
                assert probe.status_code == 503
                assert probe.json()["reason"] == "this server is about to stop"
                assert probe.headers["connection"] == "close"
                go_on(server)
                assert any("response.completed" in line for line in lines)
        assert server.process.wait(timeout=60) == 0
        assert errors(server) == ""


def test_a_stream_that_does_not_end_in_time_is_cut_and_kept_as_it_is() -> None:
    with serve("draining:app", "--drain", "0.2") as server:
        with (
            pytest.raises(httpx2.RemoteProtocolError),
            streaming(server, "endless") as (response_id, lines),
        ):
            server.process.terminate()
            for _ in lines:
                pass
        assert server.process.wait(timeout=60) == 0
        assert errors(server).strip().endswith("1 answers were cut after 0.2 seconds")
    with serve("draining:app") as server:
        kept = httpx2.get(f"{server.url}/responses/{response_id}", timeout=60).json()
        assert kept["status"] == "cancelled"
        assert kept["output"][0]["content"][0]["text"] == "begun "
        assert kept["output"][0]["status"] == "incomplete"


def test_a_job_in_the_background_is_let_go_of_and_the_next_process_goes_on_with_it() -> None:
    body = {"model": "patient", "input": "x", "background": True}
    with serve("draining:app") as server:
        made = httpx2.post(f"{server.url}/responses", json=body, timeout=60).json()
        url = f"/responses/{made['id']}?stream=true"
        with httpx2.stream("GET", f"{server.url}{url}", timeout=60) as answer:
            assert any("begun" in line for line in answer.iter_lines())
        server.process.terminate()
        go_on(server)  # so that its thread ends
        assert server.process.wait(timeout=60) == 0
    with serve("draining:app") as server:
        go_on(server)
        with httpx2.stream("GET", f"{server.url}{url}", timeout=60) as answer:
            assert any("response.completed" in line for line in answer.iter_lines())


def test_a_second_signal_is_the_end() -> None:
    with serve("draining:app") as server:
        with pytest.raises(httpx2.TransportError), streaming(server, "endless") as (_, lines):
            stop(server)
            server.process.terminate()
            assert server.process.wait(timeout=60) == -signal.SIGTERM
            for _ in lines:
                pass


def test_websockets_close_when_nothing_is_told_on_them() -> None:
    client = pytest.importorskip("websockets.sync.client")
    closed = pytest.importorskip("websockets.exceptions").ConnectionClosed
    with serve("draining:app") as server:
        url = f"{server.url}/responses".replace("http:", "ws:")
        with client.connect(url) as idle, client.connect(url) as told:
            told.send('{"type": "response.create", "model": "patient", "input": "x"}')
            while "begun" not in told.recv(timeout=60):
                pass
            server.process.terminate()
            assert json.loads(idle.recv(timeout=60))["error"]["code"] == "server_shutdown"
            with pytest.raises(closed) as end:
                idle.recv(timeout=60)
            assert end.value.rcvd.code == 1001
            go_on(server)
            while "response.completed" not in told.recv(timeout=60):
                pass
            assert json.loads(told.recv(timeout=60))["error"]["code"] == "server_shutdown"
        assert server.process.wait(timeout=60) == 0
        assert errors(server) == ""


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", [None, TimedH11])
async def test_a_connection_that_was_taken_in_the_moment_of_the_end_gets_one_answer(
    protocol: type[TimedH11] | None,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = Server(app, drain=60.0, leaving=None, lifespan="off")
    server.config.load()
    server.servers = []
    server.lifespan = server.config.lifespan_class(server.config)
    made: Any = protocol or server.config.http_protocol_class
    await server.shutdown()
    late = await asyncio.get_running_loop().create_server(
        lambda: made(config=server.config, server_state=server.server_state, app_state={}),
        "127.0.0.1",
    )
    async with late, await anyio.connect_tcp(*late.sockets[0].getsockname()) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        with anyio.fail_after(10):
            said = b"".join([some async for some in stream])
    assert said.startswith(b"HTTP/1.1 204 ")
