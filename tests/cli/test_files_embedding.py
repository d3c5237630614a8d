"""`antiphon files` with an embedding model: an index that is searched by meaning, too."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from antiphon.provider import Provider

from .kit import Run, Serving
from .served import serve
from .shelves import Shop, tree
from .test_files_serve import clerk

MEANINGS = {"ship": [1.0, 0.0], "boat": [1.0, 0.0], "tree": [0.0, 1.0], "oak": [0.0, 1.0]}


class Meanings:
    """An embeddings endpoint that knows four words; and the texts that it was sent."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.keys: set[bytes] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        texts: list[str] = json.loads(body)["input"]
        self.texts += texts
        self.keys.add(dict(scope["headers"]).get(b"authorization", b""))
        rows = [
            next((row for word, row in MEANINGS.items() if word in each), [0.5, 0.5])
            for each in texts
        ]
        told = {"data": [{"index": at, "embedding": row} for at, row in enumerate(rows)]}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


def test_an_index_with_vectors_finds_what_has_other_words(
    antiphon: Run, serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanings = Meanings()
    monkeypatch.setenv("EMBEDDING_KEY", "sk-embed")
    docs = tree(tmp_path / "docs", {"a.md": "a boat upright", "b.md": "an oak in spring"})
    bare = Shop(antiphon, ("--index", str(tmp_path / "docs.db")))
    model = ["--embedding-model", "meanings", "--embedding-url", f"{serving(meanings)}/v1"]
    more = ["--embedding-key-env", "EMBEDDING_KEY", "--passage-prefix", "passage: "]
    shop = Shop(antiphon, (*bare.where, *model, *more, "--query-prefix", "query: "))
    done = shop.add(docs)
    assert done.code == 0 and "searched by words and meanings" in done.out
    assert shop.found("ship")[0]["name"] == "docs/a.md"
    assert [text.split(": ")[0] for text in meanings.texts] == ["passage", "passage", "query"]
    assert meanings.keys == {b"Bearer sk-embed"}

    tree(tmp_path / "docs", {"c.md": "another boat"})
    done = bare.add(docs)
    assert done.code == 2 and "add to it with --embedding-model meanings" in done.err
    done = bare.run("files", "search", "ship", *bare.where)
    assert done.code == 1 and "configure that model" in done.err
    assert shop.added(docs)["added"] == ["docs/c.md"]


def test_an_index_with_vectors_is_served_with_the_same_options(
    antiphon: Run, serving: Serving, tmp_path: Path
) -> None:
    meanings = Meanings()
    docs = tree(tmp_path / "docs", {"a.md": "a boat upright", "b.md": "an oak in spring"})
    model = ["--embedding-model", "meanings", "--embedding-url", f"{serving(meanings)}/v1"]
    where = ["--index", str(tmp_path / "docs.db"), *model, "--query-prefix", "query: "]
    made = Shop(antiphon, tuple(where)).added(docs)["store"]
    upstream = f"{serving(Provider(models=[clerk]))}/v1"
    with serve("--upstream", upstream, *where, "--store", "memory://", cwd=tmp_path) as served:
        body = {"query": "ship", "max_num_results": 1}
        url = f"{served.url}/vector_stores/{made['id']}/search"
        (found,) = httpx2.post(url, json=body, timeout=60).json()["data"]
    assert found["filename"] == "a.md", "no word of it was asked for"
    assert meanings.texts[-1] == "query: ship"
