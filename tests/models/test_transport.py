"""Asking over HTTP: retries before the first token only, connections, and no secret in sight."""

import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import httpx2
import pytest

from antiphon.errors import ConfigurationError, ModelError
from antiphon.items import fold
from antiphon.models import ChatModel, ModelRequest, ResponsesModel

if TYPE_CHECKING:
    from models.transport import Transport

    from .conftest import Listen, Reply, Server

else:
    from antiphon.models.transport import Transport

Frames: TypeAlias = list[tuple[str | None, bytes]]
Sse: TypeAlias = Callable[..., bytes]

pytestmark = pytest.mark.anyio
NOW = 1_700_000_000.0
KEY = "sk-very-secret"


class Asking:
    """A transport whose pauses take no time and are written down."""

    def __init__(self, url: str, fast: bool, retries: int = 2) -> None:
        self.rests: list[float] = []
        self.transport = Transport(
            url, api_key=KEY, retries=retries, fast=fast, sleep=self.rest, clock=lambda: NOW
        )

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)

    async def frames(self) -> Frames:
        """Everything that one post brings."""
        with anyio.fail_after(60):
            async with self.transport.post("/x", b"{}") as answer:
                return [frame async for frames in answer.frames() for frame in frames]


@asynccontextmanager
async def asking(url: str, fast: bool, retries: int = 2) -> AsyncGenerator[Asking]:
    one = Asking(url, fast, retries)
    try:
        yield one
    finally:
        await one.transport.aclose()


async def test_a_busy_server_is_asked_again_after_the_seconds_it_names(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    server.plays(reply.json({}, 429, retry_after="7"), reply([sse({"ok": 1})]))
    async with asking(server.url, fast) as one:
        assert await one.frames() == [(None, b'{"ok": 1}')]
        assert one.rests == [7.0]
    assert len(server.asked) == 2


async def test_a_busy_server_is_asked_again_after_the_date_it_names(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    date = formatdate(NOW + 30, usegmt=True)
    server.plays(reply.json({}, 503, retry_after=date), reply([sse({"ok": 1})]))
    async with asking(server.url, fast) as one:
        await one.frames()
        assert one.rests == [30.0]


async def test_a_server_that_asks_for_an_hour_is_not_asked_again(
    server: "Server", reply: "type[Reply]", fast: bool
) -> None:
    server.plays(reply.json({}, 429, retry_after="3600"))
    async with asking(server.url, fast) as one:
        with pytest.raises(ModelError) as caught:
            await one.frames()
    assert one.rests == [] and len(server.asked) == 1
    assert (caught.value.status, caught.value.retry_after) == (429, 3600.0)


async def test_two_failures_are_forgiven(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    server.plays(reply.json({}, 500), reply.json({}, 500), reply([sse({"ok": 1})]))
    async with asking(server.url, fast) as one:
        assert await one.frames() == [(None, b'{"ok": 1}')]
    assert len(one.rests) == 2 and all(0 <= rest <= 8 for rest in one.rests)


@pytest.mark.parametrize(
    ("status", "tries"), [(400, 1), (401, 1), (404, 1), (408, 3), (409, 3), (429, 3), (502, 3)]
)
async def test_only_what_may_pass_is_tried_again(
    status: int, tries: int, server: "Server", reply: "type[Reply]", fast: bool
) -> None:
    server.plays(reply.json({"error": {"message": "no", "code": "why"}}, status))
    async with asking(server.url, fast) as one:
        with pytest.raises(ModelError, match=f"answered {status}: no$") as caught:
            await one.frames()
    assert len(server.asked) == tries
    assert (caught.value.status, caught.value.code) == (status, "why")


async def test_a_connection_lost_before_the_first_byte_is_tried_again(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    server.plays(reply(cut=True), reply([sse({"ok": 1})]))
    async with asking(server.url, fast) as one:
        assert await one.frames() == [(None, b'{"ok": 1}')]
    assert len(one.rests) == 1


async def test_nothing_is_tried_again_after_a_token(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    server.plays(reply([sse({"said": 1})], cut=True))
    seen: list[Any] = []
    async with asking(server.url, fast) as one:
        with pytest.raises(ModelError, match="broke off") as caught, anyio.fail_after(60):
            async with one.transport.post("/x", b"{}") as answer:
                async for frames in answer.frames():
                    seen += frames
    assert caught.value.code == "stream_cut"
    assert seen == [(None, b'{"said": 1}')]
    assert len(server.asked) == 1 and one.rests == []


async def test_json_that_breaks_off_is_an_error(
    server: "Server", reply: "type[Reply]", fast: bool, listen: "Listen"
) -> None:
    server.plays(reply([b'{"status": '], headers={"content-type": "application/json"}, cut=True))
    model = ResponsesModel("m", base_url=server.url, fast=fast)
    with pytest.raises(ModelError, match="broke off in the middle"):
        await listen(model, ModelRequest(items=[]))
    await model.aclose()
    assert len(server.asked) == 1


async def test_a_server_that_is_not_there_says_so(fast: bool) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets this port
        async with asking(f"http://127.0.0.1:{held.getsockname()[1]}/v1", fast) as one:
            with pytest.raises(ModelError, match="is it running") as caught:
                await one.frames()
    assert caught.value.code == "connection_error" and len(one.rests) == 2


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
async def test_a_pause_that_makes_no_sense_is_not_taken_at_its_word(
    value: str, server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    server.plays(reply.json({}, 429, retry_after=value), reply([sse({"ok": 1})]))
    async with asking(server.url, fast) as one:
        await one.frames()
    assert len(one.rests) == 1 and 0 <= one.rests[0] <= 8


async def test_a_server_that_is_silent_too_long_is_not_asked_again(
    server: "Server", reply: "type[Reply]"
) -> None:
    server.plays(reply(stuck=True))
    async with httpx2.AsyncClient(timeout=httpx2.Timeout(5, read=0.01)) as own:
        transport = Transport(server.url, http_client=own)
        with pytest.raises(ModelError, match="did not answer in time") as caught:
            async with transport.post("/x", b"{}"):
                pass
    assert caught.value.code == "timeout" and len(server.asked) == 1


async def test_a_server_that_never_ends_its_body_holds_nobody_up_for_long(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool, listen: "Listen"
) -> None:
    ending = {"type": "response.completed", "response": {"id": "r"}}
    server.plays(reply([sse(ending)], stuck=True))
    model = ResponsesModel("m", base_url=server.url, fast=fast)
    assert fold(await listen(model, ModelRequest(items=[]))).status == "completed"
    with anyio.fail_after(60):
        await server.gone.wait()
    await model.aclose()


async def test_leaving_while_nothing_has_come_ends_the_connection(
    server: "Server", reply: "type[Reply]", fast: bool
) -> None:
    server.plays(reply(stuck=True))
    async with asking(server.url, fast) as one:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one.frames)
                await server.heard.wait()
                tasks.cancel_scope.cancel()
            await server.gone.wait()


async def test_the_password_of_a_base_url_is_never_shown(
    server: "Server", reply: "type[Reply]", fast: bool
) -> None:
    server.plays(reply.json({"error": "wrong: pa55"}, 403))
    url = server.url.replace("http://", "http://me:pa55@")
    async with asking(url, fast) as one:
        with pytest.raises(ModelError, match=r"wrong: \*\*\*$") as caught:
            await one.frames()
    assert "pa55" not in f"{caught.value} {one.transport!r}"


async def test_no_retries_means_one_try(server: "Server", reply: "type[Reply]", fast: bool) -> None:
    server.plays(reply.json({}, 500))
    async with asking(server.url, fast, retries=0) as one:
        with pytest.raises(ModelError):
            await one.frames()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "model not found"}', "model not found"),
        (b'{"object": "error", "message": "too long", "code": 400}', "too long"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'["so"]', r"\['so'\]"),
        (b"plain words", "plain words"),
        (b"<html>a proxy's page</html>", "it says no more"),
        (b"", "it says no more"),
        (b'{"error": {"message": "' + b"x" * 5000 + b'"}}', "x" * 1000),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words(
    body: bytes, words: str, server: "Server", reply: "type[Reply]", fast: bool
) -> None:
    server.plays(reply([body], 400))
    async with asking(server.url, fast) as one:
        with pytest.raises(ModelError, match=f"answered 400: {words}$"):
            await one.frames()


async def test_the_key_is_sent_and_never_shown(
    server: "Server",
    reply: "type[Reply]",
    fast: bool,
    caplog: pytest.LogCaptureFixture,
    listen: "Listen",
) -> None:
    caplog.set_level(logging.DEBUG)
    told = {"error": {"message": f"Incorrect API key provided: {KEY}, and tok-123", "code": KEY}}
    server.plays(reply.json(told, 401))
    for kind in (ChatModel, ResponsesModel):
        model = kind(
            "m", base_url=server.url, api_key=KEY, headers={"X-Token": "tok-123"}, fast=fast
        )
        with pytest.raises(ModelError) as caught:
            await listen(model, ModelRequest(items=[]))
        await model.aclose()
        shown = f"{caught.value!r} {caught.value} {caught.value.code} {model!r} {caplog.text}"
        assert "Incorrect API key provided: ***, and ***" in shown
        assert KEY not in shown and "tok-123" not in shown
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].headers["x-token"] == "tok-123"


async def test_one_connection_serves_turn_after_turn(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool, listen: "Listen"
) -> None:
    ending = {"type": "response.completed", "response": {"id": "r"}}
    server.plays(reply([sse(ending), b"data: [DONE]\n\n"]))
    model = ResponsesModel("m", base_url=server.url, fast=fast)
    for _ in range(5):
        await listen(model, ModelRequest(items=[]))
    await model.aclose()
    assert len(server.asked) == 5 and server.connections == 1


async def test_a_stream_left_early_ends_its_connection(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    server.plays(reply([sse({"a": 1})], stuck=True))
    async with asking(server.url, fast) as one:
        with anyio.fail_after(60):
            async with one.transport.post("/x", b"{}") as answer:
                async with aclosing(answer.frames()) as chunks:
                    assert await anext(chunks) == [(None, b'{"a": 1}')]
            await server.gone.wait()


async def test_the_query_of_a_base_url_stays_at_the_end(
    server: "Server", reply: "type[Reply]", sse: Sse, fast: bool
) -> None:
    server.plays(reply([sse({"ok": 1})]))
    async with asking(f"{server.url}/?api-version=3", fast) as one:
        await one.frames()
    assert server.asked[0].path == "/v1/x?api-version=3"


@pytest.mark.parametrize("url", ["", "localhost:1/v1", "ftp://x", "http://", "https://u:p w@"])
def test_a_base_url_is_a_url(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url: expected a URL such as") as caught:
        Transport(url)
    assert "p w" not in str(caught.value)
