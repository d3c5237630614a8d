"""The conformance kit before strangers: whatever a server does, the kit ends and says it safely."""

import gzip
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from antiphon.testing.provider import CHECKS, Report, check_provider

from .conformance_reference import plain_provider
from .conformance_serving import serving_at

pytestmark = pytest.mark.anyio

PATIENCE = 60.0
SECRET = "sk-secret-4711"
Handler = Callable[[anyio.abc.ByteStream], Awaitable[None]]


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncGenerator[str]:
    """A TCP server; gives its URL."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await handler(stream)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                return

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def checked(url: str, **options: Any) -> Report:
    with anyio.fail_after(PATIENCE):
        options.setdefault("seconds", 0.3)
        return await check_provider(url, **options)


def answering(
    body: bytes,
    *,
    kind: str = "application/json",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> ASGIApp:
    """A server that answers everything alike."""

    async def endpoint(request: Request) -> Response:
        return Response(body, status, headers, media_type=kind)

    methods = ["GET", "POST", "DELETE"]
    return Router([Route("/{path:path}", endpoint, methods=methods)])


async def test_where_nobody_listens_the_first_rules_fail_and_the_rest_are_skipped() -> None:
    async with raw_server(hang) as url:
        pass
    report = await checked(url)
    assert report.results[0].verdict == "failed"
    assert "expected an answer, got ConnectError" in report.results[0].why
    assert len(report.results) == len(CHECKS)
    assert not report.passed
    whys = [result.why for result in report.results[5:]]
    assert any("the server has stopped answering" in why for why in whys)
    assert len({result.name for result in report.failed}) <= 3


async def test_a_server_that_drops_the_line_on_bad_requests_is_not_given_up() -> None:
    app = plain_provider()

    async def rude(scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400:
                    raise ConnectionError("a rude server")
            await send(message)

        await app(scope, receive, told)

    with serving_at(rude) as url:
        report = await checked(url, only=["errors", "a basic message"], seconds=5)
    broken = [result for result in report.failed if result.theme == "errors"]
    assert len(broken) > 3
    assert report.results[-1].verdict == "passed", str(report)


async def hang(stream: anyio.abc.ByteStream) -> None:
    await anyio.sleep_forever()


async def drip(stream: anyio.abc.ByteStream) -> None:
    await stream.receive()
    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while True:
        await stream.send(b" ")
        await anyio.sleep(0.01)  # its pace; nobody waits for this


async def pour(stream: anyio.abc.ByteStream) -> None:
    await stream.receive()
    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    while True:
        await stream.send(b"data: {}\n\n" * 1000)


@pytest.mark.parametrize("handler", [hang, drip, pour], ids=lambda each: each.__name__)
async def test_a_server_that_never_ends_an_answer_is_a_failure_and_not_a_hang(
    handler: Handler,
) -> None:
    async with raw_server(handler) as url:
        report = await checked(url)
    assert not report.passed, str(report)
    assert report.results[0].verdict == "failed"
    assert "within 0.3 seconds" in report.results[0].why or "at most" in report.results[0].why
    assert report.results[-1].verdict in ("skipped", "failed")


async def test_a_stream_whose_line_stays_open_after_done_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antiphon.testing.provider.line._END_SECONDS", 0.2)
    event = {"type": "response.created", "sequence_number": 0}
    body = f"event: response.created\ndata: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode()

    async def open_end(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        await stream.send(head + body)
        await anyio.sleep_forever()

    async with raw_server(open_end) as url:
        report = await checked(url, model="m", only=["the stream ends with"], seconds=10)
    assert report.failed[0].why == "expected the body's end after [DONE], and the line stayed open"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"x"',
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"object":"response","output":7,"usage":[],"text":"x","tools":{},"id":{}}',
        b'{"object":"response","output":[null,7,{"type":7,"content":[null]}],"id":null}',
        b'{"object":"list","data":[{"id":7},null],"input_tokens":true,"output":[{}]}',
        b'{"error":{"message":{"a":[]},"param":[1],"code":7}}',
        b'{"created_at":1e999,"x":NaN}',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_odd_answers_are_results_and_no_exceptions(body: bytes) -> None:
    with serving_at(answering(body)) as url:
        report = await checked(url, seconds=5)
    assert len(report.results) == len(CHECKS)
    assert report.failed


@pytest.mark.parametrize("status", [204, 404, 418, 500])
async def test_odd_statuses_are_results_and_no_exceptions(status: int) -> None:
    with serving_at(answering(b"" if status == 204 else b'{"error":7}', status=status)) as url:
        report = await checked(url, seconds=5)
    assert len(report.results) == len(CHECKS)
    assert report.failed


@pytest.mark.parametrize(
    "event",
    [
        b"data: {}\n\n",
        b"data: []\n\n",
        b"event: x\ndata: 7\n\n",
        b'data: {"type":7,"output_index":"a","item":7,"response":[]}\n\n',
        b'data: {"type":"response.completed","response":{"output":[7]},"sequence_number":"a"}\n\n',
        b'data: {"type":"response.output_item.added","output_index":0,"item":null}\n\n',
        b'data: {"type":"response.output_text.delta","output_index":0,"delta":7}\n\n',
        b"\n\n\n\n: ping\n\n",
        b"\xff\xff\n\n",
    ],
    ids=repr,
)
async def test_odd_events_are_results_and_no_exceptions(event: bytes) -> None:
    with serving_at(answering(event * 3, kind="text/event-stream")) as url:
        report = await checked(url, only=["stream", "item", "dialects", "tools"], seconds=5)
    assert report.results
    odd = [result for result in report.results if "too odd" in result.why]
    assert odd == [], "\n".join(map(str, odd))


async def test_nothing_that_a_server_says_can_command_a_terminal() -> None:
    error = {"error": {"message": "\x1b[2J\x9bred\u202e\r\n\x07\x7f", "type": "\x1b", "code": None}}
    with serving_at(answering(json.dumps(error).encode(), status=400)) as url:
        report = await checked(url, model="\x1b[31mred", seconds=5)
    assert all(line.isprintable() for line in str(report).splitlines())
    assert "\\u001b[2J" in report.results[0].why


async def test_a_key_that_a_server_repeats_is_blotted_out() -> None:
    async def endpoint(request: Request) -> Response:
        told = request.headers.get("authorization", "")
        return Response(json.dumps({"error": {"message": told}}), 400)

    app = Router([Route("/{path:path}", endpoint, methods=["GET", "POST", "DELETE"])])
    with serving_at(app) as url:
        report = await checked(url, api_key=SECRET, seconds=5)
    told = str(report) + json.dumps(report.to_dict())
    assert SECRET not in told
    assert "***" in told


async def test_credentials_in_the_url_are_not_shown() -> None:
    with serving_at(answering(b"{}")) as url:
        url = url.replace("://", f"://user:{SECRET}@") + "/v1?key=hidden"
        report = await checked(url, only=["created_at"], seconds=5)
    assert SECRET not in str(report) and "hidden" not in str(report)
    assert report.url.endswith("/v1")


async def test_redirects_are_not_followed_with_the_key() -> None:
    heard: list[str] = []

    async def elsewhere(request: Request) -> Response:
        heard.append(request.headers.get("authorization", ""))
        return Response("{}")

    methods = ["GET", "POST", "DELETE"]
    thief = Router([Route("/{path:path}", elsewhere, methods=methods)])
    with serving_at(thief) as other:

        async def endpoint(request: Request) -> Response:
            return RedirectResponse(f"{other}/v1/responses", 307)

        with serving_at(Router([Route("/{path:path}", endpoint, methods=methods)])) as url:
            report = await checked(url, api_key=SECRET, seconds=5)
    assert heard == []
    assert not report.passed


async def test_what_comes_compressed_unasked_is_refused_unread() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    app = answering(bomb, headers={"content-encoding": "gzip"})
    with serving_at(app) as url:
        report = await checked(url, only=["created_at", "a text as input"], seconds=5)
    assert "content-encoding: expected identity" in report.results[0].why


async def test_an_answer_without_end_is_cut_at_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.testing.provider.line.MOST", 100_000)
    async with raw_server(pour) as url:
        report = await checked(url, only=["a text as input"], seconds=10)
    said = "POST /responses: expected an answer of at most 100000 bytes; it was longer"
    assert report.failed[0].why == said


@pytest.mark.parametrize("sent", ["binary", "nothing", "text", "close", "flood"])
async def test_an_odd_websocket_is_a_failure_and_not_a_hang(
    sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.testing.provider.socket.MOST", 20_000)
    monkeypatch.setattr("antiphon.testing.provider.socket._CLOSE_SECONDS", 0.2)

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await socket.receive_text()
            if sent == "binary":
                await socket.send_bytes(b"{}")
            elif sent == "text":
                await socket.send_text("[DONE]")
            elif sent == "close":
                await socket.close(1011)
            for _ in range(2000 if sent == "flood" else 0):
                await socket.send_text('{"type":"response.odd"}')
            await socket.receive_text()
        except Exception:
            return

    app = Router([WebSocketRoute("/v1/responses", endpoint)])
    with serving_at(app) as url:
        report = await checked(url, model="m", only=["as text frames", "[DONE]"], seconds=0.5)
    tried = [result for result in report.results if result.theme == "WebSocket"]
    assert {result.verdict for result in tried} == {"failed"}
    said = {
        "binary": "expected a text frame",
        "nothing": "expected a frame within 0.5 seconds",
        "text": 'expected a JSON object, got "[DONE]"',
        "close": "got the connection's end",
        "flood": "",
    }
    assert all(said[sent] in result.why for result in tried), [each.why for each in tried]
