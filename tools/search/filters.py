"""Filters on the attributes of files: what a request says, checked and read.

A comparison holds between values of one kind only: a number is never equal to a string or to a
boolean. `ne` and `nin` hold where `eq` and `in` do not, also for files without the attribute.
Above: `engine`. Below: nothing. Source: OpenAI's ComparisonFilter and CompoundFilter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from antiphon.errors import RequestError

from .store import Attributes, Value

Comparison: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
MOST_NODES: Final = 200
MOST_VALUES: Final = 1_000
DEEPEST: Final = 10
LARGEST: Final = 2**53
"""The largest number that an attribute may be: beyond it, whole numbers are not told apart."""


@dataclass(frozen=True, slots=True)
class Compare:
    """An attribute against a value; against several for `in` and `nin`."""

    type: Comparison
    key: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Compound:
    """All, or any, of several filters."""

    type: Literal["and", "or"]
    filters: tuple["Filter", ...]


Filter: TypeAlias = Compare | Compound


def filter_of(given: Mapping[str, Any] | None, param: str = "filters") -> Filter | None:
    """The filter that a request's object is; None for none.

    Raises:
        RequestError: 400; it is not one.
    """
    return None if given is None else _Reader().read(given, param, 0)


class _Reader:
    def __init__(self) -> None:
        self._nodes = 0

    def read(self, given: object, param: str, depth: int) -> Filter:
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            raise _wrong(param, f"at most {MOST_NODES} filters, {DEEPEST} deep", "more")
        if not isinstance(given, Mapping):
            raise _wrong(param, "an object with `type`", given)
        fields = cast("Mapping[str, object]", given)
        kind = fields.get("type")
        if kind == "and" or kind == "or":
            listed = fields.get("filters")
            inner = cast("list[object]", listed) if isinstance(listed, list) else []
            if not inner:
                raise _wrong(f"{param}.filters", "a list of filters, at least one", fields)
            read = [
                self.read(one, f"{param}.filters[{at}]", depth + 1) for at, one in enumerate(inner)
            ]
            return Compound("and" if kind == "and" else "or", tuple(read))
        if kind not in get_args(Comparison):
            raise _wrong(
                f"{param}.type", f"one of {', '.join(get_args(Comparison))}, and, or", kind
            )
        key = fields.get("key")
        if not isinstance(key, str):
            raise _wrong(f"{param}.key", "the name of an attribute", key)
        told = cast("Comparison", kind)
        return Compare(told, key, _values(told, fields.get("value"), f"{param}.value"))


def _values(kind: Comparison, value: object, param: str) -> tuple[Value, ...]:
    if kind in ("in", "nin"):
        listed = cast("list[object]", value) if isinstance(value, list) else None
        if listed is None or len(listed) > MOST_VALUES:
            raise _wrong(param, f"a list of at most {MOST_VALUES} values", "something else")
    else:
        listed = [value]
    for one in listed:
        if not isinstance(one, str | bool | int | float):
            raise _wrong(param, "a string, a number or a boolean", one)
        if not isinstance(one, str) and not -LARGEST <= one <= LARGEST:
            raise _wrong(param, "a number of at most 2**53", "a larger one")
        if isinstance(one, bool) and kind in ("gt", "gte", "lt", "lte"):
            raise _wrong(param, f"a number or a string for {kind}", one)
    return tuple(cast("list[Value]", listed))


def kind_of(value: Value) -> Literal["b", "n", "s"]:
    """What kind of value it is: boolean, number or string."""
    if isinstance(value, bool):
        return "b"
    return "s" if isinstance(value, str) else "n"


def matches(wanted: Filter, attributes: Attributes) -> bool:
    """Whether a file with these attributes passes: the meaning that every engine has to keep."""
    if isinstance(wanted, Compound):
        return (all if wanted.type == "and" else any)(
            matches(one, attributes) for one in wanted.filters
        )
    has = attributes.get(wanted.key)
    if wanted.type in ("ne", "nin"):
        return not _holds("eq", has, wanted.values)
    return _holds(wanted.type, has, wanted.values)


def _holds(kind: Comparison, has: Value | None, values: tuple[Value, ...]) -> bool:
    if has is None:
        return False
    alike = [one for one in values if kind_of(one) == kind_of(has)]
    if kind in ("eq", "in"):
        return has in alike
    mine: Any = has
    for one in alike:
        other: Any = one
        if (kind in ("gt", "gte") and mine > other) or (kind in ("lt", "lte") and mine < other):
            return True
        if kind in ("gte", "lte") and mine == other:
            return True
    return False


def _wrong(param: str, expected: str, got: object) -> RequestError:
    return RequestError(
        f"{param}: expected {expected}, got {str(got)[:100]!r}", param=param, code="invalid_value"
    )
