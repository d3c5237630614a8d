"""Bad requests as HTTP: types, methods, paths, sizes, slow senders; and bugs of our own."""

import socket
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from starlette.types import Message

from .refusing import DEEP, problem, provider, refused
from .serving import PATIENCE, Exchange, Serve, exchange

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
async def test_another_content_type(kind: str) -> None:
    error = await refused({"input": "hi"}, 415, headers={"content-type": kind})
    assert error["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
async def test_json_by_other_names(kind: str) -> None:
    one = await exchange(provider(), {"input": "hi"}, headers={"content-type": kind})
    assert one.status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"])
async def test_another_method(method: str) -> None:
    await refused({"input": "hi"}, 405, method=method)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/responses/",
        "/v1/chat/completions",
        "/v2/responses",
        "/v1/responses//x",
    ],
)
async def test_another_path(path: str) -> None:
    error = await refused({"input": "hi"}, 404, path=path)
    assert error["type"] == "not_found_error"


@pytest.mark.parametrize("version", ["", "1", "2026-04-25", "LATEST", "latest, 2026-04-24"])
async def test_another_version(version: str) -> None:
    error = await refused({"input": "hi"}, headers={"openresponses-version": version})
    assert (error["param"], error["code"]) == ("OpenResponses-Version", "unsupported_version")
    for known in "latest", "2026-01-15", "2026-04-24":
        assert known in error["message"]


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/v1/files", "/v1/conversations/c", "/v1/responses/r", "/v1/nowhere"],
)
async def test_another_version_is_refused_whatever_is_asked(path: str) -> None:
    wrong = {"openresponses-version": "2020-01-01"}
    one = await exchange(provider(), method="GET", path=path, headers=wrong)
    assert (one.status, problem(one)["code"]) == (400, "unsupported_version")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_head_asks_for_health_too(path: str) -> None:
    assert (await exchange(provider(), method="HEAD", path=path)).status == 200


@pytest.mark.parametrize("length", ["-1", "\xb2", "1e3", "none"])
async def test_a_length_that_is_none_says_nothing(length: str) -> None:
    one = await exchange(provider(), {"input": "hi"}, headers={"content-length": length})
    assert one.status == 200, one.body


@pytest.mark.parametrize("length", ["1001", "1" * 5000])
async def test_a_body_that_is_too_large_by_its_own_word(length: str) -> None:
    app = provider(max_body=1000)
    one = await exchange(app, b"{}", headers={"content-length": length})
    assert one.status == 413
    assert problem(one)["code"] == "request_too_large"


async def test_a_body_that_is_too_large_without_a_word() -> None:
    app = provider(max_body=1000)
    one = await exchange(app, {"input": "x" * 1000})
    assert one.status == 413
    assert (await exchange(app, {"input": "x" * 900})).status == 200


async def test_a_body_that_never_comes() -> None:
    app = provider(body_seconds=0.01)
    one = Exchange(app)
    waited = anyio.Event()

    async def receive() -> Message:
        waited.set()
        await anyio.sleep_forever()
        raise AssertionError

    one._receive = receive  # pyright: ignore[reportPrivateUsage]
    with anyio.fail_after(PATIENCE):
        await one.run()
    assert waited.is_set()
    assert one.status == 408
    assert problem(one)["code"] == "request_timeout"


async def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    one = Exchange(provider(), {"input": "hi"})
    one._asked = True  # pyright: ignore[reportPrivateUsage]
    one.leave()
    with anyio.fail_after(PATIENCE):
        await one.run()
    assert one.sent == []


def test_bad_requests_over_a_real_socket(serving: Serve) -> None:
    with serving(provider()) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as client:
        bad = client.post(
            "/v1/responses", content=b"[" * DEEP, headers={"content-type": "application/json"}
        )
        assert bad.status_code == 400
        assert bad.json()["error"]["code"] == "invalid_json"
        assert client.post("/v1/responses", json={"input": "hi"}).status_code == 200


def test_half_a_request_over_a_real_socket_is_timed_out(serving: Serve) -> None:
    head = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with serving(provider(body_seconds=0.1)) as url:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        with socket.create_connection((parts.hostname, parts.port), PATIENCE) as line:
            line.sendall(head + b"Content-Length: 100\r\n\r\n{")
            assert line.recv(64).startswith(b"HTTP/1.1 408 ")


async def test_an_error_before_a_stream_is_plain_json() -> None:
    one = await exchange(provider(), {"input": "hi", "stream": True, "temperature": 9})
    assert one.status == 400
    assert problem(one)["param"] == "temperature"


async def test_a_bug_inside_is_told_as_little(caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> float:
        raise KeyError("secret")

    one = await exchange(provider(clock=bug), {"input": "hi"})
    assert one.status == 500
    assert problem(one)["code"] == "server_error"
    assert "secret" not in one.body.decode() + caplog.text
    assert "KeyError" in caplog.text and " in bug" in caplog.text
