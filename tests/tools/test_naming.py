"""Names of files are found in a text where they stand alone, however the text is cut."""

import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from antiphon.items import ContainerFileCitation
from antiphon.tools import Citations, Names, Namings

LINK = "sandbox:/mnt/data/"


def names(*words: str) -> Names:
    citations = Citations()
    for word in words:
        citations.name(word, annotating(word))
    return Names(citations.names)


def annotating(word: str) -> Any:
    def annotate(start: int, end: int) -> ContainerFileCitation:
        return ContainerFileCitation(
            container_id="cntr_1",
            file_id="cfile_1",
            filename=word,
            start_index=start,
            end_index=end,
        )

    return annotate


def found(known: Names, *fragments: str) -> list[tuple[str, str]]:
    """The name and the span of each mention in a text that comes in these fragments."""
    namings, text = Namings(known), "".join(fragments)
    told = [one for fragment in fragments for one in namings.feed(fragment)]
    told += namings.feed("", final=True)
    annotations: list[Any] = [annotate(start, end) for start, end, annotate in told]
    return [(one.filename, text[one.start_index : one.end_index]) for one in annotations]


def spans(known: Names, text: str) -> list[str]:
    return [span for _, span in found(known, text)]


@pytest.mark.parametrize(
    "span",
    ["report.xlsx", "/mnt/data/report.xlsx", f"{LINK}report.xlsx", "sandbox:report.xlsx",
     "./report.xlsx"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("See ", "."), ("(", ")"), ("`", "`"), ("**", "**"), ('"', '"'), ("\n", "\n"),
     ("is ", ", and"), ("看看", "文件"), ("", "를"), ("=", "?"), ("«", "…")],
)  # fmt: skip
def test_a_name_that_stands_alone_is_found_with_its_path(
    span: str, before: str, after: str
) -> None:
    known = names("report.xlsx")
    assert found(known, before + span + after) == [("report.xlsx", span)]


@pytest.mark.parametrize(
    "text",
    ["myreport.xlsx", "report.xlsxx", "report.xlsx.gz", "my-report.xlsx", "a_report.xlsx",
     "report.xlsx_old", "report.xlsx-old", "/tmp/report.xlsx", "/mnt/data/sub/report.xlsx",
     "x/report.xlsx", "https://a.example/report.xlsx", "report.xlsx/x", "C:\\report.xlsx",
     "file:///mnt/data/report.xlsx", "éreport.xlsx", "report.xlsxé", "report.xlsx.é",
     "mysandbox:report.xlsx", "~report.xlsx", "me@report.xlsx"],
)  # fmt: skip
def test_a_name_inside_a_longer_word_or_file_name_is_not_found(text: str) -> None:
    assert spans(names("report.xlsx"), text) == []


def test_both_mentions_of_a_markdown_link_are_found() -> None:
    text = f"Here: [report.xlsx]({LINK}report.xlsx)!"
    assert spans(names("report.xlsx"), text) == ["report.xlsx", f"{LINK}report.xlsx"]


def test_a_name_without_a_dot_counts_in_the_folder_alone() -> None:
    known = names("data")
    assert spans(known, "the data of ./data is in /mnt/data/data, not in sandbox:data") == [
        "/mnt/data/data"
    ]


def test_a_name_with_spaces_is_found_as_it_is_and_as_links_have_it() -> None:
    known = names("my report.csv", "report.csv")
    text = f"my report.csv, or [it]({LINK}my%20report.csv); my%20report.csv alone is none"
    assert found(known, text) == [
        ("my report.csv", "my report.csv"),
        ("my report.csv", f"{LINK}my%20report.csv"),
    ]


def test_a_name_of_another_script_is_no_part_of_a_longer_one() -> None:
    assert spans(names("表.csv"), "新表.csv 表.csv") == ["表.csv"]


def test_the_newest_of_one_name_counts_and_the_oldest_names_are_forgotten() -> None:
    citations = Citations()
    for number in range(105):
        citations.name(f"f{number}.txt", annotating(f"{number}"))
    citations.name("f50.txt", annotating("newer"))
    known = Names(citations.names)
    assert found(known, "f0.txt f4.txt f5.txt f50.txt") == [("5", "f5.txt"), ("newer", "f50.txt")]


def test_a_name_is_known_two_characters_after_its_end() -> None:
    namings = Namings(names("a.csv"))
    assert [len(namings.feed(piece)) for piece in ("see a.c", "sv", ".", " ")] == [0, 0, 0, 1]


def test_a_text_full_of_names_is_cited_a_bounded_number_of_times() -> None:
    assert len(found(names("a.csv"), "a.csv " * 10_000)) == 200


PIECES = ["a.csv", "b.a.csv", "my a.csv", ".", " ", "/mnt/data/", "sandbox:", "x", "./", "gz", "é",
          "a", ".c", "sv", "%20", "表"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.randoms(use_true_random=False))
def test_it_does_not_matter_how_a_text_is_cut(pieces: list[str], cut: random.Random) -> None:
    known = names("a.csv", "my a.csv", "a.csv x", "表.a")
    text = "".join(pieces)
    at = sorted(cut.randrange(len(text) + 1) for _ in range(10))
    fragments = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    assert found(known, *fragments) == found(known, text) == found(known, *text)


def test_a_long_text_is_not_kept() -> None:
    namings = Namings(names("a.csv"))
    for _ in range(2_000):
        namings.feed("no name at all here, ")
    assert namings.feed("but a.csv is one") != []
    assert namings.held < 1_000
