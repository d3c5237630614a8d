"""Scripts for models, made up by hypothesis: every kind of piece, in every order, whole or cut."""

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from hypothesis import settings, strategies as st

from antiphon.errors import ModelError
from antiphon.models import (
    FunctionCall as Call,
    Reasoning,
    Refusal,
    ScriptedModel,
    Speech,
    Stop,
    Text,
    Usage,
)

from .paper import CELLS, FUNCTIONS

LAW = settings(deadline=None, max_examples=60)

Script: TypeAlias = Sequence[Sequence[Speech]]

WORDS = st.text(max_size=12)
SAID = WORDS | st.sampled_from(["made.csv", " made.csv.", "a (/mnt/data/made.csv)", ".gz", "x"])
GOOD = st.fixed_dictionaries({"text": WORDS})
CODE = st.sampled_from([*CELLS, "busy", "refuse", "bug"]).map(
    lambda name: {"code": f"\n {name}\t"}
) | st.fixed_dictionaries({"code": WORDS})
WRONG = st.sampled_from(
    ["", "{", '{"text": 1}', '{"code": 3}', "[]", "null", '{"code": "a", "code": "b"}', "{}"]
) | st.text(max_size=6)
CALLS = st.one_of(
    st.builds(Call, st.sampled_from([one.function.name for one in FUNCTIONS]), GOOD | WRONG),
    st.builds(Call, st.just("code_interpreter"), CODE | WRONG),
    st.builds(Call, st.just("code_interpreter"), CODE),
    st.builds(Call, st.sampled_from(["nowhere", "antiphon", "find"]), GOOD | WRONG),
)
CLIENT_CALLS = st.builds(Call, st.sampled_from(["ask", "crm__find"]), GOOD | WRONG)
USAGE = st.builds(Usage, st.integers(0, 9), st.integers(0, 9))
PIECES = st.one_of(
    st.builds(Text, SAID),
    st.builds(Reasoning, WORDS, st.booleans()),
    st.builds(Refusal, WORDS),
    CALLS,
    CALLS,
    USAGE,
)
STOP = st.builds(Stop, st.sampled_from(["max_output_tokens", "content_filter"]))


@st.composite
def turn(draw: st.DrawFn, *, client: bool = True, stop: bool = True) -> list[Speech]:
    """What a model says when asked once."""
    pieces: list[Speech] = draw(st.lists(PIECES, max_size=5))
    if client and draw(st.integers(0, 4)) == 0:
        pieces.insert(draw(st.integers(0, len(pieces))), draw(CLIENT_CALLS))
    if stop and draw(st.integers(0, 9)) == 0:
        pieces.append(draw(STOP))
    return pieces


def scripts(*, client: bool = True, stop: bool = True) -> st.SearchStrategy[Script]:
    """Some turns and a last word, so that no run asks for more than there is."""
    turns = st.lists(turn(client=client, stop=stop), max_size=3)
    return turns.map(lambda some: [*some, [Text("the end.")]])


FRAGMENTS = st.none() | st.integers(1, 7)


def scripted(script: Script, fragment: int | None = None) -> ScriptedModel:
    """The script as a model."""
    return ScriptedModel(cast("Any", script), fragment=fragment)


BREAKS = st.one_of(
    st.none(),
    st.builds(ModelError, st.just("the line broke"), code=st.just("rate_limit_exceeded")),
    st.builds(ValueError, st.just("a bug")),
)
"""What a model raises when it breaks off; None just ends its stream."""
