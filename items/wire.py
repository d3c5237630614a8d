"""The base of everything that goes over the wire, and unions that keep what they do not know.

Below: pydantic. Above: every other file of this room. Not here: any particular item.
"""

from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


def _is_none(value: object) -> bool:
    return value is None


Maybe = Annotated[T | None, Field(exclude_if=_is_none)]
"""A field that is left out of JSON when it is None, where the wire says omit rather than null."""

Json = dict[str, Any]
"""A JSON object whose shape is somebody else's."""


class Wire(BaseModel):
    """A JSON object of the protocol. Unknown fields are kept and written back as they came."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    def to_json(self) -> bytes:
        """This object as compact UTF-8 JSON."""
        return self.__pydantic_serializer__.to_json(self)


UNKNOWN = "?"
"""The tag of a union's member for types that this version does not know."""


def type_tag(*known: str) -> Callable[[Any], str | None]:
    """A discriminator on `type` for a union that also keeps unknown types.

    The tag is decided by `type` alone, so a malformed member of a *known* type is an
    error and never an unknown. A value whose `type` is not a string has no tag at all.
    """
    return lambda value: tag_by(value, known)


def tag_by(value: Any, known: Collection[str]) -> str | None:
    """The tag of one value; None where it has no `type`."""
    kind = type_of(value)
    return kind if kind is None or kind in known else UNKNOWN


def type_of(value: Any) -> str | None:
    """The `type` of an object or of its JSON, if it is a string."""
    found: object = (
        cast("Json", value).get("type") if isinstance(value, dict) else getattr(value, "type", None)
    )
    return found if isinstance(found, str) else None
