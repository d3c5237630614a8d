"""Pages of items, and the ids by which they are gone through."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.errors import RequestError
from antiphon.items import FunctionCallOutput, Item, user
from antiphon.provider import Paging, input_items, page_of

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from testing.store import record_of
else:
    from antiphon.testing.store import record_of


def named(*names: str) -> list[Item]:
    return [user(name).model_copy(update={"id": name}) for name in names]


def ids(items: list[Item]) -> list[str | None]:
    return [item.id for item in items]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, Paging(None, 20, "desc")),
        ({"order": "asc", "limit": "1", "after": "msg_1"}, Paging("msg_1", 1, "asc")),
        ({"limit": "100"}, Paging(None, 100, "desc")),
    ],
)
def test_a_query_asks_for_a_page(query: dict[str, str], expected: Paging) -> None:
    assert Paging.of(query) == expected


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"limit": "\u0661"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"order": "up"}, "order"),
    ],
)
def test_a_query_that_asks_for_no_page_is_refused(query: dict[str, str], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        Paging.of(query)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("paging", "expected", "more"),
    [
        (Paging(None, 2, "asc"), ["a", "b"], True),
        (Paging("b", 2, "asc"), ["c", "d"], False),
        (Paging(None, 3, "desc"), ["d", "c", "b"], True),
        (Paging("b", 3, "desc"), ["a"], False),
        (Paging("d", 1, "asc"), [], False),
        (Paging(None, 4, "asc"), ["a", "b", "c", "d"], False),
    ],
)
def test_a_page_of_a_list(paging: Paging, expected: list[str], more: bool) -> None:
    page = page_of(named("a", "b", "c", "d"), paging)
    assert (ids(page.items), page.has_more) == (expected, more)


def test_a_page_after_what_is_not_there_is_a_404() -> None:
    with pytest.raises(RequestError) as caught:
        page_of(named("a"), Paging("b"))
    assert (caught.value.status, caught.value.param) == (404, "after")


def test_input_items_have_ids_that_stay() -> None:
    output = FunctionCallOutput(call_id="call_1", output="x")
    given: list[Item] = [user("1"), user("2"), *named("mine", "mine"), output]
    record = replace(record_of("a"), given=given)
    found = input_items(record)
    assert ids(found) == ids(input_items(record))
    assert len(set(ids(found))) == 5
    assert found[2].id == "mine"
    prefixes = [str(item.id).split("_")[0] for item in found]
    assert prefixes == ["msg", "msg", "mine", "msg", "fco"]
    assert [getattr(item, "text", None) for item in found] == ["1", "2", "mine", "mine", None]
    assert ids(given) == [None, None, "mine", "mine", None], "the record is as it was"
    other = replace(record_of("b"), given=given)
    assert not {*ids(input_items(other))} & {*ids(found)} - {"mine"}


def test_all_pages_of_input_items_are_all_of_them() -> None:
    record: Any = replace(record_of("a"), given=[user(str(at)) for at in range(7)])
    seen: list[Item] = []
    paging, more = Paging(None, 3, "asc"), True
    while more:
        page = page_of(input_items(record), paging)
        seen += page.items
        paging, more = replace(paging, after=page.items[-1].id), page.has_more
    assert ids(seen) == ids(input_items(record))
