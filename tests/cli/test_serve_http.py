"""What `antiphon serve` does with clients that take their time, over real sockets."""

import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest

from antiphon.models import ModelRequest, Speech, Text, model
from antiphon.provider import Provider

if TYPE_CHECKING:
    from cli.http import HEAD_BYTES, HEAD_LINES, TimedH11, protocol
    from cli.listening import _bound  # pyright: ignore[reportPrivateUsage]
    from cli.server import Server
else:
    from antiphon.cli.http import HEAD_BYTES, HEAD_LINES, TimedH11, protocol
    from antiphon.cli.listening import _bound
    from antiphon.cli.server import Server

PATIENCE = 60.0
GET = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"

GO_ON = threading.Event()


@model("patient")
async def patient(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Ends when it is told to."""
    yield Text("begun ")
    await anyio.to_thread.run_sync(GO_ON.wait, PATIENCE)
    yield Text("ended")


class Running(Server):
    """The server in a thread."""

    def __init__(self) -> None:
        super().__init__(Provider(models=[patient]), drain=1, leaving=None)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.run, args=([self.listening],))
        self.thread.start()


Open = Callable[[], socket.socket]


@pytest.fixture(params=["httptools", "h11"])
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens connections to a server of either protocol, which gives a head 0.3 seconds."""
    GO_ON.clear()
    kind: Any = TimedH11
    if request.param == "httptools":
        pytest.importorskip("httptools")
        kind = protocol()
        assert kind is not TimedH11
    monkeypatch.setattr("antiphon.cli.server.protocol", lambda: kind)
    monkeypatch.setattr(kind, "head_seconds", 0.3)
    server = Running()
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        one = socket.create_connection(server.listening.getsockname()[:2], timeout=PATIENCE)
        opened.append(one)
        return one

    yield connect
    GO_ON.set()
    server.should_exit = True
    for one in opened:
        one.close()
    server.thread.join(PATIENCE)
    server.listening.close()
    assert not server.thread.is_alive()


def heard(one: socket.socket) -> bytes:
    """All that comes until the server closes."""
    said = b""
    try:
        while more := one.recv(65536):
            said += more
    except ConnectionResetError:
        pass
    return said


def until(one: socket.socket, words: bytes) -> bytes:
    said = b""
    while words not in said:
        more = one.recv(65536)
        assert more, said
        said += more
    return said


def dripping(one: socket.socket, drip: bytes) -> bytes:
    """What the server says to a client that sends a little, again and again."""
    one.settimeout(0.05)
    said = b""
    for _ in range(int(PATIENCE / 0.05)):
        try:
            one.sendall(drip)
            more = one.recv(65536)
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return said
        if not more:
            return said
        said += more
    raise AssertionError("the server never had enough")


def test_a_client_that_says_nothing_is_left(connect: Open) -> None:
    assert heard(connect()) == b""


def test_a_head_that_comes_slowly_is_not_waited_for(connect: Open) -> None:
    one = connect()
    one.sendall(GET)
    assert b"408 Request Timeout" in dripping(one, b"x-a: b\r\n")


def test_empty_lines_are_no_request(connect: Open) -> None:
    dripping(connect(), b"\r\n")


def test_a_second_head_has_no_more_time_than_the_first(connect: Open) -> None:
    one = connect()
    one.sendall(GET + b"\r\n")
    assert b"200 OK" in until(one, b'{"status":"ok"}')
    one.sendall(GET)
    assert b"408 Request Timeout" in dripping(one, b"x-a: b\r\n")


def test_a_body_behind_its_answer_does_not_hold_the_connection(connect: Open) -> None:
    one = connect()
    one.sendall(b"PUT /v1/none HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n")
    assert b"404" in until(one, b"error")
    dripping(one, b"x")


def test_an_answer_may_take_longer_than_a_head(connect: Open) -> None:
    one = connect()
    body = b'{"model": "patient", "input": "x"}'
    one.sendall(
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )
    other = connect()
    assert heard(other) == b""  # so the time of a head is over
    GO_ON.set()
    assert b"begun ended" in heard(one)


def test_a_half_head_behind_a_request_does_not_cut_its_answer(connect: Open) -> None:
    one = connect()
    body = b'{"model": "patient", "input": "x"}'
    one.sendall(
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%bGET /he" % (len(body), body)
    )
    assert heard(connect()) == b""
    GO_ON.set()
    assert b"begun ended" in until(one, b"ended")


@pytest.mark.parametrize(
    "head",
    [
        b"x-a: " + b"a" * (2 * HEAD_BYTES),
        b"".join(b"x-%d: %b\r\n" % (n, b"a" * 9000) for n in range(20)),
    ],
    ids=["one", "many"],
)
def test_a_head_of_many_bytes_is_refused(connect: Open, head: bytes) -> None:
    one = connect()
    one.sendall(GET + head)
    said = heard(one)
    assert said == b"" or b" 431 " in said or b" 400 " in said  # reset while it sent, or told
    assert b"200 OK" not in said


def test_a_long_target_is_refused(connect: Open) -> None:
    one = connect()
    one.sendall(b"GET /" + b"a" * (2 * HEAD_BYTES))
    assert b"200 OK" not in heard(one)


def test_a_head_of_usual_size_is_read(connect: Open) -> None:
    one = connect()
    lines = b"".join(b"x-%d: %b\r\n" % (n, b"a" * 200) for n in range(HEAD_LINES - 5))
    one.sendall(GET + lines + b"connection: close\r\n\r\n")
    assert b"200 OK" in heard(one)


@pytest.mark.parametrize("connect", ["httptools"], indirect=True)
def test_a_head_of_many_lines_is_refused(connect: Open) -> None:
    one = connect()
    one.sendall(GET + b"a: b\r\n" * (HEAD_LINES + 1) + b"\r\n")
    assert b" 431 " in heard(one)


@pytest.mark.parametrize("connect", ["httptools"], indirect=True)
@pytest.mark.parametrize("tail", [b"0\r\nx-a: ", b"1;"], ids=["trailer", "extension"])
def test_what_hides_behind_a_body_is_bounded(connect: Open, tail: bytes) -> None:
    one = connect()
    one.sendall(
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n" + tail
    )
    try:
        for _ in range(100):
            one.sendall(b"a" * HEAD_BYTES)
    except (ConnectionResetError, BrokenPipeError):
        return
    raise AssertionError("the server took six megabytes of it")


def test_a_large_body_is_read(connect: Open) -> None:
    one = connect()
    GO_ON.set()
    body = b'{"model": "patient", "input": "%b"}' % (b"a" * (40 * HEAD_BYTES))
    one.sendall(
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )
    assert b"begun ended" in heard(one)


def test_the_second_piece_of_an_answer_does_not_wait_until_the_first_is_acknowledged() -> None:
    with _bound("127.0.0.1", 0) as listening:
        with socket.create_connection(listening.getsockname()):
            line, _ = listening.accept()
            with line:
                assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
