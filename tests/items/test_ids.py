"""Ids: random by default, repeatable by a seed, and telling by their prefix."""

import re
from typing import Any, get_args

from antiphon.items import PREFIX, Ids, Item, ItemReference, UnknownItem


def test_the_same_seed_gives_the_same_ids() -> None:
    one, two, other = Ids(seed=7), Ids(seed=7), Ids(seed=8)
    first = [one("msg") for _ in range(50)]
    assert first == [two("msg") for _ in range(50)]
    assert first != [other("msg") for _ in range(50)]
    assert len(set(first)) == 50


def test_without_a_seed_no_id_comes_twice() -> None:
    ids = Ids()
    assert len({ids("resp") for _ in range(1000)}) == 1000


def test_an_id_is_its_prefix_and_48_hexadecimal_digits() -> None:
    for ids in (Ids(), Ids(seed=0)):
        assert re.fullmatch(r"resp_[0-9a-f]{48}", ids("resp"))
        assert ids.item("message").startswith("msg_")
        assert ids.item("something:new").startswith("item_")


def test_no_two_item_types_share_a_prefix_and_all_are_of_known_types() -> None:
    assert len(set(PREFIX.values())) == len(PREFIX)
    kinds: list[Any] = [get_args(member)[0] for member in get_args(get_args(Item)[0])]
    known = {
        name
        for kind in kinds
        if kind not in (UnknownItem, ItemReference)
        for name in (
            kind.model_fields["type"].default,
            *get_args(kind.model_fields["type"].annotation),
        )
    }
    assert set(PREFIX) <= known
