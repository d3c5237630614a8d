"""Documents and a model server, and no code: `files add` into an index, then `serve --index`."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2

from antiphon.items import FunctionCallOutput
from antiphon.models import FunctionCall, ModelRequest, Speech, Text, model
from antiphon.provider import Provider

from .kit import Run, Serving
from .served import serve
from .shelves import Shop, tree


@model("clerk")
async def clerk(request: ModelRequest) -> AsyncGenerator[Speech, None]:
    """Searches, and tells what came."""
    last = request.items[-1]
    if isinstance(last, FunctionCallOutput):
        yield Text(f"It says: {last.output}")
    else:
        yield FunctionCall("file_search", {"queries": ["keel"]})


def test_what_was_added_to_an_index_is_searched_for_the_models_of_any_server(
    antiphon: Run, serving: Serving, tmp_path: Path
) -> None:
    index = str(tmp_path / "docs.db")
    docs = tree(tmp_path / "docs", {"boats.md": "A keel keeps a boat upright.\n"})
    made = Shop(antiphon, ("--index", index)).added(docs)["store"]
    upstream = f"{serving(Provider(models=[clerk]))}/v1"
    argv = ["--upstream", upstream, "--api", "responses", "--index", index]
    with serve(*argv, "--store", "memory://", cwd=tmp_path) as served:
        tool = {"type": "file_search", "vector_store_ids": [made["id"]]}
        body = {"model": "clerk", "input": "Boats?", "tools": [tool]}
        answer = httpx2.post(f"{served.url}/responses", json=body, timeout=60).json()
        search, message = answer["output"]
        assert (search["type"], search["status"]) == ("file_search_call", "completed")
        assert "A keel keeps a boat upright." in message["content"][0]["text"]
        wire = Shop(antiphon, ("--url", served.url))
        tree(tmp_path / "docs", {"trees.md": "An oak.\n"})
        assert wire.added(docs)["added"] == ["docs/trees.md"], "the same store, by its Provider"
        assert set(wire.listed()) == {"docs/boats.md", "docs/trees.md"}


def test_an_index_beside_an_app_of_ones_own_is_refused(antiphon: Run) -> None:
    done = antiphon("serve", "app:app", "--index", "docs.db")
    assert done.code == 2 and "FileSearch(...)" in done.err
