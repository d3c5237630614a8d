"""The reader of server-sent events: wherever chunks end, the same events come."""

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, strategies as st

from antiphon.errors import ModelError

if TYPE_CHECKING:
    from models.sse import SseReader
else:
    from antiphon.models.sse import SseReader

EVENTS = [
    ("response.output_text.delta", '{"delta":"grün — 🌊"}'.encode()),
    (None, b"one\ntwo"),
    ("e", b"[DONE]"),
]
LINES = [
    b": a comment",
    b"",
    b": keep-alive",
    b"",
    b"event: response.output_text.delta",
    b"data: " + EVENTS[0][1],
    b"",
    b"",
    b"data:one",
    b"id: 7",
    b"data: two",
    b"",
    b"retry: 10",
    b"",
    b"data",
    b"",
    b"data: [DONE]",
    b"event:e",
    b"",
    b"data: never finished",
]


def read(body: bytes, borders: list[int]) -> list[tuple[str | None, bytes]]:
    reader = SseReader()
    cuts = [0, *sorted(border % (len(body) + 1) for border in borders), len(body)]
    chunks = [body[start:end] for start, end in pairwise(cuts)]
    return [frame for chunk in chunks for frame in reader.feed(chunk)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_border_may_lie_at_every_byte(end: bytes) -> None:
    body = end.join(LINES)
    assert read(body, []) == EVENTS
    assert read(body, list(range(len(body)))) == EVENTS
    for border in range(len(body)):
        assert read(body, [border]) == EVENTS, border


@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=len(LINES), max_size=len(LINES)),
    st.lists(st.integers(0, 10_000), max_size=30),
)
@example([b"\r\n"] * len(LINES), list(range(300)))
def test_any_mix_of_line_ends_and_borders_gives_the_same_events(
    ends: list[bytes], borders: list[int]
) -> None:
    # a lone \r before an empty line that ends in \n would be one line end, not two
    for place, (end, after) in enumerate(pairwise(ends)):
        if end == b"\r" and after == b"\n":
            ends[place] = b"\r\n"
    body = b"".join(line + end for line, end in zip(LINES[:-1], ends, strict=False)) + LINES[-1]
    assert read(body, borders) == EVENTS


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    body = b"\xef\xbb\xbfdata: a\n\ndata: \xef\xbb\xbfb\n\n"
    for border in range(len(body)):
        assert read(body, [border]) == [(None, b"a"), (None, b"\xef\xbb\xbfb")]


def test_an_event_that_was_cut_off_is_dropped() -> None:
    assert SseReader().feed(b"data: {}\n") == []


def test_an_event_in_many_chunks_is_bounded() -> None:
    reader = SseReader(limit=100)
    assert reader.feed(b"data: " + b"x" * 90) == []
    with pytest.raises(ModelError, match="at most 100 bytes") as caught:
        reader.feed(b"x" * 90)
    assert caught.value.code == "event_too_large"


def test_the_bound_is_for_one_event_and_not_for_all() -> None:
    reader = SseReader(limit=100)
    for _ in range(10):
        assert reader.feed(b"data: " + b"x" * 80) == []
        assert len(reader.feed(b"\n\n")) == 1
