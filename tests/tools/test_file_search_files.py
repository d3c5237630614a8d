"""Files that a file search is given: searched with no store, no server and no request for them."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from antiphon.agents import Agent
from antiphon.errors import ConfigurationError, RequestError
from antiphon.items import FileCitation, FileSearchCall, Message, OutputText
from antiphon.models import FunctionCall, ScriptedModel
from antiphon.tools import FileSearch, search as kept

from .searching import OWNER, Letters, filled
from .test_file_search import wanted

BOATS = ("boats.md", b"# Boats\n\nA keel keeps a boat upright.\n")
TREES = ("trees.md", b"# Trees\n\nAn oak keeps its leaves until spring.\n")


def agent(tool: FileSearch, *queries: str) -> Agent[str]:
    call = FunctionCall("file_search", {"queries": list(queries or ("what keeps a boat upright",))})
    return Agent(name="a", model=ScriptedModel([call, "A keel.[cite:1]"] * 9), tools=[tool])


def found(result: Any) -> list[str | None]:
    (call,) = [item for item in result.items if isinstance(item, FileSearchCall)]
    assert call.status == "completed", call
    return [each.filename for each in call.results or ()]


def test_an_agent_searches_its_files_and_cites_them() -> None:
    result = agent(FileSearch(files=[BOATS, TREES])).run_sync("Boats?")
    assert found(result)[0] == "boats.md"
    (message,) = [item for item in result.response.output if isinstance(item, Message)]
    (part,) = message.content
    assert isinstance(part, OutputText) and part.text == "A keel."
    (cited,) = part.annotations
    assert isinstance(cited, FileCitation) and cited.filename == "boats.md"


def test_each_run_may_have_an_event_loop_of_its_own() -> None:
    one = agent(FileSearch(files=[BOATS, TREES]))
    assert found(one.run_sync("Boats?")) == found(one.run_sync("Boats?"))


def test_a_folder_gives_all_of_its_files_that_are_not_hidden(tmp_path: Path) -> None:
    for name, data in (BOATS, TREES, ("deep/oaks.md", b"oaks"), (".git/x.md", b"boat upright")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    result = agent(FileSearch(files=[tmp_path]), "boat upright", "oaks").run_sync("?")
    assert sorted(str(each) for each in found(result)) == ["boats.md", "oaks.md", "trees.md"]


def test_a_file_that_vanished_fails_the_search_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "boats.md").write_bytes(BOATS[1])
    tool = FileSearch(files=[tmp_path / "boats.md"])
    (tmp_path / "boats.md").unlink()
    result = agent(tool).run_sync("Boats?")
    (call,) = [item for item in result.items if isinstance(item, FileSearchCall)]
    said: str = (call.model_extra or {})["error"]
    assert call.status == "failed" and "boats.md" in said and str(tmp_path) not in said


def test_links_out_of_a_folder_are_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, data in (("docs/boats.md", BOATS[1]), ("docs/.env", b"upright secret")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key.md").write_bytes(b"# Key\n\nA boat upright.\n")
    docs = tmp_path / "docs"
    (docs / "file.md").symlink_to(tmp_path / "outside" / "key.md")
    (docs / "folder").symlink_to(tmp_path / "outside")
    (docs / "hidden.md").symlink_to(docs / ".env")
    (docs / "again.md").symlink_to(docs / "boats.md")
    result = agent(FileSearch(files=[docs]), "boat upright", "secret", "key").run_sync("?")
    assert sorted(str(each) for each in found(result)) == ["again.md", "boats.md"]
    assert "links out of it are not followed" in caplog.text


def test_an_index_that_is_kept_reads_again_only_what_has_changed(tmp_path: Path) -> None:
    letters = Letters()

    def asked(*files: tuple[str, bytes]) -> list[str]:
        letters.asked.clear()
        tool = FileSearch(tmp_path / "x.db", embedder=letters, files=files)
        result = agent(tool).run_sync("Boats?")
        assert found(result)[0] == "boats.md"
        return [text for text in letters.asked if text.startswith("#")]

    assert len(asked(BOATS, TREES)) == 2
    assert asked(BOATS, TREES) == []
    (again,) = asked(BOATS, ("trees.md", b"# Trees\n\nA beech.\n"))
    assert "beech" in again


@pytest.mark.anyio
async def test_files_are_searched_beside_the_stores_of_a_request() -> None:
    async with filled({TREES[0]: TREES[1]}) as library:
        tool = FileSearch(library, files=[BOATS])
        result = await agent(tool, "keeps").run("?")
        assert found(result) == ["boats.md"]
        both = FileSearch(library, files=[BOATS], vector_store_ids=["vs_a"])
        result = await agent(both, "keeps").run("?")
        assert sorted(str(each) for each in found(result)) == ["boats.md", "trees.md"]


@pytest.mark.anyio
async def test_what_an_older_version_left_in_the_queue_is_read(tmp_path: Path) -> None:
    tool = FileSearch(tmp_path / "x.db", files=[BOATS])
    assert found(await agent(tool).run("?")) == ["boats.md"]
    page = await tool.library.engine.stores(kept.Paging(), principal="antiphon:files")
    assert page is not None
    (store,) = page.rows
    files = await tool.library.engine.files(store.id, kept.Paging(), principal="antiphon:files")
    assert files is not None
    bare = [replace(each.attachment, source="") for each in files.rows]
    await tool.library.engine.attach(store.id, bare, principal="antiphon:files", at=1)
    await tool.aclose()
    with anyio.fail_after(60):
        again = FileSearch(tmp_path / "x.db", files=[BOATS])
        assert found(await agent(again).run("?")) == ["boats.md"]
        await again.aclose()


@pytest.mark.anyio
async def test_their_store_is_nobodys_to_ask_for() -> None:
    library = kept.Library()
    tool = FileSearch(library, files=[BOATS])
    await agent(tool).run("?")
    page = await library.engine.stores(kept.Paging(), principal=OWNER)
    assert page is not None and page.rows == []
    hidden = await library.engine.stores(kept.Paging(), principal="antiphon:files")
    assert hidden is not None
    with pytest.raises(RequestError, match="there is no vector store"):
        await library.stores([hidden.rows[0].id], principal=OWNER)
    await tool.aclose()


def test_a_file_that_cannot_be_read_is_logged_and_the_others_are_searched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "antiphon.tools"):
        result = agent(FileSearch(files=[BOATS, ("bad.pdf", b"%PDF-1.7 and")])).run_sync("?")
    assert found(result) == ["boats.md"]
    assert "bad.pdf cannot be read" in caplog.text


def test_where_none_can_be_read_the_search_fails_and_says_why() -> None:
    result = agent(FileSearch(files=[("bad.pdf", b"%PDF-1.7 and")])).run_sync("?")
    (call,) = [item for item in result.items if isinstance(item, FileSearchCall)]
    assert call.status == "failed"
    assert "none of the files can be read; bad.pdf: " in str((call.model_extra or {})["error"])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["/nowhere/a.md"], "expected a file or a folder"),
        ([BOATS, ("boats.md", b"else")], "two are named 'boats.md'"),
    ],
)
def test_what_cannot_be_given_is_a_mistake(files: Sequence[Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        FileSearch(files=files)


def test_without_files_a_store_is_needed() -> None:
    from antiphon.tools import Scope

    with pytest.raises(RequestError, match="expected 1 to 32 ids"):
        FileSearch().offers(wanted(vector_store_ids=[]), Scope())
