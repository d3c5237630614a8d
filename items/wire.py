"""The base of everything that goes over the wire, and unions that keep what they do not know.

Below: pydantic. Above: every other file of this room. Not here: any particular item.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializeAsAny

T = TypeVar("T")


def _is_none(value: object) -> bool:
    return value is None


Maybe = Annotated[T | None, Field(exclude_if=_is_none)]
"""A field that is left out of JSON when it is None, where the wire says omit rather than null."""


def _finite(value: Any) -> Any:
    """Refuse what JSON cannot say again: NaN, and numbers such as 1e999 that read as infinite."""
    given: object = value
    if isinstance(given, float):
        if not math.isfinite(given):
            raise ValueError(f"expected a finite number, got {given}")
    elif isinstance(given, dict):
        for each in cast("dict[Any, Any]", given).values():
            _finite(each)
    elif isinstance(given, list):
        for each in cast("list[Any]", given):
            _finite(each)
    return value


Anything: TypeAlias = Annotated[Any, AfterValidator(_finite)]
"""Any JSON value whose shape is somebody else's."""

Json: TypeAlias = Annotated[dict[str, Any], AfterValidator(_finite)]
"""A JSON object whose shape is somebody else's."""


AS_IT_IS: Any = cast("Any", SerializeAsAny)()  # which checkers take for an alias
"""In a union: its members write themselves. Asking the discriminator again costs three times as
much, and no member is written by another's rules.
"""


class Wire(BaseModel):
    """A JSON object of the protocol. Unknown fields are kept and written back as they came."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    if not TYPE_CHECKING:
        __pydantic_extra__: dict[str, Anything]  # given a value, it would stand in every `vars`

    def to_json(self) -> bytes:
        """This object as compact UTF-8 JSON."""
        return self.__pydantic_serializer__.to_json(self)


UNKNOWN = "<?>"
"""The tag of a union's member for types that this version does not know."""

_OBJECT: Any = dict
"""Untyped, so that nobody has to say of each value what is in it."""


def type_tag(*known: str) -> Callable[[Any], str | None]:
    """A discriminator on `type` for a union that also keeps unknown types.

    The tag is decided by `type` alone, so a malformed member of a *known* type is an
    error and never an unknown. A value whose `type` is not a string has no tag at all.
    """
    tags = tags_of(*known)

    def tag(value: Any) -> str | None:  # `type_of`, without a call for each part of each item
        kind = value.get("type") if isinstance(value, _OBJECT) else getattr(value, "type", None)
        return tags.get(kind, UNKNOWN) if isinstance(kind, str) else None

    return tag


def tags_of(*known: str) -> dict[str, str]:
    """The tag of each type, `<type>`: an error's location has tags, and they are not fields."""
    return {kind: f"<{kind}>" for kind in known}


def type_of(value: Any) -> str | None:
    """The `type` of an object or of its JSON, if it is a string."""
    found = value.get("type") if isinstance(value, _OBJECT) else getattr(value, "type", None)
    return found if isinstance(found, str) else None
