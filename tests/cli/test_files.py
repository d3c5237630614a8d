"""`antiphon files`: folders into vector stores, of a served Provider and of an index file."""

import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .kit import Run, Serving
from .shelves import BROKEN, KEY, Shop, shop_of, tree

BOATS = "# Boats\n\nA keel keeps a boat upright.\n"
TREES = "# Trees\n\nAn oak keeps its leaves until spring.\n"


@pytest.fixture(params=["index", "provider"])
def shop(
    request: pytest.FixtureRequest,
    antiphon: Run,
    serving: Serving,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    return shop_of(request.param, antiphon, serving, tmp_path, monkeypatch)


@pytest.fixture
def index(antiphon: Run, serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return shop_of("index", antiphon, serving, tmp_path, monkeypatch)


@pytest.fixture
def provider(
    antiphon: Run, serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    return shop_of("provider", antiphon, serving, tmp_path, monkeypatch)


def test_a_folder_is_added_and_found_with_its_places(shop: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS, "deep/trees.md": TREES})
    done = shop.add(docs)
    assert done.code == 0, done
    assert done.out.startswith("2 added\ndocs (vs_") and "2 files, searched by words" in done.out
    assert "sent 2 of 2 files\n" in done.err and done.err.endswith("read 2 of 2 files\n")
    best = shop.found("what keeps a boat upright?")[0]
    assert (best["name"], best["place"], best["heading"]) == (
        "docs/boats.md",
        "lines 1 to 3",
        "Boats",
    )
    assert set(shop.listed()) == {"docs/boats.md", "docs/deep/trees.md"}


def test_the_same_again_sends_nothing(shop: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS, "trees.md": TREES})
    first = shop.added(docs)
    before = shop.listed()
    again = shop.added(docs)
    assert again["unchanged"] == first["added"] == ["docs/boats.md", "docs/trees.md"]
    assert again["added"] == again["replaced"] == again["retried"] == []
    assert shop.listed() == before and shop.uploads() in (2, None)


def test_what_has_changed_replaces_what_it_was(shop: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS, "trees.md": TREES})
    shop.added(docs)
    tree(tmp_path / "docs", {"boats.md": "# Boats\n\nA raft floats without any.\n"})
    again = shop.added(docs)
    assert (again["replaced"], again["unchanged"]) == (["docs/boats.md"], ["docs/trees.md"])
    texts = " ".join(each["text"] for each in shop.found("raft keel boat"))
    assert "raft" in texts and "keel" not in texts
    assert len(shop.listed()) == 2 and shop.uploads() in (2, None)


def test_pruning_takes_out_what_is_gone_from_the_folder_and_nothing_else(
    shop: Shop, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS, "trees.md": TREES, "raw/a.log": "one"})
    other = tree(tmp_path / "other", {"notes.txt": "notes"})
    shop.added(docs, other)
    Path(docs, "boats.md").unlink()
    Path(other, "notes.txt").unlink()
    assert shop.added(docs)["removed"] == []
    pruned = shop.added(docs, "--prune", "--exclude", "raw")
    assert pruned["removed"] == ["docs/boats.md"]
    assert set(shop.listed()) == {"docs/trees.md", "docs/raw/a.log", "other/notes.txt"}
    assert shop.uploads() in (3, None)


def test_a_file_that_cannot_be_read_is_told_each_time_until_it_can_be(
    shop: Shop, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS, "bad.pdf": BROKEN})
    done = shop.add(docs)
    assert done.code == 1
    assert "failed: docs/bad.pdf: " in done.out and "(invalid_file)" in done.out
    again = shop.added(docs, code=1)
    assert again["retried"] == ["docs/bad.pdf"]
    (failure,) = again["failures"]
    assert failure["path"] == "docs/bad.pdf" and "PDF" in failure["message"]
    Path(docs, "bad.pdf").unlink()
    assert shop.added(docs, "--prune")["removed"] == ["docs/bad.pdf"]
    assert set(shop.listed()) == {"docs/boats.md"} and shop.uploads() in (1, None)


def test_a_new_version_that_cannot_be_read_leaves_the_old_one_to_be_found(
    shop: Shop, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {"boats.txt": "a keel keeps a boat upright"})
    shop.added(docs)
    tree(tmp_path / "docs", {"boats.txt": BROKEN})
    shop.added(str(tmp_path / "docs" / "boats.txt"), "--store", "other", code=1)
    again = shop.added(docs, "--exclude", "none")
    assert again["skipped"] == {"binary": 1}  # in a folder, it is passed over
    assert shop.found("keel")[0]["name"] == "docs/boats.txt"
    tree(tmp_path / "docs", {"boats.txt": b"PK\x03\x04 is no text"})
    assert shop.added(docs, code=1)["failures"][0]["path"] == "docs/boats.txt"
    assert shop.found("keel")[0]["name"] == "docs/boats.txt"
    tree(tmp_path / "docs", {"boats.txt": "a raft"})
    assert shop.added(docs)["replaced"] == ["docs/boats.txt"]
    assert len(shop.listed()) == 1 and not shop.found("keel")


def test_attributes_are_typed_and_can_be_changed_without_sending_anything(
    provider: Shop, tmp_path: Path
) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS})
    more = ["--attribute", "year=2026", "--attribute", "draft=false", "--attribute", "by=Ann=Lee"]
    provider.added(docs, *more)
    told = provider.listed()["docs/boats.md"]["attributes"]
    assert (told["year"], told["draft"], told["by"]) == (2026, False, "Ann=Lee")
    assert len(told["sha256"]) == 32
    again = provider.added(docs, "--attribute", "year=2027")
    assert again["unchanged"] == ["docs/boats.md"] and provider.uploads() == 1
    told = provider.listed()["docs/boats.md"]["attributes"]
    assert told["year"] == 2027 and "draft" not in told


def test_many_files_are_attached_in_groups(provider: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {f"{at}.txt": f"number {at}" for at in range(120)})
    assert len(provider.added(docs)["added"]) == 120
    assert len(provider.listed()) == 120
    assert len(provider.added(docs)["unchanged"]) == 120


def test_a_large_file_is_passed_over_and_that_is_said(index: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS, "long.txt": "x" * 200_000})
    done = index.add(docs, "--max-size", "0.1")
    assert done.code == 0
    assert "too large: docs/long.txt (--max-size MB" in done.out
    assert "skipped: 1 too large" in done.out


def test_a_store_is_named_by_its_id_too_and_stores_are_listed(shop: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS})
    made = shop.added(docs, "--store", "handbook")["store"]
    tree(tmp_path / "docs", {"trees.md": TREES})
    assert shop.added(docs, "--store", made["id"])["store"]["files"] == 2
    done = shop.run("files", "ls", *shop.where)
    assert done.out == f"handbook  {made['id']}  2 files\n"
    assert shop.found("oak", "handbook")[0]["name"] == "docs/trees.md"


def test_what_is_found_is_printed_for_people(index: Shop, tmp_path: Path) -> None:
    index.added(tree(tmp_path / "docs", {"boats.md": BOATS}))
    done = index.run("files", "search", "keel", *index.where)
    first, *text = done.out.splitlines()
    assert first.endswith("  docs/boats.md, lines 1 to 3, Boats")
    assert text == ["      # Boats", "      A keel keeps a boat upright."]
    done = index.run("files", "search", "submarine", *index.where)
    assert (done.code, done.out) == (0, "nothing was found\n")


def test_a_bar_is_drawn_on_a_terminal(
    index: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS, "trees.md": TREES})
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = index.add(docs)
    assert done.code == 0 and "2/2" in done.err and "sent 2 of 2" not in done.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nowhere"], "expected a folder or a file, got nowhere"),
        ([".", "--attribute", "path=x"], "path is the attribute by which"),
        ([".", "--attribute", "x"], "expected KEY=VALUE"),
        ([".", "--as", "a/b"], "--as: expected a name without /"),
        ([".", "--embedding-url", "http://x/v1"], "--embedding-model NAME, too"),
        ([".", "--embedding-model", "x"], "--embedding-url URL, too"),
        ([".", "--max-size", "0"], "megabytes above 0"),
        ([".", "--max-size", "big"], "megabytes above 0, got 'big'"),
        ([".", "--embedding-window", "x"], "--embedding-window: expected a whole number from 1"),
    ],
)
def test_what_is_asked_wrongly_is_said(index: Shop, argv: list[str], said: str) -> None:
    done = index.add(*argv)
    assert (done.code, said in done.err) == (2, True), done


def test_either_an_address_or_an_index_is_needed(antiphon: Run, tmp_path: Path) -> None:
    assert antiphon("files", "add", str(tmp_path)).code == 2
    both = ["--url", "http://127.0.0.1:9/v1", "--index", "x.db"]
    assert antiphon("files", "add", str(tmp_path), *both).code == 2
    lost = antiphon("files", "ls", "--index", str(tmp_path / "no" / "x.db"))
    assert lost.code == 2 and "make the folder" in lost.err


def test_a_server_that_is_not_there_and_a_wrong_key_are_said_at_once(
    provider: Shop, antiphon: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = antiphon("files", "ls", "--url", "http://127.0.0.1:9/v1")
    assert lost.code == 1 and "127.0.0.1:9/v1 cannot be reached" in lost.err
    assert provider.url is not None
    short = antiphon("files", "ls", "--url", provider.url.removesuffix("/v1"))
    assert short.code == 1 and "up to /v1, of a Provider that has a FileSearch?" in short.err
    monkeypatch.setenv("SHOP_KEY", "sk-other")
    wrong = antiphon("files", "ls", *provider.where)
    assert wrong.code == 1 and "answered 401: expected a known API key" in wrong.err
    assert "sk-other" not in wrong.err


def test_a_store_that_is_not_there_is_not_searched_and_those_that_are_there_are_told(
    shop: Shop, tmp_path: Path
) -> None:
    shop.added(tree(tmp_path / "docs", {"boats.md": BOATS}), "--store", "handbook")
    done = shop.run("files", "search", "keel", *shop.where)
    assert done.code == 1
    assert "there is no vector store 'docs'" in done.err and "'handbook'" in done.err
    lost = shop.add(str(tmp_path / "docs"), "--store", "vs_0")
    assert lost.code == 1 and "there is no vector store 'vs_0'" in lost.err


def test_an_upload_that_is_gone_is_sent_again(provider: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"bad.txt": b"PK\x03\x04 is no text"})
    provider.added(docs, code=1)
    headers = {"authorization": f"Bearer {KEY}"}
    named = provider.listed()["docs/bad.txt"]["id"]
    assert httpx2.delete(f"{provider.url}/files/{named}", headers=headers).status_code == 200
    again = provider.added(docs, code=1)
    assert again["failures"][0]["path"] == "docs/bad.txt"
    assert provider.listed()["docs/bad.txt"]["id"] != named and provider.uploads() == 1


def test_a_server_that_is_busy_is_asked_again_when_it_says(antiphon: Run, serving: Serving) -> None:
    asked: list[str] = []

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        asked.append(scope["path"])
        status = 429 if len(asked) == 1 else 200
        body = json.dumps({"object": "list", "data": [], "has_more": False}).encode()
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    done = antiphon("files", "ls", "--url", f"{serving(busy)}/v1")
    assert (done.code, done.out) == (0, "there is nothing\n")
    assert asked == ["/v1/vector_stores"] * 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_passed_over_and_not_waited_for(index: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"boats.md": BOATS})
    os.mkfifo(Path(docs, "pipe"))
    assert index.added(docs)["skipped"] == {"special": 1}
