"""Which class an event of a type is: known types by name, those of somebody's own by their ends.

An event of a call of one's own, `acme:units_call.completed`, is of the class of the same event of
`antiphon:tool_call`. Below: names. Above: `event`, whose classes are told here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from .names import own_event

if TYPE_CHECKING:
    from .event import BaseEvent

KINDS: "dict[str, type[BaseEvent]]" = {}
"""The class of each event type."""

_VALIDATORS: "dict[str, Callable[[bytes], BaseEvent]]" = {}


def register(kind: "type[BaseEvent]") -> None:
    """Know a class of events, and all below it, by the types that they have."""
    for child in kind.__subclasses__():
        register(child)
    _know(kind, kind.model_fields["type"].annotation)


def _know(kind: "type[BaseEvent]", types: Any) -> None:
    for one in getattr(types, "__args__", ()):
        if isinstance(one, str):
            KINDS[one] = kind
            _VALIDATORS[one] = kind.__pydantic_validator__.validate_json
        else:  # its known types, beside the form of those that are somebody's own
            _know(kind, one)


def kind_of(type: str) -> "type[BaseEvent] | None":  # noqa: A002  (the wire's own word)
    """The class of an event type; None where nobody here knows it."""
    known = KINDS.get(type)
    if known is not None:
        return known
    ending = own_event(type)
    if ending is None:
        return None
    return KINDS.get(f"antiphon:tool_call{ending}", KINDS["antiphon:tool_call.completed"])


def known(type: str) -> "Callable[[bytes], BaseEvent] | None":  # noqa: A002
    """What reads the JSON of a known type."""
    return _VALIDATORS.get(type)


def read(data: Any, type: str, unknown: "type[BaseEvent]") -> "BaseEvent":  # noqa: A002
    """One event of this type out of its JSON: bytes, or an object.

    What has the form of somebody's own event, and lacks what ours have, is unknown and no error.

    Raises:
        pydantic.ValidationError: It is of a known type, and malformed.
    """
    kind = kind_of(type) or unknown
    try:
        return _validated(kind, data)
    except ValidationError:
        if type in KINDS or kind is unknown:
            raise
        return _validated(unknown, data)


def _validated(kind: "type[BaseEvent]", data: Any) -> "BaseEvent":
    validator = kind.__pydantic_validator__
    return (
        validator.validate_json(data)
        if isinstance(data, bytes)
        else validator.validate_python(data)
    )
