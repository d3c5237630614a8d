"""Both ends of a round trip: JSON made from any JSON schema, and what got lost of it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import pytest
from hypothesis import strategies as st

Schema: TypeAlias = Mapping[str, Any]
Instances: TypeAlias = Callable[[Schema, Schema], st.SearchStrategy[Any]]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
UNKNOWN_FIELDS = st.dictionaries(
    st.from_regex(r"x_[a-z]{1,6}", fullmatch=True), ANYTHING, max_size=2
)


class Maker:
    """Strategies for one document's schemas; `$ref`s are looked up in the document."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self.known: dict[str, st.SearchStrategy[Any]] = {}

    def target(self, reference: str) -> Schema:
        found: Any = self.document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return found

    def make(self, schema: Schema) -> st.SearchStrategy[Any]:
        if "$ref" in schema:
            reference = cast("str", schema["$ref"])
            if reference not in self.known:
                target = self.target(reference)
                self.known[reference] = st.deferred(lambda: self.make(target))
            return self.known[reference]
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(cast("list[Any]", schema["enum"]))
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return st.one_of([self.make(each) for each in schema[word]])
        if "allOf" in schema:
            return self.every(cast("list[Schema]", schema["allOf"]))
        return self.plain(schema)

    def every(self, schemas: list[Schema]) -> st.SearchStrategy[Any]:
        """All of them: one that says something, or objects that are merged."""
        telling = [each for each in schemas if {*each} - {"description", "default"}]
        if len(telling) == 1:
            return self.make(telling[0])
        wholes = [self.target(each["$ref"]) if "$ref" in each else each for each in telling]
        properties: dict[str, Schema] = {}
        for whole in reversed(wholes):
            properties |= whole["properties"]
        required = [name for whole in wholes for name in whole.get("required", ())]
        return self.fields({"properties": properties, "required": required})

    def plain(self, schema: Schema) -> st.SearchStrategy[Any]:
        match schema.get("type"):
            case "string" if "pattern" in schema:
                return st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
            case "string":
                most = min(12, schema.get("maxLength", 12))
                return st.text(min_size=schema.get("minLength", 0), max_size=most)
            case "integer":
                low, high = schema.get("minimum", -(2**62)), schema.get("maximum", 2**62)
                return st.integers(low, high)
            case "number":
                low, high = schema.get("minimum", -1e6), schema.get("maximum", 1e6)
                return st.floats(low, high) | st.integers(int(low), int(high))
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case "array":
                least, most = schema.get("minItems", 0), min(3, schema.get("maxItems", 3))
                each = self.make(schema.get("items", {}))
                return st.lists(each, min_size=least, max_size=max(least, most))
            case "object":
                return self.fields(schema)
            case _:
                return ANYTHING

    def fields(self, schema: Schema) -> st.SearchStrategy[Any]:
        """An object of the schema's properties, often with fields that it does not name."""
        properties = cast("dict[str, Schema]", schema.get("properties", {}))
        if not properties:
            values = schema.get("additionalProperties")
            each = self.make(cast("Schema", values)) if isinstance(values, dict) else ANYTHING
            return st.dictionaries(st.text(max_size=8), each, max_size=3)
        required = {name: self.make(properties[name]) for name in schema.get("required", ())}
        optional = {
            name: self.make(each)
            for name, each in properties.items()
            if name not in required and each.get("maxLength") != 0
        }
        known = st.fixed_dictionaries(required, optional=optional)
        return st.tuples(UNKNOWN_FIELDS, known).map(lambda pair: {**pair[0], **pair[1]})


@pytest.fixture(scope="session")
def instances() -> Instances:
    """`instances(schema, document)` makes JSON values that the schema allows."""
    makers: dict[int, Maker] = {}

    def make(schema: Schema, document: Schema) -> st.SearchStrategy[Any]:
        return makers.setdefault(id(document), Maker(document)).make(schema)

    return make


def _lost(given: Any, back: Any, path: str = "$") -> str | None:
    """Where a value did not come back; fields that were null may be gone, defaults may be new."""
    if isinstance(given, dict) and isinstance(back, dict):
        new = cast("dict[str, Any]", back)
        for key, value in cast("dict[str, Any]", given).items():
            if key in new or value is not None:
                found = _lost(value, new.get(key, "(nothing)"), f"{path}.{key}")
                if found:
                    return found
        return None
    if isinstance(given, list) and isinstance(back, list):
        old, new_ones = cast("list[Any]", given), cast("list[Any]", back)
        if len(old) != len(new_ones):
            return f"{path}: {len(old)} became {len(new_ones)}"
        pairs = enumerate(zip(old, new_ones, strict=True))
        return next((f for i, (a, b) in pairs if (f := _lost(a, b, f"{path}[{i}]"))), None)
    same = given == back and isinstance(given, bool) == isinstance(back, bool)
    return None if same else f"{path}: {given!r} became {back!r}"


@pytest.fixture(scope="session")
def lost() -> Callable[[Any, Any], str | None]:
    """`lost(given, back)` says where a JSON value did not come back, or None."""
    return _lost
