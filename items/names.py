"""Names: what models call things by, and the types that somebody's own tools have.

A type of one's own bears a slug, so that it can never be another's: tools are declared as
`acme:units`, a call is the item `acme:units_call`, and its events begin with that type. This room
knows such types by their form alone, so a receipt reads the same where its tool is unknown.

Above: every other file that names something. Source: Open Responses, "Extending".
"""

import hashlib
import re
from typing import Annotated, Final, TypeAlias

from pydantic import Field

BUILT_IN = "antiphon"
"""The MCP server label under which provider-run functions show themselves."""

OWN_TYPE: Final = "[a-zA-Z0-9_-]+:[a-zA-Z0-9_-]+"
"""The form of a tool's type, where it is somebody's own: a slug, a colon and a name."""

ReceiptType: TypeAlias = Annotated[str, Field(pattern=f"^{OWN_TYPE}_call$")]
"""The type of a call's item, such as `acme:units_call`."""

OwnDelta: TypeAlias = Annotated[str, Field(pattern=rf"^{OWN_TYPE}_call_arguments\.delta$")]
"""The type of an event with more arguments of such a call."""

OwnDone: TypeAlias = Annotated[str, Field(pattern=rf"^{OWN_TYPE}_call_arguments\.done$")]
"""The type of the event with all of them."""

OwnStep: TypeAlias = Annotated[str, Field(pattern=rf"^{OWN_TYPE}_call\.[a-z_]+$")]
"""The type of any other event of such a call: `acme:units_call.completed`, or one of its own."""

_FUNCTION: Final = re.compile("[a-zA-Z0-9_-]{1,64}")
_OWN: Final = re.compile(OWN_TYPE)
_RECEIPT: Final = re.compile(f"{OWN_TYPE}_call")
_EVENT: Final = re.compile(rf"{OWN_TYPE}_call(_arguments)?\.[a-z_]+")


def is_function(name: str) -> bool:
    """Whether a model may call something by this name."""
    return _FUNCTION.fullmatch(name) is not None


def is_own(type: str) -> bool:  # noqa: A002  (the wire's own word)
    """Whether a tool's type has the form of somebody's own."""
    return _OWN.fullmatch(type) is not None


def is_receipt(type: str) -> bool:  # noqa: A002
    """Whether an item's type has the form of a call of somebody's own."""
    return _RECEIPT.fullmatch(type) is not None


def own_event(type: str) -> str | None:  # noqa: A002
    """How the type of an event of such a call ends (`.completed`, `_arguments.delta`), if it is."""
    found = _EVENT.fullmatch(type)
    if found is None:
        return None
    return f"{found[1] or ''}.{type.rpartition('.')[2]}"


def own_function(type: str) -> str:  # noqa: A002
    """What a model calls a tool of somebody's own by: `acme__units` for `acme:units`."""
    return tool_name(*type.split(":", 1))


def tool_name(label: str, tool: str) -> str:
    """The name under which a model knows an MCP server's tool: at most 64 safe characters.

    Longer, unsafe or ambiguous names are cut and told apart by a hash.
    """
    name = f"{label}__{tool}"
    safe = re.sub(r"[^a-zA-Z0-9_-]", "_", name)
    # `a` with `b__c` may stand as it is; `a__b` with `c` would read the same.
    if safe == name and len(name) <= 64 and name.find("__") == len(label):
        return name
    told = hashlib.sha256(f"{label}\0{tool}".encode()).hexdigest()
    return f"{safe[:55]}_{told[:8]}"
