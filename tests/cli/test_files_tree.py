"""Which files of a folder are added, and which are passed over."""

from pathlib import Path

import pytest

from .kit import Run
from .shelves import Shop, tree


@pytest.fixture
def shop(antiphon: Run, tmp_path: Path) -> Shop:
    return Shop(antiphon, ("--index", str(tmp_path / "docs.db")))


def test_what_is_hidden_binary_or_empty_is_passed_over_and_counted(
    shop: Shop, tmp_path: Path
) -> None:
    docs = tree(
        tmp_path / "docs",
        {
            "a.md": "words",
            "wide.txt": "words".encode("utf-16"),
            ".git/config": "words",
            ".env": "secret",
            "a.png": b"\x89PNG\r\n\x1a\n\x00\x00",
            "__init__.py": "",
        },
    )
    told = shop.added(docs)
    assert told["added"] == ["docs/a.md", "docs/wide.txt"]
    assert told["skipped"] == {"hidden": 2, "binary": 1, "empty": 1}
    done = shop.add(docs)
    assert "2 unchanged; skipped: 1 binary, 1 empty, 2 hidden\n" in done.out


def test_links_are_followed_to_files_of_the_same_folder_only(shop: Shop, tmp_path: Path) -> None:
    docs = tree(tmp_path / "docs", {"a.md": "words", ".env": "secret", "deep/b.md": "more"})
    outside = tree(tmp_path / "outside", {"c.md": "not yours"})
    for name, target in (
        ("inside.md", Path(docs, "a.md")),
        ("outside.md", Path(outside, "c.md")),
        ("folder", Path(outside)),
        ("loop", Path(docs)),
        ("hidden.md", Path(docs, ".env")),
        ("nowhere.md", Path(docs, "gone")),
    ):
        Path(docs, name).symlink_to(target)
    told = shop.added(docs)
    assert told["added"] == ["docs/a.md", "docs/deep/b.md", "docs/inside.md"]
    assert told["skipped"] == {"hidden": 1, "links": 5}


def test_patterns_choose_by_name_and_by_path(shop: Shop, tmp_path: Path) -> None:
    files = ("a.md", "b.txt", "old/c.md", "old/deep/d.md", "new/drafts/e.md", "new/f.md")
    docs = tree(tmp_path / "docs", dict.fromkeys(files, "words"))
    told = shop.added(docs, "--include", "*.md", "--exclude", "old/*", "--exclude", "drafts/")
    assert told["added"] == ["docs/a.md", "docs/new/f.md"]
    assert told["skipped"] == {"not included": 1, "excluded": 3}


def test_a_file_that_is_named_is_taken_whatever_it_is_called(shop: Shop, tmp_path: Path) -> None:
    tree(tmp_path, {".hidden.md": "words", "b.md": "words"})
    told = shop.added(str(tmp_path / ".hidden.md"), str(tmp_path / "b.md"))
    assert told["added"] == [".hidden.md", "b.md"]
    docs = tree(tmp_path / "docs", {"a.md": "words", ".b.md": "words"})
    told = shop.added(docs, str(Path(docs, ".b.md")), str(Path(docs, "a.md")))
    assert told["added"] == ["docs/.b.md", "docs/a.md"]


def test_two_folders_of_one_name_need_another_name(shop: Shop, tmp_path: Path) -> None:
    one = tree(tmp_path / "a" / "docs", {"x.md": "words"})
    two = tree(tmp_path / "b" / "docs", {"x.md": "words"})
    done = shop.add(one, two)
    assert done.code == 2 and "two folders would be 'docs' in the store" in done.err
    shop.added(one)
    assert shop.added(two, "--as", "more")["added"] == ["more/x.md"]
    assert set(shop.listed()) == {"docs/x.md", "more/x.md"}
    assert shop.added(one, one)["unchanged"] == ["docs/x.md"], "the same folder twice is one"


def test_two_files_of_one_name_are_refused(shop: Shop, tmp_path: Path) -> None:
    one = tree(tmp_path / "a", {"x.md": "words"})
    two = tree(tmp_path / "b", {"x.md": "words"})
    done = shop.add(str(Path(one, "x.md")), str(Path(two, "x.md")))
    assert done.code == 2 and "two files would be 'x.md' in the store" in done.err


def test_a_folder_is_known_by_its_name_from_wherever_it_is_added(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tree(tmp_path / "docs", {"a.md": "words"})
    shop.added(docs)
    monkeypatch.chdir(docs)
    assert shop.added(".")["unchanged"] == ["docs/a.md"]
