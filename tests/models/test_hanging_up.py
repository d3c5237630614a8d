"""Servers that do not come to an end: nobody waits for them for ever, and nothing stays open."""

import asyncio
import json
from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest

from antiphon.errors import ModelError
from antiphon.models import Model, ModelRequest, ResponsesModel

pytestmark = pytest.mark.anyio


class Endless(httpx2.AsyncByteStream):
    """A body that says its words and then nothing, and never ends."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self.silent = anyio.Event()
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._words
        self.silent.set()
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        self.closed = True


def asking(status: int, body: Endless) -> Model:
    headers = {"content-type": "text/event-stream"}
    answer = httpx2.MockTransport(lambda _: httpx2.Response(status, headers=headers, stream=body))
    client = httpx2.AsyncClient(transport=answer)
    return ResponsesModel("m", base_url="http://host/v1", http_client=client, retries=0)


async def test_a_task_cancelled_after_the_last_word_leaves_no_connection_open() -> None:
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed"}}
    body = Endless(f"event: response.completed\ndata: {json.dumps(end)}\n\n".encode())

    async def listen() -> None:
        async for _ in asking(200, body).stream(ModelRequest([])):
            pass

    task = asyncio.create_task(listen())
    with anyio.fail_after(60):
        await body.silent.wait()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert body.closed


async def test_a_refusal_whose_words_never_end_is_told_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antiphon.models.refused._PATIENCE", 0.01)
    body = Endless(b'{"error": ')
    with anyio.fail_after(60), pytest.raises(ModelError, match="503: it says no more") as refused:
        await anext(aiter(asking(503, body).stream(ModelRequest([]))))
    assert refused.value.status == 503
    assert body.closed
