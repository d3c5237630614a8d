"""JSON schemas as models are shown them: without titles, and in OpenAI's strict form if they can.

Source of the strict form: OpenAI's structured outputs guide, "Supported schemas": every object
closed and every property required; of the constraints only those listed; no `oneOf`, no `allOf`,
nothing beside a `$ref`. A strict schema is never wider than the one it was made of, but for one
thing: a property of the outermost object with a default may be null, which means the default.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

from pydantic_core import to_json

from antiphon.items import Json

_DEFS = "#/$defs/"
_MAPS = ("properties", "$defs", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONES = ("items", "additionalProperties", "not", "propertyNames", "contains", "if", "then", "else")

_KEPT = frozenset(
    "type properties required additionalProperties items enum const anyOf $ref $defs description "
    "pattern multipleOf maximum exclusiveMaximum minimum exclusiveMinimum minItems maxItems".split()
)
_NOTES = frozenset(
    "title default examples deprecated readOnly writeOnly discriminator $comment "
    "contentEncoding contentMediaType contentSchema".split()
)
_FORMATS = frozenset("date-time time date duration email hostname ipv4 ipv6 uuid".split())


class NotStrict(Exception):
    """A schema has no strict form; the message says where and why."""


def untitled(schema: Json) -> Json:
    """The schema without the titles that pydantic makes up out of names."""
    rest = {key: value for key, value in schema.items() if key != "title"}
    return _with_children(rest, lambda child, _: untitled(child))


def accepts_null(schema: Json, defs: Json) -> bool:
    """Whether null is an instance of the schema (as pydantic writes them)."""
    if "$ref" in schema:
        return accepts_null(_resolve(schema["$ref"], defs), defs)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return any(accepts_null(choice, defs) for choice in schema[key])
    if "enum" in schema:
        return None in schema["enum"]
    if "const" in schema:
        return schema["const"] is None
    kind = schema.get("type", "null")
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def strict(schema: Json) -> Json:
    """The strict form of a function's parameters.

    Raises:
        NotStrict: There is none.
    """
    defs: Json = schema.get("$defs", {})
    required = schema.get("required", ())
    properties: Json = {}
    for name, child in schema.get("properties", {}).items():
        closed = _closed(child, name, defs)
        properties[name] = closed if name in required else _or_default(closed, child, defs)
    form: Json = {"type": "object", "properties": properties, "required": list(properties)}
    form["additionalProperties"] = False
    closed_defs = {name: _closed(child, name, defs) for name, child in defs.items()}
    used = _used(form, closed_defs)
    if used:
        form["$defs"] = {name: child for name, child in closed_defs.items() if name in used}
    return form


def _used(form: Json, defs: Json) -> set[str]:
    """The definitions that are referred to: some were written out where they are used."""
    used: set[str] = set()
    waiting = [form]
    while waiting:
        schema = waiting.pop()
        name = schema.get("$ref", "").removeprefix(_DEFS)
        if name and name not in used:
            used.add(name)
            waiting.append(defs[name])
        waiting.extend(child for _, _, child, _ in _children(schema))
    return used


def _or_default(closed: Json, plain: Json, defs: Json) -> Json:
    """A property that may be left to its default: null where null means nothing else."""
    if accepts_null(plain, defs):
        return closed
    told = "null for the default"
    if "default" in plain:
        told += f": {to_json(plain['default']).decode()}"
    description = closed.pop("description", None)
    choices = closed["anyOf"] if closed.keys() == {"anyOf"} else [closed]
    return {
        "anyOf": [*choices, {"type": "null"}],
        "description": f"{description} ({told})" if description else told,
    }


def _closed(schema: Json, path: str, defs: Json) -> Json:
    if "$ref" in schema and len(schema) > 1:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if beside.keys() <= _NOTES:
            return {"$ref": schema["$ref"]}
        schema = {**_resolve(schema["$ref"], defs), **beside}
    form: Json = {}
    for key, value in schema.items():
        if key == "oneOf":  # of pydantic's tagged unions: their tags exclude each other
            form["anyOf"] = value
        elif key == "format":
            if value in _FORMATS:
                form[key] = value
        elif key == "pattern" and "(?" in value:
            raise NotStrict(f"`{path}` has a pattern with a look-around or flags")
        elif key in _KEPT:
            form[key] = value
        elif key not in _NOTES:
            raise NotStrict(f"`{path}` uses `{key}`")
    if form.keys().isdisjoint(("type", "anyOf", "$ref", "enum", "const")):
        raise NotStrict(f"`{path}` may be anything")
    if form.get("type") == "object":
        _close(form, path)
    if form.get("type") == "array" and "items" not in form:
        raise NotStrict(f"`{path}` may hold anything")
    return _with_children(form, lambda child, step: _closed(child, f"{path}{step}", defs))


def _close(form: Json, path: str) -> None:
    """An object: closed, and all of its properties required."""
    if form.get("additionalProperties", False) is not False or "properties" not in form:
        raise NotStrict(f"`{path}` may have any keys")
    form["required"] = list(form["properties"])
    form["additionalProperties"] = False


def _resolve(ref: str, defs: Json) -> Json:
    return cast("Json", defs[ref.removeprefix(_DEFS)])


def _with_children(schema: Json, change: Callable[[Json, str], Json]) -> Json:
    """A copy in which every schema directly inside is changed; `change` gets it and its path."""
    copy = dict(schema)
    for key, name, child, step in _children(schema):
        changed = change(child, step)
        if name is None:
            copy[key] = changed
        else:
            if copy[key] is schema[key]:
                copy[key] = schema[key].copy()
            copy[key][name] = changed
    return copy


def _children(schema: Json) -> Iterator[tuple[str, Any, Json, str]]:
    for key, value in schema.items():
        if key in _MAPS:
            for name, child in value.items():
                yield key, name, child, f".{name}"
        elif key in _LISTS:
            for position, child in enumerate(value):
                yield key, position, child, ""
        elif key in _ONES and isinstance(value, dict):
            yield key, None, cast("Json", value), "[]" if key == "items" else ""
