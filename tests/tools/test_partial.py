"""The live decoder: whatever the fragments, it gives what a parser gives at the end."""

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from tools.partial import StringField
else:
    from antiphon.tools.partial import StringField


ANY_TEXT = st.text(st.characters())  # control characters, quotes, and lone surrogates too
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
BRACES = st.text('{}[]",:\\ \n\U0001f600\ud83d\ude00aé')


def cleaned(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def feed(fragments: list[str], name: str = "code") -> list[str]:
    reader = StringField(name)
    return [reader.feed(fragment) for fragment in fragments]


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str]:
    code = draw(ANY_TEXT | BRACES)
    others = st.dictionaries(ANY_TEXT.filter(lambda key: key != "code"), NESTED, max_size=3)
    fields = {**draw(others), "code": code}
    fields |= {key: value for key, value in draw(others).items() if key not in fields}
    space = draw(st.sampled_from([None, 1, "\t"]))
    document = json.dumps(fields, ensure_ascii=draw(st.booleans()), indent=space)
    parsed: dict[str, str] = json.loads(document)
    return document, parsed["code"]


@given(documents(), st.data())
def test_joined_fragments_equal_what_a_parser_reads_wherever_they_are_cut(
    document: tuple[str, str], data: st.DataObject
) -> None:
    source, code = document
    cuts = sorted(data.draw(st.lists(st.integers(0, len(source)), max_size=8)))
    edges = [0, *cuts, len(source)]
    fragments = [source[a:b] for a, b in pairwise(edges)]

    assert cleaned("".join(feed(fragments))) == cleaned(code)


@given(documents())
def test_one_character_at_a_time_gives_the_same(document: tuple[str, str]) -> None:
    source, code = document
    assert cleaned("".join(feed(list(source)))) == cleaned(code)


@given(st.text(), st.integers(0, 200))
def test_every_fragment_given_is_whole_characters(text: str, cut: int) -> None:
    source = json.dumps({"code": text})
    for piece in feed([source[:cut], source[cut:]]):
        piece.encode()


def test_text_is_given_as_soon_as_its_fragment_has_come() -> None:
    pieces = feed(['{"co', 'de" : "pri', "nt(1)\\", "n", '"}'])
    assert pieces == ["", "pri", "nt(1)", "\n", ""]


def test_half_a_surrogate_pair_is_held_back_until_the_other_half() -> None:
    assert feed(['{"code":"\\ud83d', "\\ude", '00"}']) == ["", "", "\U0001f600"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud83d", "\ufffd"),
        (r"\ude00", "\ufffd"),
        (r"\ud83dx", "\ufffdx"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_lone_surrogates_become_replacement_characters(written: str, read: str) -> None:
    assert "".join(feed(list(f'{{"code":"{written}"}}'))) == read


@pytest.mark.parametrize(
    "source",
    [
        '{"other": {"code": "no"}, "more": [{"code": "no"}]}',
        '{"not": "code"}',
        '{"code": 1, "x": "no"}',
        '{"code": ["no"]}',
        '["code", "no"]',
        '"code"',
        "print('no')",
        "",
    ],
)
def test_nothing_is_given_where_there_is_no_such_string(source: str) -> None:
    assert "".join(feed(list(source))) == ""


def test_the_first_of_two_fields_of_that_name_is_read() -> None:
    assert "".join(feed(['{"code":"a","code":"b"}'])) == "a"


def test_a_name_written_with_escapes_is_that_name() -> None:
    assert "".join(feed(list('{"c\\u006fde":"a"}'))) == "a"


def test_reading_stops_at_an_escape_that_json_does_not_have() -> None:
    assert "".join(feed(['{"code":"a\\q', 'bc"}'])) == "a"
    assert "".join(feed(['{"code":"a\\u12', 'xyz"}'])) == "a"


def test_deep_nesting_is_passed_over_without_recursion() -> None:
    source = '{"x":' + "[" * 100_000 + "]" * 100_000 + ',"code":"a"}'
    assert "".join(feed([source])) == "a"


def test_cost_grows_with_length_and_not_with_its_square() -> None:
    def cost(length: int) -> float:
        fragments = ['{"code":"', *["x\\n"] * length, '"}']
        began = time.process_time()
        feed(fragments)
        return time.process_time() - began

    small = min(cost(2_000) for _ in range(5))
    large = min(cost(40_000) for _ in range(3))
    assert large < small * 20 * 5
