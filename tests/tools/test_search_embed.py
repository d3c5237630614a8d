"""Embedders over HTTP: batches, limits, retries, prefixes, and answers that cannot be right."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx2
import numpy as np
import pytest

from antiphon.errors import ConfigurationError
from antiphon.tools import search as kept

pytestmark = pytest.mark.anyio


class Server:
    """Answers with [length, 1] for each text, in the wrong order; `before` may answer instead."""

    def __init__(self, before: Callable[[int, list[str]], httpx2.Response | None]) -> None:
        self.before = before
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        self.asked.append(body)
        self.keys.append(request.headers.get("authorization"))
        instead = self.before(len(self.asked), body["input"])
        if instead is not None:
            return instead
        data = [{"index": at, "embedding": [len(t), 1]} for at, t in enumerate(body["input"])]
        return httpx2.Response(200, json={"data": data[::-1]})


def nothing(number: int, texts: list[str]) -> httpx2.Response | None:
    return None


def embedder(
    monkeypatch: pytest.MonkeyPatch,
    before: Callable[[int, list[str]], httpx2.Response | None] = nothing,
    **options: Any,
) -> tuple[kept.HttpEmbedder, Server]:
    server = Server(before)
    made = httpx2.AsyncClient

    def client(**given: Any) -> httpx2.AsyncClient:
        return made(transport=httpx2.MockTransport(server), **given)

    monkeypatch.setattr(httpx2, "AsyncClient", client)
    return kept.HttpEmbedder("m", base_url="http://here/v1/", **options), server


async def test_texts_go_out_in_batches_with_their_prefix_and_come_back_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, server = embedder(
        monkeypatch, batch=2, passage_prefix="p: ", query_prefix="q: ", api_key="k", dimensions=2
    )
    rows = await one.passages(["a", "bbb", "cc"])
    assert [each["input"] for each in server.asked] == [["p: a", "p: bbb"], ["p: cc"]]
    assert {each["dimensions"] for each in server.asked} == {2} and one.model == "m@2"
    assert server.keys == ["Bearer k", "Bearer k"]
    assert np.allclose(rows[:, 0] / rows[:, 1], [4, 6, 5])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    await one.query("zz")
    assert server.asked[-1]["input"] == ["q: zz"]
    assert len(await one.passages([])) == 0
    await one.aclose()


async def test_a_batch_that_is_too_large_is_halved_and_stays_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def small(number: int, texts: list[str]) -> httpx2.Response | None:
        return httpx2.Response(413) if len(texts) > 2 else None

    one, server = embedder(monkeypatch, small, batch=8)
    rows = await one.passages([str(at) * (at + 1) for at in range(8)])
    assert [len(each["input"]) for each in server.asked] == [8, 4, 2, 2, 2, 2]
    assert np.allclose(rows[:, 0] / rows[:, 1], range(1, 9))


async def test_it_waits_as_long_as_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)

    def busy(number: int, texts: list[str]) -> httpx2.Response | None:
        answers = {1: httpx2.Response(429, headers={"retry-after": "7"}), 2: httpx2.Response(503)}
        if number == 3:
            raise httpx2.ConnectError("gone")
        return answers.get(number)

    one, server = embedder(monkeypatch, busy)
    assert (await one.query("a")).shape == (2,)
    assert len(server.asked) == 4 and waited[0] == 7.0 and len(waited) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx2.Response(400, text="secret"), "answered 400: look at its log"),
        (httpx2.Response(429, headers={"retry-after": "999"}), "answered 429: try again later"),
        (httpx2.Response(200, text="<html>"), "something else"),
        (httpx2.Response(200, json={"data": []}), "expected 1 embeddings"),
        (httpx2.Response(200, json={"data": [{"embedding": []}]}), "finite numbers"),
        (httpx2.Response(200, json={"data": [{"embedding": ["x"]}]}), "something else"),
        (httpx2.Response(413), "answered 413"),
    ],
)
async def test_what_cannot_be_right_is_an_error_and_no_secret_is_told(
    monkeypatch: pytest.MonkeyPatch, answer: httpx2.Response, words: str
) -> None:
    one, _ = embedder(monkeypatch, lambda number, texts: answer)
    with pytest.raises(kept.EmbedderError, match=words) as told:
        await one.query("a")
    assert "secret" not in str(told.value)


async def test_a_server_that_changes_its_mind_about_dimensions_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def grown(number: int, texts: list[str]) -> httpx2.Response | None:
        data = [{"embedding": [1.0] * (number + 1)} for _ in texts]
        return httpx2.Response(200, json={"data": data})

    one, _ = embedder(monkeypatch, grown)
    await one.query("a")
    with pytest.raises(kept.EmbedderError, match="expected vectors of 2 numbers"):
        await one.query("b")


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="batch"):
        kept.HttpEmbedder("m", base_url="http://here", batch=0)
