"""The base of everything that goes over the wire, and unions that keep what they do not know.

Below: pydantic. Above: every other file of this room. Not here: any particular item.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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

    __pydantic_extra__: dict[str, Anything] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    def to_json(self) -> bytes:
        """This object as compact UTF-8 JSON."""
        return self.__pydantic_serializer__.to_json(self)


UNKNOWN = "<?>"
"""The tag of a union's member for types that this version does not know."""


def type_tag(*known: str) -> Callable[[Any], str | None]:
    """A discriminator on `type` for a union that also keeps unknown types.

    The tag is decided by `type` alone, so a malformed member of a *known* type is an
    error and never an unknown. A value whose `type` is not a string has no tag at all.
    """
    tags = tags_of(*known)
    return lambda value: tag_by(value, tags)


def tags_of(*known: str) -> dict[str, str]:
    """The tag of each type, `<type>`: an error's location has tags, and they are not fields."""
    return {kind: f"<{kind}>" for kind in known}


def tag_by(value: Any, tags: Mapping[str, str]) -> str | None:
    """The tag of one value; None where it has no `type`."""
    kind = type_of(value)
    return None if kind is None else tags.get(kind, UNKNOWN)


def type_of(value: Any) -> str | None:
    """The `type` of an object or of its JSON, if it is a string."""
    found: object = (
        cast("Json", value).get("type") if isinstance(value, dict) else getattr(value, "type", None)
    )
    return found if isinstance(found, str) else None
