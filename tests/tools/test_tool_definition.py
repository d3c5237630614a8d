"""What `@tool` makes of a function's signature and docstring, and what it refuses."""

import logging
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from antiphon.errors import ToolDefinitionError
from antiphon.items import Json
from antiphon.tools import Context, Offer, Tool, tool


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    """A place on the map."""

    x: int
    y: int = 0


@dataclass
class Box:
    title: str
    corners: list[Point]


class Trip(TypedDict):
    city: str
    days: int


class Tree(BaseModel):
    name: str
    children: "list[Tree]" = []


def parameters(made: Tool[..., Any]) -> Json:
    shown = made.function.parameters
    assert shown is not None
    return shown


def test_a_decorated_function_is_an_offer_and_still_the_function() -> None:
    @tool
    def add(a: int, b: int = 2) -> int:
        """Add."""
        return a + b

    assert isinstance(add, Offer)
    assert add(1) == 3
    assert add(1, b=5) == 6
    assert (add.name, add.description, add.timeout, add.parallel) == ("add", "Add.", None, True)
    assert add.__name__ == "add"


def test_options_override_what_the_function_says() -> None:
    @tool(name="plus", description="Sums.", timeout=2.5, parallel=False, strict=False)
    def add(a: int) -> int:
        """Add."""
        return a

    assert (add.name, add.description, add.timeout, add.parallel) == ("plus", "Sums.", 2.5, False)
    assert add.function.strict is False


def test_a_schema_has_types_defaults_and_no_titles_and_is_closed() -> None:
    @tool(strict=False)
    def visit(
        title: str,
        when: date,
        colour: Colour = Colour.RED,
        unit: Literal["c", "f"] = "c",
        days: Annotated[int, Field(ge=1, le=9, description="How long.")] = 3,
        note: str | None = None,
    ) -> None: ...

    assert parameters(visit) == {
        "type": "object",
        "additionalProperties": False,
        "required": ["title", "when"],
        "$defs": {"Colour": {"enum": ["red", "blue"], "type": "string"}},
        "properties": {
            "title": {"type": "string"},
            "when": {"type": "string", "format": "date"},
            "colour": {"$ref": "#/$defs/Colour", "default": "red"},
            "unit": {"enum": ["c", "f"], "type": "string", "default": "c"},
            "days": {
                "type": "integer",
                "minimum": 1,
                "maximum": 9,
                "description": "How long.",
                "default": 3,
            },
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
    }


def test_nested_models_keep_their_definitions_and_a_field_called_title() -> None:
    @tool(strict=False)
    def draw(box: Box, trip: Trip, point: Point | None = None) -> None: ...

    shown = parameters(draw)
    assert set(shown["$defs"]) == {"Box", "Trip", "Point"}
    assert shown["$defs"]["Box"]["properties"]["title"] == {"type": "string"}
    assert shown["$defs"]["Point"]["description"] == "A place on the map."
    assert shown["$defs"]["Trip"]["required"] == ["city", "days"]


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    @tool
    def now() -> str:
        return ""

    assert parameters(now)["properties"] == {}
    assert parameters(now)["additionalProperties"] is False


def test_parameters_may_have_any_python_name() -> None:
    @tool(strict=False)
    def odd(schema: int, copy: int, model_config: int, _hid: int, json: int, p0: int) -> None: ...

    names = ["schema", "copy", "model_config", "_hid", "json", "p0"]
    assert list(parameters(odd)["properties"]) == names


def test_annotations_written_as_text_are_resolved_in_the_scope_of_the_function() -> None:
    class Local(BaseModel):
        a: int

    @tool(strict=False)
    def take(value: "Local", ctx: "Context[int]") -> None: ...

    assert list(parameters(take)["properties"]) == ["value"]
    assert parameters(take)["$defs"]["Local"]["required"] == ["a"]
    assert Local(a=1)


def test_a_default_that_json_cannot_say_is_left_out_of_the_schema() -> None:
    marker = object()

    @tool(strict=False)
    def take(value: str = marker) -> None: ...  # pyright: ignore[reportArgumentType]

    assert parameters(take)["properties"]["value"] == {"type": "string"}
    assert "required" not in parameters(take)


def test_a_bound_method_can_be_a_tool() -> None:
    class Shop:
        def price(self, thing: str) -> int:
            """What it costs."""
            return len(thing)

    made = tool(Shop().price)
    assert (made.name, made.description) == ("price", "What it costs.")
    assert list(parameters(made)["properties"]) == ["thing"]
    assert made("bread") == 5


GOOGLE = """Find a train.

    It looks everywhere.

    Args:
        start: Where from.
            It may be a station.
        end (str): Where to.

    Returns:
        The trains.
    """
NUMPY = """Find a train.

    It looks everywhere.

    Parameters
    ----------
    start : str
        Where from.
        It may be a station.
    end
        Where to.

    Returns
    -------
    list
        The trains.
    """
SPHINX = """Find a train.

    It looks everywhere.

    :param start: Where from.
        It may be a station.
    :param str end: Where to.
    :returns: The trains.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_descriptions_are_read_from_every_style_of_docstring(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    def find(start: str, end: str) -> None: ...

    find.__doc__ = text
    with caplog.at_level(logging.DEBUG):
        made = tool(find)

    assert made.description == "Find a train.\n\nIt looks everywhere."
    told = {name: p["description"] for name, p in parameters(made)["properties"].items()}
    assert told["start"].split() == ["Where", "from.", "It", "may", "be", "a", "station."]
    assert told["end"] == "Where to."
    assert not caplog.records


def test_a_docstring_without_sections_is_the_description() -> None:
    @tool
    def plain(a: int) -> None:
        """One line: with a colon.

        And a paragraph.
        """

    assert plain.description == "One line: with a colon.\n\nAnd a paragraph."


def test_a_note_in_a_docstring_is_told_and_the_list_of_errors_is_not() -> None:
    @tool
    def plain(a: int) -> None:
        """Do it.

        Note:
            Only once.

        Raises:
            ValueError: Never mind.
        """

    assert plain.description == "Do it.\n\nNote: Only once."


def test_a_field_description_goes_before_the_docstring() -> None:
    @tool
    def find(
        a: Annotated[int, Field(description="mine")], b: int = Field(description="own")
    ) -> None:
        """Find.

        Args:
            a: docstring's
            b: docstring's
        """

    told = [p["description"] for p in parameters(find)["properties"].values()]
    assert told == ["mine", "own"]
    assert parameters(find)["required"] == ["a", "b"]


def test_a_function_without_docstring_has_no_description() -> None:
    @tool
    def silent(a: int) -> None: ...

    assert silent.description is None


@pytest.mark.parametrize("where", ["first", "middle", "last", "keyword"])
def test_a_context_may_stand_anywhere_and_is_not_shown(where: str) -> None:
    def first(ctx: Context[int], a: int, b: int) -> None: ...
    def middle(a: int, ctx: Context[int], b: int) -> None: ...
    def last(a: int, b: int, ctx: Annotated[Context[int], "note"]) -> None: ...
    def keyword(a: int, b: int, *, ctx: Context) -> None: ...

    functions: dict[str, Any] = {
        "first": first,
        "middle": middle,
        "last": last,
        "keyword": keyword,
    }
    made = tool(functions[where])
    assert parameters(made)["required"] == ["a", "b"]
    assert parameters(made)["additionalProperties"] is False


def test_a_strict_schema_requires_all_and_lets_defaults_be_null() -> None:
    @tool(strict=True)
    def find(
        point: Point,
        unit: Literal["c", "f"] = "c",
        kind: int | str = 3,
        note: str | None = None,
        more: Annotated[Tree | None, Field(description="A tree.")] = None,
    ) -> None:
        """Find.

        Args:
            point: Where.
            unit: Of heat.
        """

    shown = parameters(find)
    assert find.function.strict is True
    assert shown["required"] == ["point", "unit", "kind", "note", "more"]
    assert shown["properties"] == {
        "point": {
            "description": "Where.",
            "type": "object",
            "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
            "required": ["x", "y"],
            "additionalProperties": False,
        },
        "unit": {
            "anyOf": [{"enum": ["c", "f"], "type": "string"}, {"type": "null"}],
            "description": 'Of heat. (null for the default: "c")',
        },
        "kind": {
            "anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}],
            "description": "null for the default: 3",
        },
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "more": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}], "description": "A tree."},
    }
    assert set(shown["$defs"]) == {"Tree"}  # Point is written out, beside its description
    assert shown["$defs"]["Tree"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        },
        "required": ["name", "children"],
        "additionalProperties": False,
    }


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


def test_a_tagged_union_has_a_strict_form() -> None:
    @tool(strict=True)
    def pet(animal: Annotated[Cat | Dog, Field(discriminator="kind")]) -> None: ...

    choices = [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]
    assert parameters(pet)["properties"] == {"animal": {"anyOf": choices}}


NEVER_STRICT: dict[str, tuple[Any, str]] = {
    "dict": (dict[str, int], "any keys"),
    "any": (Any, "anything"),
    "bare list": (list[Any], "anything"),
    "open model": (Open, "any keys"),
    "tuple": (tuple[int, str], "prefixItems"),
    "set": (set[int], "uniqueItems"),
    "length": (Annotated[str, Field(min_length=2)], "minLength"),
    "flags": (Annotated[str, Field(pattern="(?i)a")], "look-around or flags"),
    "deep": (list[dict[str, int]], r"value\[\]"),
}


@pytest.mark.parametrize("case", NEVER_STRICT)
def test_what_cannot_be_strict_says_where_or_falls_back(case: str) -> None:
    kind, why = NEVER_STRICT[case]

    def take(value: Any) -> None: ...

    take.__annotations__["value"] = kind
    assert tool(take).function.strict is False
    with pytest.raises(ToolDefinitionError, match=f"take: cannot be strict.*value.*{why}|{why}"):
        tool(take, strict=True)


def test_formats_that_strict_mode_knows_are_kept() -> None:
    @tool(strict=True)
    def when(at: datetime, key: UUID, raw: bytes) -> None: ...

    shown = parameters(when)["properties"]
    assert shown["at"]["format"] == "date-time"
    assert shown["key"]["format"] == "uuid"
    assert shown["raw"] == {"type": "string"}
