"""Passages: what each kind must say for itself."""

from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from models.passage import Passage, TextPassage
else:
    from antiphon.models.passage import Passage, TextPassage


def test_a_kind_of_passage_that_leaves_something_out_cannot_be_made() -> None:
    class Mute(TextPassage):
        pass

    assert Mute("m", 0, 0).text == ""
    with pytest.raises(TypeError, match="abstract"):
        cast("Any", Passage)("m", 0, 0)
