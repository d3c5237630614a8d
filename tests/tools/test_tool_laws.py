"""Laws of tools: what a schema allows is taken, and arrives as what was meant."""

import json
from typing import Any, Literal

import anyio
import jsonschema
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel

from antiphon.items import ToolCall
from antiphon.testing.tool import check_call_events, play
from antiphon.tools import Tool, tool


class Leaf(BaseModel):
    word: str
    size: float = 1.0


seen: list[dict[str, Any]] = []


async def function(
    text: str,
    number: int,
    flag: bool,
    kind: Literal["a", "b"],
    leaves: list[Leaf],
    maybe: int | None = None,
    names: list[str] = [],  # noqa: B006  (the function's own default, as users write it)
    either: str | int = 7,
) -> str:
    seen.append(
        {"text": text, "number": number, "flag": flag, "kind": kind, "maybe": maybe}
        | {"leaves": leaves, "names": names, "either": either}
    )
    return text


take = tool(function, name="take", strict=True)
loose = tool(function, name="take", strict=False)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.integers(-(2**70), 2**70)
LEAF = st.fixed_dictionaries(
    {"word": TEXT}, optional={"size": st.floats(allow_nan=False, allow_infinity=False)}
)
GIVEN = st.fixed_dictionaries(
    {
        "text": TEXT,
        "number": NUMBER,
        "flag": st.booleans(),
        "kind": st.sampled_from(["a", "b"]),
        "leaves": st.lists(LEAF, max_size=3),
    },
    optional={
        "maybe": st.none() | NUMBER,
        "names": st.lists(TEXT, max_size=3),
        "either": TEXT | NUMBER,
    },
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def call(made: Tool[..., Any], arguments: Any) -> ToolCall:
    seen.clear()
    item = check_call_events(anyio.run(play, made, json.dumps(arguments)))
    assert isinstance(item, ToolCall)
    return item


@settings(max_examples=50, deadline=None)
@given(GIVEN)
def test_what_the_schema_allows_arrives_as_it_was_written(given: dict[str, Any]) -> None:
    jsonschema.validate(given, loose.function.parameters or {})
    item = call(loose, given)
    assert (item.status, item.output) == ("completed", given["text"])
    whole: dict[str, Any] = {"maybe": None, "names": [], "either": 7, **given}
    assert seen == [whole | {"leaves": [Leaf(**leaf) for leaf in given["leaves"]]}]


@settings(max_examples=50, deadline=None)
@given(GIVEN, st.data())
def test_what_the_strict_schema_allows_is_taken_too(
    given: dict[str, Any], data: st.DataObject
) -> None:
    nullable = ["maybe", "names", "either"]
    nulls: dict[str, Any] = {
        name: None for name in nullable if name not in given or data.draw(st.booleans())
    }
    leaves: list[Any] = [{"size": 1.0, **leaf} for leaf in given["leaves"]]
    whole: dict[str, Any] = {**given, **nulls, "leaves": leaves}
    jsonschema.validate(whole, take.function.parameters or {})
    assert call(take, whole).status == "completed"
    assert seen[0]["names"] == ([] if "names" in nulls else given["names"])
    assert seen[0]["either"] == (7 if "either" in nulls else given["either"])


@settings(max_examples=50, deadline=None)
@given(ANY)
def test_anything_else_is_answered_and_never_raised(given: Any) -> None:
    item = call(take, given)
    assert item.status == "failed" and not seen
    assert item.error is not None and len(item.error) < 4_000


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40) | st.text('{}[]",:null \n0123', max_size=40))
def test_any_text_for_arguments_is_answered_and_never_raised(text: str) -> None:
    seen.clear()
    item = check_call_events(anyio.run(play, take, text))
    assert isinstance(item, ToolCall) and item.status == "failed" and not seen
